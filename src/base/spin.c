/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spin.h"

#include "base/clock.h"

#include <sched.h>

#define PAUSES_PER_LOOK 8
#define ALONE_NS 3000		/* threads of a team usually meet within this
				 * time; until then no system call is made */
/* A yield that takes longer than this means that another thread had real work. Threads that only
 * hand small steps to each other return sooner. */
#define TAKEN_NS 300000
#define YIELD_NS 1000		/* longest duration of a yield that no other thread used */
#define SHORT_NS 1000000	/* shortest and longest time for which a crowd is assumed */
#define LONG_NS 100000000

/* "Crowd": more busy threads than processors. A thread that yields its processor to a busy thread
 * gets it back only after milliseconds. A thread that sleeps is scheduled as soon as it is woken.
 * So after a long yield this thread does not spin for a while; if the crowd is still there
 * afterwards, for twice as long. */
static _Thread_local struct crowd {
	uint64_t until_ns;
	uint64_t length_ns;
} crowd;

static void note_crowd(uint64_t now_ns)
{
	bool is_same = crowd.length_ns && now_ns - crowd.until_ns < 4 * crowd.length_ns;

	crowd.length_ns = is_same ? 2 * crowd.length_ns : SHORT_NS;
	if (crowd.length_ns > LONG_NS)
		crowd.length_ns = LONG_NS;
	crowd.until_ns = now_ns + crowd.length_ns;
}

static inline void pause_briefly(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#elif defined __aarch64__
	__asm__ volatile("yield");
#endif
}

bool spin_goes_on(struct spin *spin)
{
	uint64_t before_ns = clock_ns();
	uint64_t after_ns;

	if (!spin->begin_ns) {
		spin->begin_ns = before_ns;
		spin->end_ns += before_ns;
	}
	if (before_ns >= spin->end_ns)
		return false;
	for (int i = 0; i < PAUSES_PER_LOOK; i++)
		pause_briefly();
	if (before_ns - spin->begin_ns < ALONE_NS)
		return true;
	if (before_ns < crowd.until_ns)
		return false;
	sched_yield();
	after_ns = clock_ns();
	/* Time that other threads used is not counted as waiting time. */
	if (after_ns - before_ns > YIELD_NS)
		spin->end_ns += after_ns - before_ns - YIELD_NS;
	if (after_ns - before_ns < TAKEN_NS)
		return true;
	note_crowd(after_ns);
	return false;
}
