/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_ROUND_H
#define STAGECOACH_EVENT_ROUND_H
/*
 * round - what the event loop does before each sleep: wake-ups, pollers, spinning. Inside event/.
 *
 * A round of libuv runs its prepare handles right before it waits, and does not wait while an idle
 * handle is active. So all is done in one prepare callback, and an idle handle says "do not sleep
 * yet". Wake-ups are flags that it looks at; only when it sleeps must a sender ring, which costs
 * two system calls and the time it takes to wake a thread.
 * Thread: the loop's, except what wake.c writes from others.
 */
#include "base/list.h"
#include "base/spin.h"
#include "event/loop.h"

#include <stdatomic.h>
#include <uv.h>

struct timers {
	struct timer **heap;	/* [1 .. n]: active timers, the one that is due first at 1 */
	unsigned n;
	unsigned capacity;
	unsigned n_created;
	uint64_t n_started;	/* starts so far */
	uint64_t armed_ns;	/* what the alarm is set for */
	uv_timer_t alarm;
};

struct turn {
	uint64_t begin_ns;	/* when the turn before ended; includes the wait */
	uint64_t idle_ns;	/* of all waits up to begin_ns */
	uint64_t timers_ns;	/* of this turn, in timers */
	uint64_t longest_ns;	/* of all turns */
};

struct loop {
	uv_loop_t uv;
	struct manual_clock *clock;	/* NULL: real time */
	struct list clock_node;	/* of the manual clock's loops */
	struct timers timers;
	struct turn turn;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_async_t doorbell;	/* keeps the loop alive while there are wakes or pollers */
	struct list wakes;
	struct list pollers;
	unsigned n_users;	/* wakes and pollers */
	unsigned n_calling;	/* depth of wake callbacks: their objects are freed later */
	uint64_t n_calls;	/* of timers, wakes and pollers that had news */
	uint64_t spin_ns;
	struct spin spin;
	bool is_spinning;
	atomic_bool has_wakes;	/* some were sent */
	atomic_bool is_asleep;	/* or about to be: senders must ring */
};

/* Counted in and out: a loop without any ends. */
void loop_add_user(struct loop *loop);
void loop_remove_user(struct loop *loop);

/* Call the functions of all wakes that were sent. True: there was one. */
bool wakes_run(struct loop *loop);

/* Progress once. True: something happened. */
bool pollers_progress(struct loop *loop);
/* False: something has come meanwhile. */
bool pollers_arm(struct loop *loop);
/* The loop is going to sleep. */
void pollers_start_naps(struct loop *loop);

void timers_init(struct loop *loop);
void timers_close(struct loop *loop);
/* Call the functions of all timers that are due. */
void timers_run(struct loop *loop);
/* Set the alarm for the earliest timer. */
void timers_arm(struct loop *loop);
/* When the earliest timer is due; UINT64_MAX: there is none. */
uint64_t timers_next_ns(const struct loop *loop);

/* Around every round. The time outside of loop_run and loop_turn belongs to no turn. */
void turn_begin(struct loop *loop);
/* wakes_begin_ns: when the round began to call wakes and pollers. */
void turn_end(struct loop *loop, uint64_t wakes_begin_ns);

/* Until loop_destroy. */
void manual_clock_attach(struct manual_clock *clock, struct loop *loop);

must_check enum sc_status round_init(struct loop *loop);
/* The handles are free when the loop has run once more. */
void round_close(struct loop *loop);

#endif
