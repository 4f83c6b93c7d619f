/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/counters.h"

#include "base/clock.h"

/* All stages have told of this step, except those that are not there to tell. */
static bool have_told(const struct counters *counters, uint64_t step)
{
	for (unsigned i = 0; i < members_n_stages(counters->members); i++) {
		const struct member *member = members_of_stage(counters->members, i);

		if (member && member->state == MEMBER_READY && member->last_step < step)
			return false;
	}
	return true;
}

static void ask(struct counters *counters)
{
	counters->asked_step = counters->answered_step;
	counters->is_asked = true;
	members_ask(counters->members);
}

static struct counters_wait *first_wait(const struct counters *counters)
{
	return list_is_empty(&counters->waits) ? NULL :
	       list_entry(counters->waits.next, struct counters_wait, node);
}

static void serve(struct counters_wait *wait)
{
	counters_forget(wait);
	wait->on_current(wait->arg);
}

static void arm(struct counters *counters)
{
	const struct counters_wait *wait = first_wait(counters);
	uint64_t now_ns = loop_now_ns(counters->loop);

	if (!wait)
		timer_stop(counters->patience);
	else
		timer_start(counters->patience, wait->end_ns > now_ns ?
			    (wait->end_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0, 0);
}

static void on_patience_end(void *arg)
{
	struct counters *counters = arg;
	struct counters_wait *wait;

	while ((wait = first_wait(counters)) && wait->end_ns <= loop_now_ns(counters->loop)) {
		counters->is_asked = false;	/* the next one asks again */
		serve(wait);
	}
	counters_check(counters);
}

enum sc_status counters_init(struct counters *counters, struct loop *loop,
			     struct members *members)
{
	*counters = (struct counters){ .loop = loop, .members = members };
	list_init(&counters->waits);
	return timer_create_on(loop, on_patience_end, counters, &counters->patience);
}

void counters_deinit(struct counters *counters)
{
	struct counters_wait *wait;

	timer_destroy(counters->patience);
	while (counters->loop && (wait = first_wait(counters)))
		counters_forget(wait);
}

void counters_restart(struct counters *counters)
{
	struct counters_wait *wait;

	counters->answered_step = 0;
	counters->is_asked = false;
	while ((wait = first_wait(counters)))
		serve(wait);
	arm(counters);
}

void counters_note_step(struct counters *counters, uint64_t step)
{
	counters->answered_step = step;
}

void counters_await(struct counters *counters, struct counters_wait *wait)
{
	wait->step = counters->answered_step;
	wait->end_ns = loop_now_ns(counters->loop) + COUNTERS_PATIENCE_MS * NS_PER_MS;
	list_append(&counters->waits, &wait->node);
	counters_check(counters);
}

void counters_check(struct counters *counters)
{
	struct counters_wait *wait;

	/* Whoever came later waits for a later step, or the same. */
	while ((wait = first_wait(counters)) && have_told(counters, wait->step))
		serve(wait);
	if (counters->is_asked && have_told(counters, counters->asked_step))
		counters->is_asked = false;
	if (!list_is_empty(&counters->waits) && !counters->is_asked)
		ask(counters);
	arm(counters);
}

void counters_forget(struct counters_wait *wait)
{
	if (wait->node.next)
		list_remove(&wait->node);
}
