/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of one link over MPI. See mpi_fabric.h. */
#include "transport/mpi_fabric.h"

#include "base/clock.h"
#include "base/log.h"
#include "transport/fabrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define N_TAG_PAIRS 16000	/* tags up to 32000: every MPI has 32767 */

static struct mpi_link *link_of(struct remote_link *base)
{
	return (struct mpi_link *)base;
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

static size_t first_notice(const struct mpi_link *link)
{
	return link->base.base.config.credits;
}

static size_t first_send(const struct mpi_link *link)
{
	return first_notice(link) + MPI_N_NOTICES;
}

static size_t first_frame_send(const struct mpi_link *link)
{
	return first_send(link) + REMOTE_N_CONTROL_MESSAGES;
}

static void fail(struct mpi_link *link, int code, const char *what)
{
	char text[MPI_MAX_ERROR_STRING] = "unknown error";
	int length;

	MPI_Error_string(code, text, &length);
	remote_fail(&link->base, SC_E_CLOSED, "mpi: %s: %s", what, text);
}

/* Sending */

static size_t index_of(const struct mpi_link *link, const struct remote_message *message)
{
	if (message->kind == ENVELOPE_FRAME)
		return first_frame_send(link) + (size_t)(message - link->base.frame_messages);
	return first_send(link) + (size_t)(message - link->base.control_messages);
}

static struct remote_message *message_at(struct mpi_link *link, size_t i)
{
	if (i >= first_frame_send(link))
		return &link->base.frame_messages[i - first_frame_send(link)];
	return &link->base.control_messages[i - first_send(link)];
}

static void finish_send(struct remote_message *message, int code)
{
	char text[MPI_MAX_ERROR_STRING] = "unknown error";
	int length;

	if (code != MPI_SUCCESS)
		MPI_Error_string(code, text, &length);
	remote_sent(message, code == MPI_SUCCESS ? NULL : text);
}

void mpi_link_post(struct remote_link *base, struct remote_message *message)
{
	struct mpi_link *link = link_of(base);
	size_t i = index_of(link, message);
	const struct frame *frame = message->frame;
	int tag = MPI_GREETING_TAG, code;

	if (frame) {
		code = MPI_Isend(frame->data, FRAME_HEADER_BYTES + (int)frame->n_bytes, MPI_BYTE,
				 link->peer_rank, frame_tag(base->peer_id), MPI_COMM_WORLD,
				 &link->requests[i]);
	} else {
		if (message->kind != ENVELOPE_HELLO && base->peer_id)
			tag = notice_tag(base->peer_id);
		code = MPI_Isend(message->envelope, ENVELOPE_BYTES, MPI_BYTE, link->peer_rank, tag,
				 MPI_COMM_WORLD, &link->requests[i]);
	}
	if (code == MPI_SUCCESS)
		return;
	link->requests[i] = MPI_REQUEST_NULL;
	finish_send(message, code);
}

/* Receiving */

static void expect_frames(struct mpi_link *link)
{
	struct remote_link *base = &link->base;
	struct remote_arrival *arrival;

	while ((arrival = remote_expect(base, link->n_expected + 1))) {
		int code = MPI_Irecv(arrival->frame->data, (int)arrival->frame->capacity, MPI_BYTE,
				     link->peer_rank, frame_tag(base->id), MPI_COMM_WORLD,
				     &link->requests[arrival - base->arrivals]);

		if (code != MPI_SUCCESS) {
			fail(link, code, "receiving");
			return;
		}
		link->n_expected++;
	}
}

static void expect_notices(struct mpi_link *link)
{
	for (size_t i = 0; i < MPI_N_NOTICES; i++) {
		MPI_Request *request = &link->requests[first_notice(link) + i];
		int code;

		if (*request != MPI_REQUEST_NULL)
			continue;
		code = MPI_Irecv(link->notices[i], ENVELOPE_BYTES, MPI_BYTE, link->peer_rank,
				 notice_tag(link->base.id), MPI_COMM_WORLD, request);
		if (code != MPI_SUCCESS) {
			fail(link, code, "receiving");
			return;
		}
	}
}

static void take_notice(struct mpi_link *link, const uint8_t *bytes, size_t n_bytes)
{
	struct envelope envelope;
	struct error err;

	if (envelope_decode(bytes, n_bytes, &envelope, &err) != SC_OK)
		remote_fail(&link->base, SC_E_PROTOCOL, "%s", err.text);
	else if (envelope.from == link->base.peer_id && envelope.kind != ENVELOPE_HELLO &&
		 envelope.kind != ENVELOPE_FRAME)
		remote_link_take(&link->base, &envelope);
}

static void finish_receive(struct mpi_link *link, size_t i, const MPI_Status *status, int code)
{
	int n_bytes;

	/* The end cancels receives. */
	if (link->base.state >= REMOTE_ENDING)
		return;
	if (code != MPI_SUCCESS) {
		fail(link, code, "receiving");
		return;
	}
	MPI_Get_count(status, MPI_BYTE, &n_bytes);
	if (i < first_notice(link))
		remote_finish(&link->base.arrivals[i], (size_t)n_bytes);
	else
		take_notice(link, link->notices[i - first_notice(link)], (size_t)n_bytes);
}

static bool test_requests(struct mpi_link *link)
{
	int n_done = 0;
	int code = MPI_Testsome((int)link->n_requests, link->requests, &n_done, link->done,
				link->statuses);

	if (n_done == MPI_UNDEFINED || (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS)) {
		if (code != MPI_SUCCESS)
			fail(link, code, "testing requests");
		return false;
	}
	for (int k = 0; k < n_done; k++) {
		size_t i = (size_t)link->done[k];
		int own = code == MPI_SUCCESS ? MPI_SUCCESS : link->statuses[k].MPI_ERROR;

		if (i >= first_send(link))
			finish_send(message_at(link, i), own);
		else
			finish_receive(link, i, &link->statuses[k], own);
	}
	return n_done > 0;
}

/* Called when nothing more has arrived, because messages that the peer sent before its end may
 * still be in flight. A peer that has said goodbye may end. */
static void fail_if_peer_ended(struct mpi_link *link)
{
	const struct remote_link *base = &link->base;

	if (!link->process.is_ended || base->state >= REMOTE_ENDING ||
	    (base->has_goodbye && base->n_delivered >= base->peer_last))
		return;
	remote_fail(&link->base, SC_E_CLOSED, "mpi: the peer's process has ended");
}

void mpi_link_look(struct mpi_link *link)
{
	(void)process_watch_is_ended(&link->process);
}

bool mpi_link_progress(struct mpi_link *link)
{
	bool is_news = test_requests(link);

	if (!link->base.is_failed && link->base.state < REMOTE_ENDING) {
		expect_frames(link);
		expect_notices(link);
	}
	if (!is_news)
		fail_if_peer_ended(link);
	return is_news;
}

/* Opening */

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

enum sc_status mpi_link_greet(struct remote_link *base)
{
	struct mpi_link *link = link_of(base);

	return grow(link, first_frame_send(link) + base->peer_credits);
}

static enum sc_status read_native(struct mpi_link *link, const struct fabric_address *address,
				  struct error *err)
{
	const struct mpi_fabric *fabric = (const struct mpi_fabric *)link->base.base.fabric;
	const unsigned n_ranks = mpi_world_size(fabric->world);
	struct mpi_native native;

	if (address->n_native != sizeof native)
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: %u native bytes, "
				 "expected %zu", address->peer, address->n_native, sizeof native);
	memcpy(&native, address->native, sizeof native);	/* may be unaligned */
	if (native.rank < 0 || native.rank >= n_ranks)
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: MPI rank %" PRId64
				 ", expected one below %u", address->peer, native.rank, n_ranks);
	link->peer_rank = (int)native.rank;
	process_watch_open(&link->process, &native.process);
	return SC_OK;
}

enum sc_status mpi_link_connect(struct remote_link *base, const struct fabric_address *address,
				struct error *err)
{
	struct mpi_link *link = link_of(base);
	enum sc_status status;

	link->process.fd = -1;
	status = read_native(link, address, err);
	if (status != SC_OK)
		return status;
	if (grow(link, first_frame_send(link)) != SC_OK)
		return error_set(err, SC_E_NOMEM, "link to peer %u: no memory", address->peer);
	expect_frames(link);
	expect_notices(link);
	return SC_OK;
}

void mpi_link_destroy(struct remote_link *base)
{
	struct mpi_link *link = link_of(base);

	/* 0: the link was never connected. */
	if (link->process.fd > 0)
		process_watch_close(&link->process);
	free(link->statuses);
	free(link->done);
	free(link->requests);
}

/* Closing */

void mpi_link_end(struct remote_link *base)
{
	struct mpi_link *link = link_of(base);

	for (size_t i = 0; i < first_send(link); i++)
		if (link->requests[i] != MPI_REQUEST_NULL)
			MPI_Cancel(&link->requests[i]);
}

/* A send that the peer never receives cannot be cancelled: MPI keeps the request and its frame. */
static void abandon_sends(struct mpi_link *link)
{
	log_warning("mpi: %zu messages to peer %u were never received", link->base.n_posted,
		    link->base.base.peer);
	for (size_t i = first_send(link); i < link->n_requests; i++) {
		if (link->requests[i] == MPI_REQUEST_NULL)
			continue;
		MPI_Request_free(&link->requests[i]);
		message_at(link, i)->frame = NULL;
		remote_sent(message_at(link, i), NULL);
	}
}

static bool is_late(const struct remote_link *base)
{
	return loop_now_ns(remote_fabric_of(base)->loop) >= base->deadline_ns;
}

bool mpi_link_is_ended(struct remote_link *base)
{
	struct mpi_link *link = link_of(base);

	if (base->n_posted && (link->process.is_ended || is_late(base)))
		abandon_sends(link);
	for (size_t i = 0; i < first_send(link); i++)
		if (link->requests[i] != MPI_REQUEST_NULL)
			return false;
	return true;
}
