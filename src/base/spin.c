/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spin.h"

#include "base/clock.h"

#include <sched.h>

#define PAUSES_PER_LOOK 8
#define ALONE_NS 3000		/* a team meets within that: no system call before */
/* Away for longer than threads that hand small steps to each other would take: what has work for
 * longer is not interrupted for about a millisecond. */
#define TAKEN_NS 300000
#define YIELD_NS 1000		/* of a yield that nobody took up */
#define SHORT_NS 1000000	/* the first time that a crowd is believed in, and the longest */
#define LONG_NS 100000000

/* A thread that offers its processor to somebody busy gets it back after milliseconds, one that
 * sleeps is let in at once when it is woken. So it is not offered again for a while, and for twice
 * as long if there is still a crowd then. */
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
	/* Time that others used is not spent on waiting. */
	if (after_ns - before_ns > YIELD_NS)
		spin->end_ns += after_ns - before_ns - YIELD_NS;
	if (after_ns - before_ns < TAKEN_NS)
		return true;
	note_crowd(after_ns);
	return false;
}
