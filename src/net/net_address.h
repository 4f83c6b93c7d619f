/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_NET_NET_ADDRESS_H
#define STAGECOACH_NET_NET_ADDRESS_H
/* net_address - parses "HOST:PORT" and "[IPV6]:PORT". Thread: any. */
#include "base/error.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

struct net_address {
	char host[256];
	char port[6];
};

/* SC_E_INVALID: err says what is wrong with text. */
must_check enum sc_status net_address_parse(const char *text, struct net_address *address_out,
					    struct error *err);

/* Resolves host and port. The caller frees the list with freeaddrinfo. May block on a name server.
 * SC_E_INVALID: no such host. SC_E_UNAVAILABLE: no name server answers. */
must_check enum sc_status net_address_resolve(const struct net_address *address,
					      struct addrinfo **list_out, struct error *err);

/* Does address mean all addresses of this machine? "0.0.0.0", "::" and "*" do, each of both
 * families. */
bool net_address_is_any(const struct net_address *address);

/* Can only this machine reach it? */
bool net_address_is_loopback(const struct sockaddr *address);

/* Writes "127.0.0.1:8080" or "[::1]:8080", at most n_bytes with the NUL. */
void net_address_format(const struct sockaddr *address, socklen_t length, char *text,
			size_t n_bytes);

/* SC_E_INVALID: the path is empty or too long for a Unix socket. */
must_check enum sc_status net_address_unix(const char *path, struct sockaddr_un *address_out,
					   struct error *err);

#endif
