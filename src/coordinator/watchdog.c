/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/watchdog.h"

#include "base/clock.h"

#include <math.h>
#include <stddef.h>

#define PATIENCE 10		/* times the longest step */
#define FIRST_MS 10000		/* at least, for the first step of an epoch */
#define DOUBT_MS 500		/* at most, for the stages to tell their counters */

static void start_timer(struct watchdog *w, uint64_t in_ns)
{
	w->is_timing = true;
	w->due_ns = loop_now_ns(w->config.loop) + in_ns;
	timer_start(w->timer, (in_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

static uint64_t limit_ns(const struct watchdog *w)
{
	double expected_ns = w->config.expected_ns(w->config.arg);
	double ns = (double)w->config.deadline_ms * (double)NS_PER_MS;

	ns = fmax(ns, PATIENCE * fmax((double)w->longest_ns, expected_ns));
	if (!w->longest_ns)
		ns = fmax(ns, FIRST_MS * (double)NS_PER_MS);
	return ns < (double)(UINT64_MAX / 2) ? (uint64_t)ns : UINT64_MAX / 2;
}

static uint64_t doubt_ns(const struct watchdog *w)
{
	uint64_t ms = w->config.deadline_ms / 4;

	return (ms < DOUBT_MS ? ms + 1 : DOUBT_MS) * NS_PER_MS;
}

/* Was this process held up, so that answers may lie unread? */
static bool is_late(const struct watchdog *w, uint64_t now_ns)
{
	return now_ns > w->due_ns &&
	       (now_ns - w->due_ns) / NS_PER_MS > w->config.deadline_ms / 2;
}

static void look(void *arg)
{
	struct watchdog *w = arg;
	uint64_t now_ns = loop_now_ns(w->config.loop), limit, age_ns;

	w->is_timing = false;
	if (!w->is_watching)
		return;
	limit = limit_ns(w);
	if (is_late(w, now_ns)) {
		w->since_ns = now_ns;
		w->is_in_doubt = false;
	}
	age_ns = now_ns - w->since_ns;
	if (age_ns < limit) {
		start_timer(w, limit - age_ns);
	} else if (!w->is_in_doubt) {
		w->is_in_doubt = true;
		start_timer(w, doubt_ns(w));
		w->config.on_doubt(w->config.arg);
	} else {
		w->config.on_stuck(w->config.arg, age_ns);
	}
}

enum sc_status watchdog_init(struct watchdog *w, const struct watchdog_config *config)
{
	*w = (struct watchdog){ .config = *config };
	return timer_create_on(config->loop, look, w, &w->timer);
}

void watchdog_deinit(struct watchdog *w)
{
	timer_destroy(w->timer);
	w->timer = NULL;
}

void watchdog_watch(struct watchdog *w)
{
	uint64_t limit;

	if (w->is_watching)
		return;
	limit = limit_ns(w);
	w->is_watching = true;
	w->is_in_doubt = false;
	w->since_ns = loop_now_ns(w->config.loop);
	/* A timer that was set for an earlier step looks earlier, and sets itself again. */
	if (!w->is_timing || w->due_ns > w->since_ns + limit)
		start_timer(w, limit);
}

void watchdog_note_answer(struct watchdog *w)
{
	uint64_t age_ns = loop_now_ns(w->config.loop) - w->since_ns;

	if (!w->is_watching)
		return;
	w->is_watching = false;
	/* At least 1, because 0 means that nothing was answered yet. */
	if (age_ns >= w->longest_ns)
		w->longest_ns = age_ns + 1;
}

void watchdog_reset(struct watchdog *w)
{
	w->is_watching = w->is_in_doubt = w->is_timing = false;
	w->longest_ns = 0;
	timer_stop(w->timer);
}
