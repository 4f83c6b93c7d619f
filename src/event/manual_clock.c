/* SPDX-License-Identifier: Apache-2.0 */
#include "event/manual_clock.h"

#include "base/clock.h"
#include "event/round.h"

#include <assert.h>
#include <stdlib.h>

#define MAX_TURNS 1000

struct manual_clock {
	uint64_t now_ns;
	struct list loops;
};

enum sc_status manual_clock_create(struct manual_clock **clock_out)
{
	struct manual_clock *clock = calloc(1, sizeof *clock);

	if (!clock)
		return SC_E_NOMEM;
	clock->now_ns = NS_PER_SECOND;	/* not 0, because many structs use 0 for "never" */
	list_init(&clock->loops);
	*clock_out = clock;
	return SC_OK;
}

void manual_clock_destroy(struct manual_clock *clock)
{
	if (!clock)
		return;
	assert(list_is_empty(&clock->loops));
	free(clock);
}

void manual_clock_attach(struct manual_clock *clock, struct loop *loop)
{
	list_append(&clock->loops, &loop->clock_node);
}

struct manual_clock *loop_manual_clock(const struct loop *loop)
{
	return loop->clock;
}

uint64_t manual_clock_ns(const struct manual_clock *clock)
{
	return clock->now_ns;
}

static bool turn_all(struct manual_clock *clock)
{
	bool has_happened = false;

	list_for_each(node, &clock->loops) {
		struct loop *loop = list_entry(node, struct loop, clock_node);
		uint64_t n_calls = loop->n_calls;

		loop_turn(loop, false);
		has_happened |= loop->n_calls != n_calls;
	}
	return has_happened;
}

void manual_clock_settle(struct manual_clock *clock)
{
	for (int n = 0; n < MAX_TURNS && turn_all(clock); n++)
		;
}

static void set(struct manual_clock *clock, uint64_t now_ns)
{
	clock->now_ns = now_ns;
	list_for_each(node, &clock->loops)
		timers_arm(list_entry(node, struct loop, clock_node));
}

static uint64_t next_ns(const struct manual_clock *clock)
{
	uint64_t next_ns = UINT64_MAX;

	list_for_each(node, &clock->loops) {
		uint64_t due_ns = timers_next_ns(list_entry(node, struct loop, clock_node));

		if (due_ns < next_ns)
			next_ns = due_ns;
	}
	return next_ns;
}

void manual_clock_pass(struct manual_clock *clock, uint64_t ms)
{
	uint64_t end_ns = clock->now_ns + ms * NS_PER_MS;

	manual_clock_settle(clock);
	while (next_ns(clock) <= end_ns) {
		set(clock, next_ns(clock));
		manual_clock_settle(clock);
	}
	set(clock, end_ns);
	manual_clock_settle(clock);
}

void manual_clock_jump(struct manual_clock *clock, uint64_t ms)
{
	set(clock, clock->now_ns + ms * NS_PER_MS);
}
