/* SPDX-License-Identifier: Apache-2.0 */
/* Losing an epoch, and finding another one: at once, after a pause, or once there are workers. */
#include "coordinator/coordinator_private.h"

#include "base/clock.h"
#include "base/log.h"

/* Epochs that may be lost in a row before their probe is answered. The first two attempts follow
 * each other at once, because losses often come in pairs. Then each pause is twice as long. */
enum { MAX_ATTEMPTS = 12, ATTEMPTS_WITHOUT_PAUSE = 2 };
#define FIRST_PAUSE_MS 250
#define LONGEST_PAUSE_MS 8000

/* --- losing --- */

static void add_totals(struct coordinator *c)
{
	struct scheduler_counts counts = scheduler_counts(c->epoch->scheduler);

	c->totals.steps += counts.steps;
	c->totals.rows += counts.rows;
	c->totals.preemptions += counts.preemptions;
	c->totals.active_ns += epoch_active_ns(c->epoch, loop_now_ns(c->config.loop));
}

void coordinator_drop_epoch(struct coordinator *c)
{
	if (!c->epoch)
		return;
	coordinator_suspend_jobs(c);
	add_totals(c);
	plan_destroy(c->last_plan);
	c->last_plan = c->epoch->plan;
	c->epoch->plan = NULL;
	epoch_destroy(c->epoch);
	c->epoch = NULL;
	watchdog_reset(&c->watchdog);
	coordinator_stop_watching_loading(c);
	counters_restart(&c->counters);
}

void coordinator_lose_epoch(struct coordinator *c, const struct error *err)
{
	bool has_run = c->epoch && c->epoch->state == EPOCH_RUNNING;

	if (c->phase >= COORDINATOR_STOPPED)
		return;
	log_warning("%s", err->text);
	c->last_loss = *err;
	c->lost_ns = loop_now_ns(c->config.loop);
	if (!c->n_attempts)
		c->first_lost_ns = c->lost_ns;
	c->n_recoveries += has_run;
	if (c->epoch)
		members_end_epoch(c->members);
	coordinator_drop_epoch(c);
	jobs_note_loss(&c->jobs, c->n_epochs, err, c->lost_ns);
	coordinator_end_culprits(c);
	if (coordinator_may_become(c->phase, COORDINATOR_RECOVERING))
		coordinator_set_phase(c, COORDINATOR_RECOVERING);
	wake_send(c->settle_soon);
}

/* --- finding another one --- */

static uint64_t seek_left_ms(const struct coordinator *c)
{
	uint64_t now_ns = loop_now_ns(c->config.loop);

	return c->seek_until_ns > now_ns ? (c->seek_until_ns - now_ns) / NS_PER_MS : 0;
}

static void give_up(struct coordinator *c, const char *why)
{
	struct error err;

	error_set(&err, SC_E_UNAVAILABLE, "%s; %s", c->last_loss.text, why);
	coordinator_abort(c, &err);
}

/* Those that are here cannot hold the model. Waits for one more. */
static void await_worker(struct coordinator *c, const struct error *why)
{
	uint64_t left_ms;

	if (!c->seek_until_ns) {
		c->seek_until_ns = loop_now_ns(c->config.loop) + c->config.start_ms * NS_PER_MS;
		log_warning("no epoch is possible: %s. Waiting %u ms for a worker", why->text,
			    c->config.start_ms);
	}
	left_ms = seek_left_ms(c);
	if (!left_ms) {
		give_up(c, why->text);
		return;
	}
	members_release(c->members, c->n_epochs + 1);
	members_await(c->members, members_n_usable(c->members) + 1, (uint32_t)left_ms);
}

static uint64_t pause_ms(unsigned n_attempts)
{
	uint64_t ms = FIRST_PAUSE_MS;

	for (unsigned i = ATTEMPTS_WITHOUT_PAUSE; i < n_attempts && ms < LONGEST_PAUSE_MS; i++)
		ms *= 2;
	return ms < LONGEST_PAUSE_MS ? ms : LONGEST_PAUSE_MS;
}

/* Tries again after a pause, unless that was tried too often. */
static void try_later(struct coordinator *c, const char *why)
{
	members_release(c->members, c->n_epochs + 1);
	if (c->n_attempts > MAX_ATTEMPTS)
		give_up(c, why);
	else
		timer_start(c->seek_timer, pause_ms(c->n_attempts), 0);
}

void coordinator_seek(void *arg)
{
	struct coordinator *c = arg;
	enum sc_status status;
	struct error err;

	if (c->epoch || c->is_stopping || c->phase >= COORDINATOR_STOPPED)
		return;
	status = coordinator_begin_epoch(c, 1, &err);
	if (status == SC_E_UNAVAILABLE || status == SC_E_CAPACITY) {
		await_worker(c, &err);
	} else if (status != SC_OK) {	/* out of memory, or no data links: not the workers' fault */
		log_warning("no epoch is possible now: %s", err.text);
		c->n_attempts++;
		try_later(c, err.text);
	} else {
		c->seek_until_ns = 0;
		members_await(c->members, 0, 0);
		log_info("epoch %u: %u stage%s", c->epoch->number, c->epoch->plan->n_stages,
			 c->epoch->plan->n_stages == 1 ? "" : "s");
	}
}

void coordinator_replace_epoch(struct coordinator *c, const struct error *err)
{
	if (!c->config.survives_losses) {
		coordinator_abort(c, err);
		return;
	}
	coordinator_lose_epoch(c, err);
	if (c->is_stopping || c->phase >= COORDINATOR_STOPPED)
		return;
	if (++c->n_attempts <= ATTEMPTS_WITHOUT_PAUSE)
		coordinator_seek(c);
	else
		try_later(c, "this was the last of many attempts that were lost before a step was "
			  "answered");
}

/* Those that are here, also in quarantine. */
static unsigned count_fit(const struct coordinator *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < members_count(c->members); i++)
		n += member_is_fit(members_get(c->members, i));
	return n;
}

void coordinator_on_short(void *arg, const struct error *err)
{
	struct coordinator *c = arg;
	struct error why;

	if (c->phase == COORDINATOR_CONNECTING) {
		if (count_fit(c) >= c->config.n_stages)
			coordinator_on_known(c);
		else
			coordinator_abort(c, err);
		return;
	}
	error_set(&why, SC_E_UNAVAILABLE, "no other worker came within %u ms", c->config.start_ms);
	give_up(c, why.text);
}

/* --- growing --- */

/* Waits for a worker beyond those that have a stage, if fewer have one than are wanted. */
static void await_growth(struct coordinator *c)
{
	unsigned n = c->epoch->plan->n_stages;

	c->may_grow = false;
	if (c->config.survives_losses && n < c->config.n_stages)
		members_await(c->members, n + 1, 0);
}

void coordinator_grow_if_idle(struct coordinator *c)
{
	struct error err;
	unsigned n;

	if (!c->may_grow || c->phase != COORDINATOR_READY || c->jobs.n_active)
		return;
	c->may_grow = false;
	n = c->epoch->plan->n_stages;
	if (coordinator_begin_epoch(c, n + 1, &err) != SC_OK) {
		log_debug("%u stages remain: %s", n, err.text);
		return;
	}
	log_info("epoch %u: %u stages instead of %u, because workers have come",
		 c->epoch->number, c->epoch->plan->n_stages, n);
	coordinator_set_phase(c, COORDINATOR_RECOVERING);
}

void coordinator_on_enough(void *arg)
{
	struct coordinator *c = arg;

	if (c->phase == COORDINATOR_CONNECTING) {
		coordinator_on_known(c);
	} else if (!c->epoch) {
		coordinator_seek(c);
	} else {
		c->may_grow = true;
		wake_send(c->settle_soon);
	}
}

/* How long the pipeline stood, and who has the layers now. */
static void log_running(struct coordinator *c)
{
	const struct epoch *epoch = c->epoch;
	struct buf change = BUF_INIT;

	if (plan_change_note(&c->change, epoch->plan, &change) != SC_OK)
		log_debug("epoch %u: no memory to say what its plan changes", epoch->number);
	if (c->n_attempts)
		log_info("epoch %u runs %.1f s after the loss: %s; %u job%s on", epoch->number,
			 clock_seconds(loop_now_ns(c->config.loop) - c->first_lost_ns),
			 change.data, c->jobs.n_active, c->jobs.n_active == 1 ? " goes" : "s go");
	else if (epoch->number > 1)
		log_info("epoch %u runs: %s", epoch->number, change.data);
	buf_deinit(&change);
}

void coordinator_note_running(struct coordinator *c)
{
	log_running(c);
	c->n_attempts = 0;
	await_growth(c);
	if (c->config.warms_spares)
		coordinator_warm_spares(c);
}
