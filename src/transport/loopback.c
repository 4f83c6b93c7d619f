/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/fabrics.h"

#include "base/bytes.h"
#include "transport/loopback_pair.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define ADDRESS_MAGIC 0x31424c53u	/* "SLB1" */

/* The address of this end: all that a peer must know to send to it. */
struct loopback_address {
	uint32_t magic;
	uint32_t rank;
	uint32_t credits;
	uint32_t reserved;	/* 0 */
	uint64_t max_payload;
};

struct loopback_hub {
	pthread_mutex_t lock;
	unsigned n_ranks;
	bool *is_open;		/* [n_ranks]: whether that rank has an open fabric */
	struct pair **pairs;	/* [n_ranks][n_ranks], lower rank first: offered or in use */
};

struct loopback_link {
	struct link base;
	struct pair *pair;
	bool is_closed;
	bool is_down;
	struct loopback_link *next_closed;
};

/* Callbacks may close links and the fabric while deliver_all iterates over the links. Closed ones
 * are therefore freed only when deliver_all is done. */
struct loopback_fabric {
	struct fabric base;
	struct loopback_hub *hub;
	struct wake *wake;
	struct loopback_address address;
	bool is_delivering;
	bool is_closed;
	struct loopback_link *first_closed;
	struct loopback_link *links[];	/* [n_ranks] */
};

enum sc_status loopback_hub_create(unsigned n_ranks, struct loopback_hub **hub_out)
{
	struct loopback_hub *hub = calloc(1, sizeof *hub);

	if (!hub)
		return SC_E_NOMEM;
	pthread_mutex_init(&hub->lock, NULL);
	hub->n_ranks = n_ranks;
	hub->is_open = calloc(n_ranks, sizeof hub->is_open[0]);
	hub->pairs = calloc((size_t)n_ranks * n_ranks, sizeof(struct pair *));
	if (!hub->is_open || !hub->pairs) {
		loopback_hub_destroy(hub);
		return SC_E_NOMEM;
	}
	*hub_out = hub;
	return SC_OK;
}

/* Stops offering the pair at slot: the missing end will never join. */
static void withdraw(struct pair **slot)
{
	struct pair *pair = *slot;

	*slot = NULL;
	for (unsigned end = 0; end < 2; end++)
		if (pair_is_free(pair, end))
			pair_leave(pair, end);
	pair_unref(pair);
}

void loopback_hub_destroy(struct loopback_hub *hub)
{
	if (!hub)
		return;
	for (size_t i = 0; hub->pairs && i < (size_t)hub->n_ranks * hub->n_ranks; i++)
		if (hub->pairs[i])
			withdraw(&hub->pairs[i]);
	for (unsigned i = 0; hub->is_open && i < hub->n_ranks; i++)
		assert(!hub->is_open[i]);
	free(hub->pairs);
	free(hub->is_open);
	pthread_mutex_destroy(&hub->lock);
	free(hub);
}

static struct pair **slot_of(struct loopback_hub *hub, unsigned rank, unsigned peer)
{
	unsigned low = rank < peer ? rank : peer;
	unsigned high = rank < peer ? peer : rank;

	return &hub->pairs[(size_t)low * hub->n_ranks + high];
}

static unsigned end_of(const struct loopback_link *link)
{
	return link->base.fabric->config.rank > link->base.peer;
}

static void deliver_frames(struct loopback_link *link)
{
	/* Frames that arrive during this round wait for the next round, so that other links have
	 * their turn. */
	size_t n_frames = pair_n_waiting(link->pair, end_of(link));

	while (n_frames-- && !link->is_closed) {
		struct frame *frame = pair_receive(link->pair, end_of(link));

		link->base.events->on_frame(link->base.arg, &link->base, frame);
	}
}

static void deliver(struct loopback_fabric *fabric, struct loopback_link *link)
{
	struct pair_news news;

	if (link->is_down)
		return;
	deliver_frames(link);
	if (link->is_closed)
		return;
	news = pair_news(link->pair, end_of(link));
	if (news.has_frames)
		wake_send(fabric->wake);
	if (news.is_down) {
		link->is_down = true;
		link->base.events->on_down(link->base.arg, &link->base, SC_E_CLOSED,
					   "the peer closed the link");
	} else if (news.has_credit && link->base.events->on_credit) {
		link->base.events->on_credit(link->base.arg, &link->base);
	}
}

static void free_closed(struct loopback_fabric *fabric)
{
	while (fabric->first_closed) {
		struct loopback_link *link = fabric->first_closed;

		fabric->first_closed = link->next_closed;
		free(link);
	}
	if (fabric->is_closed)
		free(fabric);
}

static void deliver_all(void *arg)
{
	struct loopback_fabric *fabric = arg;

	fabric->is_delivering = true;
	for (unsigned i = 0; i < fabric->base.config.n_ranks && !fabric->is_closed; i++)
		if (fabric->links[i])
			deliver(fabric, fabric->links[i]);
	fabric->is_delivering = false;
	free_closed(fabric);
}

static void loopback_address(const struct fabric *base, const void **address_out,
			     size_t *n_bytes_out)
{
	const struct loopback_fabric *fabric = (const struct loopback_fabric *)base;

	*address_out = &fabric->address;
	*n_bytes_out = sizeof fabric->address;
}

static enum sc_status read_address(const void *data, size_t n_bytes, unsigned peer,
				   struct loopback_address *address_out, struct error *err)
{
	struct loopback_address address;

	if (n_bytes != sizeof address)
		return error_set(err, SC_E_PROTOCOL,
				 "loopback address of rank %u: %zu bytes, expected %zu", peer,
				 n_bytes, sizeof address);
	memcpy(&address, data, sizeof address);
	if (address.magic != ADDRESS_MAGIC || address.rank != peer || address.reserved)
		return error_set(err, SC_E_PROTOCOL,
				 "loopback address of rank %u: magic 0x%08" PRIx32 ", rank %" PRIu32
				 ", expected 0x%08x and %u", peer, address.magic, address.rank,
				 ADDRESS_MAGIC, peer);
	if (!address.credits || address.credits > LOOPBACK_MAX_CREDITS ||
	    address.max_payload > UINT32_MAX)
		return error_set(err, SC_E_PROTOCOL,
				 "loopback address of rank %u: credits %" PRIu32 ", max_payload "
				 "%" PRIu64 ", expected 1 to %d and at most %u", peer,
				 address.credits, address.max_payload, LOOPBACK_MAX_CREDITS,
				 UINT32_MAX);
	*address_out = address;
	return SC_OK;
}

/* Joins the pair where the peer waits, or makes a new pair. Called with the hub's lock held. */
static enum sc_status join(struct loopback_fabric *fabric, struct loopback_link *link,
			   const struct loopback_address *address)
{
	struct pair **slot = slot_of(fabric->hub, fabric->base.config.rank, link->base.peer);
	enum sc_status status;

	if (*slot && !pair_is_free(*slot, end_of(link)))
		withdraw(slot);
	if (!*slot) {
		status = pair_create(slot);
		if (status != SC_OK)
			return status;
	}
	link->pair = *slot;
	status = pair_join(link->pair, end_of(link), fabric->wake, address->credits,
			   address->max_payload);
	/* If the peer's fabric is closed, it will not join: the link goes down at once. */
	if (status == SC_OK && !fabric->hub->is_open[link->base.peer])
		withdraw(slot);
	return status;
}

static enum sc_status loopback_connect(struct fabric *base, unsigned peer, const void *data,
				       size_t n_bytes, const struct link_events *events, void *arg,
				       struct link **link_out, struct error *err)
{
	struct loopback_fabric *fabric = (struct loopback_fabric *)base;
	struct loopback_address address = { 0 };
	struct loopback_link *link;
	enum sc_status status = read_address(data, n_bytes, peer, &address, err);

	if (status != SC_OK)
		return status;
	if (fabric->links[peer])
		return error_set(err, SC_E_EXISTS, "loopback: rank %u already has a link to rank "
				 "%u",
				 base->config.rank, peer);
	link = calloc(1, sizeof *link);
	if (!link)
		return error_set(err, SC_E_NOMEM, "loopback link: out of memory");
	link->base = (struct link){ .fabric = base, .peer = peer, .events = events, .arg = arg };
	pthread_mutex_lock(&fabric->hub->lock);
	status = join(fabric, link, &address);
	pthread_mutex_unlock(&fabric->hub->lock);
	if (status != SC_OK) {
		free(link);
		return error_set(err, status, "loopback link: out of memory");
	}
	fabric->links[peer] = link;
	*link_out = &link->base;
	return SC_OK;
}

static enum sc_status loopback_send(struct link *base, struct frame *frame)
{
	struct loopback_link *link = (struct loopback_link *)base;

	return pair_send(link->pair, end_of(link), frame);
}

static void loopback_close_link(struct link *base)
{
	struct loopback_link *link = (struct loopback_link *)base;
	struct loopback_fabric *fabric = (struct loopback_fabric *)base->fabric;
	struct pair **slot = slot_of(fabric->hub, base->fabric->config.rank, base->peer);

	assert(!link->is_closed);
	link->is_closed = true;
	fabric->links[base->peer] = NULL;
	pthread_mutex_lock(&fabric->hub->lock);
	if (pair_leave(link->pair, end_of(link)) && *slot == link->pair)
		withdraw(slot);
	pthread_mutex_unlock(&fabric->hub->lock);
	link->next_closed = fabric->first_closed;
	fabric->first_closed = link;
	if (!fabric->is_delivering)
		free_closed(fabric);
}

/* Links that peers have opened to this rank, and that this rank never opened, go down. */
static void leave_hub(struct loopback_fabric *fabric)
{
	struct loopback_hub *hub = fabric->hub;
	unsigned rank = fabric->base.config.rank;

	pthread_mutex_lock(&hub->lock);
	hub->is_open[rank] = false;
	for (unsigned peer = 0; peer < hub->n_ranks; peer++) {
		struct pair **slot = slot_of(hub, rank, peer);

		if (*slot && pair_is_free(*slot, rank > peer))
			withdraw(slot);
	}
	pthread_mutex_unlock(&hub->lock);
}

static void loopback_close(struct fabric *base)
{
	struct loopback_fabric *fabric = (struct loopback_fabric *)base;

	for (unsigned i = 0; i < base->config.n_ranks; i++)
		if (fabric->links[i])
			loopback_close_link(&fabric->links[i]->base);
	leave_hub(fabric);
	wake_destroy(fabric->wake);
	fabric->is_closed = true;
	if (!fabric->is_delivering)
		free_closed(fabric);
}

static const struct fabric_ops loopback_ops = {
	.name = "loopback",
	.close = loopback_close,
	.address = loopback_address,
	.connect = loopback_connect,
	.send = loopback_send,
	.close_link = loopback_close_link,
};

static enum sc_status check_config(const struct fabric_config *config,
				   const struct loopback_hub *hub, struct error *err)
{
	if (config->rank >= config->n_ranks || config->n_ranks != hub->n_ranks)
		return error_set(err, SC_E_INVALID,
				 "loopback: rank %u of %u, expected one of %u", config->rank,
				 config->n_ranks, hub->n_ranks);
	if (!config->credits || config->credits > LOOPBACK_MAX_CREDITS)
		return error_set(err, SC_E_INVALID, "loopback: credits %u, expected 1 to %d",
				 config->credits, LOOPBACK_MAX_CREDITS);
	if (config->max_payload > UINT32_MAX)
		return error_set(err, SC_E_INVALID, "loopback: max_payload %zu, expected at most "
				 "%u", config->max_payload, UINT32_MAX);
	return SC_OK;
}

/* Returns false if the rank already has a fabric. */
static bool take_rank(struct loopback_hub *hub, unsigned rank)
{
	bool was_open;

	pthread_mutex_lock(&hub->lock);
	was_open = hub->is_open[rank];
	hub->is_open[rank] = true;
	pthread_mutex_unlock(&hub->lock);
	return !was_open;
}

enum sc_status fabric_loopback_open(struct loop *loop, struct loopback_hub *hub,
				    const struct fabric_config *config,
				    struct fabric **fabric_out, struct error *err)
{
	struct loopback_fabric *fabric;
	enum sc_status status = check_config(config, hub, err);

	if (status != SC_OK)
		return status;
	fabric = calloc(1, sizeof *fabric + config->n_ranks * sizeof(struct loopback_link *));
	if (!fabric)
		return error_set(err, SC_E_NOMEM, "loopback: out of memory");
	fabric->base.ops = &loopback_ops;
	fabric->base.config = *config;
	fabric->hub = hub;
	fabric->address = (struct loopback_address){
		.magic = ADDRESS_MAGIC,
		.rank = config->rank,
		.credits = config->credits,
		.max_payload = config->max_payload,
	};
	status = wake_create(loop, deliver_all, fabric, &fabric->wake);
	if (status != SC_OK) {
		free(fabric);
		return error_set(err, status, "loopback: cannot create a wake-up");
	}
	if (!take_rank(hub, config->rank)) {
		wake_destroy(fabric->wake);
		free(fabric);
		return error_set(err, SC_E_EXISTS, "loopback: rank %u already has a fabric",
				 config->rank);
	}
	loop_spin(loop, config->spin_us);
	*fabric_out = &fabric->base;
	return SC_OK;
}
