/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_CLOCK_H
#define STAGECOACH_BASE_CLOCK_H
/* clock - monotonic time for durations and deadlines, wall-clock time for people. Thread: any. */
#include <stdint.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

/* Nanoseconds since an arbitrary fixed moment. Never goes back. */
uint64_t clock_ns(void);

/* CPU time of the calling thread. It stands still while the thread does not run. Costs a system
 * call. */
uint64_t clock_thread_ns(void);

/* CPU time of all threads of this process together. */
uint64_t clock_process_ns(void);

/* Milliseconds since 1970-01-01 UTC. */
uint64_t clock_unix_ms(void);

/* The earlier of two moments. UINT64_MAX means never. */
static inline uint64_t clock_earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

static inline double clock_seconds(uint64_t ns)
{
	return (double)ns * 1e-9;
}

#endif
