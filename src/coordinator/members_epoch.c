/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of an epoch: assigning and connecting them, and what they say of themselves. */
#include "coordinator/members_private.h"

#include "base/log.h"
#include "transport/ring.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- out --- */

static void send_assign(const struct member *member, const struct assignment *assignment)
{
	const struct plan *plan = assignment->plan;
	const struct step_limits *limits = &assignment->limits;
	Stagecoach__Cluster__V1__Assign assign = STAGECOACH__CLUSTER__V1__ASSIGN__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	assign.epoch = assignment->epoch;
	assign.stage = member->stage;
	assign.n_stages = plan->n_stages;
	assign.first_layer = plan->stages[member->stage].first_layer;
	assign.n_layers = plan->stages[member->stage].n_layers;
	assign.max_rows = limits->max_rows;
	assign.max_sequences = limits->max_sequences;
	assign.n_max_blocks = assign.n_table_blocks = limits->n_groups;
	assign.max_blocks = (uint32_t *)(uintptr_t)limits->max_blocks;
	assign.table_blocks = (uint32_t *)(uintptr_t)limits->table_blocks;
	assign.block_length = limits->block_length;
	assign.max_context = limits->max_context;
	assign.kv_type = assignment->kv_type;
	assign.window = assignment->window;
	assign.in_bytes = step_bytes_into(limits, member->stage);
	assign.in_credits = ring_credits(assignment->window);
	assign.n_threads = member->allowance.n_processors;
	assign.n_sharers = member->allowance.n_sharers;
	assign.sharer = member->allowance.sharer;
	if (member->hello.kernels.best_isa != CPU_AUTO)
		assign.instruction_set = (char *)cpu_isa_name(member->members->isa);
	message.body_case = CONTROL_BODY(ASSIGN);
	message.assign = &assign;
	member_send(member, &message);
}

void members_preload(struct members *members, const struct member *member, uint32_t first_layer,
		     uint32_t n_layers)
{
	Stagecoach__Cluster__V1__Preload preload = STAGECOACH__CLUSTER__V1__PRELOAD__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	assert(member->state == MEMBER_SPARE && members->has_isa);
	preload.first_layer = first_layer;
	preload.n_layers = n_layers;
	preload.n_threads = member->allowance.n_processors;
	preload.n_sharers = member->allowance.n_sharers;
	preload.sharer = member->allowance.sharer;
	if (member->hello.kernels.best_isa != CPU_AUTO)
		preload.instruction_set = (char *)cpu_isa_name(members->isa);
	message.body_case = CONTROL_BODY(PRELOAD);
	message.preload = &preload;
	member_send(member, &message);
}

static void send_release(const struct member *member, uint32_t epoch)
{
	Stagecoach__Cluster__V1__Release release = STAGECOACH__CLUSTER__V1__RELEASE__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	release.epoch = epoch;
	message.body_case = CONTROL_BODY(RELEASE);
	message.release = &release;
	member_send(member, &message);
}

/* --- assigning --- */

static void give_stage(struct member *member, unsigned stage, const struct assignment *assignment)
{
	const struct plan_stage *planned = &assignment->plan->stages[stage];
	enum cpu_isa best = member->hello.kernels.best_isa;

	member->stage = stage;
	member->has_orders = true;
	member->members->stages[stage] = member;
	/* The stage's own total replaces this one. Without it the percentage of all stages would
	 * jump when a stage reports its first progress. */
	member->total_bytes = planned->weight_bytes + planned->kv_bytes;
	member->progress_ns = loop_now_ns(member->members->config.loop);
	member_describe_backend(member,
				best == CPU_AUTO ? "" : cpu_isa_name(member->members->isa));
	member_enter(member, MEMBER_OPENING);
}

void members_end_epoch(struct members *members)
{
	for (unsigned i = 0; i < members->n_records; i++) {
		struct member *member = members->records[i];

		member_leave_epoch(member);
		if (member_has_stage(member))
			member_enter(member, MEMBER_SPARE);
	}
	members->suspicion.is_active = false;
	members->n_stages = 0;
}

/* Whoever had a stage in an earlier epoch, and has none now. */
static void release_others(struct members *members, uint32_t epoch)
{
	for (unsigned i = 0; i < members->n_records; i++) {
		struct member *member = members->records[i];

		if (member->state != MEMBER_SPARE || !member->has_orders)
			continue;
		member->has_orders = false;
		send_release(member, epoch);
	}
}

enum sc_status members_assign(struct members *members, const struct assignment *assignment,
			      struct error *err)
{
	unsigned n_stages = assignment->plan->n_stages;
	struct member **stages = calloc(n_stages, sizeof stages[0]);

	if (!stages)
		return error_set(err, SC_E_NOMEM, "out of memory for %u stages", n_stages);
	assert(assignment->epoch > members->epoch);
	members_end_epoch(members);
	free(members->stages);
	members->stages = stages;
	members->n_stages = n_stages;
	members->epoch = assignment->epoch;
	members_choose_isa(members, assignment->workers, n_stages);
	for (unsigned i = 0; i < n_stages; i++) {
		assert(member_is_fit(assignment->workers[i]));
		give_stage(assignment->workers[i], i, assignment);
	}
	release_others(members, assignment->epoch);
	for (unsigned i = 0; i < n_stages; i++)
		send_assign(stages[i], assignment);
	return SC_OK;
}

void members_release(struct members *members, uint32_t epoch)
{
	assert(epoch > members->epoch);
	members_end_epoch(members);
	/* The next epoch may have this number. */
	members->epoch = epoch - 1;
	release_others(members, epoch);
}

static ProtobufCBinaryData address_of(const struct members *members, unsigned stage)
{
	const struct member *member = members->stages[stage];

	return (ProtobufCBinaryData){ .data = member->address, .len = member->n_address };
}

void members_connect(struct members *members, const void *address, size_t n_bytes)
{
	ProtobufCBinaryData own = { .data = (uint8_t *)(uintptr_t)address, .len = n_bytes };

	for (unsigned i = 0; i < members->n_stages; i++) {
		Stagecoach__Cluster__V1__Connect connect = STAGECOACH__CLUSTER__V1__CONNECT__INIT;
		control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

		connect.epoch = members->epoch;
		connect.previous_address = i ? address_of(members, i - 1) : own;
		connect.next_address = i + 1 < members->n_stages ? address_of(members, i + 1) : own;
		message.body_case = CONTROL_BODY(CONNECT);
		message.connect = &connect;
		member_send(members->stages[i], &message);
	}
}

/* --- what stages say --- */

static bool are_all(const struct members *members, enum member_state at_least)
{
	for (unsigned i = 0; i < members->n_stages; i++)
		if (!members->stages[i] || members->stages[i]->state < at_least ||
		    members->stages[i]->state > MEMBER_READY)
			return false;
	return true;
}

void member_take_opened(struct member *member, const Stagecoach__Cluster__V1__Opened *opened)
{
	struct members *members = member->members;

	if (member->state != MEMBER_OPENING || opened->epoch != members->epoch)
		return;
	member->address = malloc(opened->address.len ? opened->address.len : 1);
	if (!member->address) {
		members_lose_stage(member, SC_E_NOMEM, "the coordinator has no memory for the "
				   "address of its data links");
		return;
	}
	if (opened->address.len)
		memcpy(member->address, opened->address.data, opened->address.len);
	member->n_address = opened->address.len;
	member_enter(member, MEMBER_LOADING);
	if (are_all(members, MEMBER_LOADING))
		members->config.on_opened(members->config.arg);
}

void member_take_progress(struct member *member,
			  const Stagecoach__Cluster__V1__Progress *progress)
{
	struct members *members = member->members;

	/* A total of 0: it has not begun. */
	if (!member_has_stage(member) || progress->epoch != members->epoch ||
	    !progress->total_bytes || progress->done_bytes > progress->total_bytes)
		return;
	if (progress->done_bytes > member->done_bytes)
		member->progress_ns = loop_now_ns(members->config.loop);
	member->done_bytes = progress->done_bytes;
	member->total_bytes = progress->total_bytes;
	members->config.on_progress(members->config.arg);
}

/* Compares the hashes of the stage's tensors with those that members have said before. */
static enum sc_status compare_tensors(struct member *member,
				      const Stagecoach__Cluster__V1__Ready *ready,
				      struct error *err)
{
	struct tensor_hashes *hashes = member->members->config.hashes;
	enum sc_status status = SC_OK;
	char whose[192];

	if (!hashes)
		return SC_OK;
	hello_name(&member->hello, whose, sizeof whose);
	for (size_t i = 0; status == SC_OK && i < ready->n_tensors && i < ready->n_hashes; i++)
		status = tensor_hashes_note(hashes, ready->tensors[i], ready->hashes[i], whose,
					    err);
	return status;
}

void member_take_ready(struct member *member, const Stagecoach__Cluster__V1__Ready *ready)
{
	struct members *members = member->members;
	struct error err;

	if (member->state != MEMBER_LOADING || ready->epoch != members->epoch)
		return;
	if (compare_tensors(member, ready, &err) != SC_OK) {
		members_bar(member, err.status, err.text);
		return;
	}
	member_enter(member, MEMBER_READY);
	member->weight_bytes = ready->weight_bytes;
	member->kv_bytes = ready->kv_bytes;
	member->load_ns = ready->load_ns;
	snprintf(member->not_finite, sizeof member->not_finite, "%s", ready->not_finite);
	member->n_not_finite = ready->n_not_finite;
	member->done_bytes = member->total_bytes;
	if (are_all(members, MEMBER_READY))
		members->config.on_ready(members->config.arg);
}

static void warn_of_kv(struct member *member, uint32_t layer)
{
	if (!member->kv_saturated || member->has_warned_of_kv)
		return;
	member->has_warned_of_kv = true;
	log_warning("stage %u: keys or values of layer %u are beyond what kv-type holds and were "
		    "cut to its largest number. Use --kv-type bf16 or f32", member->stage + 1,
		    layer);
}

static void take_counters(struct member *member,
			  const Stagecoach__Cluster__V1__StageCounters *counters)
{
	member->steps = counters->steps;
	member->rows = counters->rows;
	member->busy_ns = counters->busy_ns;
	member->waiting_ns = counters->waiting_ns;
	member->sending_ns = counters->sending_ns;
	member->queued_ns = counters->queued_ns;
	member->received_bytes = counters->received_bytes;
	member->sent_bytes = counters->sent_bytes;
	member->last_step = counters->last_step;
	member->kv_saturated = counters->kv_saturated;
	warn_of_kv(member, counters->kv_saturated_layer);
	member->members->config.on_counters(member->members->config.arg);
}

void member_take_heartbeat(struct member *member,
			   const Stagecoach__Cluster__V1__Heartbeat *heartbeat)
{
	struct members *members = member->members;

	member->held_first_layer = heartbeat->held_first_layer;
	member->held_n_layers = heartbeat->held_n_layers;
	if (member->question && heartbeat->question == member->question) {
		member->question = 0;
		members_judge_suspicion(members);
		members_judge_arrivals(members);
	}
	/* The last counters of a stage come after Stop. */
	if (heartbeat->counters && heartbeat->epoch == members->epoch &&
	    member->stage != MEMBER_NO_STAGE && member->state >= MEMBER_LOADING)
		take_counters(member, heartbeat->counters);
}

void member_take_link_down(struct member *member,
			   const Stagecoach__Cluster__V1__LinkDown *link_down)
{
	struct members *members = member->members;

	if (!member_has_stage(member) || link_down->epoch != members->epoch ||
	    link_down->peer > members->n_stages || link_down->peer == member->stage + 1)
		return;
	members_suspect_link(members, member->stage + 1, link_down->peer, link_down->text);
}

/* --- views --- */

struct member *members_of_stage(const struct members *members, unsigned stage)
{
	return stage < members->n_stages ? members->stages[stage] : NULL;
}

unsigned members_n_stages(const struct members *members)
{
	return members->n_stages;
}

const void *members_address(const struct members *members, unsigned stage, size_t *n_bytes_out)
{
	const struct member *member = members->stages[stage];

	*n_bytes_out = member->n_address;
	return member->address;
}
