/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/fabrics.h"

#include "base/bytes.h"
#include "base/list.h"
#include "transport/loopback_pair.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define ADDRESS_MAGIC 0x32424c53u	/* "SLB2" */

/* The address of this end: all that a peer must know to find it. */
struct loopback_address {
	uint32_t magic;
	uint32_t peer;
	uint64_t id;	/* of the fabric; never used again */
};

/* A pair that at least one end has joined, under the ids of its fabrics. End 0 is the fabric with
 * the lower id. */
struct meeting {
	struct list in_hub;
	uint64_t ids[2];
	struct pair *pair;
};

struct loopback_hub {
	pthread_mutex_t lock;
	uint64_t last_id;
	struct list fabrics;	/* the open ones */
	struct list meetings;
};

struct loopback_link {
	struct link base;
	uint64_t peer_id;
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
	struct list in_hub;
	struct wake *wake;
	struct loopback_address address;
	bool is_delivering;
	bool is_closed;
	struct loopback_link *first_closed;
};

enum sc_status loopback_hub_create(struct loopback_hub **hub_out)
{
	struct loopback_hub *hub = calloc(1, sizeof *hub);

	if (!hub)
		return SC_E_NOMEM;
	pthread_mutex_init(&hub->lock, NULL);
	list_init(&hub->fabrics);
	list_init(&hub->meetings);
	*hub_out = hub;
	return SC_OK;
}

/* Ends a meeting: an end that has not joined never will. */
static void withdraw(struct meeting *meeting)
{
	for (unsigned end = 0; end < 2; end++)
		if (pair_is_free(meeting->pair, end))
			pair_leave(meeting->pair, end);
	pair_unref(meeting->pair);
	list_remove(&meeting->in_hub);
	free(meeting);
}

void loopback_hub_destroy(struct loopback_hub *hub)
{
	if (!hub)
		return;
	assert(list_is_empty(&hub->fabrics));
	list_for_each(node, &hub->meetings)
		withdraw(list_entry(node, struct meeting, in_hub));
	pthread_mutex_destroy(&hub->lock);
	free(hub);
}

static uint64_t id_of(const struct loopback_link *link)
{
	return ((const struct loopback_fabric *)link->base.fabric)->address.id;
}

static unsigned end_of(const struct loopback_link *link)
{
	return id_of(link) > link->peer_id;
}

/* The functions from here to leave_hub are called with the hub's lock held. */

static struct meeting *find_meeting(struct loopback_hub *hub, const struct loopback_link *link)
{
	unsigned end = end_of(link);

	list_for_each(node, &hub->meetings) {
		struct meeting *meeting = list_entry(node, struct meeting, in_hub);

		if (meeting->ids[end] == id_of(link) && meeting->ids[!end] == link->peer_id)
			return meeting;
	}
	return NULL;
}

static bool is_open(struct loopback_hub *hub, uint64_t id)
{
	list_for_each(node, &hub->fabrics)
		if (list_entry(node, struct loopback_fabric, in_hub)->address.id == id)
			return true;
	return false;
}

static struct meeting *arrange(struct loopback_hub *hub, const struct loopback_link *link)
{
	struct meeting *meeting = calloc(1, sizeof *meeting);
	unsigned end = end_of(link);

	if (!meeting)
		return NULL;
	if (pair_create(&meeting->pair) != SC_OK) {
		free(meeting);
		return NULL;
	}
	meeting->ids[end] = id_of(link);
	meeting->ids[!end] = link->peer_id;
	list_append(&hub->meetings, &meeting->in_hub);
	return meeting;
}

/* Joins the pair where the peer waits, or makes a new pair. */
static enum sc_status join(struct loopback_fabric *fabric, struct loopback_link *link)
{
	struct meeting *meeting = find_meeting(fabric->hub, link);
	enum sc_status status;

	if (meeting && !pair_is_free(meeting->pair, end_of(link))) {
		withdraw(meeting);
		meeting = NULL;
	}
	if (!meeting)
		meeting = arrange(fabric->hub, link);
	if (!meeting)
		return SC_E_NOMEM;
	link->pair = meeting->pair;
	status = pair_join(link->pair, end_of(link), fabric->wake, &link->base.config);
	/* If the peer's fabric is closed, it will not join: the link goes down at once. */
	if (status == SC_OK && !is_open(fabric->hub, link->peer_id))
		withdraw(meeting);
	return status;
}

static void leave(struct loopback_fabric *fabric, struct loopback_link *link)
{
	struct meeting *meeting = find_meeting(fabric->hub, link);

	if (pair_leave(link->pair, end_of(link)) && meeting && meeting->pair == link->pair)
		withdraw(meeting);
}

/* Links that peers have opened to this fabric, and that it never opened, go down. */
static void leave_hub(struct loopback_fabric *fabric)
{
	struct loopback_hub *hub = fabric->hub;

	list_remove(&fabric->in_hub);
	list_for_each(node, &hub->meetings) {
		struct meeting *meeting = list_entry(node, struct meeting, in_hub);

		for (unsigned end = 0; end < 2; end++) {
			if (meeting->ids[end] != fabric->address.id ||
			    !pair_is_free(meeting->pair, end))
				continue;
			withdraw(meeting);
			break;
		}
	}
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
	if (fabric->is_closed) {
		fabric_deinit(&fabric->base);
		free(fabric);
	}
}

static void deliver_all(void *arg)
{
	struct loopback_fabric *fabric = arg;

	fabric->is_delivering = true;
	for (unsigned i = 0; i < fabric->base.config.n_peers && !fabric->is_closed; i++)
		if (fabric->base.links[i])
			deliver(fabric, (struct loopback_link *)fabric->base.links[i]);
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
				 "loopback address of peer %u: %zu bytes, expected %zu", peer,
				 n_bytes, sizeof address);
	memcpy(&address, data, sizeof address);
	if (address.magic != ADDRESS_MAGIC || address.peer != peer || !address.id)
		return error_set(err, SC_E_PROTOCOL,
				 "loopback address of peer %u: magic 0x%08" PRIx32 ", peer %" PRIu32
				 ", id %" PRIu64 ", expected 0x%08x, %u and any other than 0", peer,
				 address.magic, address.peer, address.id, ADDRESS_MAGIC, peer);
	*address_out = address;
	return SC_OK;
}

static enum sc_status loopback_connect(struct fabric *base, unsigned peer, const void *data,
				       size_t n_bytes, const struct link_config *config,
				       const struct link_events *events, void *arg,
				       struct link **link_out, struct error *err)
{
	struct loopback_fabric *fabric = (struct loopback_fabric *)base;
	struct loopback_address address = { 0 };
	struct loopback_link *link;
	enum sc_status status = read_address(data, n_bytes, peer, &address, err);

	if (status != SC_OK)
		return status;
	link = calloc(1, sizeof *link);
	if (!link)
		return error_set(err, SC_E_NOMEM, "loopback link: out of memory");
	link->base = (struct link){ base, peer, *config, events, arg };
	link->peer_id = address.id;
	pthread_mutex_lock(&fabric->hub->lock);
	status = join(fabric, link);
	pthread_mutex_unlock(&fabric->hub->lock);
	if (status != SC_OK) {
		free(link);
		return error_set(err, status, "loopback link: out of memory");
	}
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

	assert(!link->is_closed);
	link->is_closed = true;
	pthread_mutex_lock(&fabric->hub->lock);
	leave(fabric, link);
	pthread_mutex_unlock(&fabric->hub->lock);
	link->next_closed = fabric->first_closed;
	fabric->first_closed = link;
	if (!fabric->is_delivering)
		free_closed(fabric);
}

static void loopback_close(struct fabric *base)
{
	struct loopback_fabric *fabric = (struct loopback_fabric *)base;

	for (unsigned i = 0; i < base->config.n_peers; i++)
		link_close(base->links[i]);
	pthread_mutex_lock(&fabric->hub->lock);
	leave_hub(fabric);
	pthread_mutex_unlock(&fabric->hub->lock);
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

static void enter_hub(struct loopback_fabric *fabric)
{
	struct loopback_hub *hub = fabric->hub;

	pthread_mutex_lock(&hub->lock);
	fabric->address = (struct loopback_address){
		.magic = ADDRESS_MAGIC,
		.peer = fabric->base.config.self,
		.id = ++hub->last_id,
	};
	list_append(&hub->fabrics, &fabric->in_hub);
	pthread_mutex_unlock(&hub->lock);
}

enum sc_status fabric_loopback_open(struct loop *loop, struct loopback_hub *hub,
				    const struct fabric_config *config,
				    struct fabric **fabric_out, struct error *err)
{
	struct loopback_fabric *fabric;
	enum sc_status status;

	fabric = calloc(1, sizeof *fabric);
	if (!fabric)
		return error_set(err, SC_E_NOMEM, "loopback: out of memory");
	fabric->hub = hub;
	status = fabric_init(&fabric->base, &loopback_ops, config);
	if (status == SC_OK)
		status = wake_create(loop, deliver_all, fabric, &fabric->wake);
	if (status != SC_OK) {
		fabric_deinit(&fabric->base);
		free(fabric);
		return error_set(err, status, "loopback: cannot create a wake-up");
	}
	enter_hub(fabric);
	loop_spin(loop, config->spin_us);
	*fabric_out = &fabric->base;
	return SC_OK;
}

static enum sc_status open_at(void *arg, const struct fabric_config *config,
			      struct fabric **fabric_out, struct error *err)
{
	const struct loopback_port *port = arg;

	return fabric_loopback_open(port->loop, port->hub, config, fabric_out, err);
}

struct fabric_source loopback_source(struct loopback_port *port)
{
	return (struct fabric_source){
		.open = open_at,
		.arg = port,
		.name = "loopback",
		.survives_losses = true,
	};
}
