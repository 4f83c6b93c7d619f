/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/compute.h"

#include "base/clock.h"
#include "base/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define OUTPUT_RETRY_NS 50000

struct compute {
	struct compute_config config;
	pthread_t thread;
	bool is_started;
	struct queue *inbox;		/* step frames from the loop */
	struct queue *outbox;		/* finished frames to the loop */
	struct frame_pool *pool;	/* pool of finished frames */
	struct token_record *records;	/* [max_rows], scratch of the last stage */
	atomic_bool is_stopping;

	/* Written by the compute thread before state becomes READY or FAILED. */
	struct stage *stage;
	uint64_t weight_bytes;
	uint64_t kv_bytes;
	const char *not_finite;
	uint32_t n_not_finite;
	struct error error;
	atomic_int state;

	atomic_uint_least64_t done_bytes;
	atomic_uint_least64_t total_bytes;
	atomic_uint_least64_t steps;
	atomic_uint_least64_t rows;
	atomic_uint_least64_t busy_ns;
	atomic_uint_least64_t waiting_ns;
	atomic_uint_least64_t last_step;
	atomic_uint_least64_t kv_saturated;
	atomic_uint_least32_t kv_saturated_layer;
};

static void publish(struct compute *compute, enum compute_state state)
{
	atomic_store(&compute->state, state);
	compute->config.on_news(compute->config.arg);
}

static bool note_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct compute *compute = arg;

	atomic_store(&compute->total_bytes, total_bytes);
	atomic_store(&compute->done_bytes, done_bytes);
	compute->config.on_news(compute->config.arg);
	return !atomic_load(&compute->is_stopping);
}

/* Stores the layer before the count, because a reader that sees the count may read the layer. */
static void note_saturated(struct compute *compute)
{
	uint32_t layer;
	uint64_t n = stage_kv_saturated(compute->stage, &layer);

	if (!n)
		return;
	atomic_store(&compute->kv_saturated_layer, layer);
	atomic_store(&compute->kv_saturated, n);
}

/* Runs the step in `in` and writes the result to `out`. */
static enum sc_status run_step(struct compute *compute, const struct frame *in, struct frame *out,
			       uint64_t *id_out, struct error *err)
{
	const struct step_limits *limits = &compute->config.stage.limits;
	bool is_last = stage_is_last(compute->stage);
	struct tokens tokens = { .records = compute->records };
	float *activations = NULL;
	struct step step, next;
	enum sc_status status;

	status = step_decode(frame_payload(in), in->n_bytes, limits, &step, err);
	if (status != SC_OK)
		return status;
	if (!is_last) {
		next = step;
		next.dim = limits->dim;
		next.activations = NULL;
		out->n_bytes = (uint32_t)step_bytes(&next);
		step_encode(&next, frame_payload(out));
		activations = step_activations(frame_payload(out));
	}
	status = stage_run(compute->stage, &step, activations, compute->records,
			   &tokens.n_records, err);
	if (status != SC_OK)
		return status;
	if (is_last) {
		tokens.step_id = step.id;
		out->n_bytes = (uint32_t)tokens_bytes(tokens.n_records);
		tokens_encode(&tokens, frame_payload(out));
	}
	note_saturated(compute);
	atomic_fetch_add(&compute->rows, step.n_rows);
	atomic_fetch_add(&compute->steps, 1);
	*id_out = step.id;
	return SC_OK;
}

/* Takes an output frame; waits if there is none. The window limits the frames in flight, but a link
 * may release a frame only after the step has already gone around the pipeline. Returns NULL when
 * stopping. */
static struct frame *take_output(struct compute *compute)
{
	enum frame_type type = stage_is_last(compute->stage) ? FRAME_TOKENS : FRAME_STEP;
	const struct timespec pause = { .tv_nsec = OUTPUT_RETRY_NS };
	struct frame *frame;

	while (!(frame = frame_take(compute->pool, type)) && !atomic_load(&compute->is_stopping))
		nanosleep(&pause, NULL);
	return frame;
}

/* Consumes `in`. The input frame is released before the output is sent, so that the sender has a
 * free frame before the next step can arrive. */
static enum sc_status handle_frame(struct compute *compute, struct frame *in, struct error *err)
{
	struct frame *out = take_output(compute);
	uint64_t started = clock_ns();
	enum sc_status status = SC_OK;
	uint64_t id = 0;

	if (out) {
		out->epoch = compute->config.epoch;
		status = run_step(compute, in, out, &id, err);
	}
	frame_release(in);
	if (!out)
		return SC_OK;
	atomic_fetch_add(&compute->busy_ns, clock_ns() - started);
	/* Whoever sees the output or this id sees everything that was counted for it. */
	if (status == SC_OK)
		atomic_store(&compute->last_step, id);
	if (status == SC_OK)
		status = queue_push(compute->outbox, out);
	if (status != SC_OK) {
		frame_release(out);
		return status;
	}
	compute->config.on_news(compute->config.arg);
	return SC_OK;
}

static enum sc_status load(struct compute *compute)
{
	enum sc_status status;

	status = stage_create(&compute->config.stage, &compute->stage, &compute->error);
	if (status != SC_OK)
		return status;
	if (compute->config.on_logits)
		stage_on_logits(compute->stage, compute->config.on_logits,
				compute->config.logits_arg);
	compute->weight_bytes = stage_weight_bytes(compute->stage);
	compute->kv_bytes = stage_kv_bytes(compute->stage);
	compute->not_finite = stage_not_finite(compute->stage, &compute->n_not_finite);
	return SC_OK;
}

static struct frame *wait_for_frame(struct compute *compute)
{
	uint64_t started = clock_ns();
	struct frame *frame = queue_pop(compute->inbox, compute->config.spin_us * 1000ull);

	atomic_fetch_add(&compute->waiting_ns, clock_ns() - started);
	return frame;
}

static void *thread_main(void *arg)
{
	struct compute *compute = arg;
	struct frame *frame;
	bool is_failed;

	is_failed = load(compute) != SC_OK;
	publish(compute, is_failed ? COMPUTE_FAILED : COMPUTE_READY);
	while ((frame = wait_for_frame(compute))) {
		if (is_failed || atomic_load(&compute->is_stopping)) {
			frame_release(frame);
		} else if (handle_frame(compute, frame, &compute->error) != SC_OK) {
			is_failed = true;
			publish(compute, COMPUTE_FAILED);
		}
	}
	stage_destroy(compute->stage);
	return NULL;
}

/* An output frame must hold the largest step for the next stage, or a token for every row. */
static size_t output_bytes(const struct step_limits *limits)
{
	size_t step = step_bytes_max(limits);
	size_t tokens = tokens_bytes(limits->max_rows);

	return step > tokens ? step : tokens;
}

enum sc_status compute_create(const struct compute_config *config, struct compute **compute_out,
			      struct error *err)
{
	const struct step_limits *limits = &config->stage.limits;
	struct compute *compute = calloc(1, sizeof *compute);
	int errnum;

	if (!compute)
		goto no_memory;
	compute->config = *config;
	compute->config.stage.on_progress = note_progress;
	compute->config.stage.arg = compute;
	compute->records = calloc(limits->max_rows, sizeof compute->records[0]);
	if (!compute->records ||
	    queue_create(config->window, &compute->inbox) != SC_OK ||
	    queue_create(config->window, &compute->outbox) != SC_OK ||
	    frame_pool_create(config->window, output_bytes(limits), &compute->pool) != SC_OK)
		goto no_memory;
	errnum = pthread_create(&compute->thread, NULL, thread_main, compute);
	if (errnum) {
		compute_destroy(compute);
		return error_errno(err, SC_E_INTERNAL, errnum, "cannot start the compute thread");
	}
	compute->is_started = true;
	*compute_out = compute;
	return SC_OK;

no_memory:
	compute_destroy(compute);
	return error_set(err, SC_E_NOMEM, "out of memory for %u frames of %zu bytes",
			 config->window, output_bytes(limits));
}

static void release_all(struct queue *queue)
{
	struct frame *frame;

	while (queue && (frame = queue_try_pop(queue)))
		frame_release(frame);
}

void compute_destroy(struct compute *compute)
{
	if (!compute)
		return;
	if (compute->is_started) {
		atomic_store(&compute->is_stopping, true);
		queue_close(compute->inbox);
		pthread_join(compute->thread, NULL);
	}
	release_all(compute->inbox);
	release_all(compute->outbox);
	queue_destroy(compute->inbox);
	queue_destroy(compute->outbox);
	frame_pool_destroy(compute->pool);
	free(compute->records);
	free(compute);
}

enum compute_state compute_state(const struct compute *compute)
{
	return (enum compute_state)atomic_load(&compute->state);
}

const struct error *compute_error(const struct compute *compute)
{
	return &compute->error;
}

void compute_progress(const struct compute *compute, uint64_t *done_out, uint64_t *total_out)
{
	*done_out = atomic_load(&compute->done_bytes);
	*total_out = atomic_load(&compute->total_bytes);
}

uint64_t compute_weight_bytes(const struct compute *compute)
{
	return compute->weight_bytes;
}

uint64_t compute_kv_bytes(const struct compute *compute)
{
	return compute->kv_bytes;
}

const char *compute_not_finite(const struct compute *compute, uint32_t *n_out)
{
	*n_out = compute->n_not_finite;
	return compute->not_finite;
}

void compute_counters(const struct compute *compute, struct compute_counters *out)
{
	out->steps = atomic_load(&compute->steps);
	out->rows = atomic_load(&compute->rows);
	out->busy_ns = atomic_load(&compute->busy_ns);
	out->waiting_ns = atomic_load(&compute->waiting_ns);
	out->last_step = atomic_load(&compute->last_step);
	out->kv_saturated = atomic_load(&compute->kv_saturated);
	out->kv_saturated_layer = atomic_load(&compute->kv_saturated_layer);
}

enum sc_status compute_push(struct compute *compute, struct frame *frame)
{
	enum sc_status status = queue_push(compute->inbox, frame);

	return status == SC_AGAIN ? SC_E_PROTOCOL : status;
}

struct frame *compute_pop(struct compute *compute)
{
	return queue_try_pop(compute->outbox);
}
