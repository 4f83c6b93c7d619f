/* SPDX-License-Identifier: Apache-2.0 */
#include "net/interface.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

bool interface_exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

static bool is_link_local(const struct sockaddr *address)
{
	struct sockaddr_in6 ipv6;

	if (address->sa_family != AF_INET6)
		return false;
	memcpy(&ipv6, address, sizeof ipv6);
	return IN6_IS_ADDR_LINKLOCAL(&ipv6.sin6_addr);
}

static bool is_wanted(const struct ifaddrs *entry, const char *name, sa_family_t family)
{
	if (!entry->ifa_addr || entry->ifa_addr->sa_family != family ||
	    is_link_local(entry->ifa_addr))
		return false;
	if (name)
		return !strcmp(entry->ifa_name, name);
	return (entry->ifa_flags & IFF_UP) && !(entry->ifa_flags & IFF_LOOPBACK);
}

static bool format(const struct sockaddr *address, struct net_address *out)
{
	socklen_t length = address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							  : sizeof(struct sockaddr_in6);

	*out = (struct net_address){ .port = "" };
	return getnameinfo(address, length, out->host, sizeof out->host, NULL, 0,
			   NI_NUMERICHOST) == 0;
}

unsigned interface_addresses(const char *name, struct net_address *addresses_out, unsigned max)
{
	static const sa_family_t families[] = { AF_INET, AF_INET6 };
	struct ifaddrs *list;
	unsigned n = 0;

	if (getifaddrs(&list) != 0)
		return 0;
	for (int i = 0; i < 2; i++)
		for (const struct ifaddrs *entry = list; entry && n < max; entry = entry->ifa_next)
			if (is_wanted(entry, name, families[i]) &&
			    format(entry->ifa_addr, &addresses_out[n]))
				n++;
	freeifaddrs(list);
	return n;
}
