/* SPDX-License-Identifier: Apache-2.0 */
#include "event/round.h"

#include "base/clock.h"
#include "base/descriptors.h"
#include "event/manual_clock.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

/* That libuv opens, or else aborts. */
#define N_DESCRIPTORS 8

/* libuv does not free handles. Each object is freed in the close callback of its (last) handle,
 * which runs in a later phase of the loop. That is why an object may be destroyed inside its own
 * callback. */

enum sc_status loop_create(struct loop **loop_out)
{
	return loop_create_on(NULL, loop_out);
}

enum sc_status loop_create_on(struct manual_clock *clock, struct loop **loop_out)
{
	struct loop *loop = calloc(1, sizeof *loop);
	int rc;

	if (!loop)
		return SC_E_NOMEM;
	loop->clock = clock;
	rc = uv_loop_init(&loop->uv);
	if (rc) {
		free(loop);
		return rc == UV_ENOMEM ? SC_E_NOMEM : SC_E_IO;
	}
	if (round_init(loop) != SC_OK) {
		uv_loop_close(&loop->uv);
		free(loop);
		return SC_E_IO;
	}
	if (clock)
		manual_clock_attach(clock, loop);
	*loop_out = loop;
	return SC_OK;
}

enum sc_status loop_open(struct loop **loop_out, struct error *err)
{
	enum sc_status status = descriptors_check(N_DESCRIPTORS, err);

	if (status != SC_OK)
		return status;
	status = loop_create(loop_out);
	return status == SC_OK ? SC_OK : error_set(err, status, "the event loop: %s",
						   sc_status_name(status));
}

static void assert_is_closing(uv_handle_t *handle, void *arg)
{
	(void)handle;
	(void)arg;
	assert(uv_is_closing(handle));
}

void loop_destroy(struct loop *loop)
{
	int rc;

	if (!loop)
		return;
	if (loop->clock)
		list_remove(&loop->clock_node);
	round_close(loop);
	uv_walk(&loop->uv, assert_is_closing, NULL);
	/* uv_run returns early, before the close callbacks, if loop_stop was called last; so run it
	 * again. */
	while (uv_run(&loop->uv, UV_RUN_DEFAULT))
		;
	rc = uv_loop_close(&loop->uv);
	assert(rc == 0);
	(void)rc;
	free(loop);
}

void loop_run(struct loop *loop)
{
	turn_begin(loop);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	turn_end(loop, clock_ns());
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void loop_turn(struct loop *loop, bool may_wait)
{
	turn_begin(loop);
	uv_run(&loop->uv, may_wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	turn_end(loop, clock_ns());
}

uv_loop_t *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

/* Objects with one handle have it as first member, so the handle's address is the object's
 * address. */
static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

struct signal_watch {
	uv_signal_t uv;
	signal_fn *fn;
	void *arg;
};

static void on_signal(uv_signal_t *handle, int signum)
{
	struct signal_watch *watch = (struct signal_watch *)handle;

	watch->fn(watch->arg, signum);
}

enum sc_status signal_watch_create(struct loop *loop, int signum, signal_fn *fn, void *arg,
				   struct signal_watch **watch_out, struct error *err)
{
	struct signal_watch *watch = calloc(1, sizeof *watch);
	int rc;

	if (!watch)
		return error_set(err, SC_E_NOMEM, "watching signal %d: out of memory", signum);
	watch->fn = fn;
	watch->arg = arg;
	rc = uv_signal_init(&loop->uv, &watch->uv);
	if (rc) {
		free(watch);
		return error_set(err, SC_E_IO, "signal %d: %s", signum, uv_strerror(rc));
	}
	rc = uv_signal_start(&watch->uv, on_signal, signum);
	if (rc) {
		signal_watch_destroy(watch);
		return error_set(err, SC_E_IO, "signal %d: %s", signum, uv_strerror(rc));
	}
	*watch_out = watch;
	return SC_OK;
}

void signal_watch_destroy(struct signal_watch *watch)
{
	if (watch)
		uv_close((uv_handle_t *)&watch->uv, free_handle);
}
