/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One link: its states, sending and closing.
 * Orderly close: goodbye is sent after the last frame, and the peer answers farewell when all
 * frames have arrived. Only then is the endpoint closed, and always by force. Closing by flush may
 * lose data that the peer has not read yet, and UCX 1.13 aborts the process later if a rendezvous
 * was in progress.
 */
#include "transport/ucx.h"

#include "base/clock.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct ucx_fabric *fabric_of(const struct ucx_link *link)
{
	return (struct ucx_fabric *)link->base.fabric;
}

void ucx_link_fail(struct ucx_link *link, enum sc_status status, const char *format, ...)
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

static void enter(struct ucx_link *link, enum ucx_link_state state)
{
	assert(state > link->state);
	link->state = state;
	if (state == UCX_LINK_FLUSHING)
		link->deadline_ns = clock_ns() + UCX_LINGER_MS * NS_PER_MS;
	timer_start(fabric_of(link)->timer, UCX_TICK_MS, UCX_TICK_MS);
}

static bool is_late(const struct ucx_link *link)
{
	return clock_ns() >= link->deadline_ns;
}

/* Sending */

static void finish_message(struct ucx_message *message, ucs_status_t status)
{
	struct ucx_link *link = message->link;

	if (message->frame)
		frame_release(message->frame);
	message->frame = NULL;
	message->next = link->free_messages;
	link->free_messages = message;
	if (status != UCS_OK)
		ucx_link_fail(link, SC_E_CLOSED, "connection reset: %s", ucs_status_string(status));
}

static void on_sent(void *request, ucs_status_t status, void *arg)
{
	struct ucx_message *message = arg;

	ucp_request_free(request);
	message->link->n_posted--;
	finish_message(message, status);
}

static struct ucx_message *take_message(struct ucx_link *link)
{
	struct ucx_message *message = link->free_messages;

	if (message)
		link->free_messages = message->next;
	return message;
}

static void follow(struct ucx_message *message, ucs_status_ptr_t request)
{
	if (request && !UCS_PTR_IS_ERR(request))
		message->link->n_posted++;
	else
		finish_message(message, UCS_PTR_STATUS(request));
}

/* Sends a message. Takes frame. Returns false, without taking frame, if no message is free. */
static bool post(struct ucx_link *link, enum envelope_kind kind, struct frame *frame)
{
	struct ucx_message *message = take_message(link);
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
				UCP_OP_ATTR_FIELD_MEMORY_TYPE,
		.cb.send = on_sent,
		.user_data = message,
		.memory_type = UCS_MEMORY_TYPE_HOST,
	};
	struct envelope envelope = {
		.kind = kind,
		.peer = link->base.fabric->config.self,
		.from = link->id,
		.to = link->peer_id ? link->peer_id : link->peer_fabric,
		.sequence = frame ? frame->sequence : link->n_sent,
		.max_payload = link->base.config.max_payload,
	};

	if (!message)
		return false;
	envelope.credits = kind == ENVELOPE_HELLO ? link->base.config.credits
						  : grant_collect(link->grant);
	envelope_encode(&envelope, message->envelope);
	message->frame = frame;
	follow(message, ucp_am_send_nbx(link->ep, UCX_AM_ID, message->envelope, ENVELOPE_BYTES,
					frame ? frame->data : NULL,
					frame ? FRAME_HEADER_BYTES + (size_t)frame->n_bytes : 0,
					&param));
	return true;
}

enum sc_status ucx_link_send(struct link *base, struct frame *frame)
{
	struct ucx_link *link = (struct ucx_link *)base;

	if (link->is_failed || link->is_closed || link->has_goodbye ||
	    link->state > UCX_LINK_UP)
		return SC_E_CLOSED;
	if (link->state == UCX_LINK_UP && frame->n_bytes > link->peer_max_payload)
		return SC_E_TOO_LARGE;
	if (link->state < UCX_LINK_UP || !link->n_credits || !link->free_messages) {
		link->wants_credit = true;
		return SC_AGAIN;
	}
	link->n_credits--;
	frame->sequence = ++link->n_sent;
	frame_seal(frame);
	(void)post(link, ENVELOPE_FRAME, frame);
	return SC_OK;
}

void ucx_link_replace(struct ucx_link *link)
{
	link->is_replaced = true;
	link->deadline_ns = clock_ns() + UCX_LINGER_MS * NS_PER_MS;
	timer_start(fabric_of(link)->timer, UCX_TICK_MS, UCX_TICK_MS);
}

/* Messages in */

static void add_messages(struct ucx_link *link, struct ucx_message *messages, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		messages[i].link = link;
		messages[i].next = link->free_messages;
		link->free_messages = &messages[i];
	}
}

void ucx_link_greet(struct ucx_link *link, const struct envelope *hello)
{
	link->peer_id = hello->from;
	link->peer_max_payload = hello->max_payload;
	if (!hello->credits)
		return;
	link->frame_messages = calloc(hello->credits, sizeof *link->frame_messages);
	if (!link->frame_messages) {
		ucx_link_fail(link, SC_E_NOMEM, "no memory for %u credits", hello->credits);
		return;
	}
	add_messages(link, link->frame_messages, hello->credits);
	link->peer_credits = hello->credits;
	link->n_credits = hello->credits;
}


ucs_status_t ucx_link_receive(struct ucx_link *link, const struct envelope *envelope, void *data,
			      size_t n_bytes, uint64_t attributes)
{
	if (envelope->credits > link->peer_credits - link->n_credits)
		ucx_link_fail(link, SC_E_PROTOCOL, "the peer returned %u credits, but only %u were "
			      "in use",
			      envelope->credits, link->peer_credits - link->n_credits);
	else
		link->n_credits += envelope->credits;
	if (envelope->kind == ENVELOPE_FRAME)
		return ucx_receive_frame(link, envelope, data, n_bytes, attributes);
	if (envelope->kind == ENVELOPE_FAREWELL)
		link->has_farewell = true;
	if (envelope->kind == ENVELOPE_GOODBYE && !link->has_goodbye) {
		link->has_goodbye = true;
		link->peer_last = envelope->sequence;
	}
	return UCS_OK;
}

/* Opening */

static void on_endpoint_error(void *arg, ucp_ep_h ep, ucs_status_t status)
{
	(void)ep;
	ucx_link_fail(arg, SC_E_CLOSED, "connection reset: %s", ucs_status_string(status));
}

static void open_endpoint(struct ucx_link *link, const void *native)
{
	const ucp_ep_params_t params = {
		.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLER |
			      UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE,
		.address = native,
		.err_mode = UCP_ERR_HANDLING_MODE_PEER,
		.err_handler = { .cb = on_endpoint_error, .arg = link },
	};
	ucs_status_t status = ucp_ep_create(fabric_of(link)->worker, &params, &link->ep);

	if (status == UCS_OK)
		return;
	link->ep = NULL;
	ucx_link_fail(link, SC_E_CLOSED, "cannot connect: %s (UCX_TLS=%s)",
		      ucs_status_string(status), getenv("UCX_TLS") ? getenv("UCX_TLS") : "");
}

static enum sc_status link_init(struct ucx_link *link, const struct fabric_address *address,
				struct error *err)
{
	struct ucx_fabric *fabric = fabric_of(link);

	list_init(&link->in_fabric);
	link->state = UCX_LINK_GREETING;
	link->id = ++fabric->last_id;
	link->peer_fabric = address->id;
	add_messages(link, link->control_messages, UCX_N_CONTROL_MESSAGES);
	return ucx_receive_init(link, err);
}

enum sc_status ucx_link_connect(struct fabric *base, unsigned peer, const void *address,
				size_t n_bytes, const struct link_config *config,
				const struct link_events *events, void *arg,
				struct link **link_out, struct error *err)
{
	struct ucx_fabric *fabric = (struct ucx_fabric *)base;
	struct fabric_address decoded;
	struct ucx_link *link;
	enum sc_status status;

	if (fabric->by_peer[peer])
		return error_set(err, SC_E_EXISTS, "there is already a link to peer %u", peer);
	status = address_decode(address, n_bytes, UCX_TRANSPORT, peer, &decoded, err);
	if (status != SC_OK)
		return status;
	link = calloc(1, sizeof *link);
	if (!link)
		return error_set(err, SC_E_NOMEM, "link to peer %u: no memory", peer);
	link->base = (struct link){ base, peer, *config, events, arg };
	status = link_init(link, &decoded, err);
	if (status != SC_OK) {
		ucx_link_destroy(link);
		return status;
	}
	list_append(&fabric->links, &link->in_fabric);
	fabric->by_peer[peer] = link;
	open_endpoint(link, decoded.native);
	if (is_same_fabric(fabric->hellos[peer].from, link->peer_fabric))
		ucx_link_greet(link, &fabric->hellos[peer]);
	fabric->hellos[peer].from = 0;
	if (link->ep)
		(void)post(link, ENVELOPE_HELLO, NULL);
	*link_out = &link->base;
	return SC_OK;
}

void ucx_link_destroy(struct ucx_link *link)
{
	ucx_receive_deinit(link);
	free(link->frame_messages);
	list_remove(&link->in_fabric);
	free(link);
}

void ucx_link_abandon(struct ucx_link *link)
{
	grant_detach(link->grant);
	link->grant = NULL;
}

void ucx_link_close(struct link *base)
{
	struct ucx_link *link = (struct ucx_link *)base;
	struct ucx_fabric *fabric = fabric_of(link);

	assert(!link->is_closed);
	link->is_closed = true;
	link->deadline_ns = clock_ns() + UCX_LINGER_MS * NS_PER_MS;
	fabric->by_peer[base->peer] = NULL;
	timer_start(fabric->timer, UCX_TICK_MS, UCX_TICK_MS);
	if (!fabric->is_busy)
		(void)ucx_link_advance(link);
}

/* Going on */

static void start_flush(struct ucx_link *link)
{
	struct ucx_message *message = take_message(link);
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
		.cb.send = on_sent,
		.user_data = message,
	};

	if (!message)
		return;
	link->is_flush_started = true;
	follow(message, ucp_ep_flush_nbx(link->ep, &param));
}

static void end(struct ucx_link *link)
{
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
		.flags = UCP_EP_CLOSE_FLAG_FORCE,
	};

	enter(link, UCX_LINK_ENDING);
	if (!link->ep)
		return;
	link->close_request = ucp_ep_close_nbx(link->ep, &param);
	link->ep = NULL;
	if (UCS_PTR_IS_ERR(link->close_request))
		link->close_request = NULL;
}

static void end_when_all_is_back(struct ucx_link *link)
{
	if (link->close_request &&
	    ucp_request_check_status(link->close_request) != UCS_INPROGRESS) {
		ucp_request_free(link->close_request);
		link->close_request = NULL;
	}
	if (!link->close_request && !link->n_posted && !link->n_receiving)
		enter(link, UCX_LINK_GONE);
}

static void tell_down(struct ucx_link *link, enum sc_status status, const char *why)
{
	if (link->is_closed || link->is_down_told)
		return;
	link->is_down_told = true;
	link->base.events->on_down(link->base.arg, &link->base, status, why);
}

static void step_greeting(struct ucx_link *link)
{
	/* If the peer connects later, it must not mistake our hello for that of a living link. */
	if (link->is_closed && post(link, ENVELOPE_GOODBYE, NULL))
		enter(link, UCX_LINK_FLUSHING);
}

static bool say_farewell(struct ucx_link *link)
{
	link->is_farewell_sent = post(link, ENVELOPE_FAREWELL, NULL);
	return link->is_farewell_sent;
}

static void step_up(struct ucx_link *link)
{
	if (link->has_goodbye && (link->is_closed || link->n_delivered >= link->peer_last)) {
		if (!say_farewell(link))
			return;
		enter(link, UCX_LINK_FLUSHING);
		tell_down(link, SC_E_CLOSED, "closed by the peer");
	} else if (link->is_closed && post(link, ENVELOPE_GOODBYE, NULL)) {
		enter(link, UCX_LINK_LEAVING);
	} else if (link->is_replaced && !link->has_goodbye && is_late(link)) {
		ucx_link_fail(link, SC_E_CLOSED, "the peer has opened a new link");
	}
}

static void step_leaving(struct ucx_link *link)
{
	if (link->has_goodbye && !link->is_farewell_sent)
		(void)say_farewell(link);
	if (link->has_farewell)
		enter(link, UCX_LINK_FLUSHING);
	else if (is_late(link))
		end(link);
}

/* Messages that the peer does not answer are flushed. The peer's own farewell shows that the rest
 * arrived. */
static void step_flushing(struct ucx_link *link)
{
	bool must_flush = link->is_farewell_sent || !link->has_farewell;

	if (must_flush && !link->n_posted && !link->is_flush_started)
		start_flush(link);
	if (is_late(link) || (!link->n_posted && (!must_flush || link->is_flush_started)))
		end(link);
}

static void step(struct ucx_link *link)
{
	if (link->is_failed && link->state < UCX_LINK_ENDING) {
		end(link);
		tell_down(link, link->failure.status, link->failure.text);
	}
	switch (link->state) {
	case UCX_LINK_GREETING:
		step_greeting(link);
		break;
	case UCX_LINK_UP:
		step_up(link);
		break;
	case UCX_LINK_LEAVING:
		step_leaving(link);
		break;
	case UCX_LINK_FLUSHING:
		step_flushing(link);
		break;
	case UCX_LINK_ENDING:
		end_when_all_is_back(link);
		break;
	case UCX_LINK_GONE:
		break;
	}
}

static void return_credits(struct ucx_link *link)
{
	if (link->state == UCX_LINK_UP && !link->is_failed && grant_is_due(link->grant))
		(void)post(link, ENVELOPE_CREDIT, NULL);
}

static void offer_credit(struct ucx_link *link)
{
	if (!link->wants_credit || link->state != UCX_LINK_UP || !link->n_credits ||
	    !link->free_messages || link->is_closed || link->is_failed || link->has_goodbye)
		return;
	link->wants_credit = false;
	if (link->base.events->on_credit)
		link->base.events->on_credit(link->base.arg, &link->base);
}

bool ucx_link_advance(struct ucx_link *link)
{
	enum ucx_link_state before = link->state;
	bool is_news;

	/* Before frames are delivered, so that they can be answered. */
	if (link->state == UCX_LINK_GREETING && link->peer_id)
		enter(link, UCX_LINK_UP);
	is_news = ucx_receive_deliver(link);
	return_credits(link);
	step(link);
	offer_credit(link);
	is_news |= link->state != before;
	if (link->state == UCX_LINK_GONE && link->is_closed)
		ucx_link_destroy(link);
	return is_news;
}
