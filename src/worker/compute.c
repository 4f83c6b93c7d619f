/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/compute.h"

#include "base/clock.h"
#include "worker/order.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define OUTPUT_RETRY_NS 50000

struct compute {
	struct compute_config config;
	pthread_t thread;
	bool is_started;
	struct stage *stage;		/* of the compute thread */

	/* Protects what follows. Held for a few instructions only. */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool is_ended;			/* the thread has nothing more to do */
	bool is_abandoned;		/* on_news must not be called any more */
	struct order *newest;		/* the loop's thread alone writes it, so
					 * it reads without the lock */
	struct order *current;		/* the same for the compute thread. An order belongs to the
					 * compute thread from then on until the next is current */
	uint64_t running_step;		/* 0: none */
	uint64_t running_since_ns;
	uint32_t held_first_layer;
	uint32_t held_n_layers;
};

/* --- the compute thread --- */

/* News of an order that was replaced is dropped. */
static void tell(struct compute *compute, const struct order *order)
{
	pthread_mutex_lock(&compute->lock);
	if (order == compute->newest && !compute->is_abandoned)
		compute->config.on_news(compute->config.arg);
	pthread_mutex_unlock(&compute->lock);
}

static bool note_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct compute *compute = arg;
	struct order *order = compute->current;

	atomic_store(&order->total_bytes, total_bytes);
	atomic_store(&order->done_bytes, done_bytes);
	tell(compute, order);
	return !atomic_load(&order->is_over);
}

/* id 0: no step is running. */
static void note_running(struct compute *compute, uint64_t id, uint64_t now_ns)
{
	pthread_mutex_lock(&compute->lock);
	compute->running_step = id;
	compute->running_since_ns = now_ns;
	pthread_mutex_unlock(&compute->lock);
}

static void note_held(struct compute *compute)
{
	uint32_t first_layer, n_layers;

	stage_held(compute->stage, &first_layer, &n_layers);
	pthread_mutex_lock(&compute->lock);
	compute->held_first_layer = first_layer;
	compute->held_n_layers = n_layers;
	pthread_mutex_unlock(&compute->lock);
}

/* Stores the layer before the count, because a reader that sees the count may read the layer. */
static void note_saturated(const struct compute *compute, struct order *order)
{
	uint32_t layer;
	uint64_t n = stage_kv_saturated(compute->stage, &layer);

	if (!n)
		return;
	atomic_store(&order->kv_saturated_layer, layer);
	atomic_store(&order->kv_saturated, n);
}

/* Runs the decoded step and writes the result to `out`. */
static enum sc_status compute_step(struct compute *compute, struct order *order,
				   const struct step *step, struct frame *out, struct error *err)
{
	struct stage_answer answer = { .records = order->records, .tops = order->tops };
	bool is_last = stage_is_last(compute->stage);
	float *activations = NULL;
	enum sc_status status;
	struct step next;

	if (!is_last) {
		next = *step;
		next.dim = order->assignment.stage.limits.dim;
		next.activations = NULL;
		out->n_bytes = (uint32_t)step_bytes(&next);
		step_encode(&next, frame_payload(out));
		activations = step_activations(frame_payload(out));
	}
	status = stage_run(compute->stage, step, activations, &answer, err);
	if (status == SC_OK && is_last) {
		const struct tokens tokens = {
			.step_id = step->id,
			.n_records = answer.n_records,
			.n_tops = answer.n_tops,
			.records = answer.records,
			.tops = answer.tops,
		};

		out->n_bytes = (uint32_t)tokens_bytes(&tokens);
		tokens_encode(&tokens, frame_payload(out));
	}
	return status;
}

/* Runs the step in `in` and writes the result to `out`. */
static enum sc_status run_step(struct compute *compute, struct order *order,
			       const struct frame *in, struct frame *out, uint64_t *id_out)
{
	struct error *err = &order->error;
	struct step step;
	enum sc_status status;

	status = step_decode(frame_payload(in), in->n_bytes, &order->assignment.stage.limits,
			     &step, err);
	if (status != SC_OK)
		return status;
	note_running(compute, step.id, clock_ns());
	status = compute_step(compute, order, &step, out, err);
	note_running(compute, 0, 0);
	if (status != SC_OK)
		return status;
	note_saturated(compute, order);
	atomic_fetch_add(&order->rows, step.n_rows);
	atomic_fetch_add(&order->steps, 1);
	*id_out = step.id;
	return SC_OK;
}

/* Takes an output frame; waits if there is none. The window limits the frames in flight, but a link
 * may release a frame only after the step has already gone around the pipeline. Returns NULL when
 * the order is over. */
static struct frame *take_output(const struct compute *compute, struct order *order)
{
	enum frame_type type = stage_is_last(compute->stage) ? FRAME_TOKENS : FRAME_STEP;
	const struct timespec pause = { .tv_nsec = OUTPUT_RETRY_NS };
	struct frame *frame;

	while (!(frame = frame_take(order->pool, type)) && !atomic_load(&order->is_over))
		nanosleep(&pause, NULL);
	return frame;
}

/* Consumes `in`. The input frame is released before the output is sent, so that the sender has a
 * free frame before the next step can arrive. */
static enum sc_status handle_frame(struct compute *compute, struct order *order, struct frame *in)
{
	uint64_t taken = clock_ns();
	struct frame *out = take_output(compute, order);
	uint64_t started = clock_ns();
	enum sc_status status = SC_OK;
	uint64_t id = 0;

	atomic_fetch_add(&order->queued_ns, taken - in->queued_ns);
	atomic_fetch_add(&order->blocked_ns, started - taken);
	atomic_fetch_add(&order->received_bytes, FRAME_HEADER_BYTES + in->n_bytes);
	if (out) {
		out->epoch = order->assignment.epoch;
		status = run_step(compute, order, in, out, &id);
	}
	frame_release(in);
	if (!out)
		return SC_OK;
	atomic_fetch_add(&order->busy_ns, clock_ns() - started);
	if (status == SC_OK)
		atomic_fetch_add(&order->sent_bytes, FRAME_HEADER_BYTES + out->n_bytes);
	/* Whoever sees the output or this id sees everything that was counted for it. */
	if (status == SC_OK)
		atomic_store(&order->last_step, id);
	if (status == SC_OK)
		status = queue_push(order->outbox, out);
	if (status != SC_OK) {
		frame_release(out);
		return status;
	}
	tell(compute, order);
	return SC_OK;
}

static enum sc_status load(struct compute *compute, struct order *order)
{
	const struct compute_assignment *assignment = &order->assignment;
	const struct stage_assignment *range = &assignment->stage;
	uint64_t started = clock_ns();
	enum sc_status status;

	if (order->kind == ORDER_PRELOAD) {
		status = stage_preload(compute->stage, range->isa, range->first_layer,
				       range->n_layers, &order->error);
	} else {
		status = order_make_frames(order);
		if (status == SC_OK)
			status = stage_assign(compute->stage, range, &order->error);
	}
	if (status != SC_OK)
		return status;
	order->load_ns = clock_ns() - started;
	order->weight_bytes = stage_weight_bytes(compute->stage);
	order->kv_bytes = order->kind == ORDER_ASSIGN ? stage_kv_bytes(compute->stage) : 0;
	order->not_finite = stage_not_finite(compute->stage, &order->n_not_finite);
	return SC_OK;
}

/* Returns true if the stage can run steps. */
static bool begin(struct compute *compute, struct order *order)
{
	bool is_loaded = false;

	if (order->kind == ORDER_RELEASE)
		stage_release(compute->stage);
	else if (order->kind == ORDER_DROP)
		stage_drop(compute->stage);
	else
		is_loaded = load(compute, order) == SC_OK;
	note_held(compute);
	if (atomic_load(&order->state) == COMPUTE_LOADING)
		atomic_store(&order->state, is_loaded ? COMPUTE_READY : COMPUTE_FAILED);
	tell(compute, order);
	return is_loaded && order->kind == ORDER_ASSIGN;
}

/* Returns NULL when the order is over and its inbox is empty. */
static struct frame *wait_for_frame(const struct compute *compute, struct order *order)
{
	unsigned spin_us = order->kind == ORDER_ASSIGN ? compute->config.spin_us : 0;
	uint64_t started = clock_ns();
	struct frame *frame = queue_pop(order->inbox, spin_us * 1000ull);

	atomic_fetch_add(&order->waiting_ns, clock_ns() - started);
	return frame;
}

/* Returns when another order has come, or at the end. */
static void carry_out(struct compute *compute, struct order *order)
{
	bool is_running = !atomic_load(&order->is_over) && begin(compute, order);
	struct frame *frame;

	while ((frame = wait_for_frame(compute, order))) {
		if (!is_running || atomic_load(&order->is_over)) {
			frame_release(frame);
		} else if (handle_frame(compute, order, frame) != SC_OK) {
			is_running = false;
			atomic_store(&order->state, COMPUTE_FAILED);
			tell(compute, order);
		}
	}
}

/* Frees the current order and makes the newest one current. Returns false if there is none. */
static bool next_order(struct compute *compute)
{
	struct order *last = compute->current;
	bool is_next;

	pthread_mutex_lock(&compute->lock);
	is_next = compute->newest != last;
	compute->current = compute->newest;
	pthread_mutex_unlock(&compute->lock);
	if (is_next)
		order_destroy(last);
	return is_next;
}

static void *thread_main(void *arg)
{
	struct compute *compute = arg;

	do
		carry_out(compute, compute->current);
	while (next_order(compute));
	stage_destroy(compute->stage);
	pthread_mutex_lock(&compute->lock);
	compute->is_ended = true;
	pthread_cond_signal(&compute->ended);
	pthread_mutex_unlock(&compute->lock);
	return NULL;
}

/* --- the loop's thread --- */

static void init_lock(struct compute *compute)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&compute->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&compute->ended, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void free_all(struct compute *compute)
{
	order_destroy(compute->newest);
	pthread_cond_destroy(&compute->ended);
	pthread_mutex_destroy(&compute->lock);
	free(compute);
}

enum sc_status compute_create(const struct compute_config *config, struct compute **compute_out,
			      struct error *err)
{
	struct compute *compute = calloc(1, sizeof *compute);
	enum sc_status status;
	int errnum;

	if (!compute)
		return error_set(err, SC_E_NOMEM, "out of memory for a compute thread");
	init_lock(compute);
	compute->config = *config;
	compute->config.stage.on_progress = note_progress;
	compute->config.stage.arg = compute;
	status = order_create(ORDER_RELEASE, &(struct compute_assignment){ .window = 1 },
			      &compute->newest, err);
	if (status == SC_OK)
		status = stage_create(&compute->config.stage, &compute->stage, err);
	if (status != SC_OK)
		goto fail;
	if (config->on_logits)
		stage_on_logits(compute->stage, config->on_logits, config->logits_arg);
	compute->current = compute->newest;
	errnum = pthread_create(&compute->thread, NULL, thread_main, compute);
	if (!errnum) {
		*compute_out = compute;
		return SC_OK;
	}
	status = error_errno(err, SC_E_INTERNAL, errnum, "cannot start the compute thread");
	stage_destroy(compute->stage);
fail:
	free_all(compute);
	return status;
}

/* Call it with the lock. Closing wakes the compute thread, which may free the order as soon as it
 * has the lock. */
static void end_order(struct order *order)
{
	atomic_store(&order->is_over, true);
	queue_close(order->inbox);
}

static struct timespec after_ms(uint32_t wait_ms)
{
	uint64_t until_ns = clock_ns() + wait_ms * NS_PER_MS;

	return (struct timespec){
		.tv_sec = (time_t)(until_ns / NS_PER_SECOND),
		.tv_nsec = (long)(until_ns % NS_PER_SECOND),
	};
}

static enum sc_status report_hang(const struct compute *compute, uint32_t wait_ms,
				  struct error *err)
{
	const struct stage_assignment *range = &compute->current->assignment.stage;

	if (compute->running_step)
		return error_set(err, SC_E_TIMEOUT, "the compute thread hangs in step %llu of "
				 "layers %u+%u: it did not end within %u ms",
				 (unsigned long long)compute->running_step, range->first_layer,
				 range->n_layers, wait_ms);
	return error_set(err, SC_E_TIMEOUT, "the compute thread hangs while it loads or frees "
			 "layers %u+%u: it did not end within %u ms", range->first_layer,
			 range->n_layers, wait_ms);
}

enum sc_status compute_destroy(struct compute *compute, uint32_t wait_ms, struct error *err)
{
	const struct timespec until = after_ms(wait_ms);
	enum sc_status status = SC_OK;

	if (!compute)
		return SC_OK;
	pthread_mutex_lock(&compute->lock);
	compute->is_abandoned = true;
	end_order(compute->newest);
	while (!compute->is_ended &&
	       !pthread_cond_timedwait(&compute->ended, &compute->lock, &until))
		;
	if (!compute->is_ended)
		status = report_hang(compute, wait_ms, err);
	pthread_mutex_unlock(&compute->lock);
	if (status != SC_OK)
		return status;
	pthread_join(compute->thread, NULL);
	free_all(compute);
	return SC_OK;
}

/* Takes order, which replaces the newest one. */
static void give_order(struct compute *compute, struct order *order)
{
	struct order *last = compute->newest;
	bool is_unseen;

	pthread_mutex_lock(&compute->lock);
	compute->newest = order;
	is_unseen = last != compute->current;
	end_order(last);
	pthread_mutex_unlock(&compute->lock);
	if (is_unseen)
		order_destroy(last);
}

static enum sc_status make_order(struct compute *compute, enum order_kind kind,
				 const struct compute_assignment *assignment, struct error *err)
{
	struct order *order;
	enum sc_status status = order_create(kind, assignment, &order, err);

	if (status == SC_OK)
		give_order(compute, order);
	return status;
}

enum sc_status compute_assign(struct compute *compute, const struct compute_assignment *assignment,
			      struct error *err)
{
	return make_order(compute, ORDER_ASSIGN, assignment, err);
}

enum sc_status compute_preload(struct compute *compute, enum cpu_isa isa, uint32_t first_layer,
			       uint32_t n_layers, struct error *err)
{
	const struct compute_assignment assignment = {
		.stage = { .isa = isa, .first_layer = first_layer, .n_layers = n_layers },
		.window = 1,
	};

	return make_order(compute, ORDER_PRELOAD, &assignment, err);
}

enum sc_status compute_release(struct compute *compute, struct error *err)
{
	return make_order(compute, ORDER_RELEASE, &(struct compute_assignment){ .window = 1 }, err);
}

enum sc_status compute_drop_weights(struct compute *compute, struct error *err)
{
	return make_order(compute, ORDER_DROP, &(struct compute_assignment){ .window = 1 }, err);
}

enum compute_state compute_state(const struct compute *compute)
{
	return (enum compute_state)atomic_load(&compute->newest->state);
}

const struct error *compute_error(const struct compute *compute)
{
	return &compute->newest->error;
}

void compute_progress(const struct compute *compute, uint64_t *done_out, uint64_t *total_out)
{
	*done_out = atomic_load(&compute->newest->done_bytes);
	*total_out = atomic_load(&compute->newest->total_bytes);
}

uint64_t compute_weight_bytes(const struct compute *compute)
{
	return compute->newest->weight_bytes;
}

uint64_t compute_kv_bytes(const struct compute *compute)
{
	return compute->newest->kv_bytes;
}

uint64_t compute_load_ns(const struct compute *compute)
{
	return compute->newest->load_ns;
}

const char *compute_not_finite(const struct compute *compute, uint32_t *n_out)
{
	*n_out = compute->newest->n_not_finite;
	return compute->newest->not_finite;
}

void compute_counters(struct compute *compute, struct compute_counters *out)
{
	const struct order *order = compute->newest;
	uint64_t now_ns = clock_ns();

	out->steps = atomic_load(&order->steps);
	out->rows = atomic_load(&order->rows);
	out->busy_ns = atomic_load(&order->busy_ns);
	out->waiting_ns = atomic_load(&order->waiting_ns);
	out->blocked_ns = atomic_load(&order->blocked_ns);
	out->queued_ns = atomic_load(&order->queued_ns);
	out->received_bytes = atomic_load(&order->received_bytes);
	out->sent_bytes = atomic_load(&order->sent_bytes);
	out->last_step = atomic_load(&order->last_step);
	out->kv_saturated = atomic_load(&order->kv_saturated);
	out->kv_saturated_layer = atomic_load(&order->kv_saturated_layer);
	pthread_mutex_lock(&compute->lock);
	out->running_step = compute->running_step;
	out->running_ns = compute->running_step && now_ns > compute->running_since_ns ?
			  now_ns - compute->running_since_ns : 0;
	pthread_mutex_unlock(&compute->lock);
}

void compute_held(struct compute *compute, uint32_t *first_out, uint32_t *n_out)
{
	pthread_mutex_lock(&compute->lock);
	*first_out = compute->held_first_layer;
	*n_out = compute->held_n_layers;
	pthread_mutex_unlock(&compute->lock);
}

enum sc_status compute_push(struct compute *compute, struct frame *frame)
{
	struct order *order = compute->newest;
	enum sc_status status = SC_E_CLOSED;

	frame->queued_ns = clock_ns();
	if (order->kind == ORDER_ASSIGN)
		status = queue_push(order->inbox, frame);
	return status == SC_AGAIN ? SC_E_PROTOCOL : status;
}

struct frame *compute_pop(struct compute *compute)
{
	return queue_try_pop(compute->newest->outbox);
}
