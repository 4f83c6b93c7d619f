/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_ORDER_H
#define STAGECOACH_WORKER_ORDER_H
/*
 * order - what the loop's thread wants of the compute thread, and what comes of it: frames in both
 * directions, state and counters. An order is made and dropped as a whole, so that nothing of one
 * assignment reaches the next. For compute.c only.
 * Ownership: compute.c says which thread owns an order. The queues' frames belong to the order.
 * Thread: atomics and queues are shared; other members as they say.
 */
#include "base/queue.h"
#include "worker/compute.h"

#include <stdatomic.h>

enum order_kind {
	ORDER_ASSIGN,
	ORDER_PRELOAD,		/* only isa and layers of the assignment count */
	ORDER_RELEASE,
	ORDER_DROP,
};

struct order {
	enum order_kind kind;			/* constant */
	struct compute_assignment assignment;	/* constant */
	struct queue *inbox;			/* step frames from the loop; closed when over */
	struct queue *outbox;			/* finished frames to the loop */
	atomic_bool is_over;			/* another order has come */

	/* Of the compute thread. */
	struct frame_pool *pool;		/* pool of finished frames */
	struct token_record *records;		/* [max_rows], scratch of the last stage */
	struct token_top *tops;			/* [step_max_tops], likewise */

	/* Written by the compute thread before state becomes READY or FAILED. */
	uint64_t weight_bytes;
	uint64_t kv_bytes;
	uint64_t load_ns;
	const char *not_finite;
	uint32_t n_not_finite;
	struct error error;
	atomic_int state;			/* enum compute_state */

	atomic_uint_least64_t done_bytes;
	atomic_uint_least64_t total_bytes;
	atomic_uint_least64_t steps;
	atomic_uint_least64_t rows;
	atomic_uint_least64_t busy_ns;
	atomic_uint_least64_t waiting_ns;
	atomic_uint_least64_t queued_ns;
	atomic_uint_least64_t blocked_ns;
	atomic_uint_least64_t received_bytes;
	atomic_uint_least64_t sent_bytes;
	atomic_uint_least64_t last_step;
	atomic_uint_least64_t kv_saturated;
	atomic_uint_least32_t kv_saturated_layer;
};

/* Makes the order with its queues, which are small. Thread: the loop's. */
must_check enum sc_status order_create(enum order_kind kind,
				       const struct compute_assignment *assignment,
				       struct order **order_out, struct error *err);
/* Makes the pool of output frames, which may be large. SC_E_NOMEM: order->error says how much was
 * needed. Thread: the compute thread. */
must_check enum sc_status order_make_frames(struct order *order);
/* Releases the frames inside, too. Accepts NULL. */
void order_destroy(struct order *order);

#endif
