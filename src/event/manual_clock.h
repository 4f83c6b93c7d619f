/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_MANUAL_CLOCK_H
#define STAGECOACH_EVENT_MANUAL_CLOCK_H
/*
 * manual_clock - a clock that a test moves by hand.
 * loop_now_ns and the timers of a loop made on this clock follow it. The clock stands still until
 * the test moves it. Several loops may share one clock. Descriptors, wake-ups and other threads
 * still run in real time.
 * Thread: one thread, the same as for all loops of the clock.
 */
#include "event/loop.h"

struct manual_clock;

must_check enum sc_status manual_clock_create(struct manual_clock **clock_out);
/* The clock's loops must have been destroyed (asserts). Accepts NULL. */
void manual_clock_destroy(struct manual_clock *clock);

/* As loop_create. A turn that may wait ends after 100 ms of real time without events, so that a
 * test can check whether it waits in vain. Borrows clock until loop_destroy. */
must_check enum sc_status loop_create_on(struct manual_clock *clock, struct loop **loop_out);

uint64_t manual_clock_ns(const struct manual_clock *clock);

/* Returns the clock that the loop was made on, or NULL. */
struct manual_clock *loop_manual_clock(const struct loop *loop);

/* Runs turns of all loops of the clock, without waiting, until no callback is called any more.
 * Gives up after 1000 turns, because a loop can wake itself again and again. */
void manual_clock_settle(struct manual_clock *clock);
/* Lets time pass: moves the clock from one due timer to the next, in order. The loops settle at
 * each of these moments and at the end. */
void manual_clock_pass(struct manual_clock *clock, uint64_t ms);
/* Moves the clock by ms at once, as if the process had been suspended: no loop runs in between.
 * Timers that became due fire late, in the next turn. */
void manual_clock_jump(struct manual_clock *clock, uint64_t ms);

#endif
