/* SPDX-License-Identifier: Apache-2.0 */
/* The compute thread: what it does with frames, whatever their other owners do. */
#include "worker/compute.h"

#include "base/clock.h"

#include "tests/model/tiny_model.h"
#include "tests/wire/greedy_sampling.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static struct buf file = BUF_INIT;
static struct model *model;

static struct bench {
	struct compute *compute;
	struct compute_config config;
	struct compute_assignment assignment;
	struct frame_pool *pool;
	sem_t news;			/* something happened on the compute thread */
	atomic_bool is_released;	/* a step frame with on_release */
	struct frame *output_at_release;
} bench;

static void on_news(void *arg)
{
	(void)arg;
	sem_post(&bench.news);
}

/* Nobody else pops before the test knows of the release. */
static void on_release(void *arg)
{
	(void)arg;
	bench.output_at_release = compute_pop(bench.compute);
	atomic_store(&bench.is_released, true);
	sem_post(&bench.news);
}

static void wait_until(bool (*is_so)(void))
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	while (!is_so())
		if (sem_timedwait(&bench.news, &until) && errno == ETIMEDOUT)
			fail_msg("waited in vain");
}

static bool is_ready(void)
{
	return compute_state(bench.compute) == COMPUTE_READY;
}

static bool is_failed(void)
{
	return compute_state(bench.compute) == COMPUTE_FAILED;
}

static bool is_released(void)
{
	return atomic_load(&bench.is_released);
}

static int start(void **state)
{
	struct error err;

	(void)state;
	bench = (struct bench){
		.config = {
			.stage = {
				.model = model,
				.backend = backend_find("cpu"),
				.n_threads = 1,
			},
			.on_news = on_news,
		},
		.assignment = {
			.stage = {
				.n_layers = model->hparams.n_layers,
				.limits = {
					.max_rows = 8, .max_sequences = 4, .n_groups = 1,
					.max_blocks = { 8 }, .table_blocks = { 4 },
					.block_length = 4, .max_context = 16,
					.n_vocab = model->hparams.n_vocab,
					.dim = model->hparams.dim,
				},
			},
			.epoch = 7,
			.window = 1,
		},
	};
	assert_int_equal(sem_init(&bench.news, 0, 0), 0);
	assert_int_equal(frame_pool_create(4, 4096, &bench.pool), SC_OK);
	if (compute_create(&bench.config, &bench.compute, &err) != SC_OK ||
	    compute_assign(bench.compute, &bench.assignment, &err) != SC_OK)
		fail_msg("%s", err.text);
	wait_until(is_ready);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	assert_int_equal(compute_destroy(bench.compute, 60000, NULL), SC_OK);
	frame_pool_destroy(bench.pool);
	sem_destroy(&bench.news);
	return 0;
}

/* One row at position id - 1 of slot 0. */
static struct frame *make_step(uint64_t id)
{
	static const uint32_t token = 65;
	const uint32_t block = ((uint32_t)id - 1) / 4, n_blocks = id % 4 == 1;
	struct segment segment = {
		.flags = SEGMENT_SAMPLE | (id == 1 ? SEGMENT_NEW : 0),
		.first_position = (uint32_t)id - 1,
		.n_rows = 1,
		.n_blocks = n_blocks,
	};
	struct step step = {
		.id = id, .n_rows = 1, .n_segments = 1, .n_blocks = n_blocks,
		.n_sampling = id == 1 ? STEP_SAMPLING_WORDS : 0,
		.segments = &segment, .sampling = greedy_sampling.words,
		.tokens = &token, .blocks = &block,
	};
	struct frame *frame = frame_take(bench.pool, FRAME_STEP);

	assert_non_null(frame);
	frame->n_bytes = (uint32_t)step_bytes(&step);
	step_encode(&step, frame_payload(frame));
	return frame;
}

static struct frame *output;

static bool has_output(void)
{
	return (output = compute_pop(bench.compute));
}

static struct frame *wait_for_output(void)
{
	wait_until(has_output);
	return output;
}

static uint64_t waiting_ns(void)
{
	struct compute_counters counters;

	compute_counters(bench.compute, &counters);
	return counters.waiting_ns;
}

/* Out of the inbox, that is, whatever becomes of it. Only a counter tells. */
static void push_and_wait_until_taken(struct frame *frame)
{
	uint64_t until_ns = clock_ns() + 60 * NS_PER_SECOND;
	uint64_t before_ns = waiting_ns();

	assert_int_equal(compute_push(bench.compute, frame), SC_OK);
	while (waiting_ns() == before_ns) {
		assert_true(clock_ns() < until_ns);
		sched_yield();
	}
}

static void a_step_becomes_tokens_of_the_epoch(void **state)
{
	struct compute_counters counters;
	struct tokens tokens;
	struct frame *frame;
	struct error err;
	uint32_t n_sent;

	(void)state;
	assert_int_equal(compute_push(bench.compute, make_step(1)), SC_OK);
	frame = wait_for_output();
	assert_int_equal(frame->type, FRAME_TOKENS);
	assert_int_equal(frame->epoch, 7);
	if (tokens_decode(frame_payload(frame), frame->n_bytes, &bench.assignment.stage.limits,
			  &tokens, &err) != SC_OK)
		fail_msg("%s", err.text);
	assert_int_equal(tokens.step_id, 1);
	assert_int_equal(tokens.n_records, 1);
	assert_int_equal(tokens.records[0].position, 1);
	n_sent = frame->n_bytes;
	frame_release(frame);
	compute_counters(bench.compute, &counters);
	assert_int_equal(counters.steps, 1);
	assert_int_equal(counters.rows, 1);
	assert_int_equal(counters.last_step, 1);
	assert_true(counters.busy_ns > 0);
	assert_true(counters.queued_ns > 0);
	assert_true(counters.received_bytes > FRAME_HEADER_BYTES);
	assert_int_equal(counters.sent_bytes, FRAME_HEADER_BYTES + n_sent);
}

static void a_step_is_let_go_before_its_output_can_be_seen(void **state)
{
	struct frame *step = make_step(1);

	(void)state;
	step->on_release = on_release;
	assert_int_equal(compute_push(bench.compute, step), SC_OK);
	wait_until(is_released);
	assert_null(bench.output_at_release);
	frame_release(wait_for_output());
}

static void an_output_frame_that_comes_back_late_only_delays(void **state)
{
	struct frame *first;

	(void)state;
	assert_int_equal(compute_push(bench.compute, make_step(1)), SC_OK);
	first = wait_for_output();
	push_and_wait_until_taken(make_step(2));
	assert_int_equal(compute_state(bench.compute), COMPUTE_READY);
	assert_null(compute_pop(bench.compute));
	frame_release(first);
	frame_release(wait_for_output());
}

static void steps_inside_are_dropped_at_the_end(void **state)
{
	struct frame *first;

	(void)state;
	assert_int_equal(compute_push(bench.compute, make_step(1)), SC_OK);
	first = wait_for_output();
	push_and_wait_until_taken(make_step(2));
	/* One that waits for an output frame, one behind it. */
	assert_int_equal(compute_push(bench.compute, make_step(3)), SC_OK);
	assert_int_equal(compute_destroy(bench.compute, 60000, NULL), SC_OK);
	bench.compute = NULL;
	frame_release(first);
	assert_int_equal(frame_pool_n_free(bench.pool), 4);
}

static void more_steps_than_the_window_are_refused(void **state)
{
	struct frame *first, *extra;

	(void)state;
	assert_int_equal(compute_push(bench.compute, make_step(1)), SC_OK);
	first = wait_for_output();
	push_and_wait_until_taken(make_step(2));
	assert_int_equal(compute_push(bench.compute, make_step(3)), SC_OK);
	extra = make_step(4);
	assert_int_equal(compute_push(bench.compute, extra), SC_E_PROTOCOL);
	frame_release(extra);
	frame_release(first);
}

static void a_step_that_contradicts_fails_and_later_ones_are_swallowed(void **state)
{
	struct frame *later = make_step(1);

	(void)state;
	later->on_release = on_release;
	assert_int_equal(compute_push(bench.compute, make_step(5)), SC_OK);
	wait_until(is_failed);
	assert_int_equal(compute_error(bench.compute)->status, SC_E_PROTOCOL);
	assert_non_null(strstr(compute_error(bench.compute)->text, "step 5"));
	assert_int_equal(compute_push(bench.compute, later), SC_OK);
	wait_until(is_released);
	assert_null(bench.output_at_release);
	assert_null(compute_pop(bench.compute));
}

static int open_model(void **state)
{
	struct tiny_model tiny = tiny_llama;

	(void)state;
	tiny.n_layers = 1;
	model = tiny_model_open(&tiny, &file);
	return 0;
}

static int close_model(void **state)
{
	(void)state;
	model_close(model);
	buf_deinit(&file);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(a_step_becomes_tokens_of_the_epoch),
		TEST(a_step_is_let_go_before_its_output_can_be_seen),
		TEST(an_output_frame_that_comes_back_late_only_delays),
		TEST(steps_inside_are_dropped_at_the_end),
		TEST(more_steps_than_the_window_are_refused),
		TEST(a_step_that_contradicts_fails_and_later_ones_are_swallowed),
	};
#undef TEST

	return cmocka_run_group_tests(tests, open_model, close_model);
}
