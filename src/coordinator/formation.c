/* SPDX-License-Identifier: Apache-2.0 */
/* Forming an epoch: which workers take its stages, the plan for them, and its parts. */
#include "coordinator/coordinator_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "coordinator/placement.h"
#include "coordinator/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The workers of an epoch, in the order of its stages. */
struct crew {
	unsigned n;
	struct member **members;	/* [n] */
	const uint32_t *ends;		/* [n] as plan_input.ends; NULL: split anew */
};

/* --- plan --- */

/* What plan_input borrows. */
struct crew_arrays {
	uint64_t *memory_bytes;
	uint32_t *n_threads;
	struct stage_sizes *sizes;
	const char **ids;
};

static void free_arrays(struct crew_arrays *arrays)
{
	free(arrays->memory_bytes);
	free(arrays->n_threads);
	free(arrays->sizes);
	free(arrays->ids);
}

static enum sc_status fill_arrays(const struct crew *crew, struct crew_arrays *arrays)
{
	*arrays = (struct crew_arrays){
		.memory_bytes = calloc(crew->n, sizeof arrays->memory_bytes[0]),
		.n_threads = calloc(crew->n, sizeof arrays->n_threads[0]),
		.sizes = calloc(crew->n, sizeof arrays->sizes[0]),
		.ids = calloc(crew->n, sizeof arrays->ids[0]),
	};
	if (!arrays->memory_bytes || !arrays->n_threads || !arrays->sizes || !arrays->ids) {
		free_arrays(arrays);
		return SC_E_NOMEM;
	}
	for (unsigned i = 0; i < crew->n; i++) {
		const struct member *member = crew->members[i];

		arrays->memory_bytes[i] = member->allowance.memory_bytes;
		arrays->n_threads[i] = member->allowance.n_processors;
		arrays->sizes[i] = *member_sizes(member);
		arrays->ids[i] = member->hello.worker_id;
	}
	return SC_OK;
}

_Static_assert((int)KV_MAX_POOLS == (int)STEP_MAX_GROUPS, "a group of blocks for each pool");

static void set_pools(struct step_limits *limits, const struct plan_input *input)
{
	const struct kv_pools pools = plan_pools(input);

	limits->max_context = input->max_context;
	limits->n_groups = pools.n;
	memcpy(limits->max_blocks, pools.n_blocks, sizeof pools.n_blocks);
	memcpy(limits->table_blocks, pools.table_blocks, sizeof pools.table_blocks);
}

/* Plans for this crew, and writes context and pool to limits. */
static enum sc_status make_plan(struct coordinator *c, const struct crew *crew,
				struct step_limits *limits, struct plan **plan_out,
				struct error *err)
{
	char why_shorter[POOL_TEXT_BYTES];
	struct crew_arrays arrays;
	struct plan_input input;
	struct pool_wish wish;
	enum sc_status status;

	members_choose_isa(c->members, crew->members, crew->n);
	if (fill_arrays(crew, &arrays) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory for a plan");
	coordinator_planning(&c->config, c->config.fabrics.has_buffers, &input, &wish);
	input.n_stages = crew->n;
	input.n_threads = arrays.n_threads;
	input.memory_bytes = arrays.memory_bytes;
	input.sizes = arrays.sizes;
	input.workers = arrays.ids;
	input.ends = crew->ends;
	status = pool_plan(&input, &wish, plan_out, err);
	free_arrays(&arrays);
	if (status != SC_OK)
		return status;
	if (pool_explain(&input, &wish, why_shorter))
		log_warning("%s", why_shorter);
	set_pools(limits, &input);
	return SC_OK;
}

/* --- epoch --- */

static enum sc_status open_ring(struct coordinator *c, struct epoch *epoch, struct error *err)
{
	const struct ring_config config = {
		.source = &c->config.fabrics,
		.epoch = epoch->number,
		.self = 0,
		.n_peers = epoch->plan->n_stages + 1,
		.spin_us = c->config.spin_us,
		.in_type = FRAME_TOKENS,
		.in = coordinator_link_of_tokens(&epoch->limits, epoch->window),
		.on_frame = coordinator_on_tokens,
		.on_credit = coordinator_on_credit,
		.on_down = coordinator_on_link_down,
		.arg = c,
	};

	return ring_open(&config, &epoch->ring, err);
}

static enum sc_status make_epoch(struct coordinator *c, const struct crew *crew,
				 struct epoch **epoch_out, struct error *err)
{
	struct epoch_config config = {
		.number = c->n_epochs + 1,
		.limits = coordinator_widest_limits(&c->config),
		.window = coordinator_window(&c->config, crew->n),
		.prompt_chunk = coordinator_chunk(&c->config, crew->n),
		.max_gap_ns = c->config.max_gap_ms * NS_PER_MS,
		.n_spare = coordinator_spare_slots(&c->config),
		.on_started = coordinator_on_started,
		.arg = c,
		.probe_token = tokenizer_bos(c->config.tokenizer),
	};
	struct epoch *epoch;
	struct plan *plan;
	enum sc_status status = make_plan(c, crew, &config.limits, &plan, err);

	if (status != SC_OK)
		return status;
	status = epoch_create(&config, plan, &epoch, err);
	if (status != SC_OK) {
		plan_destroy(plan);
		return status;
	}
	status = open_ring(c, epoch, err);
	if (status != SC_OK)
		epoch_destroy(epoch);
	else
		*epoch_out = epoch;
	return status;
}

static enum sc_status assign(struct coordinator *c, const struct crew *crew,
			     const struct epoch *epoch, struct error *err)
{
	const struct assignment assignment = {
		.epoch = epoch->number,
		.plan = epoch->plan,
		.workers = crew->members,
		.limits = epoch->limits,
		.kv_type = c->config.kv_type,
		.window = epoch->window,
	};

	return members_assign(c->members, &assignment, err);
}

/* The new epoch is whole before the old one is dropped. */
static enum sc_status begin_with(struct coordinator *c, const struct crew *crew, struct error *err)
{
	struct epoch *epoch;
	enum sc_status status = make_epoch(c, crew, &epoch, err);

	if (status != SC_OK)
		return status;
	status = assign(c, crew, epoch, err);
	if (status != SC_OK) {
		epoch_destroy(epoch);
		return status;
	}
	coordinator_drop_epoch(c);
	c->epoch = epoch;
	c->n_epochs = epoch->number;
	c->limits = epoch->limits;
	limit_set(&c->refused, LIMIT_CONTEXT, c->limits.max_context);
	c->loading_ns = clock_ns();
	coordinator_watch_loading(c);
	return SC_OK;
}

/* --- workers --- */

/* The stage that the worker had in the last plan, or NULL. */
static const struct plan_stage *last_stage_of(const struct coordinator *c, const char *id)
{
	const struct plan *plan = c->epoch ? c->epoch->plan : c->last_plan;

	for (unsigned i = 0; plan && i < plan->n_stages; i++)
		if (!strcmp(plan->stages[i].worker, id))
			return &plan->stages[i];
	return NULL;
}

static struct placement_worker describe(const struct coordinator *c, const struct member *member)
{
	const char *id = member->hello.worker_id;
	const struct plan_stage *last = last_stage_of(c, id);
	struct placement_worker worker = {
		.is_usable = member_is_fit(member),
		.is_quarantined = member_is_quarantined(member),
		.n_losses = member->n_losses,
		.memory_bytes = member->allowance.memory_bytes,
		.held_first_layer = member->held_first_layer,
		.held_n_layers = member->held_n_layers,
	};

	/* What it loads counts like what it holds. */
	if (last && member->has_orders) {
		worker.has_stage = strcmp(id, c->lost_worker) != 0;
		worker.held_first_layer = last->first_layer;
		worker.held_n_layers = last->n_layers;
	}
	return worker;
}

/* The index of a worker's record; the coordinator for ""; the count if there is no such record. */
static unsigned find_worker(const struct coordinator *c, const char *id)
{
	unsigned n = members_count(c->members);

	for (unsigned i = 0; *id && i < n; i++)
		if (!strcmp(members_get(c->members, i)->hello.worker_id, id))
			return i;
	return *id ? n : PLACEMENT_COORDINATOR;
}

static unsigned find_pairs(const struct coordinator *c,
			   struct placement_pair pairs_out[LINK_FAULTS_MAX])
{
	uint64_t now_ns = loop_now_ns(c->config.loop);
	unsigned n = 0;

	for (unsigned i = 0; i < LINK_FAULTS_MAX; i++) {
		const struct link_fault_record *record = &c->link_faults.records[i];

		if (link_fault_is_apart(record, now_ns))
			pairs_out[n++] = (struct placement_pair){
				find_worker(c, record->a), find_worker(c, record->b),
			};
	}
	return n;
}

/* Makes an epoch of the workers that were chosen. If their layers do not fit as they lie, all are
 * split anew. */
static enum sc_status begin_placed(struct coordinator *c, const struct placement *placement,
				   struct error *err)
{
	struct crew crew = { .n = placement->n_stages, .ends = placement->ends };
	enum sc_status status;

	crew.members = calloc(crew.n, sizeof crew.members[0]);
	if (!crew.members)
		return error_set(err, SC_E_NOMEM, "out of memory for a plan");
	for (unsigned i = 0; i < crew.n; i++)
		crew.members[i] = members_get(c->members, placement->workers[i]);
	status = begin_with(c, &crew, err);
	if (status == SC_E_CAPACITY && crew.ends) {
		crew.ends = NULL;
		status = begin_with(c, &crew, err);
	}
	free(crew.members);
	return status;
}

/* Some chosen worker has too little memory for its layers. The one with the least is left out, and
 * counts as not usable from now on: others may hold the model without it. */
static void leave_out_smallest(const struct placement *placement, struct placement_worker *workers)
{
	unsigned smallest = placement->workers[0];

	for (unsigned i = 1; i < placement->n_stages; i++)
		if (workers[placement->workers[i]].memory_bytes < workers[smallest].memory_bytes)
			smallest = placement->workers[i];
	workers[smallest].is_usable = false;
}

/* Chooses workers and makes an epoch of them; where they have too little memory, of fewer or of
 * others. The error is that of the first choice, because it is the best one. */
static enum sc_status begin_with_any(struct coordinator *c, const struct placement_input *input,
				     struct placement_worker *workers, unsigned n_least,
				     struct error *err)
{
	enum sc_status first = SC_OK;
	struct error ignored;

	for (;;) {
		struct error *why = first == SC_OK ? err : &ignored;
		struct placement placement = { .n_stages = 0 };
		enum sc_status status = placement_choose(input, &placement);

		if (status == SC_E_NOMEM)
			error_set(why, status, "out of memory for a plan");
		else if (placement.n_stages < n_least)
			status = error_set(why, SC_E_UNAVAILABLE, "%u workers could take stages, "
					   "and %u are needed", placement.n_stages, n_least);
		else
			status = begin_placed(c, &placement, why);
		if (status == SC_E_CAPACITY)
			leave_out_smallest(&placement, workers);
		placement_deinit(&placement);
		if (first == SC_OK)
			first = status;
		if (status != SC_E_CAPACITY)
			return status == SC_OK ? SC_OK : first;
	}
}

/* Makes an epoch of at least n_least workers. */
static enum sc_status begin(struct coordinator *c, unsigned n_least, bool allows_quarantined,
			    struct error *err)
{
	const unsigned n = members_count(c->members);
	struct placement_worker *workers = calloc(n ? n : 1, sizeof workers[0]);
	struct placement_pair apart[LINK_FAULTS_MAX];
	struct placement_input input = {
		.workers = workers,
		.n_workers = n,
		.n_wanted = c->config.n_stages,
		.n_layers = c->config.model->hparams.n_layers,
		.apart = apart,
		.n_apart = find_pairs(c, apart),
		.allows_quarantined = allows_quarantined,
	};
	enum sc_status status;

	for (unsigned i = 0; workers && i < n; i++)
		workers[i] = describe(c, members_get(c->members, i));
	if (workers)
		status = begin_with_any(c, &input, workers, n_least, err);
	else
		status = error_set(err, SC_E_NOMEM, "out of memory for a plan");
	free(workers);
	return status;
}

enum sc_status coordinator_begin_epoch(struct coordinator *c, unsigned n_least, struct error *err)
{
	enum sc_status status;
	struct error ignored;

	members_divide(c->members);
	status = begin(c, n_least, false, err);
	if (status == SC_OK || status == SC_E_NOMEM)
		return status;
	/* The first error says more: workers in quarantine are the last resort. */
	return begin(c, n_least, true, &ignored) == SC_OK ? SC_OK : status;
}

/* --- warm spares --- */

static void warm_spare(struct coordinator *c, struct member *member, const struct plan_stage *stage)
{
	if (member->state != MEMBER_SPARE || (member->held_first_layer == stage->first_layer &&
					      member->held_n_layers == stage->n_layers))
		return;
	members_preload(c->members, member, stage->first_layer, stage->n_layers);
}

static enum sc_status warm(struct coordinator *c, struct placement_worker *workers,
			   unsigned *stage_of, unsigned *order, uint32_t *ends, uint64_t *weights)
{
	const struct plan *plan = c->epoch->plan;
	const unsigned n = members_count(c->members);
	const struct placement_input input = { .workers = workers, .n_workers = n };
	const struct placement placement = { .n_stages = plan->n_stages, .workers = order };
	enum sc_status status;

	for (unsigned i = 0; i < n; i++)
		workers[i] = describe(c, members_get(c->members, i));
	for (unsigned i = 0; i < plan->n_stages; i++) {
		order[i] = find_worker(c, plan->stages[i].worker);
		ends[i] = plan->stages[i].first_layer + plan->stages[i].n_layers;
		weights[i] = plan->stages[i].weight_bytes;
		if (order[i] >= n)
			return SC_E_NOT_FOUND;
	}
	status = placement_warm(&input, &placement, ends, weights, stage_of);
	for (unsigned i = 0; status == SC_OK && i < n; i++) {
		if (stage_of[i] != PLACEMENT_NONE)
			warm_spare(c, members_get(c->members, i), &plan->stages[stage_of[i]]);
	}
	return status;
}

void coordinator_warm_spares(struct coordinator *c)
{
	const unsigned n = members_count(c->members);
	const unsigned n_stages = c->epoch ? c->epoch->plan->n_stages : 0;
	struct placement_worker *workers = calloc(n + 1, sizeof workers[0]);
	unsigned *stage_of = calloc(n + 1, sizeof stage_of[0]);
	unsigned *order = calloc(n_stages + 1, sizeof order[0]);
	uint32_t *ends = calloc(n_stages + 1, sizeof ends[0]);
	uint64_t *weights = calloc(n_stages + 1, sizeof weights[0]);

	/* Warm spares only save time: without memory for the choice there are none. */
	if (n_stages && workers && stage_of && order && ends && weights &&
	    warm(c, workers, stage_of, order, ends, weights) != SC_OK)
		log_debug("no spare is warmed");
	free(workers);
	free(stage_of);
	free(order);
	free(ends);
	free(weights);
}
