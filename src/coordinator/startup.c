/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's way from its settings to running steps: limits and sizes, the plan, the epoch,
 * its first step. */
#include "coordinator/coordinator_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "coordinator/pool.h"
#include "wire/control.h"

#include <stdlib.h>

#define CONTROL_CREDITS 8	/* for control messages, in addition to the window */
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

/* The largest data frame from one peer to another; 0: there are none. */
static size_t data_bytes(const struct coordinator_config *config, unsigned from, unsigned to)
{
	struct step_limits limits = widest_limits(config);

	if (from == config->n_stages && to == 0)
		return tokens_bytes(limits.max_rows);
	if (to != from + 1)
		return 0;
	if (from == 0)
		limits.dim = 0;	/* no activations */
	return step_bytes_max(&limits);
}

struct link_config coordinator_link(const struct coordinator_config *config, unsigned from,
				    unsigned to)
{
	struct link_config link = { .max_payload = data_bytes(config, from, to) };

	if (link.max_payload)
		link.credits = window_of(config);
	if (from && to)
		return link;
	link.credits += CONTROL_CREDITS;
	if (link.max_payload < CONTROL_FRAME_BYTES)
		link.max_payload = CONTROL_FRAME_BYTES;
	return link;
}

/* Bytes of the frames into which the links of a peer receive. */
static uint64_t received_bytes(const struct coordinator_config *config, unsigned to)
{
	uint64_t n_bytes = 0;

	for (unsigned from = 0; from <= config->n_stages; from++) {
		const struct link_config link = coordinator_link(config, from, to);

		if (from == to || (to && from && from + 1 != to))
			continue;
		n_bytes += link_buffer_bytes(&link);
	}
	return n_bytes;
}

/* The first stage has the smallest links. */
static uint64_t frame_bytes(const struct coordinator_config *config, bool has_links)
{
	const unsigned last = config->n_stages;
	const struct step_limits limits = widest_limits(config);

	return window_of(config) * (uint64_t)step_bytes_max(&limits) +
	       (has_links ? received_bytes(config, last) : 0);
}

uint64_t coordinator_bytes(const struct coordinator_config *config, bool has_links)
{
	struct step_limits limits = widest_limits(config);

	return epoch_bytes(&limits, window_of(config)) +
	       (has_links ? received_bytes(config, 0) : 0) + config->max_job_bytes;
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
		.frame_bytes = frame_bytes(config, has_links),
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

/* Plans for the known workers, and writes context and pool to limits. */
static enum sc_status make_plan(struct coordinator *c, struct step_limits *limits,
				struct plan **plan_out, struct error *err)
{
	unsigned n = members_count(c->members);
	uint64_t *memory = calloc(n, sizeof memory[0]);
	uint32_t *n_threads = calloc(n, sizeof n_threads[0]);
	struct stage_sizes *sizes = calloc(n, sizeof sizes[0]);
	struct plan_input input;
	struct pool_wish wish;
	enum sc_status status;

	coordinator_planning(&c->config, fabric_has_buffers(c->config.fabric), &input, &wish);
	input.n_threads = n_threads;
	input.memory_bytes = memory;
	input.sizes = sizes;
	for (unsigned i = 0; memory && n_threads && sizes && i < n; i++) {
		memory[i] = members_get(c->members, i)->memory_bytes;
		n_threads[i] = members_get(c->members, i)->n_threads;
		sizes[i] = *members_sizes(c->members, i);
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

enum sc_status coordinator_begin_epoch(struct coordinator *c, struct error *err)
{
	struct step_limits limits = widest_limits(&c->config);
	struct assignment assignment;
	enum sc_status status;
	struct plan *plan;

	status = make_plan(c, &limits, &plan, err);
	if (status == SC_OK)
		status = make_epoch(c, &limits, plan, err);
	if (status != SC_OK)
		return status;
	c->loading_ns = clock_ns();
	assignment = (struct assignment){
		.epoch = c->epoch->number, .limits = c->limits, .kv_type = c->config.kv_type,
		.window = c->config.window,
	};
	members_assign(c->members, c->epoch->plan, &assignment);
	return SC_OK;
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
