/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_WATCHDOG_H
#define STAGECOACH_COORDINATOR_WATCHDOG_H
/*
 * watchdog - notices that steps are no longer answered. A stage whose compute thread hangs (a device,
 * a network file system) still sends heartbeats, because these come from its loop's thread.
 *
 * Steps are answered in order. The watchdog looks at the oldest step in flight: how long it has been
 * the oldest. The limit is ten times the longest such time seen, or ten times what the step is
 * expected to take, but at least the deadline for silence. The first step of an epoch gets ten
 * seconds at least, because nothing is known of its time.
 *
 * It barks in two stages. First the owner is asked for news of the stages, so that their counters are
 * up to date. A short while later, if there is still no answer, the owner is told.
 *
 * If this process itself was late (it was suspended, or its machine overloaded), the time starts
 * again. Nothing runs while no step is in flight, and a timer is set only once per limit.
 * Thread: the loop's; callbacks come from it.
 */
#include "event/loop.h"

struct watchdog_config {
	struct loop *loop;
	uint32_t deadline_ms;
	double (*expected_ns)(void *arg);	/* time of the oldest step in flight; 0: unknown */
	void (*on_doubt)(void *arg);		/* bring the stages' counters up to date */
	void (*on_stuck)(void *arg, uint64_t age_ns);	/* called once, until watchdog_reset */
	void *arg;
};

struct watchdog {
	struct watchdog_config config;
	struct timer *timer;
	bool is_timing;			/* the timer runs */
	uint64_t due_ns;		/* then until this time */
	bool is_watching;		/* a step is in flight */
	bool is_in_doubt;		/* on_doubt was called for it */
	uint64_t since_ns;		/* it is the oldest one since then */
	uint64_t longest_ns;		/* the longest time that an answered one was the oldest */
};

must_check enum sc_status watchdog_init(struct watchdog *watchdog,
					const struct watchdog_config *config);
/* Accepts zeros. */
void watchdog_deinit(struct watchdog *watchdog);

/* A step is in flight. No effect while one is watched. */
void watchdog_watch(struct watchdog *watchdog);
/* The oldest step was answered. If there are more, call watchdog_watch again. */
void watchdog_note_answer(struct watchdog *watchdog);
/* No step is in flight any more, and what was learnt is void: another epoch. */
void watchdog_reset(struct watchdog *watchdog);

#endif
