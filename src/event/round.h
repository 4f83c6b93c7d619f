/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_ROUND_H
#define STAGECOACH_EVENT_ROUND_H
/*
 * round - what the event loop does before each sleep: wake-ups, pollers, spinning. Private to
 * event/.
 *
 * libuv calls its prepare handles right before it waits, and it does not wait while an idle handle
 * is active. One prepare callback therefore does all the work, and an active idle handle means "do
 * not sleep yet". A wake-up only sets a flag that this callback checks. A sender rings the doorbell
 * only while the loop sleeps; that costs two system calls and the time to wake a thread.
 * Thread: the loop's, except for what wake.c writes from other threads.
 */
#include "base/list.h"
#include "base/spin.h"
#include "event/loop.h"

#include <stdatomic.h>
#include <uv.h>

struct timers {
	struct timer **heap;	/* [1 .. n] active timers; the earliest one is at index 1 */
	unsigned n;
	unsigned capacity;
	unsigned n_created;
	uint64_t n_started;	/* number of starts so far */
	uint64_t armed_ns;	/* time that the alarm is set for */
	uv_timer_t alarm;
};

struct turn {
	uint64_t begin_ns;	/* when the previous turn ended; includes the wait */
	uint64_t idle_ns;	/* total of all waits up to begin_ns */
	uint64_t timers_ns;	/* spent in timers during this turn */
	uint64_t work_ns;	/* processor time of the thread at begin_ns */
	uint64_t longest_ns;	/* of all turns */
	uint64_t most_work_ns;	/* of all turns */
};

struct loop {
	uv_loop_t uv;
	struct manual_clock *clock;	/* NULL: real time */
	struct list clock_node;	/* of the manual clock's loops */
	struct timers timers;
	struct turn turn;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_async_t doorbell;	/* keeps the loop running while there are wakes or pollers */
	struct list wakes;
	struct list pollers;
	unsigned n_users;	/* wakes and pollers */
	unsigned n_calling;	/* depth of nested wake callbacks; their objects are freed later */
	uint64_t n_calls;	/* number of callbacks of timers and
				 * wakes, and of progress with news */
	uint64_t spin_ns;
	struct spin spin;
	bool is_spinning;
	atomic_bool has_wakes;	/* at least one wake was sent */
	atomic_bool is_asleep;	/* the loop sleeps or is about to: senders must ring */
};

/* Counts wakes and pollers. A loop without users, timers and descriptors ends. */
void loop_add_user(struct loop *loop);
void loop_remove_user(struct loop *loop);

/* Calls the functions of all wakes that were sent. Returns true if there was one. */
bool wakes_run(struct loop *loop);

/* Calls every poller's progress once. Returns true if something happened. */
bool pollers_progress(struct loop *loop);
/* Arms all pollers. Returns false if one of them already has news. */
bool pollers_arm(struct loop *loop);
/* Starts the sleep timers of pollers without a descriptor. The loop is about to sleep. */
void pollers_start_naps(struct loop *loop);

void timers_init(struct loop *loop);
void timers_close(struct loop *loop);
/* Calls the functions of all due timers. */
void timers_run(struct loop *loop);
/* Sets libuv's alarm for the earliest timer. */
void timers_arm(struct loop *loop);
/* Returns when the earliest timer is due, or UINT64_MAX if there is none. */
uint64_t timers_next_ns(const struct loop *loop);

/* Called around every round. Time outside of loop_run and loop_turn belongs to no turn. */
void turn_begin(struct loop *loop);
/* wakes_begin_ns: when the round started to call wakes and pollers. */
void turn_end(struct loop *loop, uint64_t wakes_begin_ns);

/* The loop stays attached until loop_destroy. */
void manual_clock_attach(struct manual_clock *clock, struct loop *loop);

must_check enum sc_status round_init(struct loop *loop);
/* Closes the handles. They are released when the loop has run once more. */
void round_close(struct loop *loop);

#endif
