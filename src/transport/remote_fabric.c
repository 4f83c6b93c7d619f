/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a transport that links between processes share: its place in the loop, the dispatch of
 * messages, closing and parking. See remote.h. */
#include "transport/remote.h"

#include "base/clock.h"
#include "base/log.h"
#include "event/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STUCK_TICK_MS 500	/* how often a stuck fabric is looked at */
#define NAP_NS 100000		/* between two looks while draining */

static struct remote_fabric *fabric_of(const struct fabric *base)
{
	return (struct remote_fabric *)base;
}

/* Messages in */

struct remote_link *remote_find_link(struct remote_fabric *fabric, const struct envelope *envelope)
{
	list_for_each(node, &fabric->links) {
		struct remote_link *link = list_entry(node, struct remote_link, in_fabric);

		if (link->base.peer == envelope->peer && link->peer_id == envelope->from &&
		    (link->id == envelope->to || fabric->id == envelope->to))
			return link;
	}
	return NULL;
}

/* Finds the link that a hello is for: a link that does not know its peer yet. */
static struct remote_link *find_greeting(struct remote_fabric *fabric,
					 const struct envelope *envelope)
{
	list_for_each(node, &fabric->links) {
		struct remote_link *link = list_entry(node, struct remote_link, in_fabric);

		if (link->base.peer == envelope->peer && !link->peer_id &&
		    link->state == REMOTE_GREETING &&
		    is_same_fabric(link->peer_fabric, envelope->from) &&
		    (link->id == envelope->to || fabric->id == envelope->to))
			return link;
	}
	return NULL;
}

static void take_hello(struct remote_fabric *fabric, const struct envelope *hello)
{
	struct remote_link *link = remote_find_link(fabric, hello);
	struct link *open;

	if (link)
		return;
	link = find_greeting(fabric, hello);
	if (link) {
		remote_link_greet(link, hello);
		return;
	}
	fabric->hellos[hello->peer] = *hello;
	open = fabric->base.links[hello->peer];
	if (open)
		remote_link_replace((struct remote_link *)open);
}

void remote_dispatch(struct remote_fabric *fabric, const struct envelope *envelope)
{
	struct remote_link *link;

	if (envelope->peer >= fabric->base.config.n_peers || !envelope->from ||
	    !is_same_fabric(envelope->to, fabric->id)) {
		log_debug("%s: dropped a message for another fabric", fabric->ops->fabric.name);
		return;
	}
	if (envelope->kind == ENVELOPE_HELLO) {
		take_hello(fabric, envelope);
		return;
	}
	link = remote_find_link(fabric, envelope);
	if (link)
		remote_link_take(link, envelope);
	else if (envelope->kind == ENVELOPE_GOODBYE &&
		 fabric->hellos[envelope->peer].from == envelope->from)
		fabric->hellos[envelope->peer].from = 0;
}

/* Opening */

static unsigned count_stuck(const struct remote_lot *lot)
{
	unsigned n = 0;

	list_for_each(node, &lot->fabrics)
		n += list_entry(node, struct remote_fabric, in_lot)->is_stuck;
	return n;
}

enum sc_status remote_fabric_init(struct remote_fabric *fabric, const struct remote_ops *ops,
				  const struct fabric_config *config, struct loop *loop,
				  struct remote_lot *lot, struct error *err)
{
	fabric->ops = ops;
	fabric->loop = loop;
	fabric->lot = lot;
	list_init(&fabric->links);
	list_init(&fabric->in_lot);
	if (lot)
		lot->n_open++;
	if (lot && count_stuck(lot) >= REMOTE_MAX_STUCK)
		return error_set(err, SC_E_CAPACITY, "%s: %d closed fabrics hang, and each holds "
				 "memory: restart this process", ops->fabric.name,
				 REMOTE_MAX_STUCK);
	fabric->hellos = calloc(config->n_peers, sizeof *fabric->hellos);
	if (fabric_init(&fabric->base, &ops->fabric, config) != SC_OK || !fabric->hellos ||
	    address_make_id(&fabric->id) != SC_OK)
		return error_set(err, SC_E_NOMEM, "%s: no memory for %u peers", ops->fabric.name,
				 config->n_peers);
	return SC_OK;
}

static bool is_lingering(const struct remote_link *link)
{
	return link->is_closed || link->is_replaced || link->state == REMOTE_FLUSHING ||
	       link->state == REMOTE_ENDING;
}

static void on_timer(void *arg)
{
	struct remote_fabric *fabric = arg;
	bool is_needed = false;

	fabric->n_ticks += fabric->is_closed;
	list_for_each(node, &fabric->links)
		is_needed |= is_lingering(list_entry(node, struct remote_link, in_fabric));
	if (!is_needed)
		timer_stop(fabric->timer);
	(void)remote_progress(fabric);
}

static void on_wake(void *arg)
{
	(void)remote_progress(arg);
}

enum sc_status remote_fabric_start(struct remote_fabric *fabric, const void *native,
				   size_t n_native, const struct poller_config *poller,
				   struct error *err)
{
	struct fabric_address address = {
		.peer = fabric->base.config.self,
		.id = fabric->id,
		.native = native,
		.n_native = (uint32_t)n_native,
	};
	enum sc_status status;

	memcpy(address.transport, fabric->ops->transport, 4);
	status = address_encode(&address, &fabric->address, &fabric->n_address);
	if (status == SC_OK)
		status = wake_create(fabric->loop, on_wake, fabric, &fabric->wake);
	if (status == SC_OK)
		status = timer_create_on(fabric->loop, on_timer, fabric, &fabric->timer);
	if (status != SC_OK)
		return error_set(err, status, "%s: no memory", fabric->ops->fabric.name);
	return poller_create(fabric->loop, poller, &fabric->poller, err);
}

void remote_fabric_address(const struct fabric *base, const void **address_out,
			   size_t *n_bytes_out)
{
	const struct remote_fabric *fabric = fabric_of(base);

	*address_out = fabric->address;
	*n_bytes_out = fabric->n_address;
}

/* Closing */

static void leave_loop(struct remote_fabric *fabric)
{
	poller_destroy(fabric->poller);
	timer_destroy(fabric->timer);
	wake_destroy(fabric->wake);
}

static void leave_lot(struct remote_fabric *fabric)
{
	struct remote_lot *lot = fabric->lot;

	if (!lot)
		return;
	if (fabric->is_closed)
		lot->n_parked--;
	else
		lot->n_open--;
	list_remove(&fabric->in_lot);
}

void remote_fabric_destroy(struct remote_fabric *fabric)
{
	assert(list_is_empty(&fabric->links));
	leave_lot(fabric);
	leave_loop(fabric);
	if (fabric->ops->destroy)
		fabric->ops->destroy(fabric);
	fabric_deinit(&fabric->base);
	free(fabric->address);
	free(fabric->hellos);
	free(fabric);
}

/* The carrier may still use the memory of the links: it is left to the end of the process. */
static void abandon(struct remote_fabric *fabric)
{
	log_warning("%s: messages did not come back within %d ms of closing",
		    fabric->ops->fabric.name, REMOTE_DRAIN_MS);
	list_for_each(node, &fabric->links) {
		struct remote_link *link = list_entry(node, struct remote_link, in_fabric);

		grant_detach(link->grant);
		link->grant = NULL;
	}
	leave_lot(fabric);
	leave_loop(fabric);
}

static void close_links(struct remote_fabric *fabric)
{
	list_for_each(node, &fabric->links) {
		struct remote_link *link = list_entry(node, struct remote_link, in_fabric);

		if (!link->is_closed)
			link_close(&link->base);
	}
}

static void hurry(struct remote_fabric *fabric)
{
	list_for_each(node, &fabric->links)
		list_entry(node, struct remote_link, in_fabric)->deadline_ns = 0;
	timer_start(fabric->timer, 0, REMOTE_TICK_MS);
}

static void park(struct remote_fabric *fabric, struct remote_lot *lot)
{
	if (fabric->lot)
		lot->n_open--;
	fabric->lot = lot;
	fabric->is_closed = true;
	list_append(&lot->fabrics, &fabric->in_lot);
	if (++lot->n_parked > REMOTE_MAX_PARKED)
		hurry(list_entry(lot->fabrics.next, struct remote_fabric, in_lot));
}

/* A fabric without a lot, because nobody opens another one: it is closed before this returns. */
static void close_now(struct remote_fabric *fabric)
{
	struct remote_lot lot;

	remote_lot_init(&lot);
	park(fabric, &lot);
	(void)remote_lot_deinit(&lot);
}

void remote_fabric_close(struct fabric *base)
{
	struct remote_fabric *fabric = fabric_of(base);

	close_links(fabric);
	if (fabric->lot)
		park(fabric, fabric->lot);
	fabric->is_closed = true;
	if (fabric->is_busy)
		return;
	if (fabric->lot)
		(void)remote_progress(fabric);
	else
		close_now(fabric);
}

/* A closed fabric is destroyed once its links are gone. */
static void settle(struct remote_fabric *fabric)
{
	if (!fabric->lot) {
		close_now(fabric);
	} else if (list_is_empty(&fabric->links)) {
		remote_fabric_destroy(fabric);
	} else if (!fabric->is_stuck && fabric->n_ticks > REMOTE_STUCK_TICKS) {
		fabric->is_stuck = true;
		timer_start(fabric->timer, STUCK_TICK_MS, STUCK_TICK_MS);
		log_warning("%s: a closed fabric hangs: its memory is kept",
			    fabric->ops->fabric.name);
	}
}

bool remote_progress(void *arg)
{
	struct remote_fabric *fabric = arg;
	bool is_news;

	if (fabric->is_busy)
		return false;
	fabric->is_busy = true;
	is_news = fabric->ops->progress(fabric);
	list_for_each(node, &fabric->links)
		is_news |= remote_link_advance(list_entry(node, struct remote_link, in_fabric));
	fabric->is_busy = false;
	if (fabric->is_closed)
		settle(fabric);
	return is_news;
}

void remote_lot_init(struct remote_lot *lot)
{
	*lot = (struct remote_lot){ 0 };
	list_init(&lot->fabrics);
}

bool remote_lot_deinit(struct remote_lot *lot)
{
	bool is_empty;

	const struct timespec nap = { .tv_nsec = NAP_NS };
	uint64_t limit_ns = clock_ns() + REMOTE_DRAIN_MS * NS_PER_MS;

	assert(!lot->n_open);
	while (!list_is_empty(&lot->fabrics) && clock_ns() < limit_ns) {
		bool is_news = false;

		list_for_each(node, &lot->fabrics)
			is_news |= remote_progress(list_entry(node, struct remote_fabric, in_lot));
		if (!is_news)
			nanosleep(&nap, NULL);
	}
	is_empty = list_is_empty(&lot->fabrics);
	list_for_each(node, &lot->fabrics)
		abandon(list_entry(node, struct remote_fabric, in_lot));
	return is_empty;
}
