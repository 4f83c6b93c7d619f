/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/mpi_fabric.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_TAG_GENERATIONS 8192	/* tags up to 16383: every MPI has 32767 */

static struct mpi_fabric *fabric_of(const struct mpi_link *link)
{
	return (struct mpi_fabric *)link->base.fabric;
}

static void __attribute__((format(printf, 3, 4)))
fail(struct mpi_link *link, enum sc_status status, const char *format, ...)
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

static void fail_mpi(struct mpi_link *link, int code, const char *what)
{
	char text[MPI_MAX_ERROR_STRING] = "unknown error";
	int length;

	MPI_Error_string(code, text, &length);
	fail(link, SC_E_CLOSED, "mpi: %s: %s", what, text);
}

/* Sending */

/* Returns n_requests if all send slots are in use. */
static size_t find_send_slot(const struct mpi_link *link)
{
	size_t i = link->first_send;

	while (i < link->n_requests && link->requests[i] != MPI_REQUEST_NULL)
		i++;
	return i;
}

static void follow_send(struct mpi_link *link, size_t i, int code)
{
	if (code == MPI_SUCCESS) {
		link->n_sending++;
		return;
	}
	link->requests[i] = MPI_REQUEST_NULL;
	if (link->slots[i].frame)
		frame_release(link->slots[i].frame);
	link->slots[i].frame = NULL;
	fail_mpi(link, code, "sending");
}

static bool post_notice(struct mpi_link *link, enum envelope_kind kind)
{
	struct envelope envelope = {
		.kind = kind,
		.rank = link->base.fabric->config.rank,
		.sequence = link->n_sent,
	};
	size_t i = find_send_slot(link);

	if (i == link->n_requests)
		return false;
	envelope.credits = grant_collect(link->grant);
	envelope_encode(&envelope, link->slots[i].envelope);
	follow_send(link, i, MPI_Isend(link->slots[i].envelope, ENVELOPE_BYTES, MPI_BYTE,
				       (int)link->base.peer, link->notice_tag, MPI_COMM_WORLD,
				       &link->requests[i]));
	return true;
}

enum sc_status mpi_link_send(struct link *base, struct frame *frame)
{
	struct mpi_link *link = (struct mpi_link *)base;
	size_t i;

	if (link->is_failed || link->is_closed || link->has_goodbye || link->state != MPI_LINK_UP)
		return SC_E_CLOSED;
	if (frame->n_bytes > link->peer_max_payload)
		return SC_E_TOO_LARGE;
	i = find_send_slot(link);
	if (!link->n_credits || i == link->n_requests) {
		link->wants_credit = true;
		return SC_AGAIN;
	}
	link->n_credits--;
	frame->sequence = ++link->n_sent;
	frame_seal(frame);
	link->slots[i].frame = frame;
	follow_send(link, i, MPI_Isend(frame->data, FRAME_HEADER_BYTES + (int)frame->n_bytes,
				       MPI_BYTE, (int)base->peer, link->frame_tag, MPI_COMM_WORLD,
				       &link->requests[i]));
	return SC_OK;
}

/* Receiving */

static void post_frame_receives(struct mpi_link *link)
{
	struct mpi_ring *ring = &link->frames;

	while (ring->n_posted - ring->n_read < ring->n) {
		size_t i = ring->first + ring->n_posted % ring->n;
		struct frame *frame = frame_take(link->pool, FRAME_STEP);
		int code;

		if (!frame)
			return;
		link->slots[i].frame = frame;
		code = MPI_Irecv(frame->data, (int)frame->capacity, MPI_BYTE, (int)link->base.peer,
				 link->frame_tag, MPI_COMM_WORLD, &link->requests[i]);
		if (code != MPI_SUCCESS) {
			fail_mpi(link, code, "receiving");
			return;
		}
		ring->n_posted++;
	}
}

static void post_notice_receives(struct mpi_link *link)
{
	struct mpi_ring *ring = &link->notices;

	for (; ring->n_posted - ring->n_read < ring->n; ring->n_posted++) {
		size_t i = ring->first + ring->n_posted % ring->n;
		int code = MPI_Irecv(link->slots[i].envelope, ENVELOPE_BYTES, MPI_BYTE,
				     (int)link->base.peer, link->notice_tag, MPI_COMM_WORLD,
				     &link->requests[i]);

		if (code != MPI_SUCCESS) {
			fail_mpi(link, code, "receiving");
			return;
		}
	}
}

/* Returns the next slot in order if its message has arrived, else NULL. */
static struct mpi_slot *read_next(struct mpi_link *link, struct mpi_ring *ring)
{
	struct mpi_slot *slot = &link->slots[ring->first + ring->n_read % ring->n];

	if (!slot->is_whole)
		return NULL;
	slot->is_whole = false;
	ring->n_read++;
	return slot;
}

static void read_notice(struct mpi_link *link, const struct mpi_slot *slot)
{
	struct envelope envelope;
	struct error err;

	if (envelope_decode(slot->envelope, (size_t)slot->n_bytes, &envelope, &err) != SC_OK) {
		fail(link, SC_E_PROTOCOL, "%s", err.text);
		return;
	}
	if (envelope.credits > link->peer_credits - link->n_credits) {
		fail(link, SC_E_PROTOCOL, "the peer returned %u credits, but only %u were in use",
		     envelope.credits, link->peer_credits - link->n_credits);
		return;
	}
	link->n_credits += envelope.credits;
	if (envelope.kind == ENVELOPE_GOODBYE && !link->has_goodbye) {
		link->has_goodbye = true;
		link->peer_last = envelope.sequence;
	}
}

static void read_frame(struct mpi_link *link, struct mpi_slot *slot)
{
	struct frame *frame = slot->frame;
	struct error err;

	slot->frame = NULL;
	if (!grant_use(link->grant))
		fail(link, SC_E_PROTOCOL, "frame %" PRIu64 " arrived without credit",
		     link->frames.n_read);
	else if (frame_open(frame, (size_t)slot->n_bytes, &err) != SC_OK)
		fail(link, SC_E_PROTOCOL, "%s", err.text);
	else if (frame->sequence != link->frames.n_read)
		fail(link, SC_E_PROTOCOL, "frame number %" PRIu64 " arrived in place of number "
		     "%" PRIu64,
		     frame->sequence, link->frames.n_read);
	if (link->is_failed || link->is_closed) {
		frame_release(frame);
		return;
	}
	grant_hand_out(link->grant, frame);
	link->base.events->on_frame(link->base.arg, &link->base, frame);
}

/* Completion */

static void finish_request(struct mpi_link *link, size_t i, const MPI_Status *status, int code)
{
	struct mpi_slot *slot = &link->slots[i];

	if (i >= link->first_send) {
		link->n_sending--;
		if (slot->frame)
			frame_release(slot->frame);
		slot->frame = NULL;
	}
	if (code != MPI_SUCCESS) {
		fail_mpi(link, code, i >= link->first_send ? "sending" : "receiving");
	} else if (i < link->first_send) {
		MPI_Get_count(status, MPI_BYTE, &slot->n_bytes);
		slot->is_whole = link->state < MPI_LINK_ENDING;
	}
}

static bool test_requests(struct mpi_link *link)
{
	int n_done = 0;
	int code = MPI_Testsome((int)link->n_requests, link->requests, &n_done, link->done,
				link->statuses);

	if (n_done == MPI_UNDEFINED || (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS)) {
		if (code != MPI_SUCCESS)
			fail_mpi(link, code, "testing requests");
		return false;
	}
	for (int k = 0; k < n_done; k++)
		finish_request(link, (size_t)link->done[k], &link->statuses[k],
			       code == MPI_SUCCESS ? MPI_SUCCESS : link->statuses[k].MPI_ERROR);
	return n_done > 0;
}

/* Opening */

static void destroy(struct mpi_link *link)
{
	for (size_t i = 0; link->slots && i < link->n_requests; i++)
		if (link->slots[i].frame)
			frame_release(link->slots[i].frame);
	grant_detach(link->grant);
	frame_pool_destroy(link->pool);
	process_watch_close(&link->process);
	free(link->statuses);
	free(link->done);
	free(link->slots);
	free(link->requests);
	list_remove(&link->in_fabric);
	free(link);
}

static void set_peer(struct mpi_link *link, const struct fabric_address *address)
{
	unsigned generation = fabric_of(link)->n_connects[link->base.peer]++ % N_TAG_GENERATIONS;

	link->frame_tag = (int)(2 * generation);
	link->notice_tag = link->frame_tag + 1;
	link->peer_credits = address->credits;
	link->n_credits = address->credits;
	link->peer_max_payload = address->max_payload;
	if (link->peer_max_payload > INT_MAX - FRAME_HEADER_BYTES)
		link->peer_max_payload = INT_MAX - FRAME_HEADER_BYTES;
}

static enum sc_status allocate(struct mpi_link *link, struct error *err)
{
	const struct fabric_config *config = &link->base.fabric->config;

	link->frames.n = config->credits;
	link->notices.first = config->credits;
	link->notices.n = MPI_N_NOTICES;
	link->first_send = link->notices.first + link->notices.n;
	link->n_requests = link->first_send + link->peer_credits + MPI_N_NOTICES;
	link->requests = calloc(link->n_requests, sizeof *link->requests);
	link->slots = calloc(link->n_requests, sizeof *link->slots);
	link->done = calloc(link->n_requests, sizeof *link->done);
	link->statuses = calloc(link->n_requests, sizeof *link->statuses);
	if (!link->requests || !link->slots || !link->done || !link->statuses ||
	    frame_pool_create(config->credits, config->max_payload, &link->pool) != SC_OK ||
	    grant_create(config->credits, fabric_of(link)->wake, &link->grant) != SC_OK)
		return error_set(err, SC_E_NOMEM, "link to rank %u: no memory for %u frames of %zu "
				 "bytes", link->base.peer, config->credits, config->max_payload);
	for (size_t i = 0; i < link->n_requests; i++)
		link->requests[i] = MPI_REQUEST_NULL;
	return SC_OK;
}

enum sc_status mpi_link_connect(struct fabric *base, unsigned peer, const void *address,
				size_t n_bytes, const struct link_events *events, void *arg,
				struct link **link_out, struct error *err)
{
	struct mpi_fabric *fabric = (struct mpi_fabric *)base;
	struct fabric_address decoded;
	struct process_id id;
	struct mpi_link *link;
	enum sc_status status;

	if (fabric->by_peer[peer])
		return error_set(err, SC_E_EXISTS, "there is already a link to rank %u", peer);
	status = address_decode(address, n_bytes, MPI_TRANSPORT, peer, &decoded, err);
	if (status != SC_OK)
		return status;
	if (decoded.n_native != sizeof id)
		return error_set(err, SC_E_PROTOCOL, "address of rank %u: %u native bytes, "
				 "expected %zu", peer, decoded.n_native, sizeof id);
	link = calloc(1, sizeof *link);
	if (!link)
		return error_set(err, SC_E_NOMEM, "link to rank %u: no memory", peer);
	link->base = (struct link){ .fabric = base, .peer = peer, .events = events, .arg = arg };
	list_init(&link->in_fabric);
	set_peer(link, &decoded);
	memcpy(&id, decoded.native, sizeof id);	/* native may be unaligned */
	process_watch_open(&link->process, &id);
	status = allocate(link, err);
	if (status != SC_OK) {
		destroy(link);
		return status;
	}
	list_append(&fabric->links, &link->in_fabric);
	fabric->by_peer[peer] = link;
	fabric->last_news_ns = clock_ns();
	post_frame_receives(link);
	post_notice_receives(link);
	*link_out = &link->base;
	return SC_OK;
}

void mpi_link_close(struct link *base)
{
	struct mpi_link *link = (struct mpi_link *)base;

	assert(!link->is_closed);
	link->is_closed = true;
	link->deadline_ns = clock_ns() + MPI_LINGER_MS * NS_PER_MS;
	fabric_of(link)->by_peer[base->peer] = NULL;
	fabric_of(link)->last_news_ns = clock_ns();
	if (!fabric_of(link)->is_busy)
		(void)mpi_link_advance(link);
}

/* Going on */

void mpi_link_look(struct mpi_link *link)
{
	(void)process_watch_is_ended(&link->process);
}

/* Called when nothing more has arrived, because messages that the peer sent before its end may
 * still be in flight. A peer that has said goodbye may end. */
static void fail_if_peer_ended(struct mpi_link *link)
{
	if (!link->process.is_ended || link->state >= MPI_LINK_ENDING ||
	    (link->has_goodbye && link->frames.n_read >= link->peer_last))
		return;
	fail(link, SC_E_CLOSED, "mpi: the peer's process has ended");
}

static void enter(struct mpi_link *link, enum mpi_link_state state)
{
	assert(state > link->state);
	link->state = state;
	if (!link->is_closed)
		link->deadline_ns = clock_ns() + MPI_LINGER_MS * NS_PER_MS;
}

static void end(struct mpi_link *link)
{
	enter(link, MPI_LINK_ENDING);
	for (size_t i = 0; i < link->first_send; i++)
		if (link->requests[i] != MPI_REQUEST_NULL)
			MPI_Cancel(&link->requests[i]);
}

/* A send that the peer never receives cannot be cancelled: MPI keeps the request and its frame. */
static void abandon_sends(struct mpi_link *link)
{
	log_warning("mpi: %zu messages to rank %u were never received", link->n_sending,
		    link->base.peer);
	for (size_t i = link->first_send; i < link->n_requests; i++) {
		if (link->requests[i] == MPI_REQUEST_NULL)
			continue;
		MPI_Request_free(&link->requests[i]);
		link->slots[i].frame = NULL;
	}
	link->n_sending = 0;
}

static bool is_receiving(const struct mpi_link *link)
{
	for (size_t i = 0; i < link->first_send; i++)
		if (link->requests[i] != MPI_REQUEST_NULL)
			return true;
	return false;
}

static void tell_down(struct mpi_link *link, enum sc_status status, const char *why)
{
	if (link->is_closed || link->is_down_told)
		return;
	link->is_down_told = true;
	link->base.events->on_down(link->base.arg, &link->base, status, why);
}

static void step_up(struct mpi_link *link)
{
	bool has_all = link->has_goodbye && link->frames.n_read >= link->peer_last;

	if ((!has_all && !link->is_closed) || !post_notice(link, ENVELOPE_GOODBYE))
		return;
	enter(link, MPI_LINK_LEAVING);
	tell_down(link, SC_E_CLOSED, "closed by the peer");
}

static void step(struct mpi_link *link)
{
	bool is_late = clock_ns() >= link->deadline_ns;

	if (link->is_failed && link->state < MPI_LINK_ENDING) {
		end(link);
		tell_down(link, link->failure.status, link->failure.text);
	}
	switch (link->state) {
	case MPI_LINK_UP:
		step_up(link);
		break;
	case MPI_LINK_LEAVING:
		if (is_late || (link->has_goodbye && !link->n_sending &&
				link->frames.n_read >= link->peer_last))
			end(link);
		break;
	case MPI_LINK_ENDING:
		if (link->n_sending && (is_late || link->process.is_ended))
			abandon_sends(link);
		if (!link->n_sending && !is_receiving(link))
			enter(link, MPI_LINK_GONE);
		break;
	case MPI_LINK_GONE:
		break;
	}
}

static void return_credits(struct mpi_link *link)
{
	post_frame_receives(link);
	if (link->state == MPI_LINK_UP && grant_is_due(link->grant))
		(void)post_notice(link, ENVELOPE_CREDIT);
}

static void offer_credit(struct mpi_link *link)
{
	if (!link->wants_credit || !link->n_credits || find_send_slot(link) == link->n_requests ||
	    link->is_closed || link->has_goodbye)
		return;
	link->wants_credit = false;
	if (link->base.events->on_credit)
		link->base.events->on_credit(link->base.arg, &link->base);
}

bool mpi_link_advance(struct mpi_link *link)
{
	enum mpi_link_state before = link->state;
	bool is_news = test_requests(link);
	struct mpi_slot *slot;

	while (!link->is_failed && (slot = read_next(link, &link->notices)))
		read_notice(link, slot);
	while (!link->is_failed && (slot = read_next(link, &link->frames)))
		read_frame(link, slot);
	if (!link->is_failed && link->state < MPI_LINK_ENDING) {
		post_notice_receives(link);
		return_credits(link);
		offer_credit(link);
	}
	if (!is_news)
		fail_if_peer_ended(link);
	step(link);
	is_news |= link->state != before;
	if (link->state == MPI_LINK_GONE && link->is_closed)
		destroy(link);
	return is_news;
}
