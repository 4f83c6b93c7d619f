/* SPDX-License-Identifier: Apache-2.0 */
/* Stages that are alive but make no progress: steps that are not answered, and loading that stands
 * still. Such a stage is lost, like one that is silent. */
#include "coordinator/coordinator_private.h"

#include "base/clock.h"

#include <stdio.h>

/* Loading may stand still for so long, and at least for ten times the deadline. */
#define LOAD_MS 60000
#define LOAD_DEADLINES 10

/* --- steps --- */

static double expected_ns(void *arg)
{
	const struct coordinator *c = arg;

	return c->epoch ? scheduler_oldest(c->epoch->scheduler).expected_ns : 0;
}

static void on_doubt(void *arg)
{
	struct coordinator *c = arg;

	members_ask(c->members);
}

/* The first stage that has not counted the step; or the last stage, if all have. */
static struct member *find_stuck(const struct coordinator *c, uint64_t step)
{
	struct member *member = NULL;

	for (unsigned i = 0; i < members_n_stages(c->members); i++) {
		struct member *next = members_of_stage(c->members, i);

		if (next)
			member = next;
		if (next && next->last_step < step)
			break;
	}
	return member;
}

static void on_stuck(void *arg, uint64_t age_ns)
{
	struct coordinator *c = arg;
	struct member *member;
	uint64_t step;
	char why[128];

	if (!c->epoch)
		return;
	step = scheduler_oldest(c->epoch->scheduler).step_id;
	member = find_stuck(c, step);
	if (!member)
		return;
	snprintf(why, sizeof why, "it is alive, but %s step %llu for %.1f s",
		 member->last_step < step ? "has not ended" : "its tokens have not come of",
		 (unsigned long long)step, clock_seconds(age_ns));
	members_lose(c->members, member, SC_E_TIMEOUT, why);
}

/* --- loading --- */

static uint64_t load_limit_ms(const struct coordinator *c)
{
	uint64_t ms = (uint64_t)LOAD_DEADLINES * c->config.deadline_ms;

	return ms > LOAD_MS ? ms : LOAD_MS;
}

static void check_member(struct coordinator *c, struct member *member, uint64_t now_ns)
{
	uint64_t since_ns = member->progress_ns;
	char why[128];

	if (member->state != MEMBER_OPENING && member->state != MEMBER_LOADING)
		return;
	/* While this process was suspended, messages were not read. */
	if (since_ns < c->load_watched_ns)
		since_ns = c->load_watched_ns;
	if ((now_ns - since_ns) / NS_PER_MS < load_limit_ms(c))
		return;
	snprintf(why, sizeof why, "it is alive, but has loaded nothing for %llu ms",
		 (unsigned long long)((now_ns - since_ns) / NS_PER_MS));
	members_lose(c->members, member, SC_E_TIMEOUT, why);
}

static void watch_loading(void *arg)
{
	struct coordinator *c = arg;
	uint64_t now_ns = loop_now_ns(c->config.loop);
	uint64_t period_ms = load_limit_ms(c) / 8;
	const struct epoch *epoch = c->epoch;

	if ((now_ns - c->load_looked_ns) / NS_PER_MS > 2 * period_ms)
		c->load_watched_ns = now_ns;
	c->load_looked_ns = now_ns;
	/* A loss may end this epoch and begin another one. */
	for (unsigned i = 0; c->epoch == epoch && i < members_n_stages(c->members); i++)
		if (members_of_stage(c->members, i))
			check_member(c, members_of_stage(c->members, i), now_ns);
}

/* --- life --- */

enum sc_status coordinator_init_watch(struct coordinator *c)
{
	const struct watchdog_config config = {
		.loop = c->config.loop,
		.deadline_ms = c->config.deadline_ms,
		.expected_ns = expected_ns,
		.on_doubt = on_doubt,
		.on_stuck = on_stuck,
		.arg = c,
	};

	if (watchdog_init(&c->watchdog, &config) != SC_OK)
		return SC_E_NOMEM;
	return timer_create_on(c->config.loop, watch_loading, c, &c->load_timer);
}

void coordinator_deinit_watch(struct coordinator *c)
{
	watchdog_deinit(&c->watchdog);
	timer_destroy(c->load_timer);
}

void coordinator_watch_loading(struct coordinator *c)
{
	uint64_t period_ms = load_limit_ms(c) / 8;

	c->load_watched_ns = c->load_looked_ns = loop_now_ns(c->config.loop);
	timer_start(c->load_timer, period_ms, period_ms);
}

void coordinator_stop_watching_loading(struct coordinator *c)
{
	timer_stop(c->load_timer);
}

void coordinator_watch_steps(struct coordinator *c)
{
	if (c->epoch && scheduler_counts(c->epoch->scheduler).in_flight)
		watchdog_watch(&c->watchdog);
}
