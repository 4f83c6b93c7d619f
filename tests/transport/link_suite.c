/* SPDX-License-Identifier: Apache-2.0 */
#include "link_suite.h"

#include "base/clock.h"
#include "link_actor.h"
#include "tests/sanitizer.h"

#include <assert.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CASE_DEADLINE_NS (60 * NS_PER_SECOND)
#define LINGER_NS (NS_PER_SECOND / 2)
#define MAX_CASES 32
#define LONG_STREAM 10000
/* More than any test keeps or has under way in one direction. */
#define N_POOL_FRAMES 80

void actor_fail(struct actor *actor, const char *format, ...)
{
	va_list args;

	if (atomic_load(&actor->has_failed))
		return;
	va_start(args, format);
	vsnprintf(actor->failure, sizeof actor->failure, format, args);
	va_end(args);
	atomic_store(&actor->has_failed, true);
}

void actor_done(struct actor *actor)
{
	atomic_store(&actor->is_done, true);
}

/* The k-th size: 0, and below, at and above each power of two up to the maximum. */
static size_t stepped_size(unsigned k, size_t max)
{
	unsigned n_powers = 0;
	size_t size;

	while ((size_t)1 << n_powers < max)
		n_powers++;
	k %= 3 * n_powers + 2;
	if (k == 0)
		return 0;
	if (k == 3 * n_powers + 1)
		return max;
	size = ((size_t)1 << (k - 1) / 3) + (k - 1) % 3 - 1;
	return size < max ? size : max;
}

static size_t size_of(const struct link_case *test, unsigned i)
{
	switch (test->sizes) {
	case SIZES_STEPPED:
		return stepped_size(i, test->max_payload);
	case SIZES_SMALL:
		return i * 7 % 256;
	case SIZES_MIXED:
		if (i % 2)
			return i * 7 % 256;
		break;
	case SIZES_FULL:
		break;
	}
	return test->max_payload;
}

static uint64_t word_of(unsigned rank, unsigned i, size_t k)
{
	return (i + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15) + rank + k;
}

static void fill(uint8_t *payload, size_t n_bytes, unsigned rank, unsigned i)
{
	for (size_t k = 0; k * 8 < n_bytes; k++) {
		uint64_t word = word_of(rank, i, k);
		size_t n = n_bytes - k * 8 < 8 ? n_bytes - k * 8 : 8;

		memcpy(payload + k * 8, &word, n);
	}
}

static bool is_filled(const uint8_t *payload, size_t n_bytes, unsigned rank, unsigned i)
{
	for (size_t k = 0; k * 8 < n_bytes; k++) {
		uint64_t word = word_of(rank, i, k);
		size_t n = n_bytes - k * 8 < 8 ? n_bytes - k * 8 : 8;

		if (memcmp(payload + k * 8, &word, n) != 0)
			return false;
	}
	return true;
}

/* Every type in turn. */
static enum frame_type type_of(unsigned i)
{
	return (enum frame_type)(1 + i % (FRAME_N_TYPES - 1));
}

struct frame *stream_frame(struct actor *actor, unsigned i)
{
	struct frame *frame = frame_take(actor->pool, type_of(i));

	if (!frame)
		return NULL;
	frame->epoch = i * 3 + actor->rank;
	frame->n_bytes = (uint32_t)size_of(actor->test, i);
	fill(frame_payload(frame), frame->n_bytes, actor->rank, i);
	return frame;
}

void stream_check(struct actor *actor, const struct frame *frame, unsigned i)
{
	if (frame->type != type_of(i) || frame->epoch != i * 3 + !actor->rank ||
	    frame->n_bytes != size_of(actor->test, i) ||
	    frame->sequence != i + UINT64_C(1))
		actor_fail(actor, "frame %u came as type %d, epoch %u, %u bytes, sequence %llu", i,
			   frame->type, frame->epoch, frame->n_bytes,
			   (unsigned long long)frame->sequence);
	else if ((uintptr_t)frame_payload(frame) % 64)
		actor_fail(actor, "frame %u: payload is not aligned", i);
	else if (!is_filled(frame_payload(frame), frame->n_bytes, !actor->rank, i))
		actor_fail(actor, "frame %u of %u bytes: content differs", i, frame->n_bytes);
}

enum sc_status actor_send(struct actor *actor, struct frame *frame)
{
	enum sc_status status;

	actor->is_sending = true;
	status = link_send(actor->link, frame);
	actor->is_sending = false;
	if (status == SC_AGAIN)
		actor->n_again++;
	return status;
}

void stream_send(struct actor *actor)
{
	while (actor->n_sent < actor->n_to_send) {
		struct frame *frame = stream_frame(actor, actor->n_sent);
		enum sc_status status;

		if (!frame)
			return;
		status = actor_send(actor, frame);
		if (status == SC_OK) {
			actor->n_sent++;
			continue;
		}
		frame_release(frame);
		if (status != SC_AGAIN)
			actor_fail(actor, "frame %u: send says %s", actor->n_sent,
				   sc_status_name(status));
		return;
	}
}

static void release(struct actor *actor, struct frame *frame)
{
	if (!actor->to_release || queue_push(actor->to_release, frame) != SC_OK)
		frame_release(frame);
}

void stream_keep(struct actor *actor, struct frame *frame)
{
	actor->kept[actor->n_kept++] = frame;
	if (actor->n_kept <= actor->test->n_kept)
		return;
	release(actor, actor->kept[0]);
	memmove(actor->kept, actor->kept + 1, --actor->n_kept * sizeof(struct frame *));
}

void stream_release_kept(struct actor *actor)
{
	while (actor->n_kept)
		release(actor, actor->kept[--actor->n_kept]);
}

void stream_on_frame(struct actor *actor, struct frame *frame)
{
	stream_check(actor, frame, actor->n_received++);
	stream_keep(actor, frame);
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct actor *actor = arg;

	actor_check(actor, link == actor->link);
	actor_check(actor, !actor->is_sending && !actor->is_down);
	if (actor->test->on_frame)
		actor->test->on_frame(actor, frame);
	else
		stream_on_frame(actor, frame);
}

static void on_credit(void *arg, struct link *link)
{
	struct actor *actor = arg;

	actor_check(actor, link == actor->link);
	actor_check(actor, !actor->is_sending && !actor->is_down);
	actor->n_credit_calls++;
	if (actor->n_credit_calls > actor->n_again)
		actor_fail(actor, "on_credit came %u times for %u refusals", actor->n_credit_calls,
			   actor->n_again);
	if (actor->test->on_credit)
		actor->test->on_credit(actor);
	else
		stream_send(actor);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct actor *actor = arg;

	actor_check(actor, link == actor->link);
	actor_check(actor, !actor->is_sending && !actor->is_down);
	actor->is_down = true;
	if (actor->test->on_down)
		actor->test->on_down(actor, status);
	else
		actor_fail(actor, "the link went down: %s: %s", sc_status_name(status), why);
}

static const struct link_events events = { on_frame, on_credit, on_down };

struct link_config actor_config(const struct actor *actor)
{
	const struct link_case *test = actor->test;

	if (test->credits)
		return (struct link_config){ test->max_payload, test->credits };
	return test->receives[actor->rank];
}

enum sc_status actor_connect(struct actor *actor)
{
	struct error err;
	const struct link_config config = actor_config(actor);
	enum sc_status status = fabric_connect(actor->fabric, !actor->rank, actor->peer_address,
					       actor->n_peer_address, &config, &events, actor,
					       &actor->link, &err);

	if (status != SC_OK)
		actor_fail(actor, "connect: %s", err.text);
	return status;
}

void actor_close_link(struct actor *actor)
{
	struct link *link = actor->link;

	actor->link = NULL;
	link_close(link);
}

static void on_tick(void *arg)
{
	struct actor *actor = arg;

	actor->n_ticks++;
	if (actor->test->on_tick) {
		actor->test->on_tick(actor);
		return;
	}
	/* All frames of the pool may have been under way. */
	stream_send(actor);
	if (actor->n_sent == actor->n_to_send && actor->n_received == actor->n_to_receive) {
		stream_release_kept(actor);
		actor_done(actor);
	}
}

static void *release_elsewhere(void *arg)
{
	struct frame *frame;

	while ((frame = queue_pop(arg, 0)))
		frame_release(frame);
	return NULL;
}

/* Both ranks of a running test, as one process sees them. */
struct actor_set {
	const struct link_suite *suite;
	struct actor actors[2];
	bool is_here[2];
	struct loop *loops[2];
};

static bool is_over(struct actor_set *set)
{
	bool is_done = true;

	for (int i = 0; i < 2; i++) {
		if (!set->is_here[i])
			continue;
		if (atomic_load(&set->actors[i].has_failed))
			return true;
		if (!atomic_load(&set->actors[i].is_done))
			is_done = false;
	}
	return is_done;
}

static void run_actors(struct actor_set *set, struct actor *first, struct actor *last)
{
	uint64_t deadline_ns = clock_ns() + CASE_DEADLINE_NS;
	uint64_t linger_ns = 0;

	for (struct actor *actor = first; actor <= last; actor++) {
		timer_start(actor->tick, 1, 1);
		if (actor->test->on_start)
			actor->test->on_start(actor);
		else
			stream_send(actor);
	}
	while (!is_over(set) && clock_ns() < deadline_ns)
		loop_turn(first->loop, true);
	if (!is_over(set))
		actor_fail(first, "rank %u: no end: %u of %u sent, %u of %u received, phase %u",
			   first->rank, first->n_sent, first->n_to_send, first->n_received,
			   first->n_to_receive, first->phase);
	/* The peer in the other process may still need us. */
	if (set->suite->exchange)
		linger_ns = clock_ns() + LINGER_NS;
	while (clock_ns() < linger_ns)
		loop_turn(first->loop, true);
	for (struct actor *actor = first; actor <= last; actor++)
		timer_stop(actor->tick);
}

struct actor_thread {
	struct actor_set *set;
	struct actor *actor;
};

static void *run_thread(void *arg)
{
	struct actor_thread *thread = arg;

	run_actors(thread->set, thread->actor, thread->actor);
	return NULL;
}

static void run_set(struct actor_set *set)
{
	struct actor_thread other = { set, &set->actors[1] };
	pthread_t thread;

	if (set->suite->exchange) {
		run_actors(set, &set->actors[set->suite->rank], &set->actors[set->suite->rank]);
	} else if (set->suite->has_two_threads) {
		assert_int_equal(pthread_create(&thread, NULL, run_thread, &other), 0);
		run_actors(set, &set->actors[0], &set->actors[0]);
		pthread_join(thread, NULL);
	} else {
		run_actors(set, &set->actors[0], &set->actors[1]);
	}
}

static unsigned n_frames(const struct link_suite *suite, const struct link_case *test,
			 unsigned rank)
{
	unsigned n = test->n_frames[rank];

	return n > LONG_STREAM && (suite->is_short || HAS_ASAN || HAS_TSAN) ? n / 100 : n;
}

static void open_fabric(struct actor *actor)
{
	const struct fabric_config config = { .self = actor->rank, .n_peers = 2, .spin_us = 20 };
	struct error err = { .text = "" };

	if (fabric_open(&actor->source, &config, &actor->fabric, &err) != SC_OK)
		fail_msg("open: %s", err.text);
}

static void open_actor(struct actor_set *set, const struct link_case *test, unsigned rank)
{
	struct actor *actor = &set->actors[rank];
	struct error err = { .text = "" };

	actor->suite = set->suite;
	actor->test = test;
	actor->rank = rank;
	actor->n_to_send = n_frames(set->suite, test, rank);
	actor->n_to_receive = n_frames(set->suite, test, !rank);
	actor->loop = set->loops[set->suite->has_two_threads ? rank : 0];
	/* One byte more than the peer takes, for the test of just that. */
	assert_int_equal(frame_pool_create(N_POOL_FRAMES, test->max_payload + 1, &actor->pool),
			 SC_OK);
	assert_int_equal(timer_create_on(actor->loop, on_tick, actor, &actor->tick), SC_OK);
	if (test->is_released_elsewhere) {
		assert_int_equal(queue_create(256, &actor->to_release), SC_OK);
		assert_int_equal(pthread_create(&actor->releaser, NULL, release_elsewhere,
						actor->to_release), 0);
	}
	if (set->suite->open(set->suite->arg, actor->loop, &actor->source, &err) != SC_OK)
		fail_msg("open: %s", err.text);
	open_fabric(actor);
}

static void connect_set(struct actor_set *set)
{
	const struct link_suite *suite = set->suite;

	for (unsigned i = 0; i < 2; i++) {
		const void *address;
		size_t n_bytes;

		if (!set->is_here[i])
			continue;
		fabric_address(set->actors[i].fabric, &address, &n_bytes);
		if (suite->exchange)
			suite->exchange(suite->arg, address, n_bytes, &set->actors[i].peer_address,
					&set->actors[i].n_peer_address);
		else {
			set->actors[!i].peer_address = address;
			set->actors[!i].n_peer_address = n_bytes;
		}
	}
	for (unsigned i = 0; i < 2; i++)
		if (set->is_here[i] && !(i == 0 && set->actors[0].test->is_late) &&
		    actor_connect(&set->actors[i]) != SC_OK)
			fail_msg("%s", set->actors[i].failure);
}

/* Frames may still be kept: they outlive the fabric that brought them. */
static void close_actor(struct actor *actor)
{
	const struct link_suite *suite = actor->suite;

	fabric_close(actor->fabric);
	stream_release_kept(actor);
	while (actor->n_waiting)
		frame_release(actor->waiting[--actor->n_waiting]);
	if (actor->to_release) {
		queue_close(actor->to_release);
		pthread_join(actor->releaser, NULL);
		queue_destroy(actor->to_release);
	}
	suite->close(suite->arg, &actor->source);
	timer_destroy(actor->tick);
	frame_pool_destroy(actor->pool);
}

static void *close_thread(void *arg)
{
	close_actor(arg);
	return NULL;
}

/* Two threads' ends close at the same time: the first would wait in vain for the other's farewell,
 * a second in each case. */
static void close_set(struct actor_set *set)
{
	pthread_t thread;

	if (set->suite->has_two_threads)
		assert_int_equal(pthread_create(&thread, NULL, close_thread, &set->actors[1]), 0);
	else if (set->is_here[1])
		close_actor(&set->actors[1]);
	if (set->is_here[0])
		close_actor(&set->actors[0]);
	if (set->suite->has_two_threads)
		pthread_join(thread, NULL);
}

struct suite_case {
	const struct link_suite *suite;
	const struct link_case *test;
};

/* Frames of the old epoch may still be kept, and the old fabric may still say goodbye. */
static void begin_epoch(struct actor *actor)
{
	fabric_close(actor->fabric);
	actor->link = NULL;
	open_fabric(actor);
	stream_release_kept(actor);
	actor->n_sent = 0;
	actor->n_received = 0;
	actor->n_again = 0;
	actor->n_credit_calls = 0;
	atomic_store(&actor->is_done, false);
}

static void wait_for_peer(const struct link_suite *suite)
{
	const void *nothing;
	size_t n_nothing;

	if (suite->exchange)
		suite->exchange(suite->arg, "", 0, &nothing, &n_nothing);
}

static bool has_failed(struct actor_set *set)
{
	return atomic_load(&set->actors[0].has_failed) || atomic_load(&set->actors[1].has_failed);
}

static void run_epochs(struct actor_set *set, unsigned n_epochs)
{
	connect_set(set);
	run_set(set);
	wait_for_peer(set->suite);
	while (n_epochs-- > 1 && !has_failed(set)) {
		for (unsigned i = 0; i < 2; i++)
			if (set->is_here[i])
				begin_epoch(&set->actors[i]);
		connect_set(set);
		run_set(set);
		wait_for_peer(set->suite);
	}
}

static void run_case(void **state)
{
	static struct actor_set set;
	const struct suite_case *suite_case = *state;
	const struct link_suite *suite = suite_case->suite;

	memset(&set, 0, sizeof set);
	set.suite = suite;
	for (unsigned i = 0; i < 2; i++) {
		set.is_here[i] = !suite->exchange || suite->rank == i;
		assert_int_equal(loop_create(&set.loops[i]), SC_OK);
	}
	for (unsigned i = 0; i < 2; i++)
		if (set.is_here[i])
			open_actor(&set, suite_case->test, i);
	run_epochs(&set, suite_case->test->n_epochs);
	close_set(&set);
	for (unsigned i = 0; i < 2; i++)
		loop_destroy(set.loops[i]);
	for (unsigned i = 0; i < 2; i++)
		if (atomic_load(&set.actors[i].has_failed))
			fail_msg("rank %u: %s", i, set.actors[i].failure);
}

int link_suite_run(const struct link_suite *suite)
{
	struct CMUnitTest tests[MAX_CASES] = { 0 };
	struct suite_case cases[MAX_CASES];

	assert(n_link_cases <= MAX_CASES);
	for (size_t i = 0; i < n_link_cases; i++) {
		cases[i] = (struct suite_case){ suite, &link_cases[i] };
		tests[i].name = link_cases[i].name;
		tests[i].test_func = run_case;
		tests[i].initial_state = &cases[i];
	}
	return _cmocka_run_group_tests(suite->name, tests, n_link_cases, NULL, NULL);
}
