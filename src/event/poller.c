/* SPDX-License-Identifier: Apache-2.0 */
#include "event/loop.h"

#include "base/clock.h"

#include <stdlib.h>
#include <uv.h>

/*
 * A round of libuv runs its prepare handles right before it waits, and does not wait while an
 * idle handle is active. So all work is in the prepare callback, and the idle handle says "do
 * not sleep yet". Whatever woke the loop, progress is called before it sleeps again.
 */

/* How much one round may do before timers and other descriptors have their turn. */
#define PROGRESS_PER_ROUND 64
#define SPIN_PER_ROUND_NS 5000

struct poller {
	struct poller_config config;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_timer_t nap;		/* only with fd < 0 */
	uv_poll_t readable;	/* only with fd >= 0 */
	uint64_t quiet_since_ns;
	unsigned nap_ms;	/* the next sleep; grows while nothing happens */
	unsigned n_open;	/* handles whose close callback has not come */
	bool is_asleep;		/* armed: what comes next on the descriptor is news */
	bool is_destroyed;
};

static void on_idle(uv_idle_t *handle)
{
	(void)handle;
}

static void on_nap_end(uv_timer_t *handle)
{
	(void)handle;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct poller *poller = handle->data;

	(void)status;
	(void)events;
	/* The descriptor stays readable until arm() has taken its news: while the poller is awake
	 * that says nothing, and would keep it awake for ever. */
	if (!poller->is_asleep)
		return;
	poller->is_asleep = false;
	poller->quiet_since_ns = clock_ns();
}

/* The poller may be destroyed from inside progress. */
static bool progress(struct poller *poller)
{
	bool has_happened = false;
	int n = 0;

	while (n++ < PROGRESS_PER_ROUND && !poller->is_destroyed &&
	       poller->config.ops->progress(poller->config.arg))
		has_happened = true;
	return has_happened;
}

/* Progress until something happened, for a part of the spin time. True: it is not over yet. */
static bool is_busy(struct poller *poller)
{
	uint64_t spin_ns = poller->config.spin_us * UINT64_C(1000);
	uint64_t start_ns = clock_ns();
	uint64_t now_ns = start_ns;

	do {
		if (progress(poller)) {
			poller->quiet_since_ns = clock_ns();
			poller->nap_ms = 1;
			return true;
		}
		now_ns = clock_ns();
	} while (!poller->is_destroyed && now_ns - poller->quiet_since_ns < spin_ns &&
		 now_ns - start_ns < SPIN_PER_ROUND_NS);
	return now_ns - poller->quiet_since_ns < spin_ns;
}

static bool is_armed(struct poller *poller)
{
	const struct poller_ops *ops = poller->config.ops;

	return !ops->arm || ops->arm(poller->config.arg);
}

static void start_nap(struct poller *poller)
{
	uv_update_time(poller->nap.loop);
	uv_timer_start(&poller->nap, on_nap_end, poller->nap_ms, 0);
	poller->nap_ms *= 2;
	if (poller->nap_ms > poller->config.idle_ms)
		poller->nap_ms = poller->config.idle_ms;
}

static void on_prepare(uv_prepare_t *handle)
{
	struct poller *poller = handle->data;
	bool may_sleep = !is_busy(poller) && !poller->is_destroyed && is_armed(poller);

	if (poller->is_destroyed)
		return;
	if (!may_sleep) {
		uv_idle_start(&poller->idle, on_idle);
		return;
	}
	uv_idle_stop(&poller->idle);
	poller->is_asleep = true;
	if (poller->config.fd < 0)
		start_nap(poller);
}

static enum sc_status open_wait(struct loop *loop, struct poller *poller, struct error *err)
{
	int rc;

	if (poller->config.fd < 0) {
		uv_timer_init(loop_uv(loop), &poller->nap);
		poller->nap.data = poller;
		return SC_OK;
	}
	rc = uv_poll_init(loop_uv(loop), &poller->readable, poller->config.fd);
	if (rc)
		return error_set(err, SC_E_IO, "poller: descriptor %d: %s", poller->config.fd,
				 uv_strerror(rc));
	poller->readable.data = poller;
	uv_poll_start(&poller->readable, UV_READABLE, on_readable);
	return SC_OK;
}

enum sc_status poller_create(struct loop *loop, const struct poller_config *config,
			     struct poller **poller_out, struct error *err)
{
	struct poller *poller = calloc(1, sizeof *poller);
	enum sc_status status;

	if (!poller)
		return error_set(err, SC_E_NOMEM, "poller: out of memory");
	poller->config = *config;
	if (!poller->config.idle_ms)
		poller->config.idle_ms = 1;
	poller->nap_ms = 1;
	poller->quiet_since_ns = clock_ns();
	status = open_wait(loop, poller, err);
	if (status != SC_OK) {
		free(poller);
		return status;
	}
	uv_idle_init(loop_uv(loop), &poller->idle);
	poller->idle.data = poller;
	uv_prepare_init(loop_uv(loop), &poller->prepare);
	poller->prepare.data = poller;
	uv_prepare_start(&poller->prepare, on_prepare);
	poller->n_open = 3;
	*poller_out = poller;
	return SC_OK;
}

static void on_closed(uv_handle_t *handle)
{
	struct poller *poller = handle->data;

	if (--poller->n_open == 0)
		free(poller);
}

void poller_destroy(struct poller *poller)
{
	if (!poller)
		return;
	poller->is_destroyed = true;
	uv_close((uv_handle_t *)&poller->prepare, on_closed);
	uv_close((uv_handle_t *)&poller->idle, on_closed);
	if (poller->config.fd < 0)
		uv_close((uv_handle_t *)&poller->nap, on_closed);
	else
		uv_close((uv_handle_t *)&poller->readable, on_closed);
}
