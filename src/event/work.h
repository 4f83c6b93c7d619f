/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_WORK_H
#define STAGECOACH_EVENT_WORK_H
/*
 * work - what takes long is done on helper threads, so that the loop goes on meanwhile.
 * A pool has two threads. One of them takes no long items, so a short item never waits for the end
 * of a long one. The threads run at a lower priority than the loop and the compute threads.
 * Clients take turns: each has one item in every round. The last quarter of the pool is kept for
 * clients with little in it, so no client can fill it for all.
 * Ownership: items lie in the caller's storage from work_start until done or work_cancel.
 * Thread: the loop's, except that `run` is called on a helper thread.
 */
#include "base/list.h"
#include "event/loop.h"

#include <stddef.h>

struct work_pool;

struct work {
	/* The caller's to set: */
	void (*run)(struct work *work);		/* on a helper thread */
	void (*done)(struct work *work);	/* on the loop's thread; may free the item */
	uint64_t client;	/* items of one number take turns with those of others */
	size_t n_bytes;		/* of input: what the pool's bounds count */
	bool is_long;		/* takes so long that short items must not wait for it */
	/* For done: the pool was destroyed before run was called. */
	bool is_cancelled;

	/* The pool's own: */
	struct list node;	/* waiting or finished */
	struct list pool_node;	/* in the pool's items */
	struct work_pool *pool;
	uint64_t round;		/* lower rounds run first */
	bool is_waiting;
};

struct work_limits {
	unsigned max_items;	/* that wait or run */
	size_t max_bytes;	/* of all of them together */
};

must_check enum sc_status work_pool_create(struct loop *loop, const struct work_limits *limits,
					   struct work_pool **pool_out);
/* Waits for the items that run. Calls done for all, with is_cancelled where run was not called.
 * Accepts NULL. */
void work_pool_destroy(struct work_pool *pool);

/* SC_E_OVERLOADED: the item does not fit within the limits, or within what is left for its client;
 * neither function will be called. An item of at most an eighth of max_bytes always fits for a
 * client without items while the pool has room. */
must_check enum sc_status work_start(struct work_pool *pool, struct work *work);

/* True: the item still waited, is taken back, and neither function will be called. False: the item
 * runs or has run, and done comes. */
bool work_cancel(struct work *work);

#endif
