/* SPDX-License-Identifier: Apache-2.0 */
/* Faults: when they fire, and what they do. */
#include "tests/pipeline/chaos.h"

#include "coordinator/coordinator_private.h"

#include <stdio.h>
#include <string.h>

/* A trigger that has not come after so many deliveries or rounds is not waited for any more. */
enum { LATE_DELIVERIES = 120, LATE_ROUNDS = 30 };

static struct chaos_fault *armed(struct chaos *chaos)
{
	return chaos->next_fault < chaos->scenario.n_faults ?
	       &chaos->scenario.faults[chaos->next_fault] : NULL;
}

/* Arms the fault after this one. */
static void go_on(struct chaos *chaos)
{
	chaos->next_fault++;
	chaos->armed_delivery = chaos->n_deliveries;
	chaos->armed_round = chaos->n_rounds;
	chaos->armed_token = chaos->n_tokens;
	chaos->n_seen = 0;
}

void chaos_give_up(struct chaos *chaos, const char *why)
{
	const struct chaos_fault *fault = armed(chaos);
	char text[160];

	if (!fault)
		return;
	chaos_fault_describe(fault, text);
	chaos_log("fault %u not reached, %s: %s", chaos->next_fault + 1, why, text);
	chaos->stats->n_missed[fault->action]++;
	go_on(chaos);
}

/* --- targets --- */

/* The live node with this id that is attached, or any live one with it. */
static struct node *find_node(struct chaos *chaos, const char *id)
{
	struct node *found = NULL;

	for (unsigned i = 0; i < chaos->n_nodes; i++) {
		struct node *node = &chaos->nodes[i];

		if (node->worker && !strcmp(node->id, id) && (!found || node->is_twin))
			found = node;
	}
	return found;
}

static struct node *node_of_stage(struct chaos *chaos, unsigned stage)
{
	const struct members *members = chaos->coordinator->members;
	const struct member *member = members_of_stage(members, stage);

	return member ? find_node(chaos, member->hello.worker_id) : NULL;
}

static struct node *any_node(struct chaos *chaos, unsigned number)
{
	for (unsigned i = 0; i < chaos->n_nodes; i++) {
		struct node *node = &chaos->nodes[(number + i) % chaos->n_nodes];

		if (node->worker && !node->is_over)
			return node;
	}
	return NULL;
}

static struct node *target_of(struct chaos *chaos, const struct chaos_fault *fault)
{
	unsigned n_stages = members_n_stages(chaos->coordinator->members);
	struct node *node = NULL;

	if (fault->is_stage && n_stages)
		node = node_of_stage(chaos, fault->target % n_stages);
	return node ? node : any_node(chaos, fault->target);
}

/* --- what they do: true if there was something to do it to --- */

static void kill_until(struct node *node, uint32_t ticks)
{
	node->back_at = node->is_twin || ticks == CHAOS_NEVER ? 0 : node->chaos->ticks + ticks + 1;
	chaos_log("worker %s: killed in life %u", node->id, node->n_lives);
	node_kill(node);
}

/* Workers that are here or will be. */
static unsigned count_future(const struct chaos *chaos)
{
	unsigned n = 0;

	for (unsigned i = 0; i < chaos->n_nodes; i++)
		n += !chaos->nodes[i].is_twin &&
		     (chaos->nodes[i].worker || chaos->nodes[i].back_at);
	return n;
}

/* So many must be left that the run can end well: all stages before the first epoch, then one. */
static uint32_t spare_the_last(const struct chaos *chaos, uint32_t ticks)
{
	unsigned n_needed = chaos->coordinator->n_epochs ? 1 : chaos->scenario.n_stages;

	return ticks == CHAOS_NEVER && count_future(chaos) <= n_needed ? 40 : ticks;
}

static bool kill_one(struct chaos *chaos, const struct chaos_fault *fault)
{
	struct node *node = target_of(chaos, fault);

	if (!node)
		return false;
	kill_until(node, spare_the_last(chaos, fault->ticks));
	return true;
}

static bool kill_ends(struct chaos *chaos, const struct chaos_fault *fault)
{
	unsigned n_stages = members_n_stages(chaos->coordinator->members);
	struct node *first = node_of_stage(chaos, 0);
	struct node *last = n_stages ? node_of_stage(chaos, n_stages - 1) : NULL;

	if (first)
		kill_until(first, fault->ticks);
	if (last && last != first)
		kill_until(last, fault->ticks);
	return first || last;
}

static bool kill_all(struct chaos *chaos, uint32_t ticks)
{
	bool is_any = false;

	for (unsigned i = 0; i < chaos->n_nodes; i++) {
		struct node *node = &chaos->nodes[i];

		if (ticks == CHAOS_NEVER && node->back_at) {
			node->back_at = 0;
			is_any = true;
		}
		if (!node->worker)
			continue;
		kill_until(node, ticks == CHAOS_NEVER ? ticks : ticks + 7 * i);
		is_any = true;
	}
	return is_any;
}

static bool leave(struct chaos *chaos, const struct chaos_fault *fault)
{
	struct node *node = target_of(chaos, fault);

	if (!node || !worker_is_attached(node->worker))
		return false;
	worker_leave(node->worker, "the scenario says so");
	kill_until(node, fault->ticks);
	return true;
}

static bool hold(struct chaos *chaos, struct hold hold, uint32_t ticks)
{
	for (unsigned i = 0; i < CHAOS_MAX_HOLDS; i++) {
		if (chaos->holds[i].until > chaos->ticks)
			continue;
		hold.until = chaos->ticks + ticks + 1;
		chaos->holds[i] = hold;
		return true;
	}
	return false;
}

static bool hold_link(struct chaos *chaos, const struct chaos_fault *fault)
{
	unsigned peer = fault->target % (chaos->scenario.n_stages + 1);

	return net_find_link(chaos->net, peer) &&
	       hold(chaos, (struct hold){ .host = NET_UNKNOWN, .peer = peer,
					  .channel = NET_UNKNOWN }, fault->ticks);
}

static bool hold_channel(struct chaos *chaos, const struct chaos_fault *fault)
{
	const struct node *node = target_of(chaos, fault);

	return node && hold(chaos, (struct hold){ .host = NET_UNKNOWN, .peer = NET_UNKNOWN,
						  .channel = node->port.host,
						  .directions = fault->mode }, fault->ticks);
}

static bool freeze(struct chaos *chaos, const struct chaos_fault *fault)
{
	const struct node *node = target_of(chaos, fault);

	return node && hold(chaos, (struct hold){ .host = node->port.host, .peer = NET_UNKNOWN,
						  .channel = NET_UNKNOWN }, fault->ticks);
}

static bool cut(struct chaos *chaos, struct wire *wire, unsigned told)
{
	if (wire)
		net_cut(chaos->net, wire, told);
	return wire;
}

static bool cut_link(struct chaos *chaos, const struct chaos_fault *fault)
{
	unsigned peer = fault->target % (chaos->scenario.n_stages + 1);

	return cut(chaos, net_find_link(chaos->net, peer), fault->mode);
}

static bool cut_channel(struct chaos *chaos, const struct chaos_fault *fault)
{
	const struct node *node = target_of(chaos, fault);

	return node && cut(chaos, net_find_channel(chaos->net, node->port.host, false),
			   fault->mode);
}

static bool redial(struct chaos *chaos, const struct chaos_fault *fault)
{
	struct node *node = target_of(chaos, fault);

	if (!node || !worker_is_attached(node->worker))
		return false;
	node_dial(node);
	return true;
}

static bool start_twin(struct chaos *chaos, const struct chaos_fault *fault)
{
	const struct node *node = target_of(chaos, fault);
	struct node *twin = &chaos->nodes[chaos->n_nodes];

	if (!node || node->is_twin || chaos->n_nodes == CHAOS_MAX_NODES)
		return false;
	chaos->n_nodes++;
	twin->is_twin = true;
	memcpy(twin->id, node->id, sizeof twin->id);
	node_start(twin);
	return true;
}

static bool cancel(struct chaos *chaos, const struct chaos_fault *fault)
{
	for (unsigned i = 0; i < chaos->n_jobs; i++) {
		struct chaos_job *job = &chaos->jobs[(fault->target + i) % chaos->n_jobs];

		if (job_is_ended(job->job))
			continue;
		job->is_cancelled = true;
		job_cancel(job->job);
		chaos_log("%s: cancelled", job_id(job->job));
		return true;
	}
	return false;
}

static void note_lost_jobs(struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->n_jobs; i++)
		chaos->jobs[i].may_be_lost |= !job_is_ended(chaos->jobs[i].job);
}

static void add_counts(struct chaos *chaos)
{
	struct coordinator_status status;

	coordinator_status(chaos->coordinator, &status);
	chaos->stats->n_epochs += status.epoch;
	chaos->stats->n_recoveries += status.recoveries;
}

/* The workers dial again. Those that would never have come back do, because the new coordinator
 * awaits all of them. */
static bool restart(struct chaos *chaos)
{
	if (!chaos->are_submitted)
		return false;
	note_lost_jobs(chaos);
	add_counts(chaos);
	coordinator_destroy(chaos->coordinator);
	cluster_start_coordinator(chaos);
	chaos->are_submitted = false;
	for (unsigned i = 0; i < chaos->n_nodes; i++)
		if (!chaos->nodes[i].worker && !chaos->nodes[i].is_twin && !chaos->nodes[i].back_at)
			chaos->nodes[i].back_at = chaos->ticks + 1;
	return true;
}

static bool drain(struct chaos *chaos)
{
	if (!chaos->are_submitted)
		return false;
	chaos->is_draining = true;
	coordinator_drain(chaos->coordinator, 600000);
	return true;
}

static bool kill_for_good(struct chaos *chaos)
{
	if (!chaos->are_submitted || !kill_all(chaos, CHAOS_NEVER))
		return false;
	chaos->is_nobody_left = true;
	note_lost_jobs(chaos);
	return true;
}

static bool act(struct chaos *chaos, const struct chaos_fault *fault)
{
	switch (fault->action) {
	case CHAOS_CUT_LINK: return cut_link(chaos, fault);
	case CHAOS_HOLD_LINK: return hold_link(chaos, fault);
	case CHAOS_CUT_CHANNEL: return cut_channel(chaos, fault);
	case CHAOS_HOLD_CHANNEL: return hold_channel(chaos, fault);
	case CHAOS_FREEZE: return freeze(chaos, fault);
	case CHAOS_KILL: return kill_one(chaos, fault);
	case CHAOS_KILL_ENDS: return kill_ends(chaos, fault);
	case CHAOS_KILL_ALL: return kill_all(chaos, fault->ticks);
	case CHAOS_LEAVE: return leave(chaos, fault);
	case CHAOS_REDIAL: return redial(chaos, fault);
	case CHAOS_TWIN: return start_twin(chaos, fault);
	case CHAOS_SUBMIT: return cluster_submit(chaos, fault->target % CHAOS_N_KINDS);
	case CHAOS_CANCEL: return cancel(chaos, fault);
	case CHAOS_RESTART: return restart(chaos);
	case CHAOS_DRAIN: return drain(chaos);
	case CHAOS_KILL_FOR_GOOD: return kill_for_good(chaos);
	case CHAOS_N_ACTIONS: break;
	}
	return false;
}

/* --- when they fire --- */

static void fire(struct chaos *chaos)
{
	const struct chaos_fault *fault = armed(chaos);
	const enum coordinator_phase phase = chaos->phase;
	char text[160];

	chaos_fault_describe(fault, text);
	chaos_log("fault %u, %s", chaos->next_fault + 1, text);
	if (!act(chaos, fault)) {
		chaos_give_up(chaos, "there is nothing to do it to");
		return;
	}
	chaos->stats->n_fired[fault->action][phase]++;
	go_on(chaos);
}

bool chaos_fire_due(struct chaos *chaos)
{
	const struct chaos_fault *fault = armed(chaos);

	if (!fault)
		return false;
	if (fault->trigger == CHAOS_AT_DELIVERY) {
		if (chaos->n_deliveries + 1 < chaos->armed_delivery + fault->n)
			return false;
	} else if (fault->trigger != CHAOS_AT_TOKEN ||
		   chaos->n_tokens < chaos->armed_token + fault->n) {
		return false;
	}
	fire(chaos);
	return true;
}

static bool matches(const struct chaos_fault *fault, const struct wire *wire)
{
	if (fault->trigger == CHAOS_AT_FRAME)
		return !wire->is_channel && wire->peer == fault->where;
	return fault->trigger == CHAOS_AT_MESSAGE && wire->is_channel &&
	       (fault->is_up ? wire->from : wire->to) == fault->where;
}

bool chaos_fire_before(struct chaos *chaos, const struct wire *wire)
{
	const struct chaos_fault *fault = armed(chaos);

	if (!fault || !matches(fault, wire) || ++chaos->n_seen < fault->n)
		return false;
	fire(chaos);
	return true;
}

void chaos_give_up_if_late(struct chaos *chaos)
{
	if (armed(chaos) && (chaos->n_deliveries >= chaos->armed_delivery + LATE_DELIVERIES ||
			     chaos->n_rounds >= chaos->armed_round + LATE_ROUNDS))
		chaos_give_up(chaos, "its trigger did not come");
}

bool chaos_is_held(const struct chaos *chaos, const struct wire *wire)
{
	for (unsigned i = 0; i < CHAOS_MAX_HOLDS; i++) {
		const struct hold *hold = &chaos->holds[i];

		if (hold->until <= chaos->ticks)
			continue;
		if (hold->host != NET_UNKNOWN &&
		    (wire->from == hold->host || wire->to == hold->host))
			return true;
		if (hold->peer != NET_UNKNOWN && !wire->is_channel && wire->peer == hold->peer)
			return true;
		if (hold->channel != NET_UNKNOWN && wire->is_channel &&
		    ((hold->directions & 1 && wire->from == hold->channel) ||
		     (hold->directions & 2 && wire->to == hold->channel)))
			return true;
	}
	return false;
}
