/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_BELL_H
#define STAGECOACH_BASE_BELL_H
/*
 * bell - lets one thread wait for news from other threads.
 * The waiting thread first spins (base/spin.h) and then sleeps on a futex. Ringing costs a system
 * call only while the waiting thread sleeps.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bell {
	atomic_uint is_asleep;	/* 1: the waiter sleeps or is about to.
				 * A zeroed struct is a valid bell. */
};

typedef bool bell_news_fn(void *arg);

/* Blocks until has_news(arg) returns true. has_news is called many times; it must be cheap and must
 * read its atomics with the default (sequentially consistent) order.
 * Thread: only one thread may wait on a bell at a time. */
void bell_wait(struct bell *bell, uint64_t spin_ns, bell_news_fn *has_news, void *arg);

/* Wakes the waiter. Call it after the news was written with the default memory order. Thread:
 * any. */
void bell_ring(struct bell *bell);

#endif
