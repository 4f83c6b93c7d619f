/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_BELL_H
#define STAGECOACH_BASE_BELL_H
/*
 * bell - one thread waits for news that others bring. The waiter is awake at first (base/spin.h),
 * then asleep; ringing costs a system call only when it is asleep.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bell {
	atomic_uint is_asleep;	/* or about to be; all zero is a bell */
};

typedef bool bell_news_fn(void *arg);

/* Returns once has_news(arg) says so. It reads atomics in the default order, and is called often.
 * Thread: one at a time. */
void bell_wait(struct bell *bell, uint64_t spin_ns, bell_news_fn *has_news, void *arg);

/* After news was written, also in the default order. Thread: any. */
void bell_ring(struct bell *bell);

#endif
