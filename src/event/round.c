/* SPDX-License-Identifier: Apache-2.0 */
#include "event/round.h"

#include "base/clock.h"

#include <assert.h>

/* Limits on one round, so that timers and descriptors are not starved. */
#define CALLS_PER_ROUND 64
#define LOOKS_PER_ROUND 8

static bool do_some(struct loop *loop)
{
	bool has_happened = false;

	for (int n = 0; n < CALLS_PER_ROUND; n++) {
		bool has_now = wakes_run(loop);

		has_now |= pollers_progress(loop);
		if (!has_now)
			break;
		has_happened = true;
		loop->n_calls++;
	}
	return has_happened;
}

/* Runs wakes and pollers until something happens, for a part of the spin time. Returns true if the
 * loop must not sleep yet. */
static bool is_busy(struct loop *loop)
{
	for (int n = 0; n < LOOKS_PER_ROUND; n++) {
		if (do_some(loop)) {
			spin_begin(&loop->spin, loop->spin_ns);
			loop->is_spinning = true;
			return true;
		}
		if (loop->is_spinning)
			loop->is_spinning = spin_goes_on(&loop->spin);
		if (!loop->is_spinning)
			return false;
	}
	return true;
}

static void on_idle(uv_idle_t *handle)
{
	(void)handle;
}

/* No wake is lost: this thread sets is_asleep and then checks has_wakes; a sender sets has_wakes
 * and then checks is_asleep. At least one of them sees the other. The same protocol covers a poller
 * whose arm() blocks for a short time. */
static bool may_sleep(struct loop *loop)
{
	if (is_busy(loop))
		return false;
	atomic_store(&loop->is_asleep, true);
	return !atomic_load(&loop->has_wakes) && pollers_arm(loop);
}

static void on_prepare(uv_prepare_t *handle)
{
	struct loop *loop = handle->data;
	uint64_t begin_ns = clock_ns();

	atomic_store(&loop->is_asleep, false);
	if (may_sleep(loop)) {
		uv_idle_stop(&loop->idle);
		pollers_start_naps(loop);
	} else {
		uv_idle_start(&loop->idle, on_idle);
	}
	turn_end(loop, begin_ns);
}

static void on_doorbell(uv_async_t *handle)
{
	(void)handle;	/* the next round checks the flags */
}

enum sc_status round_init(struct loop *loop)
{
	list_init(&loop->wakes);
	list_init(&loop->pollers);
	/* turn.c subtracts the idle time. Measuring it costs one extra epoll_wait before each
	 * wait. */
	uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
	if (uv_async_init(&loop->uv, &loop->doorbell, on_doorbell))
		return SC_E_IO;
	uv_prepare_init(&loop->uv, &loop->prepare);
	uv_idle_init(&loop->uv, &loop->idle);
	uv_unref((uv_handle_t *)&loop->doorbell);
	uv_unref((uv_handle_t *)&loop->prepare);
	uv_unref((uv_handle_t *)&loop->idle);
	loop->prepare.data = loop;
	uv_prepare_start(&loop->prepare, on_prepare);
	timers_init(loop);
	return SC_OK;
}

void round_close(struct loop *loop)
{
	assert(!loop->n_users);
	timers_close(loop);
	uv_close((uv_handle_t *)&loop->doorbell, NULL);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->idle, NULL);
}

void loop_add_user(struct loop *loop)
{
	if (!loop->n_users++)
		uv_ref((uv_handle_t *)&loop->doorbell);
}

void loop_remove_user(struct loop *loop)
{
	if (!--loop->n_users)
		uv_unref((uv_handle_t *)&loop->doorbell);
}

void loop_spin(struct loop *loop, unsigned spin_us)
{
	uint64_t spin_ns = spin_us * UINT64_C(1000);

	if (spin_ns > loop->spin_ns)
		loop->spin_ns = spin_ns;
	spin_begin(&loop->spin, loop->spin_ns);
	loop->is_spinning = true;
}
