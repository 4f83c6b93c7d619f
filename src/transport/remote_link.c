/* SPDX-License-Identifier: Apache-2.0 */
/* One link between processes: its states, sending and closing. See remote.h. */
#include "transport/remote.h"

#include "base/clock.h"
#include "event/loop.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct remote_ops *ops_of(const struct remote_link *link)
{
	return remote_fabric_of(link)->ops;
}

void remote_fail(struct remote_link *link, enum sc_status status, const char *format, ...)
{
	va_list args;

	if (link->is_failed)
		return;
	link->is_failed = true;
	link->failure.status = status;
	va_start(args, format);
	vsnprintf(link->failure.text, sizeof link->failure.text, format, args);
	va_end(args);
}

static uint64_t now_ns(const struct remote_link *link)
{
	return loop_now_ns(remote_fabric_of(link)->loop);
}

/* Deadlines are checked on each tick, also while nothing arrives. */
static void start_lingering(struct remote_link *link)
{
	link->deadline_ns = now_ns(link) + REMOTE_LINGER_MS * NS_PER_MS;
	timer_start(remote_fabric_of(link)->timer, REMOTE_TICK_MS, REMOTE_TICK_MS);
}

static bool is_late(const struct remote_link *link)
{
	return now_ns(link) >= link->deadline_ns;
}

static void enter(struct remote_link *link, enum remote_state state)
{
	assert(state > link->state);
	link->state = state;
	if (state >= REMOTE_FLUSHING && state < REMOTE_GONE && !link->is_closed)
		start_lingering(link);
}

/* Sending */

static struct remote_message **free_list(struct remote_link *link, enum envelope_kind kind)
{
	return kind == ENVELOPE_FRAME ? &link->free_frames : &link->free_controls;
}

/* Returns NULL if no message of that kind is free. */
static struct remote_message *take_message(struct remote_link *link, enum envelope_kind kind)
{
	struct remote_message **list = free_list(link, kind);
	struct remote_message *message = *list;

	if (!message)
		return NULL;
	*list = message->next;
	message->kind = kind;
	link->n_posted++;
	return message;
}

static void give_back(struct remote_message *message)
{
	struct remote_message **list = free_list(message->link, message->kind);

	message->next = *list;
	*list = message;
}

void remote_sent(struct remote_message *message, const char *why)
{
	struct remote_link *link = message->link;

	if (message->frame)
		frame_release(message->frame);
	message->frame = NULL;
	link->n_posted--;
	give_back(message);
	if (why)
		remote_fail(link, SC_E_CLOSED, "connection reset: %s", why);
}

static void write_envelope(struct remote_link *link, struct remote_message *message)
{
	struct envelope envelope = {
		.kind = message->kind,
		.peer = link->base.fabric->config.self,
		.from = link->id,
		.to = link->peer_id ? link->peer_id : link->peer_fabric,
		.sequence = message->frame ? message->frame->sequence : link->n_sent,
		.max_payload = link->base.config.max_payload,
	};

	envelope.credits = message->kind == ENVELOPE_HELLO ? link->base.config.credits
							   : grant_collect(link->grant);
	envelope_encode(&envelope, message->envelope);
}

/* Takes frame. Returns false, without taking frame, if no message is free. */
static bool post(struct remote_link *link, enum envelope_kind kind, struct frame *frame)
{
	struct remote_message *message = take_message(link, kind);

	if (!message)
		return false;
	message->frame = frame;
	if (!frame || !ops_of(link)->has_plain_frames)
		write_envelope(link, message);
	ops_of(link)->post(link, message);
	return true;
}

enum sc_status remote_link_send(struct link *base, struct frame *frame)
{
	struct remote_link *link = (struct remote_link *)base;

	if (link->is_failed || link->is_closed || link->has_goodbye || link->state > REMOTE_UP)
		return SC_E_CLOSED;
	if (link->state == REMOTE_UP && frame->n_bytes > link->peer_max_payload)
		return SC_E_TOO_LARGE;
	if (link->state < REMOTE_UP || !link->n_credits || !link->free_frames) {
		link->wants_credit = true;
		return SC_AGAIN;
	}
	link->n_credits--;
	frame->sequence = ++link->n_sent;
	frame_seal(frame);
	(void)post(link, ENVELOPE_FRAME, frame);
	return SC_OK;
}

/* Messages in */

static void add_messages(struct remote_link *link, struct remote_message *messages, size_t n,
			 enum envelope_kind kind)
{
	for (size_t i = 0; i < n; i++) {
		messages[i].link = link;
		messages[i].kind = kind;
		give_back(&messages[i]);
	}
}

void remote_link_greet(struct remote_link *link, const struct envelope *hello)
{
	link->peer_id = hello->from;
	link->peer_max_payload = hello->max_payload;
	link->peer_credits = hello->credits;
	if (hello->credits) {
		link->frame_messages = calloc(hello->credits, sizeof *link->frame_messages);
		if (!link->frame_messages)
			goto no_memory;
		add_messages(link, link->frame_messages, hello->credits, ENVELOPE_FRAME);
	}
	if (ops_of(link)->greet && ops_of(link)->greet(link) != SC_OK)
		goto no_memory;
	link->n_credits = hello->credits;
	return;
no_memory:
	remote_fail(link, SC_E_NOMEM, "no memory for %u credits", hello->credits);
}

void remote_link_replace(struct remote_link *link)
{
	link->is_replaced = true;
	start_lingering(link);
}

void remote_take_credits(struct remote_link *link, const struct envelope *envelope)
{
	unsigned n_used = link->peer_credits - link->n_credits;

	if (envelope->credits > n_used)
		remote_fail(link, SC_E_PROTOCOL, "the peer returned %u credits, but only %u were "
			    "in use", envelope->credits, n_used);
	else
		link->n_credits += envelope->credits;
}

void remote_link_take(struct remote_link *link, const struct envelope *envelope)
{
	remote_take_credits(link, envelope);
	if (envelope->kind == ENVELOPE_FAREWELL)
		link->has_farewell = true;
	if (envelope->kind == ENVELOPE_GOODBYE)
		link->has_goodbye = true;
	if (envelope->kind != ENVELOPE_CREDIT)
		link->peer_last = envelope->sequence;
}

/* Opening */

static enum sc_status link_init(struct remote_link *link, const struct fabric_address *address,
				struct error *err)
{
	struct remote_fabric *fabric = remote_fabric_of(link);
	const struct link_config *config = &link->base.config;

	list_init(&link->in_fabric);
	link->id = fabric->id | ++fabric->last_link;
	link->peer_fabric = address->id;
	add_messages(link, link->control_messages, REMOTE_N_CONTROL_MESSAGES, ENVELOPE_HELLO);
	if (remote_receive_init(link) != SC_OK)
		return error_set(err, SC_E_NOMEM, "link to peer %u: no memory for %u frames of %zu "
				 "bytes", link->base.peer, config->credits, config->max_payload);
	return ops_of(link)->connect(link, address, err);
}

static void say_hello(struct remote_link *link)
{
	struct envelope *waiting = &remote_fabric_of(link)->hellos[link->base.peer];

	if (is_same_fabric(waiting->from, link->peer_fabric))
		remote_link_greet(link, waiting);
	waiting->from = 0;
	if (!link->is_failed)
		(void)post(link, ENVELOPE_HELLO, NULL);
}

enum sc_status remote_link_connect(struct fabric *base, unsigned peer, const void *address,
				   size_t n_bytes, const struct link_config *config,
				   const struct link_events *events, void *arg,
				   struct link **link_out, struct error *err)
{
	struct remote_fabric *fabric = (struct remote_fabric *)base;
	struct fabric_address decoded;
	struct remote_link *link;
	enum sc_status status;

	status = address_decode(address, n_bytes, fabric->ops->transport, peer, &decoded, err);
	if (status != SC_OK)
		return status;
	link = calloc(1, fabric->ops->link_bytes);
	if (!link)
		return error_set(err, SC_E_NOMEM, "link to peer %u: no memory", peer);
	link->base = (struct link){ base, peer, *config, events, arg };
	status = link_init(link, &decoded, err);
	if (status != SC_OK) {
		remote_link_destroy(link);
		return status;
	}
	list_append(&fabric->links, &link->in_fabric);
	say_hello(link);
	*link_out = &link->base;
	return SC_OK;
}

void remote_link_destroy(struct remote_link *link)
{
	if (ops_of(link)->destroy_link)
		ops_of(link)->destroy_link(link);
	remote_receive_deinit(link);
	free(link->frame_messages);
	list_remove(&link->in_fabric);
	free(link);
}

void remote_link_close(struct link *base)
{
	struct remote_link *link = (struct remote_link *)base;

	assert(!link->is_closed);
	link->is_closed = true;
	start_lingering(link);
	if (!remote_fabric_of(link)->is_busy)
		(void)remote_link_advance(link);
}

/* Going on */

static void end(struct remote_link *link)
{
	enter(link, REMOTE_ENDING);
	ops_of(link)->end(link);
}

static bool is_ended(struct remote_link *link)
{
	bool is_idle = !ops_of(link)->is_ended || ops_of(link)->is_ended(link);

	return is_idle && !link->n_posted && !link->n_receiving;
}

static void tell_down(struct remote_link *link, enum sc_status status, const char *why)
{
	if (link->is_closed || link->is_down_told)
		return;
	link->is_down_told = true;
	link->base.events->on_down(link->base.arg, &link->base, status, why);
}

/* If the peer connects later, it must not mistake our hello for that of a living link. */
static void step_greeting(struct remote_link *link)
{
	if (link->is_closed && post(link, ENVELOPE_GOODBYE, NULL))
		enter(link, REMOTE_FLUSHING);
}

static bool say_farewell(struct remote_link *link)
{
	link->is_farewell_sent = post(link, ENVELOPE_FAREWELL, NULL);
	return link->is_farewell_sent;
}

/* After goodbye or farewell: all that the peer sent has come, or is for no one. */
static bool has_all(const struct remote_link *link)
{
	return link->n_delivered >= link->peer_last ||
	       (link->is_closed && !ops_of(link)->must_receive_all);
}

static void step_up(struct remote_link *link)
{
	if (link->has_goodbye && has_all(link)) {
		if (!say_farewell(link))
			return;
		enter(link, REMOTE_FLUSHING);
		tell_down(link, SC_E_CLOSED, "closed by the peer");
	} else if (link->is_closed && post(link, ENVELOPE_GOODBYE, NULL)) {
		enter(link, REMOTE_LEAVING);
	} else if (link->is_replaced && !link->has_goodbye && is_late(link)) {
		remote_fail(link, SC_E_CLOSED, "the peer has opened a new link");
	}
}

static void step_leaving(struct remote_link *link)
{
	if (link->has_goodbye && has_all(link) && !link->is_farewell_sent)
		(void)say_farewell(link);
	if (link->has_farewell && has_all(link))
		enter(link, REMOTE_FLUSHING);
	else if (is_late(link))
		end(link);
}

static void start_flush(struct remote_link *link)
{
	struct remote_message *message;

	if (!ops_of(link)->flush) {
		link->is_flush_started = true;
		return;
	}
	message = take_message(link, ENVELOPE_CREDIT);
	if (!message)
		return;
	link->is_flush_started = true;
	ops_of(link)->flush(link, message);
}

/* Messages that the peer does not answer are flushed. The peer's own farewell shows that the rest
 * arrived. */
static void step_flushing(struct remote_link *link)
{
	bool must_flush = link->is_farewell_sent || !link->has_farewell;

	if (must_flush && !link->n_posted && !link->is_flush_started)
		start_flush(link);
	if (is_late(link) || (!link->n_posted && (!must_flush || link->is_flush_started)))
		end(link);
}

static void step(struct remote_link *link)
{
	if (link->is_failed && link->state < REMOTE_ENDING) {
		end(link);
		tell_down(link, link->failure.status, link->failure.text);
	}
	switch (link->state) {
	case REMOTE_GREETING:
		step_greeting(link);
		break;
	case REMOTE_UP:
		step_up(link);
		break;
	case REMOTE_LEAVING:
		step_leaving(link);
		break;
	case REMOTE_FLUSHING:
		step_flushing(link);
		break;
	case REMOTE_ENDING:
		if (is_ended(link))
			enter(link, REMOTE_GONE);
		break;
	case REMOTE_GONE:
		break;
	}
}

static void return_credits(struct remote_link *link)
{
	if (link->state == REMOTE_UP && !link->is_failed && grant_is_due(link->grant))
		(void)post(link, ENVELOPE_CREDIT, NULL);
}

static void offer_credit(struct remote_link *link)
{
	if (!link->wants_credit || link->state != REMOTE_UP || !link->n_credits ||
	    !link->free_frames || link->is_closed || link->is_failed || link->has_goodbye)
		return;
	link->wants_credit = false;
	if (link->base.events->on_credit)
		link->base.events->on_credit(link->base.arg, &link->base);
}

bool remote_link_advance(struct remote_link *link)
{
	enum remote_state before = link->state;
	bool is_news;

	/* Before frames are delivered, so that they can be answered. */
	if (link->state == REMOTE_GREETING && link->peer_id)
		enter(link, REMOTE_UP);
	is_news = link->state > REMOTE_GREETING && remote_deliver(link);
	return_credits(link);
	step(link);
	offer_credit(link);
	/* The owner reads no more frames, so their memory is free for the next epoch. */
	if (link->is_closed && link->pool && !link->n_receiving && !ops_of(link)->must_receive_all)
		remote_receive_drop(link);
	is_news |= link->state != before;
	if (link->state == REMOTE_GONE && link->is_closed)
		remote_link_destroy(link);
	return is_news;
}
