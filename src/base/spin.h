/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_SPIN_H
#define STAGECOACH_BASE_SPIN_H
/*
 * spin - waiting awake for what should come within microseconds, where sleeping and being woken
 * costs tens of them.
 * The processor is offered to others between two looks. Once somebody takes it for long, there are
 * more busy threads than processors, and it is better to sleep.
 * Thread: any; a struct spin is one thread's.
 */
#include <stdbool.h>
#include <stdint.h>

struct spin {
	uint64_t begin_ns;
	uint64_t end_ns;
};

static inline void spin_begin(struct spin *spin, uint64_t spin_ns)
{
	spin->end_ns = spin_ns;
	spin->begin_ns = 0;	/* the clock is read when the first look finds nothing */
}

/* Some tenths of a microsecond. False: enough of it. */
bool spin_goes_on(struct spin *spin);

#endif
