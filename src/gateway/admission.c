/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/admission.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum peer_kind { PEER_UNIX, PEER_LOOPBACK, PEER_IPV4, PEER_IPV6 };

struct peer {
	struct list node;	/* in admission->peers */
	struct peer_key key;
	unsigned n;		/* number of its guests with ordinary seats */
	unsigned n_others;	/* number of its guests with other seats */
	struct list idle;	/* ordinary guests without a call, the longest idle first */
};

static struct peer_key make_key(enum peer_kind kind, const void *bytes, size_t n_bytes)
{
	struct peer_key key = { { (uint8_t)kind } };

	assert(n_bytes < sizeof key.bytes);
	if (n_bytes)
		memcpy(key.bytes + 1, bytes, n_bytes);
	return key;
}

static struct peer_key key_of_ipv4(const uint8_t bytes[4])
{
	if (bytes[0] == 127)
		return make_key(PEER_LOOPBACK, NULL, 0);
	return make_key(PEER_IPV4, bytes, 4);
}

struct peer_key peer_key_of(const struct sockaddr *address)
{
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	if (address && address->sa_family == AF_INET) {
		memcpy(&ipv4, address, sizeof ipv4);
		return key_of_ipv4((const uint8_t *)&ipv4.sin_addr);
	}
	if (address && address->sa_family == AF_INET6) {
		memcpy(&ipv6, address, sizeof ipv6);
		if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr))
			return key_of_ipv4(ipv6.sin6_addr.s6_addr + 12);
		if (IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr))
			return make_key(PEER_LOOPBACK, NULL, 0);
		/* One host may have all addresses of a /64. */
		return make_key(PEER_IPV6, ipv6.sin6_addr.s6_addr, 8);
	}
	return make_key(PEER_UNIX, NULL, 0);
}

void admission_init(struct admission *admission, unsigned max, unsigned max_per_peer)
{
	*admission = (struct admission){ .max = max, .max_per_peer = max_per_peer };
	list_init(&admission->peers);
	list_init(&admission->reserved);
	list_init(&admission->restricted);
}

void admission_deinit(struct admission *admission)
{
	assert(list_is_empty(&admission->peers));
	(void)admission;
}

static struct peer *find_peer(const struct admission *admission, struct peer_key key)
{
	list_for_each(node, &admission->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		if (memcmp(peer->key.bytes, key.bytes, sizeof key.bytes) == 0)
			return peer;
	}
	return NULL;
}

static struct guest *first_older(const struct list *list, uint64_t now_ns)
{
	struct guest *guest = list_is_empty(list) ? NULL :
			      list_entry(list->next, struct guest, node);

	return guest && now_ns >= guest->since_ns + ADMISSION_MIN_IDLE_NS ? guest : NULL;
}

/* The longest idle guest of the peer that holds the most connections, among peers with an idle
 * guest. */
static struct guest *idle_of_greediest(const struct admission *admission, uint64_t now_ns)
{
	struct guest *found = NULL;

	list_for_each(node, &admission->peers) {
		const struct peer *peer = list_entry(node, struct peer, node);
		struct guest *guest = first_older(&peer->idle, now_ns);

		if (guest && (!found || peer->n > found->peer->n ||
			      (peer->n == found->peer->n && guest->since_ns < found->since_ns)))
			found = guest;
	}
	return found;
}

/* The guest that has held its reserved seat for the longest time. On the Unix socket only an idle
 * guest is taken (only_idle), because an operator's call must not be cut off. On loopback a busy
 * guest is taken, too: it can only watch health, and can connect again. */
static struct guest *reserved_victim(const struct list *list, bool only_idle, uint64_t now_ns)
{
	list_for_each(node, list) {
		struct guest *guest = list_entry(node, struct guest, node);

		if (now_ns < guest->since_ns + ADMISSION_MIN_IDLE_NS)
			return NULL;
		if (guest->is_idle || !only_idle)
			return guest;
	}
	return NULL;
}

static void ask_reserve(const struct admission *admission, struct peer_key key, uint64_t now_ns,
			struct admission_answer *answer)
{
	enum peer_kind kind = (enum peer_kind)key.bytes[0];
	unsigned n;

	if (kind != PEER_UNIX && kind != PEER_LOOPBACK)
		return;
	n = kind == PEER_UNIX ? admission->n_reserved : admission->n_restricted;
	if (n >= ADMISSION_RESERVE) {
		answer->victim = kind == PEER_UNIX ?
				 reserved_victim(&admission->reserved, true, now_ns) :
				 reserved_victim(&admission->restricted, false, now_ns);
		answer->limit = LIMIT_RESERVE;
	}
	if (n < ADMISSION_RESERVE || answer->victim)
		answer->seat = kind == PEER_UNIX ? SEAT_RESERVED : SEAT_RESTRICTED;
}

static struct admission_answer ask_ordinary(const struct admission *admission,
					    const struct peer *peer, uint64_t now_ns)
{
	bool has_share = peer && peer->n >= admission->max_per_peer;
	struct admission_answer answer = {
		.seat = SEAT_ORDINARY,
		.limit = has_share ? LIMIT_PEER_CONNECTIONS : LIMIT_CONNECTIONS,
	};

	if (!has_share && admission->n_ordinary < admission->max)
		return answer;
	answer.victim = has_share ? first_older(&peer->idle, now_ns) :
			idle_of_greediest(admission, now_ns);
	if (!answer.victim)
		answer.seat = SEAT_NONE;
	return answer;
}

struct admission_answer admission_ask(const struct admission *admission, struct peer_key key,
				      uint64_t now_ns)
{
	struct admission_answer answer = ask_ordinary(admission, find_peer(admission, key), now_ns);

	if (answer.seat == SEAT_NONE)
		ask_reserve(admission, key, now_ns, &answer);
	return answer;
}

struct admission_answer admission_ask_again(const struct admission *admission,
					    const struct guest *guest, uint64_t now_ns)
{
	return ask_ordinary(admission, guest->peer, now_ns);
}

static struct peer *get_peer(struct admission *admission, struct peer_key key)
{
	struct peer *peer = find_peer(admission, key);

	if (peer)
		return peer;
	peer = calloc(1, sizeof *peer);
	if (!peer)
		return NULL;
	peer->key = key;
	list_init(&peer->idle);
	list_append(&admission->peers, &peer->node);
	return peer;
}

enum sc_status admission_enter(struct admission *admission, struct peer_key key, enum seat seat,
			       uint64_t now_ns, struct guest *guest)
{
	struct peer *peer = get_peer(admission, key);

	if (!peer)
		return SC_E_NOMEM;
	*guest = (struct guest){ .peer = peer, .seat = seat, .since_ns = now_ns, .is_idle = true };
	list_init(&guest->node);
	if (seat == SEAT_ORDINARY) {
		admission->n_ordinary++;
		peer->n++;
		list_append(&peer->idle, &guest->node);
	} else if (seat == SEAT_RESERVED) {
		admission->n_reserved++;
		peer->n_others++;
		list_append(&admission->reserved, &guest->node);
	} else {
		admission->n_restricted++;
		peer->n_others++;
		list_append(&admission->restricted, &guest->node);
	}
	return SC_OK;
}

static void free_seat(struct admission *admission, struct guest *guest)
{
	struct peer *peer = guest->peer;

	list_remove(&guest->node);
	if (guest->seat == SEAT_ORDINARY) {
		admission->n_ordinary--;
		peer->n--;
		return;
	}
	peer->n_others--;
	if (guest->seat == SEAT_RESERVED)
		admission->n_reserved--;
	else
		admission->n_restricted--;
}

void admission_promote(struct admission *admission, struct guest *guest)
{
	assert(guest->peer && guest->seat != SEAT_ORDINARY);
	free_seat(admission, guest);
	guest->seat = SEAT_ORDINARY;
	guest->is_idle = false;
	admission->n_ordinary++;
	guest->peer->n++;
}

void admission_leave(struct admission *admission, struct guest *guest)
{
	struct peer *peer = guest->peer;

	if (!peer)
		return;
	free_seat(admission, guest);
	guest->peer = NULL;
	if (peer->n || peer->n_others)
		return;
	list_remove(&peer->node);
	free(peer);
}

/* Guests with reserved seats are not sorted by idle time; their lists keep the order of arrival. */
void admission_set_idle(struct guest *guest, uint64_t since_ns)
{
	guest->is_idle = true;
	if (guest->seat != SEAT_ORDINARY || !guest->peer)
		return;
	guest->since_ns = since_ns;
	list_remove(&guest->node);
	list_append(&guest->peer->idle, &guest->node);
}

void admission_set_busy(struct guest *guest)
{
	guest->is_idle = false;
	if (guest->seat == SEAT_ORDINARY && guest->peer)
		list_remove(&guest->node);
}
