/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_SPIN_H
#define STAGECOACH_BASE_SPIN_H
/*
 * spin - busy waiting for events that come within microseconds. Sleeping and being woken would cost
 * tens of microseconds.
 * Between two checks the thread yields its processor to other threads. A yield that takes long
 * shows that there are more busy threads than processors; the thread then stops spinning, and its
 * caller goes to sleep.
 * Thread: any; each struct spin belongs to one thread.
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
	spin->begin_ns = 0;	/* the clock is read only when the first check finds nothing */
}

/* Waits for some tenths of a microsecond. Returns false if the caller should sleep instead. */
bool spin_goes_on(struct spin *spin);

#endif
