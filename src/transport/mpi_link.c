/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/mpi_fabric.h"

#include "base/clock.h"
#include "base/log.h"
#include "transport/fabrics.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_TAG_PAIRS 16000	/* tags up to 32000: every MPI has 32767 */

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

/* The tags on which a link receives. */
static int notice_tag(uint64_t link_id)
{
	return 1 + 2 * (int)((uint32_t)link_id % N_TAG_PAIRS);
}

static int frame_tag(uint64_t link_id)
{
	return notice_tag(link_id) + 1;
}

/* Sending */

static struct mpi_slot *slot_at(const struct mpi_link *link, size_t i)
{
	return i < link->first_frame_send ? &link->slots[i]
					  : &link->frame_sends[i - link->first_frame_send];
}

/* Returns a free send slot from `first` to below `end`, or `end`. */
static size_t find_send_slot(const struct mpi_link *link, size_t first, size_t end)
{
	while (first < end && link->requests[first] != MPI_REQUEST_NULL)
		first++;
	return first;
}

static size_t find_frame_send(const struct mpi_link *link)
{
	return find_send_slot(link, link->first_frame_send, link->n_requests);
}

static void follow_send(struct mpi_link *link, size_t i, int code)
{
	struct mpi_slot *slot = slot_at(link, i);

	if (code == MPI_SUCCESS) {
		link->n_sending++;
		return;
	}
	link->requests[i] = MPI_REQUEST_NULL;
	if (slot->frame)
		frame_release(slot->frame);
	slot->frame = NULL;
	fail_mpi(link, code, "sending");
}

static bool post_notice(struct mpi_link *link, enum envelope_kind kind)
{
	struct envelope envelope = {
		.kind = kind,
		.peer = link->base.fabric->config.self,
		.from = link->id,
		.to = link->peer_id ? link->peer_id : link->peer_fabric,
		.sequence = link->n_sent,
		.max_payload = link->base.config.max_payload,
	};
	int tag = kind == ENVELOPE_HELLO ? MPI_HELLO_TAG : notice_tag(link->peer_id);
	size_t i = find_send_slot(link, link->first_send, link->first_frame_send);

	if (i == link->first_frame_send)
		return false;
	envelope.credits = kind == ENVELOPE_HELLO ? link->base.config.credits
						  : grant_collect(link->grant);
	envelope_encode(&envelope, link->slots[i].envelope);
	follow_send(link, i, MPI_Isend(link->slots[i].envelope, ENVELOPE_BYTES, MPI_BYTE,
				       link->peer_rank, tag, MPI_COMM_WORLD, &link->requests[i]));
	return true;
}

enum sc_status mpi_link_send(struct link *base, struct frame *frame)
{
	struct mpi_link *link = (struct mpi_link *)base;
	size_t i;

	if (link->is_failed || link->is_closed || link->has_goodbye || link->state > MPI_LINK_UP)
		return SC_E_CLOSED;
	if (link->state == MPI_LINK_UP && frame->n_bytes > link->peer_max_payload)
		return SC_E_TOO_LARGE;
	i = find_frame_send(link);
	if (link->state < MPI_LINK_UP || !link->n_credits || i == link->n_requests) {
		link->wants_credit = true;
		return SC_AGAIN;
	}
	link->n_credits--;
	frame->sequence = ++link->n_sent;
	frame_seal(frame);
	slot_at(link, i)->frame = frame;
	follow_send(link, i, MPI_Isend(frame->data, FRAME_HEADER_BYTES + (int)frame->n_bytes,
				       MPI_BYTE, link->peer_rank, frame_tag(link->peer_id),
				       MPI_COMM_WORLD, &link->requests[i]));
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
		code = MPI_Irecv(frame->data, (int)frame->capacity, MPI_BYTE, link->peer_rank,
				 frame_tag(link->id), MPI_COMM_WORLD, &link->requests[i]);
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
				     link->peer_rank, notice_tag(link->id), MPI_COMM_WORLD,
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
	struct mpi_slot *slot = ring->n ? &link->slots[ring->first + ring->n_read % ring->n] : NULL;

	if (!slot || !slot->is_whole)
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
	struct mpi_slot *slot = slot_at(link, i);

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
		if (slot_at(link, i)->frame)
			frame_release(slot_at(link, i)->frame);
	grant_detach(link->grant);
	frame_pool_destroy(link->pool);
	process_watch_close(&link->process);
	free(link->statuses);
	free(link->done);
	free(link->frame_sends);
	free(link->slots);
	free(link->requests);
	list_remove(&link->in_fabric);
	free(link);
}

/* Makes room for n requests; the new ones are inactive. */
static enum sc_status grow(struct mpi_link *link, size_t n)
{
	MPI_Request *requests = realloc(link->requests, n * sizeof *requests);
	int *done = realloc(link->done, n * sizeof *done);
	MPI_Status *statuses = realloc(link->statuses, n * sizeof *statuses);

	link->requests = requests ? requests : link->requests;
	link->done = done ? done : link->done;
	link->statuses = statuses ? statuses : link->statuses;
	if (!requests || !done || !statuses)
		return SC_E_NOMEM;
	while (link->n_requests < n)
		link->requests[link->n_requests++] = MPI_REQUEST_NULL;
	return SC_OK;
}

void mpi_link_greet(struct mpi_link *link, const struct envelope *hello)
{
	link->peer_id = hello->from;
	link->peer_max_payload = hello->max_payload;
	if (!hello->credits)
		return;
	link->frame_sends = calloc(hello->credits, sizeof *link->frame_sends);
	if (!link->frame_sends || grow(link, link->first_frame_send + hello->credits) != SC_OK) {
		fail(link, SC_E_NOMEM, "no memory for %u credits", hello->credits);
		return;
	}
	link->peer_credits = hello->credits;
	link->n_credits = hello->credits;
}

static enum sc_status make_buffers(struct mpi_link *link)
{
	const struct link_config *config = &link->base.config;

	if (config->credits &&
	    frame_pool_create(config->credits, config->max_payload, &link->pool) != SC_OK)
		return SC_E_NOMEM;
	return grant_create(config->credits, fabric_of(link)->wake, &link->grant);
}

static enum sc_status allocate(struct mpi_link *link, struct error *err)
{
	const struct link_config *config = &link->base.config;

	link->frames.n = config->credits;
	link->notices.first = config->credits;
	link->notices.n = MPI_N_NOTICES;
	link->first_send = link->notices.first + link->notices.n;
	link->first_frame_send = link->first_send + MPI_N_NOTICES;
	link->slots = calloc(link->first_frame_send, sizeof *link->slots);
	if (!link->slots || grow(link, link->first_frame_send) != SC_OK ||
	    make_buffers(link) != SC_OK)
		return error_set(err, SC_E_NOMEM, "link to peer %u: no memory for %u frames of %zu "
				 "bytes", link->base.peer, config->credits, config->max_payload);
	return SC_OK;
}

static enum sc_status read_address(const void *address, size_t n_bytes, struct mpi_link *link,
				   struct error *err)
{
	const unsigned n_ranks = mpi_world_size(fabric_of(link)->world);
	struct fabric_address decoded = { .native = NULL };
	struct mpi_native native;
	enum sc_status status = address_decode(address, n_bytes, MPI_TRANSPORT, link->base.peer,
					       &decoded, err);

	if (status != SC_OK)
		return status;
	if (decoded.n_native != sizeof native)
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: %u native bytes, "
				 "expected %zu", link->base.peer, decoded.n_native, sizeof native);
	memcpy(&native, decoded.native, sizeof native);	/* may be unaligned */
	if (native.rank < 0 || native.rank >= n_ranks)
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: MPI rank %" PRId64
				 ", expected one below %u", link->base.peer, native.rank, n_ranks);
	link->peer_fabric = decoded.id;
	link->peer_rank = (int)native.rank;
	process_watch_open(&link->process, &native.process);
	return SC_OK;
}

static void say_hello(struct mpi_link *link)
{
	struct mpi_fabric *fabric = fabric_of(link);
	struct envelope *hello = &fabric->hellos[link->base.peer];

	post_frame_receives(link);
	post_notice_receives(link);
	if (is_same_fabric(hello->from, link->peer_fabric))
		mpi_link_greet(link, hello);
	hello->from = 0;
	(void)post_notice(link, ENVELOPE_HELLO);
}

enum sc_status mpi_link_connect(struct fabric *base, unsigned peer, const void *address,
				size_t n_bytes, const struct link_config *config,
				const struct link_events *events, void *arg,
				struct link **link_out, struct error *err)
{
	struct mpi_fabric *fabric = (struct mpi_fabric *)base;
	struct mpi_link *link;
	enum sc_status status;

	if (fabric->by_peer[peer])
		return error_set(err, SC_E_EXISTS, "there is already a link to peer %u", peer);
	link = calloc(1, sizeof *link);
	if (!link)
		return error_set(err, SC_E_NOMEM, "link to peer %u: no memory", peer);
	link->base = (struct link){ base, peer, *config, events, arg };
	link->process.fd = -1;
	link->id = fabric->id | mpi_world_count_link(fabric->world);
	list_init(&link->in_fabric);
	status = read_address(address, n_bytes, link, err);
	if (status == SC_OK)
		status = allocate(link, err);
	if (status != SC_OK) {
		destroy(link);
		return status;
	}
	list_append(&fabric->links, &link->in_fabric);
	fabric->by_peer[peer] = link;
	fabric->last_news_ns = clock_ns();
	say_hello(link);
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
	log_warning("mpi: %zu messages to peer %u were never received", link->n_sending,
		    link->base.peer);
	for (size_t i = link->first_send; i < link->n_requests; i++) {
		if (link->requests[i] == MPI_REQUEST_NULL)
			continue;
		MPI_Request_free(&link->requests[i]);
		slot_at(link, i)->frame = NULL;
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
	case MPI_LINK_GREETING:
		if (link->is_closed && is_late)
			end(link);
		break;
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
	if (!link->wants_credit || link->state != MPI_LINK_UP || !link->n_credits ||
	    find_frame_send(link) == link->n_requests || link->is_closed || link->has_goodbye)
		return;
	link->wants_credit = false;
	if (link->base.events->on_credit)
		link->base.events->on_credit(link->base.arg, &link->base);
}

static void read_messages(struct mpi_link *link)
{
	struct mpi_slot *slot;

	while (!link->is_failed && (slot = read_next(link, &link->notices)))
		read_notice(link, slot);
	while (!link->is_failed && (slot = read_next(link, &link->frames)))
		read_frame(link, slot);
}

bool mpi_link_advance(struct mpi_link *link)
{
	enum mpi_link_state before = link->state;
	bool is_news = test_requests(link);

	if (link->state == MPI_LINK_GREETING && link->peer_id)
		enter(link, MPI_LINK_UP);
	/* Only now, so that frames can be answered. */
	if (link->state != MPI_LINK_GREETING)
		read_messages(link);
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
