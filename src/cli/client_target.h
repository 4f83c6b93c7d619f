/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_TARGET_H
#define STAGECOACH_CLI_CLIENT_TARGET_H
/*
 * client_target - which server a verb talks to.
 * The first of these that is given: --socket; --listen; --host and --port; the same as variables;
 * the same in the file; a socket at one of the usual places; 127.0.0.1:8080.
 * Thread: the main thread.
 */
#include "base/error.h"
#include "config/config.h"
#include "gateway/tls_credentials.h"
#include "net/net_address.h"

#include <stdbool.h>
#include <stdint.h>

struct client_target {
	const char *socket;	/* what is given; NULL: not given */
	const char *listen;
	const char *host;
	uint32_t port;		/* 0: not given */
	uint64_t silence_ms;	/* of the server, before it is given up; UINT64_MAX: any; 0: the
				 * default */
	bool uses_tls;		/* over TCP */
	struct tls_files tls;
	const char *api_key;	/* NULL or "": none */
	bool is_unix;		/* chosen by client_target_choose, with one of the two */
	struct net_address address;
	struct sockaddr_un unix_address;
	char name[300];		/* for messages */
};

/* What flags, variables and file give; where they differ, flags hold before variables, and those
 * before the file. Borrows config. */
void client_target_init(struct client_target *target, const struct config *config);

/* SC_E_INVALID: an address that makes no sense. */
must_check enum sc_status client_target_choose(struct client_target *target, struct error *err);

/* Connect, for at most timeout_ms per address. SC_E_UNAVAILABLE: nobody there. */
must_check enum sc_status client_target_connect(const struct client_target *target,
						int timeout_ms, int *fd_out, struct error *err);

#endif
