/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_WORK_H
#define STAGECOACH_EVENT_WORK_H
/*
 * work - runs long tasks on helper threads, so that the loop does not block.
 * A pool has two threads. One of them takes no long items, so a short item never waits for a long
 * one to finish. Helpers run at a lower priority than the loop and the compute threads.
 * Clients take turns: each round runs one item of every client. The last quarter of the pool's
 * capacity is reserved for clients that hold little, so no client can fill the pool alone.
 * Ownership: an item is in the caller's storage and must stay valid from work_start until done was
 * called or work_cancel returned true.
 * Thread: the loop's, except `run`, which is called on a helper thread.
 */
#include "base/list.h"
#include "event/loop.h"

#include <stddef.h>

struct work_pool;

struct work {
	/* Set by the caller: */
	void (*run)(struct work *work);		/* on a helper thread */
	void (*done)(struct work *work);	/* on the loop's thread; may free the item */
	uint64_t client;	/* items with the same number share one client's turns */
	size_t n_bytes;		/* size of the input; counted against the pool's limits */
	bool is_long;		/* short items must not wait for this one */
	/* Set for done: the pool was destroyed before run was called. */
	bool is_cancelled;

	/* Private to the pool: */
	struct list node;	/* on the list of waiting or finished items */
	struct list pool_node;	/* on the list of all items */
	struct work_pool *pool;
	uint64_t round;		/* lower rounds run first */
	bool is_waiting;
};

struct work_limits {
	unsigned max_items;	/* items that wait or run */
	size_t max_bytes;	/* sum of their n_bytes */
};

must_check enum sc_status work_pool_create(struct loop *loop, const struct work_limits *limits,
					   struct work_pool **pool_out);
/* Blocks until the running items are finished. Calls done for all items; is_cancelled is set for
 * those whose run was not called. Accepts NULL. */
void work_pool_destroy(struct work_pool *pool);

/* Queues the item. SC_E_OVERLOADED: the item exceeds the pool's limits, or what is left for its
 * client; run and done will not be called. An item of at most an eighth of max_bytes, of a client
 * without other items, always fits unless the pool is full. */
must_check enum sc_status work_start(struct work_pool *pool, struct work *work);

/* Takes a waiting item back. Returns true if it had not started: run and done will not be called.
 * Returns false if it runs or has run: done will be called. */
bool work_cancel(struct work *work);

#endif
