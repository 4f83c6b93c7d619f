/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's way from its settings to running steps: limits and sizes, the plan, the epoch,
 * its first step. */
#include "coordinator/coordinator_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "coordinator/pool.h"

#include <stdlib.h>

/* Prompt rows of a step. Many are more efficient; few give every stage work sooner. */
enum { CHUNK_OF_ONE = 256, CHUNK_OF_MANY = 128 };

/* --- limits and sizes --- */

/* Slots in addition to max_sequences, for clients with less than their share. A newcomer with a
 * short job takes one of them; otherwise another client would be preempted and its tokens computed
 * again. */
static uint32_t spare_slots(const struct coordinator_config *config)
{
	return config->max_sequences / 8 + 1;
}

/* The limits of steps before the workers' memory is known. Context and blocks may become
 * smaller. */
static struct step_limits widest_limits(const struct coordinator_config *config)
{
	const struct hparams *h = &config->model->hparams;
	uint32_t context = config->max_context ? config->max_context : h->n_context;
	struct step_limits limits = {
		.max_rows = config->max_rows,
		.max_sequences = config->max_sequences + spare_slots(config),
		.block_length = config->block_length,
		.max_context = context,
		.n_vocab = h->n_vocab,
		.dim = h->dim,
	};

	limits.max_blocks = config->kv_positions ? step_blocks_for(&limits, config->kv_positions)
						 : STEP_MAX_BLOCKS;
	return limits;
}

static uint32_t window_of(const struct coordinator_config *config)
{
	return config->window ? config->window : config->n_stages + 1;
}

/* What the link from the previous peer receives. Activations go only from one stage to the next. */
static struct link_config link_into_stage(const struct step_limits *limits, unsigned stage,
					  uint32_t window)
{
	return (struct link_config){ step_bytes_into(limits, stage), ring_credits(window) };
}

static struct link_config link_of_tokens(uint32_t max_rows, uint32_t window)
{
	return (struct link_config){ tokens_bytes(max_rows), ring_credits(window) };
}

/* Bytes that a link receives into, if its kind has memory of its own for that. */
static uint64_t buffer_bytes(struct link_config link, bool has_links)
{
	return has_links ? link_buffer_bytes(&link) : 0;
}

/* Of the stage with the most: the first one gets no activations. */
static uint64_t stage_frame_bytes(const struct coordinator_config *config, bool has_links)
{
	const struct step_limits limits = widest_limits(config);
	const uint32_t window = window_of(config);

	return window * (uint64_t)step_bytes_max(&limits) +
	       buffer_bytes(link_into_stage(&limits, config->n_stages - 1, window), has_links);
}

uint64_t coordinator_bytes(const struct coordinator_config *config, bool has_links)
{
	const struct step_limits limits = widest_limits(config);
	const uint32_t window = window_of(config);

	return epoch_bytes(&limits, window) +
	       buffer_bytes(link_of_tokens(limits.max_rows, window), has_links) +
	       config->max_job_bytes;
}

uint32_t coordinator_prompt_chunk(const struct coordinator_config *config)
{
	uint32_t chunk = config->prompt_chunk;

	if (!chunk)
		chunk = config->n_stages > 1 ? CHUNK_OF_MANY : CHUNK_OF_ONE;
	return chunk < config->max_rows ? chunk : config->max_rows;
}

void coordinator_set_defaults(struct coordinator *c)
{
	struct coordinator_config *config = &c->config;

	config->window = window_of(config);
	config->prompt_chunk = coordinator_prompt_chunk(config);
	c->limits = widest_limits(config);
}

struct stage_limits coordinator_stage_limits(const struct coordinator_config *config)
{
	const struct step_limits limits = widest_limits(config);

	return (struct stage_limits){
		.max_rows = limits.max_rows,
		.max_sequences = limits.max_sequences,
		.block_length = limits.block_length,
		.kv_type = config->kv_type,
	};
}

/* --- bringing the workers up --- */

void coordinator_planning(const struct coordinator_config *config, bool has_links,
			  struct plan_input *input_out, struct pool_wish *wish_out)
{
	const struct step_limits limits = widest_limits(config);

	*input_out = (struct plan_input){
		.model = config->model,
		.n_stages = config->n_stages,
		.max_rows = limits.max_rows,
		.block_length = limits.block_length,
		.frame_bytes = stage_frame_bytes(config, has_links),
	};
	*wish_out = (struct pool_wish){
		.context = limits.max_context,
		.is_context_fixed = config->is_context_fixed,
		.n_positions = config->kv_positions,
		.n_contexts = config->kv_contexts ? config->kv_contexts : config->max_sequences,
	};
}

/* Chooses context and pool. */
static enum sc_status make_pool(struct plan_input *input, const struct pool_wish *wish,
				struct plan **plan_out, struct error *err)
{
	enum sc_status status = pool_plan(input, wish, plan_out, err);
	char why_shorter[POOL_TEXT_BYTES];

	if (status != SC_OK)
		return status;
	if (pool_explain(input, wish, why_shorter))
		log_warning("%s", why_shorter);
	return SC_OK;
}

/* Chooses the first usable workers, in their order. Returns whether there are enough. */
static bool choose_workers(const struct coordinator *c, struct member **workers)
{
	unsigned n = 0;

	for (unsigned i = 0; i < members_count(c->members) && n < c->config.n_stages; i++)
		if (member_is_usable(members_get(c->members, i)))
			workers[n++] = members_get(c->members, i);
	return n == c->config.n_stages;
}

/* Plans for these workers, and writes context and pool to limits. */
static enum sc_status make_plan(struct coordinator *c, struct member *const *workers,
				struct step_limits *limits, struct plan **plan_out,
				struct error *err)
{
	unsigned n = c->config.n_stages;
	uint64_t *memory = calloc(n, sizeof memory[0]);
	uint32_t *n_threads = calloc(n, sizeof n_threads[0]);
	struct stage_sizes *sizes = calloc(n, sizeof sizes[0]);
	struct plan_input input;
	struct pool_wish wish;
	enum sc_status status;

	coordinator_planning(&c->config, c->config.fabrics.has_buffers, &input, &wish);
	input.n_threads = n_threads;
	input.memory_bytes = memory;
	input.sizes = sizes;
	members_choose_isa(c->members, workers, n);
	for (unsigned i = 0; memory && n_threads && sizes && i < n; i++) {
		memory[i] = workers[i]->allowance.memory_bytes;
		n_threads[i] = workers[i]->allowance.n_processors;
		sizes[i] = *member_sizes(workers[i]);
	}
	if (memory && n_threads && sizes)
		status = make_pool(&input, &wish, plan_out, err);
	else
		status = error_set(err, SC_E_NOMEM, "out of memory for a plan");
	free(memory);
	free(n_threads);
	free(sizes);
	if (status == SC_OK) {
		limits->max_context = input.max_context;
		limits->max_blocks = input.n_blocks;
	}
	return status;
}

/* Takes plan. */
static enum sc_status make_epoch(struct coordinator *c, const struct step_limits *limits,
				 struct plan *plan, struct error *err)
{
	const struct epoch_config config = {
		.number = c->n_epochs + 1,
		.limits = *limits,
		.window = c->config.window,
		.prompt_chunk = c->config.prompt_chunk,
		.max_gap_ns = c->config.max_gap_ms * NS_PER_MS,
		.n_spare = spare_slots(&c->config),
		.on_started = coordinator_on_started,
		.arg = c,
		.probe_token = tokenizer_bos(c->config.tokenizer),
	};
	enum sc_status status = epoch_create(&config, plan, &c->epoch, err);

	if (status != SC_OK) {
		plan_destroy(plan);
		return status;
	}
	c->n_epochs++;
	c->limits = *limits;
	limit_set(&c->refused, LIMIT_CONTEXT, limits->max_context);
	return SC_OK;
}

static enum sc_status open_ring(struct coordinator *c, struct error *err)
{
	const struct ring_config config = {
		.source = &c->config.fabrics,
		.epoch = c->epoch->number,
		.self = 0,
		.n_peers = c->epoch->plan->n_stages + 1,
		.spin_us = c->config.spin_us,
		.in_type = FRAME_TOKENS,
		.in = link_of_tokens(c->limits.max_rows, c->epoch->window),
		.on_frame = coordinator_on_tokens,
		.on_credit = coordinator_on_credit,
		.on_down = coordinator_on_link_down,
		.arg = c,
	};

	return ring_open(&config, &c->epoch->ring, err);
}

static enum sc_status begin_with(struct coordinator *c, struct member *const *workers,
				 struct error *err)
{
	struct step_limits limits = widest_limits(&c->config);
	struct assignment assignment;
	enum sc_status status;
	struct plan *plan;

	status = make_plan(c, workers, &limits, &plan, err);
	if (status == SC_OK)
		status = make_epoch(c, &limits, plan, err);
	if (status == SC_OK)
		status = open_ring(c, err);
	if (status != SC_OK)
		return status;
	c->loading_ns = clock_ns();
	assignment = (struct assignment){
		.epoch = c->epoch->number, .plan = c->epoch->plan, .workers = workers,
		.limits = c->limits, .kv_type = c->config.kv_type, .window = c->config.window,
	};
	return members_assign(c->members, &assignment, err);
}

enum sc_status coordinator_begin_epoch(struct coordinator *c, struct error *err)
{
	struct member **workers = calloc(c->config.n_stages, sizeof workers[0]);
	enum sc_status status;

	members_divide(c->members);
	if (!workers)
		status = error_set(err, SC_E_NOMEM, "out of memory for a plan");
	else if (!choose_workers(c, workers))
		status = error_set(err, SC_E_UNAVAILABLE, "fewer than %u workers are here",
				   c->config.n_stages);
	else
		status = begin_with(c, workers, err);
	free(workers);
	return status;
}

void coordinator_on_known(void *arg)
{
	struct coordinator *c = arg;
	struct error err;

	if (coordinator_begin_epoch(c, &err) != SC_OK) {
		coordinator_abort(c, &err);
		return;
	}
	if (members_are_mixed(c->members))
		log_warning("stages have different backends, kernel versions or C libraries: "
			    "tokens depend on which stage runs where (--allow-mixed-backends)");
	coordinator_set_phase(c, COORDINATOR_LOADING);	/* last, because the owner
							 * may drain at once */
}

/* The data links can be made, while stages load. */
void coordinator_on_opened(void *arg)
{
	struct coordinator *c = arg;
	const void *own, *first, *last;
	size_t n_own, n_first, n_last;
	struct error err;

	if (!c->epoch || c->phase >= COORDINATOR_STOPPED)
		return;
	own = ring_address(c->epoch->ring, &n_own);
	first = members_address(c->members, 0, &n_first);
	last = members_address(c->members, c->epoch->plan->n_stages - 1, &n_last);
	if (ring_connect(c->epoch->ring, last, n_last, first, n_first, &err) != SC_OK) {
		coordinator_abort(c, &err);
		return;
	}
	members_connect(c->members, own, n_own);
}

void coordinator_on_progress(void *arg)
{
	struct coordinator *c = arg;
	uint64_t done, total;

	coordinator_load_progress(c, &done, &total);
	if (c->config.on_progress)
		c->config.on_progress(c->config.arg, done, total);
}

/* All stages are ready: sends one token through all of them before steps of jobs run. */
void coordinator_on_ready(void *arg)
{
	struct coordinator *c = arg;

	if (!c->epoch || c->epoch->state != EPOCH_LOADING || c->is_stopping ||
	    c->phase >= COORDINATOR_STOPPED)
		return;
	coordinator_warn_of_weights(c);
	epoch_start_probe(c->epoch);
	if (c->phase == COORDINATOR_LOADING)
		coordinator_set_phase(c, COORDINATOR_PROBING);
	coordinator_pump(c);
}
