/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/chaos_faults.h"

#include "tests/pipeline/chaos_jobs.h"

#include <stdio.h>

struct action_row {
	const char *name;
	unsigned weight;	/* 0: only as the last fault */
};

static const struct action_row actions[CHAOS_N_ACTIONS] = {
	[CHAOS_CUT_LINK] = { "cut link", 14 },
	[CHAOS_HOLD_LINK] = { "hold link", 8 },
	[CHAOS_CUT_CHANNEL] = { "cut channel", 12 },
	[CHAOS_HOLD_CHANNEL] = { "hold channel", 8 },
	[CHAOS_FREEZE] = { "freeze worker", 8 },
	[CHAOS_KILL] = { "kill worker", 20 },
	[CHAOS_KILL_ENDS] = { "kill first and last", 4 },
	[CHAOS_KILL_ALL] = { "kill all", 3 },
	[CHAOS_LEAVE] = { "leave", 4 },
	[CHAOS_REDIAL] = { "dial again", 4 },
	[CHAOS_TWIN] = { "twin", 4 },
	[CHAOS_SUBMIT] = { "submit", 6 },
	[CHAOS_CANCEL] = { "cancel", 5 },
	[CHAOS_RESTART] = { "restart coordinator", 2 },
	[CHAOS_DRAIN] = { "drain", 0 },
	[CHAOS_KILL_FOR_GOOD] = { "kill all for good", 0 },
};

/* splitmix64: neighbouring seeds give unlike numbers. */
uint32_t chaos_draw(uint64_t *state, uint32_t below)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((x ^ x >> 31) % below);
}

static enum chaos_action draw_action(uint64_t *state)
{
	unsigned total = 0, rest;

	for (unsigned i = 0; i < CHAOS_N_ACTIONS; i++)
		total += actions[i].weight;
	rest = chaos_draw(state, total);
	for (unsigned i = 0; i < CHAOS_N_ACTIONS; i++) {
		if (rest < actions[i].weight)
			return (enum chaos_action)i;
		rest -= actions[i].weight;
	}
	return CHAOS_KILL;
}

/* Soon: while the cluster is still busy with the fault before. */
static void draw_trigger(uint64_t *state, const struct chaos_scenario *scenario, bool is_soon,
			 struct chaos_fault *fault)
{
	fault->trigger = (enum chaos_trigger)chaos_draw(state, 4);
	if (is_soon)
		fault->trigger = chaos_draw(state, 2) ? CHAOS_AT_DELIVERY : CHAOS_AT_MESSAGE;
	fault->is_up = chaos_draw(state, 2);
	switch (fault->trigger) {
	case CHAOS_AT_DELIVERY:
		fault->n = 1 + chaos_draw(state, is_soon ? 24 : 80);
		break;
	case CHAOS_AT_FRAME:
		fault->where = chaos_draw(state, scenario->n_stages + 1);
		fault->n = 1 + chaos_draw(state, 16);
		break;
	case CHAOS_AT_MESSAGE:
		fault->where = 1 + chaos_draw(state, scenario->n_workers);
		fault->n = 1 + chaos_draw(state, 4);
		break;
	case CHAOS_AT_TOKEN:
		fault->n = 1 + chaos_draw(state, 25);
		break;
	}
}

static uint32_t draw_ticks(uint64_t *state)
{
	static const uint32_t ticks[] = { 0, 5, 20, 60, 200, 400, 900 };

	return ticks[chaos_draw(state, sizeof ticks / sizeof ticks[0])];
}

static void draw_fault(uint64_t *state, const struct chaos_scenario *scenario,
		       struct chaos_fault *fault)
{
	*fault = (struct chaos_fault){ .action = draw_action(state) };
	draw_trigger(state, scenario, chaos_draw(state, 2), fault);
	fault->target = chaos_draw(state, 64);
	fault->is_stage = chaos_draw(state, 4);
	fault->mode = 1 + chaos_draw(state, 3);
	if ((fault->action == CHAOS_CUT_LINK || fault->action == CHAOS_CUT_CHANNEL) &&
	    !chaos_draw(state, 4))
		fault->mode = 0;
	fault->ticks = draw_ticks(state);
	if (fault->action == CHAOS_KILL && !chaos_draw(state, 4))
		fault->ticks = CHAOS_NEVER;
}

void chaos_scenario_make(uint64_t seed, struct chaos_scenario *scenario)
{
	uint64_t state = seed;
	struct chaos_fault *last;
	unsigned end;

	*scenario = (struct chaos_scenario){
		.seed = seed,
		.n_stages = 1 + chaos_draw(&state, 3),
		.is_strict = chaos_draw(&state, 2),
		.warms_spares = !chaos_draw(&state, 4),
		.kv_positions = chaos_draw(&state, 2) ? 160 : 1024,
		.n_jobs = 2 + chaos_draw(&state, CHAOS_MAX_JOBS - 1),
		.n_faults = 1 + chaos_draw(&state, CHAOS_MAX_FAULTS),
	};
	scenario->n_workers = scenario->n_stages + chaos_draw(&state, 3);
	for (unsigned i = 0; i < scenario->n_jobs; i++)
		scenario->kinds[i] = chaos_draw(&state, CHAOS_N_KINDS);
	for (unsigned i = 0; i < scenario->n_faults; i++)
		draw_fault(&state, scenario, &scenario->faults[i]);
	last = &scenario->faults[scenario->n_faults - 1];
	end = chaos_draw(&state, 20);
	if (end < 2)
		last->action = CHAOS_DRAIN;
	else if (end < 3)
		last->action = CHAOS_KILL_FOR_GOOD;
}

const char *chaos_action_name(enum chaos_action action)
{
	return actions[action].name;
}

static void describe_trigger(const struct chaos_fault *fault, char text[64])
{
	switch (fault->trigger) {
	case CHAOS_AT_DELIVERY:
		snprintf(text, 64, "delivery %u", fault->n);
		break;
	case CHAOS_AT_FRAME:
		snprintf(text, 64, "frame %u into peer %u", fault->n, fault->where);
		break;
	case CHAOS_AT_MESSAGE:
		snprintf(text, 64, "message %u %s worker %u", fault->n,
			 fault->is_up ? "from" : "to", fault->where);
		break;
	case CHAOS_AT_TOKEN:
		snprintf(text, 64, "token %u", fault->n);
		break;
	}
}

void chaos_fault_describe(const struct chaos_fault *fault, char text[160])
{
	char when[64];

	describe_trigger(fault, when);
	snprintf(text, 160, "at %s: %s (%s %u, mode %u, ticks %d)", when,
		 chaos_action_name(fault->action), fault->is_stage ? "stage" : "number",
		 fault->target, fault->mode, (int)fault->ticks);
}
