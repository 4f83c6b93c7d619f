/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_COMPUTE_H
#define STAGECOACH_WORKER_COMPUTE_H
/*
 * compute - the thread that owns a stage. It lives as long as its worker and carries out one order
 * at a time:
 * - an assignment: it loads the stage, then turns each step frame into the frame for the next stage
 *   or, at the end of the pipeline, into tokens;
 * - preload, release, drop of weights.
 * A new order replaces the last one at once. What the thread is doing for the last order ends as
 * soon as possible: a load is cancelled after the current tensor, a step is finished. An order that
 * the thread has not begun is skipped. Frames that are queued and outputs that were not popped are
 * dropped. State, error, progress, counters and
 * outputs are always those of the newest order, so nothing of an older epoch is seen.
 * Thread: the loop's thread calls these functions and never blocks in them, except in
 * compute_destroy. The compute thread calls on_news and on_logits.
 */
#include "base/error.h"
#include "stage/stage.h"
#include "wire/frame.h"

struct compute;

struct compute_config {
	struct stage_config stage;	/* on_progress is overwritten */
	unsigned spin_us;
	stage_logits_fn *on_logits;	/* or NULL */
	void *logits_arg;
	void (*on_news)(void *arg);	/* state, progress or output of the newest order
					 * changed, or the layers held; may only send a
					 * wake */
	void *arg;
};

struct compute_assignment {
	struct stage_assignment stage;
	uint32_t epoch;			/* epoch of the output frames */
	uint32_t window;		/* the most input frames held at once */
};

enum compute_state {
	COMPUTE_IDLE,		/* there is no order, or the stage is released */
	COMPUTE_LOADING,
	COMPUTE_READY,
	COMPUTE_FAILED,		/* see compute_error; further steps are dropped. Another order may
				 * follow */
};

struct compute_counters {
	uint64_t steps;
	uint64_t rows;
	/* Time of the thread: computing, without a step to compute, and without a free frame for
	 * its output. */
	uint64_t busy_ns;
	uint64_t waiting_ns;
	uint64_t blocked_ns;
	uint64_t queued_ns;		/* time that steps lay here before they were taken, added
					 * up over the steps */
	uint64_t received_bytes;	/* of steps, headers included */
	uint64_t sent_bytes;		/* of outputs */
	uint64_t last_step;
	uint64_t kv_saturated;		/* as stage_kv_saturated */
	uint32_t kv_saturated_layer;
	uint64_t running_step;		/* id of the step that is computed now, also
					 * of an older order; 0: none */
	uint64_t running_ns;		/* how long it has been computed */
};

/* Starts the thread, which waits for an order. Borrows what config points to until destroy. */
must_check enum sc_status compute_create(const struct compute_config *config,
					 struct compute **compute_out, struct error *err);
/* Finishes the current step or cancels the load, drops queued frames, and joins the thread. Waits
 * at most wait_ms. SC_E_TIMEOUT: the thread hangs, err says in what. Nothing was freed and on_news
 * is not called any more, but the thread may still use the model and the backend: call again, or
 * leave the process with _exit. Accepts NULL. */
must_check enum sc_status compute_destroy(struct compute *compute, uint32_t wait_ms,
					  struct error *err);

/* Orders. SC_E_NOMEM: nothing has changed. */
must_check enum sc_status compute_assign(struct compute *compute,
					 const struct compute_assignment *assignment,
					 struct error *err);
/* Loads weights only, as stage_preload. The state becomes READY without an epoch. */
must_check enum sc_status compute_preload(struct compute *compute, enum cpu_isa isa,
					  uint32_t first_layer, uint32_t n_layers,
					  struct error *err);
/* Ends the assignment and keeps the weights. */
must_check enum sc_status compute_release(struct compute *compute, struct error *err);
/* Ends the assignment and frees the weights. */
must_check enum sc_status compute_drop_weights(struct compute *compute, struct error *err);

/* Of the newest order. */
enum compute_state compute_state(const struct compute *compute);
/* Valid once the state is FAILED, until the next order. */
const struct error *compute_error(const struct compute *compute);
/* Bytes loaded so far and in total, while LOADING. Weights that were kept are not counted. */
void compute_progress(const struct compute *compute, uint64_t *done_out, uint64_t *total_out);
/* Valid once the state is READY. A preload has no kv_bytes. */
uint64_t compute_weight_bytes(const struct compute *compute);
uint64_t compute_kv_bytes(const struct compute *compute);
uint64_t compute_load_ns(const struct compute *compute);
/* As stage_not_finite. */
const char *compute_not_finite(const struct compute *compute, uint32_t *n_out);
void compute_counters(struct compute *compute, struct compute_counters *out);

/* The layers whose weights are in memory, as of the last order that was carried out. */
void compute_held(struct compute *compute, uint32_t *first_out, uint32_t *n_out);

/* Queues a step frame of the assigned epoch. Takes frame on SC_OK. SC_E_PROTOCOL: more than
 * `window` frames are inside. SC_E_CLOSED: no assignment. */
must_check enum sc_status compute_push(struct compute *compute, struct frame *frame);

/* Returns the next output frame, in step order, or NULL. The caller takes it. */
struct frame *compute_pop(struct compute *compute);

#endif
