/* SPDX-License-Identifier: Apache-2.0 */
/* Measures the loop's turns. A turn is everything between two waits: callbacks of descriptors,
 * timers, wake-ups and pollers. The loop serves nothing else during a callback, so the longest turn
 * is the longest delay that the loop itself caused to any peer or client. */
#include "event/round.h"

#include "base/clock.h"
#include "base/log.h"

/* Health checks must be answered within 100 ms, so a turn may take half of that. */
#define LONG_TURN_NS (50 * NS_PER_MS)

static double as_ms(uint64_t ns)
{
	return (double)ns * 1e-6;
}

void turn_begin(struct loop *loop)
{
	struct turn *turn = &loop->turn;

	turn->begin_ns = clock_ns();
	turn->idle_ns = uv_metrics_idle_time(&loop->uv);
	turn->timers_ns = 0;
	turn->work_ns = clock_thread_ns();
}

/* Another thread may have had the loop before. Its clock differs, but no turn works for longer than
 * it lasts. */
static uint64_t work_of(const struct turn *turn, uint64_t before_ns, uint64_t length_ns)
{
	const uint64_t ns = turn->work_ns > before_ns ? turn->work_ns - before_ns : 0;

	return ns < length_ns ? ns : length_ns;
}

void turn_end(struct loop *loop, uint64_t wakes_begin_ns)
{
	struct turn before = loop->turn;
	uint64_t length_ns, waited_ns, work_ns, wakes_ns, io_ns;

	turn_begin(loop);
	waited_ns = loop->turn.idle_ns - before.idle_ns;
	length_ns = loop->turn.begin_ns - before.begin_ns;
	length_ns -= waited_ns < length_ns ? waited_ns : length_ns;
	if (length_ns > loop->turn.longest_ns)
		loop->turn.longest_ns = length_ns;
	work_ns = work_of(&loop->turn, before.work_ns, length_ns);
	if (work_ns > loop->turn.most_work_ns)
		loop->turn.most_work_ns = work_ns;
	if (length_ns < LONG_TURN_NS)
		return;
	wakes_ns = loop->turn.begin_ns - wakes_begin_ns;
	io_ns = length_ns - before.timers_ns - wakes_ns;
	log_debug("a turn of the event loop took %.0f ms, %.0f of them on a processor: %.0f of "
		  "wake-ups and pollers, %.0f of timers, %.0f of descriptors", as_ms(length_ns),
		  as_ms(work_ns), as_ms(wakes_ns), as_ms(before.timers_ns),
		  as_ms(io_ns < length_ns ? io_ns : 0));
}

uint64_t loop_longest_turn_ns(const struct loop *loop)
{
	return loop->turn.longest_ns;
}

uint64_t loop_most_work_ns(const struct loop *loop)
{
	return loop->turn.most_work_ns;
}
