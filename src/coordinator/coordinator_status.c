/* SPDX-License-Identifier: Apache-2.0 */
/* Fills in the coordinator's status. */
#include "coordinator/coordinator_private.h"

#include "base/clock.h"

#include <string.h>

enum coordinator_phase coordinator_phase(const struct coordinator *c)
{
	return c->phase;
}

const struct tokenizer *coordinator_tokenizer(const struct coordinator *c)
{
	return c->config.tokenizer;
}

uint32_t coordinator_max_context(const struct coordinator *c)
{
	return c->limits.max_context;
}

struct limit_counts *coordinator_limits(struct coordinator *c)
{
	return &c->refused;
}

const struct metrics *coordinator_metrics(const struct coordinator *c)
{
	return &c->metrics;
}

enum tensor_type coordinator_kv_type(const struct coordinator *c)
{
	return c->config.kv_type;
}

const struct plan *coordinator_plan(const struct coordinator *c)
{
	return c->epoch ? c->epoch->plan : NULL;
}

void coordinator_load_progress(const struct coordinator *c, uint64_t *done_out, uint64_t *total_out)
{
	*done_out = *total_out = 0;
	for (unsigned i = 0; i < members_n_stages(c->members); i++) {
		const struct member *member = members_of_stage(c->members, i);

		*done_out += member ? member->done_bytes : 0;
		*total_out += member ? member->total_bytes : 0;
	}
}

static void count_jobs(const struct coordinator *c, struct coordinator_status *out)
{
	out->jobs_queued = c->jobs.n_queued;
	out->jobs_running = c->jobs.n_active - c->jobs.n_queued;
	memcpy(out->jobs_by_state, c->jobs.ended_by_state, sizeof c->jobs.ended_by_state);
	if (c->epoch && c->epoch->state != EPOCH_RUNNING)
		out->sequences_running = 0;	/* the probe is nobody's */
	out->sequences_waiting = (uint32_t)(c->metrics.n_submitted - c->metrics.n_ended) -
				 out->sequences_running;
}

/* The time with a step in flight in this epoch. */
static uint64_t active_ns(const struct coordinator *c)
{
	return c->epoch ? epoch_active_ns(c->epoch, loop_now_ns(c->config.loop)) : 0;
}

static void count_blocks(const struct coordinator *c, const struct scheduler_counts *counts,
			 struct coordinator_status *out)
{
	const struct step_limits *limits = &c->epoch->limits;
	const struct model *model = c->config.model;
	uint32_t whole = step_whole_group(limits);

	out->n_blocks = limits->max_blocks[whole];
	out->n_blocks_free = counts->blocks_free[whole];
	out->n_groups = limits->n_groups;
	for (uint32_t g = 0; g < limits->n_groups; g++) {
		out->groups[g] = (struct group_status){
			.n_blocks = limits->max_blocks[g],
			.n_blocks_free = counts->blocks_free[g],
		};
		if (g >= model->n_groups)
			continue;
		out->groups[g].n_layers = model->groups[g].n_layers;
		out->groups[g].window = model->groups[g].window;
	}
}

void coordinator_status(const struct coordinator *c, struct coordinator_status *out)
{
	struct scheduler_counts counts = { 0 };

	if (c->epoch)
		counts = scheduler_counts(c->epoch->scheduler);
	*out = (struct coordinator_status){
		.phase = c->phase,
		.uptime_ms = (loop_now_ns(c->config.loop) - c->started_ns) / NS_PER_MS,
		.load_ms = c->load_ms,
		.n_stages = c->config.n_stages,
		.epoch = c->n_epochs,
		.recoveries = c->n_recoveries,
		.lost_ms_ago = c->last_loss.status
			? (loop_now_ns(c->config.loop) - c->lost_ns) / NS_PER_MS : 0,
		.last_loss = c->last_loss.status ? c->last_loss.text : NULL,
		.window = c->epoch ? c->epoch->window
				   : coordinator_window(&c->config, c->config.n_stages),
		.max_rows = c->limits.max_rows,
		.max_context = c->limits.max_context,
		.steps_in_flight = counts.in_flight,
		.steps = c->totals.steps + counts.steps,
		.rows = c->totals.rows + counts.rows,
		.block_length = c->limits.block_length,
		.kv_type = tensor_type_info(c->config.kv_type)->name,
		.prompt_tokens = c->prompt_tokens,
		.generated_tokens = c->generated_tokens,
		.preemptions = c->totals.preemptions + counts.preemptions,
		.sequences_running = counts.running,
		.active_ns = c->totals.active_ns + active_ns(c),
		.longest_turn_ns = loop_longest_turn_ns(c->config.loop),
		.most_work_ns = loop_most_work_ns(c->config.loop),
	};
	if (c->epoch)
		count_blocks(c, &counts, out);
	coordinator_load_progress(c, &out->load_done_bytes, &out->load_total_bytes);
	count_jobs(c, out);
}

void coordinator_await_counters(struct coordinator *c, struct counters_wait *wait)
{
	counters_await(&c->counters, wait);
}

/* A stage tells its busy time after each step, so what is missing in the middle of a long step seems
 * idle. The counter stands still until that is made up for, because a counter must not go back. */
static void note_bubble(struct member *member, uint64_t all_ns)
{
	if (all_ns > member->busy_ns + member->bubble_ns)
		member->bubble_ns = all_ns - member->busy_ns;
}

void coordinator_note_bubbles(struct coordinator *c)
{
	uint64_t all_ns = active_ns(c);

	for (unsigned i = 0; all_ns && i < members_n_stages(c->members); i++) {
		struct member *member = members_of_stage(c->members, i);

		if (member && member->steps)
			note_bubble(member, all_ns);
	}
}

static double bubble_ratio(const struct coordinator *c, const struct member *member)
{
	uint64_t all_ns = active_ns(c);
	double ratio;

	if (!all_ns || !member->steps)
		return 0.0;
	ratio = 1.0 - (double)member->busy_ns / (double)all_ns;
	return ratio < 0.0 ? 0.0 : ratio;
}

void coordinator_stage_status(const struct coordinator *c, unsigned stage,
			      struct stage_status *out)
{
	static const struct member nobody;
	const struct member *found = members_of_stage(c->members, stage);
	const struct member *member = found ? found : &nobody;
	const struct plan *plan = coordinator_plan(c);
	bool has_isa = found && member->hello.kernels.best_isa != CPU_AUTO;
	uint64_t silent_ns = found ? loop_now_ns(c->config.loop) - member->heard_ns : 0;

	*out = (struct stage_status){
		.rank = stage + 1,
		.worker = member->hello.worker_id,
		.pid = member->hello.pid,
		.host = member->hello.host,
		.backend = member->backend,
		.instruction_set = has_isa ? cpu_isa_name(members_isa(c->members)) : "",
		.best_instruction_set = has_isa ? cpu_isa_name(member->hello.kernels.best_isa)
						: "",
		.first_layer = plan ? plan->stages[stage].first_layer : 0,
		.n_layers = plan ? plan->stages[stage].n_layers : 0,
		.weight_bytes = member->weight_bytes,
		.kv_bytes = member->kv_bytes,
		.steps = member->steps,
		.rows = member->rows,
		.busy_seconds = clock_seconds(member->busy_ns),
		.waiting_seconds = clock_seconds(member->waiting_ns),
		.sending_seconds = clock_seconds(member->sending_ns),
		.receiving_seconds = clock_seconds(member->queued_ns),
		.bubble_seconds = clock_seconds(member->bubble_ns),
		.received_bytes = member->received_bytes,
		.sent_bytes = member->sent_bytes,
		.bubble_ratio = bubble_ratio(c, member),
		.heard_ms_ago = silent_ns / NS_PER_MS,
		.kv_saturated = member->kv_saturated,
	};
}
