/* SPDX-License-Identifier: Apache-2.0 */
#include "link_actor.h"

#include <string.h>
#include <sys/resource.h>

#define QUIET_TICKS 50
#define BURST_BYTES 65536

static void end_when(struct actor *actor, bool is_done)
{
	if (is_done)
		actor_done(actor);
}

/* Rank 0 sends until it is refused, rank 1 keeps everything for a while. */
static void starve_on_tick(struct actor *actor)
{
	if (actor->rank == 1) {
		actor_check(actor, actor->n_kept <= actor->test->credits);
		if (actor->phase == 0 && actor->n_kept == actor->test->credits)
			actor->phase = actor->n_ticks;
		if (actor->phase && actor->n_ticks > actor->phase + QUIET_TICKS)
			stream_release_kept(actor);
		end_when(actor, actor->n_received == actor->n_to_receive && !actor->n_kept);
		return;
	}
	/* Asking again and again gets no more out of a link than its credits, until rank 1 gives
	 * some back: on a busy machine that may be before this rank has asked so often. */
	if (actor->n_sent < actor->n_to_send && actor->phase++ < QUIET_TICKS / 2) {
		stream_send(actor);
		actor_check(actor, actor->n_sent <= actor->test->credits ||
					   actor->n_credit_calls > 0);
	}
	end_when(actor, actor->n_sent == actor->n_to_send && actor->n_again > 0 &&
				actor->n_credit_calls > 0);
}

/* Rank 1 sends every frame back: the very frame that it got. */
static void echo_waiting(struct actor *actor)
{
	while (actor->n_waiting) {
		enum sc_status status = actor_send(actor, actor->waiting[0]);

		if (status != SC_OK) {
			actor_check(actor, status == SC_AGAIN);
			return;
		}
		actor->n_sent++;
		memmove(actor->waiting, actor->waiting + 1,
			--actor->n_waiting * sizeof(struct frame *));
	}
}

static void echo_on_frame(struct actor *actor, struct frame *frame)
{
	if (actor->rank == 1) {
		stream_check(actor, frame, actor->n_received++);
		actor->waiting[actor->n_waiting++] = frame;
		echo_waiting(actor);
		/* The first frame shows that the peer has connected. */
		actor_check(actor, actor->n_sent > 0);
		return;
	}
	/* What comes back was made by this rank, and has the link's own number. */
	actor_check(actor, frame->epoch == actor->n_received * 3);
	actor_check(actor, frame->sequence == ++actor->n_received);
	frame_release(frame);
}

static void echo_on_credit(struct actor *actor)
{
	if (actor->rank == 1)
		echo_waiting(actor);
	else
		stream_send(actor);
}

static void echo_on_tick(struct actor *actor)
{
	unsigned n = actor->test->n_frames[0];

	if (actor->rank == 0)
		stream_send(actor);
	else
		echo_waiting(actor);
	end_when(actor, actor->n_received == n && actor->n_sent == n);
}

/* Rank 0 sends its frames and closes at once; all must arrive, then the news of the end. */
static void close_on_tick(struct actor *actor)
{
	if (actor->rank == 1 || !actor->link)
		return;
	stream_send(actor);
	if (actor->n_sent < actor->n_to_send)
		return;
	if (actor->phase)
		fabric_close(actor->fabric);
	else
		actor_close_link(actor);
	actor->link = NULL;
	if (actor->phase)
		actor->fabric = NULL;
	actor_done(actor);
}

static void close_on_down(struct actor *actor, enum sc_status status)
{
	struct frame *frame = stream_frame(actor, 0);

	actor_check(actor, actor->rank == 1);
	actor_check(actor, status == SC_E_CLOSED);
	actor_check(actor, actor->n_received == actor->n_to_receive);
	actor_check(actor, frame && actor_send(actor, frame) == SC_E_CLOSED);
	if (frame)
		frame_release(frame);
	actor_close_link(actor);
	actor_done(actor);
}

static void close_fabric_on_start(struct actor *actor)
{
	actor->phase = 1;
	stream_send(actor);
}

/* Rank 1 leaves inside on_frame; frames behind that one are for no one. */
static void leave_on_frame(struct actor *actor, struct frame *frame)
{
	actor_check(actor, actor->link != NULL);
	stream_check(actor, frame, actor->n_received++);
	frame_release(frame);
	if (actor->n_received < 3)
		return;
	actor_close_link(actor);
	actor->phase = actor->n_ticks + 1;
}

static void leave_on_tick(struct actor *actor)
{
	if (actor->rank == 1)
		end_when(actor, actor->phase && actor->n_ticks > actor->phase + QUIET_TICKS);
}

static void leave_on_down(struct actor *actor, enum sc_status status)
{
	actor_check(actor, actor->rank == 0);
	actor_check(actor, status == SC_E_CLOSED);
	actor->phase = 1;
	actor_close_link(actor);
	actor_done(actor);
}

static void leave_on_credit(struct actor *actor)
{
	enum sc_status status = SC_OK;

	while (status == SC_OK && actor->n_sent < actor->n_to_send) {
		struct frame *frame = stream_frame(actor, actor->n_sent);

		actor_check(actor, frame != NULL);
		if (!frame)
			return;
		status = actor_send(actor, frame);
		if (status == SC_OK)
			actor->n_sent++;
		else
			frame_release(frame);
	}
	actor_check(actor, status == SC_OK || status == SC_AGAIN || status == SC_E_CLOSED);
}

/* Rank 1 closes its whole fabric inside on_frame, and still reads the frames that it has. */
static void keep_past_the_end(struct actor *actor, struct frame *frame)
{
	stream_check(actor, frame, actor->n_received++);
	actor->kept[actor->n_kept++] = frame;
	if (actor->n_received < actor->n_to_receive)
		return;
	fabric_close(actor->fabric);
	actor->fabric = NULL;
	actor->link = NULL;
	for (unsigned i = 0; i < actor->n_kept; i++)
		stream_check(actor, actor->kept[i], i);
	actor_done(actor);
}

static void nothing_on_tick(struct actor *actor)
{
	(void)actor;
}

/* Several lives of a link between the same two fabrics. */
#define N_LIVES 4

static void live_again(struct actor *actor)
{
	actor->is_down = false;
	actor->n_sent = 0;
	actor->n_received = 0;
	actor->n_again = 0;
	actor->n_credit_calls = 0;
	if (actor_connect(actor) == SC_OK)
		stream_send(actor);
}

static void lives_on_frame(struct actor *actor, struct frame *frame)
{
	stream_check(actor, frame, actor->n_received++);
	frame_release(frame);
}

static void lives_on_down(struct actor *actor, enum sc_status status)
{
	actor_check(actor, actor->rank == 1);
	actor_check(actor, status == SC_E_CLOSED);
	actor_check(actor, actor->n_received == actor->n_to_receive);
	actor_close_link(actor);
	if (++actor->phase < N_LIVES)
		live_again(actor);
	else
		actor_done(actor);
}

/* Rank 0 ends each life when it has all that the peer sends. */
static void lives_on_tick(struct actor *actor)
{
	if (!actor->link)
		return;
	stream_send(actor);
	if (actor->rank == 1 || actor->n_sent < actor->n_to_send ||
	    actor->n_received < actor->n_to_receive)
		return;
	actor_close_link(actor);
	if (++actor->phase < N_LIVES)
		live_again(actor);
	else
		actor_done(actor);
}

/* A frame over what the peer takes; the next one has number 1 all the same. The peer has to say what
 * it takes first. */
static void send_oversized(struct actor *actor)
{
	struct frame *frame;
	enum sc_status status;

	if (actor->rank == 1 || actor->phase)
		return;
	frame = stream_frame(actor, 0);
	frame->n_bytes = (uint32_t)actor->test->max_payload + 1;
	status = actor_send(actor, frame);
	actor_check(actor, frame->n_bytes == actor->test->max_payload + 1);
	frame_release(frame);
	if (status == SC_AGAIN)
		return;
	actor_check(actor, status == SC_E_TOO_LARGE);
	actor->phase = 1;
	stream_send(actor);
}

static void oversized_on_credit(struct actor *actor)
{
	send_oversized(actor);
	stream_send(actor);
}

/* Rank 0 receives nothing: it gives no credits, and rank 1 cannot send, however often it tries. */
static void one_way_on_tick(struct actor *actor)
{
	if (actor->rank == 0) {
		stream_send(actor);
		end_when(actor, actor->n_sent == actor->n_to_send);
		return;
	}
	if (actor->phase++ < QUIET_TICKS) {
		struct frame *frame = stream_frame(actor, 0);
		enum sc_status status;

		frame->n_bytes = 0;
		status = actor_send(actor, frame);
		frame_release(frame);
		actor_check(actor, status == SC_AGAIN);
		return;
	}
	actor_check(actor, !actor->n_credit_calls);
	end_when(actor, actor->n_received == actor->n_to_receive);
}

/* Rank 0 receives frames of 255 bytes at most, one at a time; rank 1 larger and more. */
static void lopsided_on_tick(struct actor *actor)
{
	struct frame *frame;
	enum sc_status status;

	stream_send(actor);
	if (actor->rank == 1 && actor->n_sent == actor->n_to_send && !actor->phase) {
		frame = stream_frame(actor, actor->n_sent);
		frame->n_bytes = 256;
		status = actor_send(actor, frame);
		frame_release(frame);
		actor_check(actor, status == SC_E_TOO_LARGE);
		actor->phase = 1;
	}
	end_when(actor, actor->n_sent == actor->n_to_send &&
				actor->n_received == actor->n_to_receive);
}

/* Rank 0 connects long after rank 1, whose frames wait for its hello. */
static void late_on_start(struct actor *actor)
{
	if (actor->rank == 0)
		return;
	stream_send(actor);
	/* On two threads of a busy machine the peer may be there already. Other kinds learn of the
	 * peer only in the loop. */
	actor_check(actor, !fabric_has_buffers(actor->fabric) || !actor->n_sent);
}

static void late_on_tick(struct actor *actor)
{
	if (actor->rank == 1) {
		end_when(actor, actor->n_sent == actor->n_to_send);
		return;
	}
	if (actor->n_ticks == QUIET_TICKS)
		actor_check(actor, actor_connect(actor) == SC_OK);
	end_when(actor, actor->n_received == actor->n_to_receive);
}

static enum sc_status connect_to(struct actor *actor, unsigned peer, struct error *err)
{
	const struct link_config config = actor_config(actor);
	struct link *link;

	return fabric_connect(actor->fabric, peer, actor->peer_address, actor->n_peer_address,
			      &config, actor->link->events, actor, &link, err);
}

static void refused_connects_on_start(struct actor *actor)
{
	struct error err = { .text = "" };

	actor_check(actor, connect_to(actor, !actor->rank, &err) == SC_E_EXISTS);
	actor_check(actor, err.text[0]);
	actor_check(actor, connect_to(actor, actor->rank, &err) == SC_E_INVALID);
	actor_check(actor, connect_to(actor, 2, &err) == SC_E_INVALID);
	stream_send(actor);
}

/* No part of an address, and none with a changed header, connects. */
static void bad_addresses_on_start(struct actor *actor)
{
	const struct link_events *events = actor->link->events;
	const struct link_config config = actor_config(actor);
	uint8_t copy[4096];
	struct link *link = NULL;
	struct error err;

	actor_check(actor, actor->n_peer_address <= sizeof copy);
	memcpy(copy, actor->peer_address, actor->n_peer_address);
	actor_close_link(actor);
	for (size_t n = 0; n < actor->n_peer_address; n++) {
		err.text[0] = '\0';
		actor_check(actor, fabric_connect(actor->fabric, !actor->rank, copy, n, &config,
						  events, actor, &link, &err) != SC_OK);
		actor_check(actor, err.text[0]);
	}
	for (size_t i = 0; i < 8 && i < actor->n_peer_address; i++) {
		copy[i] ^= 0xff;
		actor_check(actor, fabric_connect(actor->fabric, !actor->rank, copy,
						  actor->n_peer_address, &config, events, actor,
						  &link, &err) != SC_OK);
		copy[i] ^= 0xff;
	}
	actor_check(actor, !link);
	actor_done(actor);
}

static void ignore_down(struct actor *actor, enum sc_status status)
{
	(void)status;
	actor_close_link(actor);
}

/* After some traffic, an idle pair of ends takes next to no processor time. */
#define IDLE_TICKS 400

static uint64_t thread_cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void idle_on_tick(struct actor *actor)
{
	if (actor->n_received < actor->n_to_receive || actor->n_sent < actor->n_to_send) {
		stream_send(actor);
		actor->n_ticks = 0;
		return;
	}
	if (actor->n_ticks == QUIET_TICKS)
		actor->start_us = thread_cpu_us();
	if (actor->n_ticks < QUIET_TICKS + IDLE_TICKS)
		return;
	/* One tick is a millisecond or more; 15 % leaves room for the ticks and for sanitizers. */
	if (thread_cpu_us() - actor->start_us > IDLE_TICKS * 150)
		actor_fail(actor, "idle for %d ticks took %llu us of processor time", IDLE_TICKS,
			   (unsigned long long)(thread_cpu_us() - actor->start_us));
	actor_done(actor);
}

const struct link_case link_cases[] = {
	{
		.name = "frames_of_every_size_arrive_in_order_and_unchanged",
		.credits = 8, .max_payload = 1500000, .n_frames = { 140, 0 },
	},
	{
		.name = "both_ways_at_once",
		.credits = 8, .max_payload = 300000, .n_frames = { 300, 300 },
	},
	{
		.name = "small_frames_do_not_overtake_large_ones",
		.credits = 8, .max_payload = 1500000, .n_frames = { 100, 100 },
		.sizes = SIZES_MIXED,
	},
	{
		.name = "one_credit_is_enough",
		.credits = 1, .max_payload = 20000, .n_frames = { 400, 400 },
	},
	{
		.name = "a_payload_may_be_empty_always",
		.credits = 4, .max_payload = 0, .n_frames = { 100, 100 },
		.sizes = SIZES_FULL,
	},
	{
		.name = "a_receiver_may_keep_all_but_one_of_its_frames",
		.credits = 16, .max_payload = 70000, .n_frames = { 200, 200 }, .n_kept = 15,
	},
	{
		.name = "frames_may_be_released_on_another_thread",
		.credits = 8, .max_payload = 70000, .n_frames = { 400, 400 }, .n_kept = 3,
		.is_released_elsewhere = true,
	},
	{
		.name = "no_more_frames_than_credits_are_out_and_credit_comes_back",
		.credits = 5, .max_payload = 10000, .n_frames = { 12, 0 }, .n_kept = 63,
		.on_tick = starve_on_tick,
	},
	{
		.name = "a_large_burst_passes",
		.credits = 64, .max_payload = BURST_BYTES, .n_frames = { 1000, 500 },
		.sizes = SIZES_FULL,
	},
	{
		.name = "a_hundred_thousand_small_frames_each_way",
		.credits = 32, .max_payload = 256, .n_frames = { 100000, 100000 },
		.sizes = SIZES_SMALL,
	},
	{
		.name = "a_received_frame_may_be_sent_back",
		.credits = 6, .max_payload = 40000, .n_frames = { 300, 0 },
		.on_frame = echo_on_frame, .on_credit = echo_on_credit, .on_tick = echo_on_tick,
	},
	{
		.name = "what_was_sent_before_close_arrives_then_the_link_is_down_once",
		.credits = 16, .max_payload = 100000, .n_frames = { 16, 0 },
		.on_tick = close_on_tick, .on_down = close_on_down,
	},
	{
		.name = "closing_the_fabric_closes_its_links",
		.credits = 16, .max_payload = 100000, .n_frames = { 16, 0 },
		.on_start = close_fabric_on_start, .on_tick = close_on_tick,
		.on_down = close_on_down,
	},
	{
		.name = "a_link_may_be_closed_inside_on_frame",
		.credits = 4, .max_payload = 20000, .n_frames = { 10, 0 },
		.on_frame = leave_on_frame, .on_credit = leave_on_credit,
		.on_tick = leave_on_tick, .on_down = leave_on_down,
	},
	{
		.name = "received_frames_outlive_their_fabric",
		.credits = 8, .max_payload = 100000, .n_frames = { 8, 0 },
		.sizes = SIZES_FULL, .on_frame = keep_past_the_end, .on_down = leave_on_down,
		.on_tick = nothing_on_tick,
	},
	{
		.name = "the_same_fabrics_connect_again_after_the_end",
		.credits = 4, .max_payload = 20000, .n_frames = { 20, 20 },
		.on_frame = lives_on_frame, .on_tick = lives_on_tick, .on_down = lives_on_down,
	},
	{
		.name = "large_frames_arrive_although_their_sender_connects_again_at_once",
		.credits = 4, .max_payload = 1500000, .n_frames = { 4, 1 },
		.sizes = SIZES_MIXED,
		.on_frame = lives_on_frame, .on_tick = lives_on_tick, .on_down = lives_on_down,
	},
	{
		.name = "fabrics_of_several_epochs_follow_each_other_at_once",
		.credits = 8, .max_payload = 70000, .n_frames = { 100, 100 }, .n_kept = 3,
		.n_epochs = 5,
	},
	{
		.name = "an_oversized_frame_is_refused_and_stays_the_callers",
		.credits = 4, .max_payload = 1000, .n_frames = { 10, 0 },
		.on_start = send_oversized, .on_credit = oversized_on_credit,
	},
	{
		.name = "an_end_that_receives_nothing_gets_nothing",
		.max_payload = 1000, .n_frames = { 40, 0 },
		.receives = { { 0, 0 }, { 1000, 4 } }, .on_tick = one_way_on_tick,
	},
	{
		.name = "ends_may_receive_frames_of_different_sizes_and_numbers",
		.max_payload = 40000, .n_frames = { 200, 200 },
		.sizes = SIZES_SMALL, .receives = { { 255, 1 }, { 40000, 7 } },
		.on_tick = lopsided_on_tick,
	},
	{
		.name = "nothing_is_sent_before_the_peer_has_connected",
		.credits = 4, .max_payload = 1000, .n_frames = { 0, 20 },
		.is_late = true, .on_start = late_on_start, .on_tick = late_on_tick,
	},
	{
		.name = "a_second_link_a_link_to_oneself_and_to_no_rank_are_refused",
		.credits = 4, .max_payload = 1000, .n_frames = { 10, 10 },
		.on_start = refused_connects_on_start,
	},
	{
		.name = "broken_addresses_are_refused_with_a_reason",
		.credits = 4, .max_payload = 1000,
		.on_start = bad_addresses_on_start, .on_down = ignore_down,
		.on_tick = nothing_on_tick,
	},
	{
		.name = "idle_links_sleep",
		.credits = 4, .max_payload = 1000, .n_frames = { 10, 10 },
		.on_tick = idle_on_tick,
	},
};
const size_t n_link_cases = sizeof link_cases / sizeof link_cases[0];
