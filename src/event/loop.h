/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_LOOP_H
#define STAGECOACH_EVENT_LOOP_H
/*
 * loop - the event loop of one thread (libuv): timers, signals, descriptors, wake-ups, pollers.
 * Thread: all functions and callbacks run on the loop's thread. The exception is wake_send, which
 * any thread may call.
 * Objects may be destroyed inside their own callback. No callback runs after destroy.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;

struct loop;

must_check enum sc_status loop_create(struct loop **loop_out);
/* The same for programs: err says what is missing. SC_E_CAPACITY: too few descriptors, with which
 * libuv would abort. */
must_check enum sc_status loop_open(struct loop **loop_out, struct error *err);
/* All objects of the loop must have been destroyed before (asserts). Accepts NULL. */
void loop_destroy(struct loop *loop);

/* Blocks until loop_stop is called, or until no timer, descriptor, wake or poller is left. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Runs one turn: handles what is ready. Waits for events only if may_wait is true. */
void loop_turn(struct loop *loop, bool may_wait);

/* After a wake-up or progress of a poller, the loop spins for spin_us before it sleeps, unless
 * other threads need the processor (base/spin.h). Several calls: the largest value counts.
 * Initially 0. */
void loop_spin(struct loop *loop, unsigned spin_us);

/* The longest time between two waits of the loop since loop_create: no client, link or timer waited
 * longer for the loop. Turns of more than 50 ms are logged at debug. */
uint64_t loop_longest_turn_ns(const struct loop *loop);
/* The most processor time that a turn took: what is left of the longest turn when other processes
 * do not keep the loop from running. */
uint64_t loop_most_work_ns(const struct loop *loop);

/* The underlying libuv loop, for the gateway's sockets and pipes. */
uv_loop_t *loop_uv(struct loop *loop);

/* The loop's time: monotonic, the base of all deadlines. It is real time, unless the loop was made
 * on a manual_clock. Durations that are only measured may use clock_ns instead. */
uint64_t loop_now_ns(const struct loop *loop);

/* Timers follow loop_now_ns. Due timers fire in order of their due time; timers with equal due
 * times fire in the order in which they were started. */
struct timer;
typedef void timer_fn(void *arg);
must_check enum sc_status timer_create_on(struct loop *loop, timer_fn *fn, void *arg,
					  struct timer **timer_out);
void timer_destroy(struct timer *timer);
/* Starts or restarts the timer: it fires after first_ms, then every repeat_ms (0: only once). */
void timer_start(struct timer *timer, uint64_t first_ms, uint64_t repeat_ms);
void timer_stop(struct timer *timer);

struct signal_watch;
typedef void signal_fn(void *arg, int signum);
must_check enum sc_status signal_watch_create(struct loop *loop, int signum, signal_fn *fn,
					      void *arg, struct signal_watch **watch_out,
					      struct error *err);
void signal_watch_destroy(struct signal_watch *watch);

/* A write_watch calls fn whenever fd becomes writable or has lost its reader, between start and
 * stop. The flags of fd do not change, because other programs may share it. The caller keeps fd
 * open until destroy. SC_E_IO: the system cannot watch this kind of file; regular files are always
 * writable. */
struct write_watch;
typedef void write_fn(void *arg);
must_check enum sc_status write_watch_create(struct loop *loop, int fd, write_fn *fn, void *arg,
					     struct write_watch **watch_out, struct error *err);
void write_watch_destroy(struct write_watch *watch);
/* Starting a started watch and stopping a stopped watch do nothing. */
must_check enum sc_status write_watch_start(struct write_watch *watch, struct error *err);
void write_watch_stop(struct write_watch *watch);

/* A wake lets other threads and signal handlers call fn on the loop's thread: wake_send makes the
 * loop call fn soon. Several sends may lead to a single call. Nobody may send after
 * wake_destroy. */
struct wake;
typedef void wake_fn(void *arg);
must_check enum sc_status wake_create(struct loop *loop, wake_fn *fn, void *arg,
				      struct wake **wake_out);
void wake_destroy(struct wake *wake);
void wake_send(struct wake *wake);

/*
 * A poller is a library that makes progress only when it is called (UCX, MPI). UCX can announce
 * news on a descriptor, but only after it was armed. MPI has no descriptor.
 *
 * Each round of the loop:
 * 1. calls progress() until it reports that nothing happened;
 * 2. keeps doing that for the time set by loop_spin;
 * 3. calls arm(). If arm() returns false, there is news already: the round starts over;
 * 4. sleeps until fd is readable or, if fd < 0, for idle_ms at most.
 */
struct poller_ops {
	bool (*progress)(void *arg);	/* returns true if something happened */
	bool (*arm)(void *arg);		/* true: fd will become readable;
					 * false: there is news already */
};
struct poller_config {
	const struct poller_ops *ops;
	void *arg;
	int fd;			/* or -1 */
	unsigned spin_us;	/* as loop_spin */
	unsigned idle_ms;	/* for fd < 0: the longest sleep between two calls of progress */
};
struct poller;
must_check enum sc_status poller_create(struct loop *loop, const struct poller_config *config,
					struct poller **poller_out, struct error *err);
void poller_destroy(struct poller *poller);

#endif
