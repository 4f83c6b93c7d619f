/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_MANUAL_CLOCK_H
#define STAGECOACH_EVENT_MANUAL_CLOCK_H
/*
 * manual_clock - time that a test moves. Loops that are made on such a clock read it in
 * loop_now_ns, and their timers follow it; it stands still until it is moved. Several loops may
 * share one. Readiness of descriptors, wake-ups and other threads stay real.
 * Thread: one, with all loops of the clock.
 */
#include "event/loop.h"

struct manual_clock;

must_check enum sc_status manual_clock_create(struct manual_clock **clock_out);
/* The clock's loops must have been destroyed (asserts). Accepts NULL. */
void manual_clock_destroy(struct manual_clock *clock);

/* As loop_create. A turn that may wait, and to which nothing comes, ends after 100 ms of real time,
 * so that a test can look whether it waits in vain. Borrows clock until loop_destroy. */
must_check enum sc_status loop_create_on(struct manual_clock *clock, struct loop **loop_out);

uint64_t manual_clock_ns(const struct manual_clock *clock);

/* The clock that the loop was made on, or NULL. */
struct manual_clock *loop_manual_clock(const struct loop *loop);

/* Turn the clock's loops, without waiting, until none calls anything any more; loops that wake
 * themselves again and again are left after 1000 turns. */
void manual_clock_settle(struct manual_clock *clock);
/* Let time pass: the clock goes from one timer to the next, in order, and the loops settle at
 * each of these moments, and at the end. */
void manual_clock_pass(struct manual_clock *clock, uint64_t ms);
/* As if the process had been held up for so long: no loop turns meanwhile, and what has become due
 * fires late, in the next turn. */
void manual_clock_jump(struct manual_clock *clock, uint64_t ms);

#endif
