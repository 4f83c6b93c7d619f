/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_COMPUTE_H
#define STAGECOACH_WORKER_COMPUTE_H
/*
 * compute - the thread that owns a stage: it loads the stage, then turns each step frame into the
 * frame for the next stage or, at the end of the pipeline, into tokens.
 * Thread: the loop's thread calls these functions and never blocks in them, except in
 * compute_destroy. The compute thread calls on_news.
 */
#include "base/error.h"
#include "stage/stage.h"
#include "wire/frame.h"

struct compute;

struct compute_config {
	struct stage_config stage;	/* on_progress is overwritten */
	uint32_t epoch;			/* epoch of the output frames */
	uint32_t window;		/* the most input frames held at once */
	unsigned spin_us;
	stage_logits_fn *on_logits;	/* or NULL */
	void *logits_arg;
	void (*on_news)(void *arg);	/* state, progress or output
					 * changed; may only send a wake */
	void *arg;
};

enum compute_state {
	COMPUTE_LOADING,
	COMPUTE_READY,
	COMPUTE_FAILED,		/* see compute_error; further steps are dropped */
};

struct compute_counters {
	uint64_t steps;
	uint64_t rows;
	uint64_t busy_ns;
	uint64_t waiting_ns;
	uint64_t last_step;
	uint64_t kv_saturated;		/* as stage_kv_saturated */
	uint32_t kv_saturated_layer;
};

/* Starts the thread, which starts to load at once. Borrows what config points to until destroy. */
must_check enum sc_status compute_create(const struct compute_config *config,
					 struct compute **compute_out, struct error *err);
/* Finishes the current step, drops queued ones, and joins the thread. Blocks for that long. Accepts
 * NULL. */
void compute_destroy(struct compute *compute);

enum compute_state compute_state(const struct compute *compute);
/* Valid once the state is FAILED. */
const struct error *compute_error(const struct compute *compute);
/* Bytes loaded so far and in total, while LOADING. */
void compute_progress(const struct compute *compute, uint64_t *done_out, uint64_t *total_out);
/* Valid once the state is READY. */
uint64_t compute_weight_bytes(const struct compute *compute);
uint64_t compute_kv_bytes(const struct compute *compute);
/* As stage_not_finite. */
const char *compute_not_finite(const struct compute *compute, uint32_t *n_out);
void compute_counters(const struct compute *compute, struct compute_counters *out);

/* Queues a step frame. Takes frame on SC_OK. SC_E_PROTOCOL: more than `window` frames are
 * inside. */
must_check enum sc_status compute_push(struct compute *compute, struct frame *frame);

/* Returns the next output frame, in step order, or NULL. The caller takes it. */
struct frame *compute_pop(struct compute *compute);

#endif
