/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders that come while the compute thread is busy. The backend stops at a gate: at the n-th
 * weight that it loads, or at the n-th norm of a step.
 */
#include "worker/compute.h"

#include "tests/model/tiny_model.h"
#include "tests/wire/greedy_sampling.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

enum {
	N_LAYERS = 4,
	MATRICES_OF_LAYER = 7,
	N_FRAMES = 6,
	NEVER = 0,
};

static struct buf file = BUF_INIT;
static struct model *model;

/* --- a backend with gates --- */

static struct backend_ops gated;
static struct {
	atomic_uint at_weight, at_norm;	/* calls until the gate; NEVER: there is none */
	atomic_uint n_weights;		/* weights that were made */
	atomic_uint n_norms;		/* norms that were computed */
	atomic_uint n_opened;		/* backends that were opened */
	atomic_bool has_no_cache;	/* kv_create fails */
	sem_t reached;
	sem_t open;
} gate;

static void pass(atomic_uint *countdown)
{
	if (atomic_load(countdown) == NEVER || atomic_fetch_sub(countdown, 1) != 1)
		return;
	sem_post(&gate.reached);
	while (sem_wait(&gate.open))
		;
}

static enum sc_status gated_open(unsigned device, const struct backend_config *config,
				 struct backend **backend_out, struct error *err)
{
	enum sc_status status = backend_cpu.open(device, config, backend_out, err);

	if (!status)
		(*backend_out)->ops = &gated;
	atomic_fetch_add(&gate.n_opened, 1);
	return status;
}

static enum sc_status gated_weight_create(struct backend *backend, const struct tensor *tensor,
					  struct weight **weight_out, struct error *err)
{
	pass(&gate.at_weight);
	atomic_fetch_add(&gate.n_weights, 1);
	return backend_cpu.weight_create(backend, tensor, weight_out, err);
}

static enum sc_status gated_kv_create(struct backend *backend,
				      const struct kv_cache_config *config,
				      struct kv_cache **cache_out, struct error *err)
{
	if (atomic_load(&gate.has_no_cache))
		return error_set(err, SC_E_CAPACITY, "no cache");
	return backend_cpu.kv_create(backend, config, cache_out, err);
}

static void gated_norm(struct backend *backend, const struct norm *norm, const float *x,
		       unsigned n_rows, unsigned n, float *y)
{
	pass(&gate.at_norm);
	atomic_fetch_add(&gate.n_norms, 1);
	backend_cpu.norm(backend, norm, x, n_rows, n, y);
}

static void wait_for(sem_t *sem)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	while (sem_timedwait(sem, &until))
		if (errno == ETIMEDOUT)
			fail_msg("waited in vain");
}

/* --- the compute thread --- */

static struct bench {
	struct compute *compute;
	struct frame_pool *pool;
	sem_t news;
} bench;

static void on_news(void *arg)
{
	(void)arg;
	sem_post(&bench.news);
}

static int start(void **state)
{
	const struct compute_config config = {
		.stage = { .model = model, .backend = &gated, .n_threads = 1 },
		.on_news = on_news,
	};
	struct error err;

	(void)state;
	gated = backend_cpu;
	gated.open = gated_open;
	gated.weight_create = gated_weight_create;
	gated.kv_create = gated_kv_create;
	gated.norm = gated_norm;
	atomic_store(&gate.at_weight, NEVER);
	atomic_store(&gate.at_norm, NEVER);
	atomic_store(&gate.n_weights, 0);
	atomic_store(&gate.n_norms, 0);
	atomic_store(&gate.n_opened, 0);
	atomic_store(&gate.has_no_cache, false);
	assert_int_equal(sem_init(&gate.reached, 0, 0), 0);
	assert_int_equal(sem_init(&gate.open, 0, 0), 0);
	assert_int_equal(sem_init(&bench.news, 0, 0), 0);
	assert_int_equal(frame_pool_create(N_FRAMES, 4096, &bench.pool), SC_OK);
	if (compute_create(&config, &bench.compute, &err) != SC_OK)
		fail_msg("%s", err.text);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	assert_int_equal(compute_destroy(bench.compute, 60000, NULL), SC_OK);
	bench.compute = NULL;
	assert_int_equal(frame_pool_n_free(bench.pool), N_FRAMES);
	frame_pool_destroy(bench.pool);
	sem_destroy(&bench.news);
	sem_destroy(&gate.reached);
	sem_destroy(&gate.open);
	return 0;
}

static struct compute_assignment part(uint32_t epoch, uint32_t first_layer, uint32_t n_layers)
{
	return (struct compute_assignment){
		.stage = {
			.first_layer = first_layer, .n_layers = n_layers,
			.limits = {
				.max_rows = 8, .max_sequences = 4, .n_groups = 1,
				.max_blocks = { 8 }, .table_blocks = { 4 },
				.block_length = 4, .max_context = 16,
				.n_vocab = model->hparams.n_vocab, .dim = model->hparams.dim,
			},
		},
		.epoch = epoch,
		.window = 3,
	};
}

static void assign(uint32_t epoch, uint32_t first_layer, uint32_t n_layers)
{
	const struct compute_assignment assignment = part(epoch, first_layer, n_layers);

	assert_int_equal(compute_assign(bench.compute, &assignment, NULL), SC_OK);
}

static void wait_until_loaded(enum compute_state expected)
{
	while (compute_state(bench.compute) == COMPUTE_LOADING)
		wait_for(&bench.news);
	if (compute_state(bench.compute) != expected)
		fail_msg("state %d: %s", (int)compute_state(bench.compute),
			 compute_error(bench.compute)->text);
}

/* One row at position id - 1 of slot 0. */
static void push_step(uint64_t id)
{
	static const uint32_t token = 65, block = 3;
	struct segment segment = {
		.flags = SEGMENT_SAMPLE | (id == 1 ? SEGMENT_NEW : 0),
		.first_position = (uint32_t)id - 1,
		.n_rows = 1,
		.n_blocks = id == 1,
	};
	struct step step = {
		.id = id, .n_rows = 1, .n_segments = 1, .n_blocks = id == 1,
		.n_sampling = id == 1 ? STEP_SAMPLING_WORDS : 0,
		.segments = &segment, .sampling = greedy_sampling.words,
		.tokens = &token, .blocks = &block,
	};
	struct frame *frame = frame_take(bench.pool, FRAME_STEP);

	assert_non_null(frame);
	frame->n_bytes = (uint32_t)step_bytes(&step);
	step_encode(&step, frame_payload(frame));
	assert_int_equal(compute_push(bench.compute, frame), SC_OK);
}

static void expect_output_of(uint32_t epoch)
{
	struct frame *frame;

	while (!(frame = compute_pop(bench.compute)))
		wait_for(&bench.news);
	assert_int_equal(frame->epoch, epoch);
	frame_release(frame);
}

static struct compute_counters counters(void)
{
	struct compute_counters now;

	compute_counters(bench.compute, &now);
	return now;
}

static void wait_until_nothing_is_held(void)
{
	uint32_t first, n;

	while (compute_held(bench.compute, &first, &n), n)
		wait_for(&bench.news);
}

static void expect_held(uint32_t first_layer, uint32_t n_layers)
{
	uint32_t first, n;

	compute_held(bench.compute, &first, &n);
	assert_int_equal(n, n_layers);
	if (n)
		assert_int_equal(first, first_layer);
}

static void run_one_step(uint32_t epoch)
{
	push_step(1);
	expect_output_of(epoch);
	assert_int_equal(counters().steps, 1);
	assert_int_equal(counters().running_step, 0);
}

/* --- tests --- */

static void an_order_during_a_step_drops_all_of_the_old_epoch(void **state)
{
	(void)state;
	assign(7, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	atomic_store(&gate.at_norm, 2);
	push_step(1);
	wait_for(&gate.reached);
	push_step(2);
	push_step(3);
	assign(8, 0, N_LAYERS);
	assert_int_equal(compute_state(bench.compute), COMPUTE_LOADING);
	assert_null(compute_pop(bench.compute));
	sem_post(&gate.open);
	wait_until_loaded(COMPUTE_READY);
	/* The step that ran was finished; those behind it were not begun. */
	assert_int_equal(atomic_load(&gate.n_norms), 2 * N_LAYERS + 1);
	assert_int_equal(frame_pool_n_free(bench.pool), N_FRAMES);
	assert_null(compute_pop(bench.compute));
	assert_int_equal(counters().steps, 0);
	assert_int_equal(counters().last_step, 0);
	run_one_step(8);
}

static void an_output_that_was_not_popped_is_dropped(void **state)
{
	(void)state;
	assign(7, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	push_step(1);
	while (counters().last_step != 1)
		wait_for(&bench.news);
	assign(8, 0, N_LAYERS);
	assert_null(compute_pop(bench.compute));
	wait_until_loaded(COMPUTE_READY);
	assert_null(compute_pop(bench.compute));
	run_one_step(8);
}

/* Epochs may have the same number, if the coordinator was started again. */
static void an_order_of_the_same_epoch_is_another_order(void **state)
{
	(void)state;
	assign(1, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	push_step(1);
	while (counters().last_step != 1)
		wait_for(&bench.news);
	assign(1, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	assert_null(compute_pop(bench.compute));
	run_one_step(1);
}

static void frames_that_come_while_loading_wait(void **state)
{
	(void)state;
	atomic_store(&gate.at_weight, 1);
	assign(7, 0, N_LAYERS);
	wait_for(&gate.reached);
	push_step(1);
	sem_post(&gate.open);
	expect_output_of(7);
}

static void an_order_during_a_load_cancels_it_and_keeps_what_is_loaded(void **state)
{
	(void)state;
	atomic_store(&gate.at_weight, 2 * MATRICES_OF_LAYER);
	assign(7, 0, N_LAYERS);
	wait_for(&gate.reached);
	push_step(1);
	assign(8, 0, N_LAYERS);
	sem_post(&gate.open);
	wait_until_loaded(COMPUTE_READY);
	/* Every matrix was made once: layers, embedding and head. */
	assert_int_equal(atomic_load(&gate.n_weights), N_LAYERS * MATRICES_OF_LAYER + 2);
	assert_int_equal(atomic_load(&gate.n_opened), 1);
	expect_held(0, N_LAYERS);
	run_one_step(8);
}

static void of_several_orders_only_the_last_is_carried_out(void **state)
{
	uint64_t done, total;

	(void)state;
	atomic_store(&gate.at_weight, 1);
	assign(1, 0, N_LAYERS);
	wait_for(&gate.reached);
	assign(2, 0, 1);
	push_step(1);
	assign(3, 0, N_LAYERS);
	push_step(1);
	assign(4, 3, 1);
	compute_progress(bench.compute, &done, &total);
	assert_int_equal(done, 0);
	assert_int_equal(total, 0);
	sem_post(&gate.open);
	wait_until_loaded(COMPUTE_READY);
	expect_held(3, 1);
	/* The one of the first order that could not be stopped, the layer, and the head. */
	assert_in_range(atomic_load(&gate.n_weights), MATRICES_OF_LAYER + 1,
			MATRICES_OF_LAYER + 2);
	assert_int_equal(frame_pool_n_free(bench.pool), N_FRAMES);
}

static void many_orders_in_a_row_end_with_the_last(void **state)
{
	(void)state;
	for (uint32_t epoch = 1; epoch <= 200; epoch++) {
		assign(epoch, 0, epoch % N_LAYERS + 1);
		if (epoch % 3 == 0)
			push_step(1);
		if (epoch % 7 == 0)
			wait_until_loaded(COMPUTE_READY);
	}
	assign(201, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	expect_held(0, N_LAYERS);
	run_one_step(201);
}

static void a_stop_during_a_load_waits_for_one_tensor_only(void **state)
{
	struct error err;

	(void)state;
	atomic_store(&gate.at_weight, 3);
	assign(7, 0, N_LAYERS);
	wait_for(&gate.reached);
	assert_int_equal(compute_destroy(bench.compute, 1, &err), SC_E_TIMEOUT);
	assert_non_null(strstr(err.text, "hangs while it loads or frees layers 0+4"));
	while (!sem_trywait(&bench.news))
		;
	sem_post(&gate.open);
	assert_int_equal(compute_destroy(bench.compute, 60000, NULL), SC_OK);
	bench.compute = NULL;
	assert_int_equal(atomic_load(&gate.n_weights), 3);
	assert_int_equal(sem_trywait(&bench.news), -1);
}

static void a_step_that_hangs_is_named_and_does_not_hold_the_end(void **state)
{
	struct compute_counters before, now;
	struct error err;

	(void)state;
	assign(7, 0, 2);
	wait_until_loaded(COMPUTE_READY);
	assert_int_equal(counters().running_step, 0);
	atomic_store(&gate.at_norm, 1);
	push_step(1);
	wait_for(&gate.reached);
	before = counters();
	assert_int_equal(before.running_step, 1);
	do
		now = counters();
	while (now.running_ns <= before.running_ns);
	/* The age counts on, whatever is ordered. */
	assign(8, 0, N_LAYERS);
	assert_int_equal(counters().running_step, 1);
	assert_true(counters().running_ns >= now.running_ns);
	assert_int_equal(compute_destroy(bench.compute, 1, &err), SC_E_TIMEOUT);
	assert_non_null(strstr(err.text, "hangs in step 1 of layers 0+2"));
	sem_post(&gate.open);
	assert_int_equal(compute_destroy(bench.compute, 60000, NULL), SC_OK);
	bench.compute = NULL;
	assert_int_equal(atomic_load(&gate.n_weights), 2 * MATRICES_OF_LAYER + 1);
}

static void layers_that_were_preloaded_are_not_loaded_again(void **state)
{
	(void)state;
	assert_int_equal(compute_preload(bench.compute, CPU_AUTO, 1, 2, NULL), SC_OK);
	wait_until_loaded(COMPUTE_READY);
	expect_held(1, 2);
	assert_int_equal(compute_kv_bytes(bench.compute), 0);
	assert_true(compute_weight_bytes(bench.compute) > 0);
	assign(7, 1, 2);
	wait_until_loaded(COMPUTE_READY);
	assert_true(compute_kv_bytes(bench.compute) > 0);
	assert_int_equal(atomic_load(&gate.n_weights), 2 * MATRICES_OF_LAYER);
}

static void a_released_stage_keeps_its_weights_and_takes_no_steps(void **state)
{
	struct frame *frame;

	(void)state;
	assert_int_equal(compute_state(bench.compute), COMPUTE_IDLE);
	assign(7, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	assert_int_equal(compute_release(bench.compute, NULL), SC_OK);
	assert_int_equal(compute_state(bench.compute), COMPUTE_IDLE);
	frame = frame_take(bench.pool, FRAME_STEP);
	assert_int_equal(compute_push(bench.compute, frame), SC_E_CLOSED);
	frame_release(frame);
	assign(8, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	assert_int_equal(atomic_load(&gate.n_weights), N_LAYERS * MATRICES_OF_LAYER + 2);
	run_one_step(8);
}

static void weights_that_were_dropped_are_loaded_again(void **state)
{
	(void)state;
	assign(7, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	expect_held(0, N_LAYERS);
	assert_int_equal(compute_drop_weights(bench.compute, NULL), SC_OK);
	wait_until_nothing_is_held();
	assign(8, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	assert_int_equal(atomic_load(&gate.n_weights), 2 * (N_LAYERS * MATRICES_OF_LAYER + 2));
	assert_int_equal(atomic_load(&gate.n_opened), 2);
	run_one_step(8);
}

static void after_a_failure_another_assignment_succeeds(void **state)
{
	(void)state;
	atomic_store(&gate.has_no_cache, true);
	assign(7, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_FAILED);
	assert_int_equal(compute_error(bench.compute)->status, SC_E_CAPACITY);
	push_step(1);
	atomic_store(&gate.has_no_cache, false);
	assign(8, 0, N_LAYERS);
	wait_until_loaded(COMPUTE_READY);
	assert_int_equal(atomic_load(&gate.n_weights), N_LAYERS * MATRICES_OF_LAYER + 2);
	run_one_step(8);
}

static int open_model(void **state)
{
	struct tiny_model tiny = tiny_llama;

	(void)state;
	tiny.n_layers = N_LAYERS;
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
		TEST(an_order_during_a_step_drops_all_of_the_old_epoch),
		TEST(an_output_that_was_not_popped_is_dropped),
		TEST(an_order_of_the_same_epoch_is_another_order),
		TEST(frames_that_come_while_loading_wait),
		TEST(an_order_during_a_load_cancels_it_and_keeps_what_is_loaded),
		TEST(of_several_orders_only_the_last_is_carried_out),
		TEST(many_orders_in_a_row_end_with_the_last),
		TEST(a_stop_during_a_load_waits_for_one_tensor_only),
		TEST(a_step_that_hangs_is_named_and_does_not_hold_the_end),
		TEST(layers_that_were_preloaded_are_not_loaded_again),
		TEST(a_released_stage_keeps_its_weights_and_takes_no_steps),
		TEST(weights_that_were_dropped_are_loaded_again),
		TEST(after_a_failure_another_assignment_succeeds),
	};
#undef TEST

	return cmocka_run_group_tests(tests, open_model, close_model);
}
