/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_LOOP_H
#define STAGECOACH_EVENT_LOOP_H
/*
 * loop - the event loop of one thread (libuv): timers, signals, readiness, wake-ups, pollers.
 * Thread: everything is called on the loop's thread, callbacks included, except wake_send.
 * Objects may be destroyed inside their own callback; no callback comes after destroy.
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
/* All objects of the loop must have been destroyed (asserts). Accepts NULL. */
void loop_destroy(struct loop *loop);

/* Runs until loop_stop, or until nothing is left that could call back. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* One round: handle what is ready, wait for more only if may_wait. */
void loop_turn(struct loop *loop, bool may_wait);

/* After a wake-up, or progress of a poller, stay awake for spin_us if nobody else wants the
 * processor (base/spin.h): the longest that anyone of the loop has asked for. At first 0. */
void loop_spin(struct loop *loop, unsigned spin_us);

/* The longest that a client, link or timer had to wait for the loop since the loop was made: the
 * longest time between two waits of the loop. Turns over 50 ms are logged at debug. */
uint64_t loop_longest_turn_ns(const struct loop *loop);

/* For sockets and pipes, which the gateway drives through libuv itself. */
uv_loop_t *loop_uv(struct loop *loop);

/* The loop's time, monotonic: what deadlines are counted in. Real, unless the loop was made on a
 * manual_clock. Durations that are only measured may be taken from clock_ns instead. */
uint64_t loop_now_ns(const struct loop *loop);

/* Timers follow loop_now_ns. Those that are due fire in the order of their moments, and at the same
 * moment in the order in which they were started. */
struct timer;
typedef void timer_fn(void *arg);
must_check enum sc_status timer_create_on(struct loop *loop, timer_fn *fn, void *arg,
					  struct timer **timer_out);
void timer_destroy(struct timer *timer);
/* (Re)start: first after first_ms, then every repeat_ms (0: once). */
void timer_start(struct timer *timer, uint64_t first_ms, uint64_t repeat_ms);
void timer_stop(struct timer *timer);

struct signal_watch;
typedef void signal_fn(void *arg, int signum);
must_check enum sc_status signal_watch_create(struct loop *loop, int signum, signal_fn *fn,
					      void *arg, struct signal_watch **watch_out,
					      struct error *err);
void signal_watch_destroy(struct signal_watch *watch);

/* Between start and stop fn is called whenever fd can be written to, or has lost its reader. fd
 * keeps its flags: it may be shared with other programs. fd stays open until destroy. SC_E_IO: the
 * system cannot watch such a file; regular files are always writable. */
struct write_watch;
typedef void write_fn(void *arg);
must_check enum sc_status write_watch_create(struct loop *loop, int fd, write_fn *fn, void *arg,
					     struct write_watch **watch_out, struct error *err);
void write_watch_destroy(struct write_watch *watch);
/* Both are harmless when it is so already. */
must_check enum sc_status write_watch_start(struct write_watch *watch, struct error *err);
void write_watch_stop(struct write_watch *watch);

/* wake_send, from any thread or signal handler, makes the loop call fn soon; several sends may
 * become one call. The sender must not send after destroy. */
struct wake;
typedef void wake_fn(void *arg);
must_check enum sc_status wake_create(struct loop *loop, wake_fn *fn, void *arg,
				      struct wake **wake_out);
void wake_destroy(struct wake *wake);
void wake_send(struct wake *wake);

/*
 * A poller is something that must be progressed by calling it, and that can announce news on a
 * descriptor only after it was armed (UCX; MPI has no descriptor at all).
 * Each round: progress() until it says that nothing happens; after loop_spin's time of that, arm();
 * if that answers false, progress again; else sleep until fd is readable (or, when fd < 0, for
 * idle_ms at most).
 */
struct poller_ops {
	bool (*progress)(void *arg);	/* true: something happened */
	bool (*arm)(void *arg);		/* true: fd will tell; false: there is more already */
};
struct poller_config {
	const struct poller_ops *ops;
	void *arg;
	int fd;			/* or -1 */
	unsigned spin_us;	/* as loop_spin */
	unsigned idle_ms;	/* with fd < 0: the longest sleep between two progress calls */
};
struct poller;
must_check enum sc_status poller_create(struct loop *loop, const struct poller_config *config,
					struct poller **poller_out, struct error *err);
void poller_destroy(struct poller *poller);

#endif
