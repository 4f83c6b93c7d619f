/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_address.h"

#include "base/parse.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum sc_status net_address_parse(const char *text, struct net_address *address_out,
				 struct error *err)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	struct net_address address;
	size_t n_host;
	uint64_t port;

	if (!colon || colon == text)
		return error_set(err, SC_E_INVALID, "%s: expected HOST:PORT", text);
	n_host = (size_t)(colon - text);
	if (host[0] == '[') {
		if (n_host < 3 || host[n_host - 1] != ']')
			return error_set(err, SC_E_INVALID, "%s: expected [IPV6]:PORT", text);
		host++;
		n_host -= 2;
	} else if (memchr(host, ':', n_host)) {
		return error_set(err, SC_E_INVALID, "%s: expected brackets around an IPv6 address",
				 text);
	}
	if (n_host >= sizeof address.host)
		return error_set(err, SC_E_INVALID, "%s: the host's name is too long", text);
	if (!parse_u64(colon + 1, &port) || port > 65535)
		return error_set(err, SC_E_INVALID, "%s: expected a port from 0 to 65535 after "
				 "the last colon", text);
	memcpy(address.host, host, n_host);
	address.host[n_host] = '\0';
	snprintf(address.port, sizeof address.port, "%u", (unsigned)(uint16_t)port);
	*address_out = address;
	return SC_OK;
}

enum sc_status net_address_resolve(const struct net_address *address, struct addrinfo **list_out,
				   struct error *err)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	int rc = getaddrinfo(address->host, address->port, &hints, list_out);

	if (rc != 0)
		return error_set(err, rc == EAI_AGAIN ? SC_E_UNAVAILABLE : SC_E_INVALID, "%s: %s",
				 address->host, gai_strerror(rc));
	return SC_OK;
}

bool net_address_is_any(const struct net_address *address)
{
	return !strcmp(address->host, "0.0.0.0") || !strcmp(address->host, "::") ||
	       !strcmp(address->host, "*");
}

/* An IPv4 address that a socket of both families shows as an IPv6 one. */
static bool unmap(const struct sockaddr *address, struct sockaddr_in *ipv4_out)
{
	struct sockaddr_in6 ipv6;

	if (address->sa_family != AF_INET6)
		return false;
	memcpy(&ipv6, address, sizeof ipv6);
	if (!IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr))
		return false;
	*ipv4_out = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = ipv6.sin6_port };
	memcpy(&ipv4_out->sin_addr, ipv6.sin6_addr.s6_addr + 12, 4);
	return true;
}

bool net_address_is_loopback(const struct sockaddr *address)
{
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	if (address->sa_family == AF_INET)
		memcpy(&ipv4, address, sizeof ipv4);
	else if (!unmap(address, &ipv4)) {
		memcpy(&ipv6, address, sizeof ipv6);
		return IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr);
	}
	return ntohl(ipv4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

void net_address_format(const struct sockaddr *address, socklen_t length, char *text,
			size_t n_bytes)
{
	struct sockaddr_in ipv4;
	struct net_address a;

	if (unmap(address, &ipv4)) {
		address = (const struct sockaddr *)&ipv4;
		length = sizeof ipv4;
	}
	if (getnameinfo(address, length, a.host, sizeof a.host, a.port, sizeof a.port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(text, n_bytes, "unknown address");
	else
		snprintf(text, n_bytes, strchr(a.host, ':') ? "[%s]:%s" : "%s:%s", a.host, a.port);
}

enum sc_status net_address_unix(const char *path, struct sockaddr_un *address_out,
				struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	if (!length || length >= sizeof address.sun_path)
		return error_set(err, SC_E_INVALID, "%s: expected a socket path of 1 to %zu bytes, "
				 "found %zu", path, sizeof address.sun_path - 1, length);
	memcpy(address.sun_path, path, length + 1);
	*address_out = address;
	return SC_OK;
}
