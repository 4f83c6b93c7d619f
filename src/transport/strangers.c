/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/strangers.h"

#include <netinet/in.h>
#include <string.h>

void strangers_init(struct strangers *strangers, unsigned max, unsigned max_per_address)
{
	list_init(&strangers->all);
	strangers->n = 0;
	strangers->max = max;
	strangers->max_per_address = max_per_address;
}

/* One host has a /64 of IPv6 addresses to choose from. */
static void set_from(struct stranger *stranger, const struct sockaddr *address)
{
	struct sockaddr_in6 ipv6;
	struct sockaddr_in ipv4;

	memset(stranger->from, 0, sizeof stranger->from);
	if (!address)
		return;
	if (address->sa_family == AF_INET) {
		memcpy(&ipv4, address, sizeof ipv4);
		memset(stranger->from + 10, 0xff, 2);
		memcpy(stranger->from + 12, &ipv4.sin_addr, 4);
		return;
	}
	memcpy(&ipv6, address, sizeof ipv6);
	if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr)) {
		memcpy(stranger->from, &ipv6.sin6_addr, 16);
		return;
	}
	memcpy(stranger->from, &ipv6.sin6_addr, 8);
	stranger->from[15] = 1;		/* ::1 is no Unix socket */
}

void strangers_add(struct strangers *strangers, struct stranger *stranger,
		   const struct sockaddr *address)
{
	set_from(stranger, address);
	stranger->has_spoken = false;
	list_append(&strangers->all, &stranger->node);
	strangers->n++;
}

void strangers_remove(struct strangers *strangers, struct stranger *stranger)
{
	list_remove(&stranger->node);
	strangers->n--;
}

static bool is_same_address(const struct stranger *a, const struct stranger *b)
{
	return !memcmp(a->from, b->from, sizeof a->from);
}

static unsigned count_of(const struct strangers *strangers, const struct stranger *like)
{
	unsigned n = 0;

	list_for_each(node, &strangers->all)
		n += is_same_address(list_entry(node, struct stranger, node), like);
	return n;
}

static bool is_unix(const struct stranger *stranger)
{
	static const uint8_t zeros[16];

	return !memcmp(stranger->from, zeros, sizeof zeros);
}

static const struct stranger *busiest(const struct strangers *strangers)
{
	const struct stranger *most = NULL;
	unsigned n_most = 0;

	list_for_each(node, &strangers->all) {
		const struct stranger *stranger = list_entry(node, struct stranger, node);
		unsigned n = count_of(strangers, stranger);

		if (n > n_most) {
			most = stranger;
			n_most = n;
		}
	}
	return most;
}

static struct stranger *choose(const struct strangers *strangers, const struct stranger *like,
			       const struct stranger *newcomer)
{
	struct stranger *oldest = NULL;

	list_for_each(node, &strangers->all) {
		struct stranger *stranger = list_entry(node, struct stranger, node);

		if (stranger == newcomer || !is_same_address(stranger, like))
			continue;
		if (!stranger->has_spoken)
			return stranger;
		if (!oldest)
			oldest = stranger;
	}
	return oldest;
}

struct stranger *strangers_victim(const struct strangers *strangers,
				  const struct stranger *newcomer)
{
	if (!is_unix(newcomer) && count_of(strangers, newcomer) > strangers->max_per_address)
		return choose(strangers, newcomer, newcomer);
	if (strangers->n > strangers->max)
		return choose(strangers, busiest(strangers), newcomer);
	return NULL;
}
