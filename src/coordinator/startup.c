/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's way from its settings to running steps: limits and sizes, the plan, the epoch,
 * its first step. */
#include "coordinator/coordinator_private.h"

#include "base/log.h"
#include "coordinator/pool.h"

/* Prompt rows of a step. Many are more efficient; few give every stage work sooner. */
enum { CHUNK_OF_ONE = 256, CHUNK_OF_MANY = 128 };

/* --- limits and sizes --- */

/* Slots in addition to max_sequences, for clients with less than their share. A newcomer with a
 * short job takes one of them; otherwise another client would be preempted and its tokens computed
 * again. */
uint32_t coordinator_spare_slots(const struct coordinator_config *config)
{
	return config->max_sequences / 8 + 1;
}

/* The limits of steps before the workers' memory is known. Context and blocks may become
 * smaller. */
struct step_limits coordinator_widest_limits(const struct coordinator_config *config)
{
	const struct hparams *h = &config->model->hparams;
	uint32_t context = config->max_context ? config->max_context : h->n_context;
	struct kv_pools_wish wish = {
		.max_rows = config->max_rows, .block_length = config->block_length,
		.max_context = context,
	};
	struct kv_pools pools = kv_pools_of(config->model, &wish);
	struct step_limits limits = {
		.max_rows = config->max_rows,
		.max_sequences = config->max_sequences + coordinator_spare_slots(config),
		.block_length = config->block_length,
		.max_context = context,
		.n_vocab = h->n_vocab,
		.dim = h->dim,
	};

	limits.n_groups = pools.n;
	for (uint32_t g = 0; g < pools.n; g++) {
		limits.table_blocks[g] = pools.table_blocks[g];
		limits.max_blocks[g] = config->kv_positions
				       ? step_blocks_for(&limits, config->kv_positions)
				       : STEP_MAX_BLOCKS;
	}
	return limits;
}

uint32_t coordinator_window(const struct coordinator_config *config, unsigned n_stages)
{
	return config->window ? config->window : n_stages + 1;
}

/* The largest window: with fewer stages than wanted it is smaller. */
static uint32_t window_of(const struct coordinator_config *config)
{
	return coordinator_window(config, config->n_stages);
}

/* What the link from the previous peer receives. Activations go only from one stage to the next. */
static struct link_config link_into_stage(const struct step_limits *limits, unsigned stage,
					  uint32_t window)
{
	return (struct link_config){ step_bytes_into(limits, stage), ring_credits(window) };
}

struct link_config coordinator_link_of_tokens(const struct step_limits *limits, uint32_t window)
{
	return (struct link_config){ tokens_bytes_max(limits), ring_credits(window) };
}

/* Bytes that a link receives into, if its kind has memory of its own for that. */
static uint64_t buffer_bytes(struct link_config link, bool has_links)
{
	return has_links ? link_buffer_bytes(&link) : 0;
}

/* Of the stage with the most: the first one gets no activations. */
static uint64_t stage_frame_bytes(const struct coordinator_config *config, bool has_links)
{
	const struct step_limits limits = coordinator_widest_limits(config);
	const uint32_t window = window_of(config);

	return window * (uint64_t)stage_output_bytes_max(&limits) +
	       buffer_bytes(link_into_stage(&limits, config->n_stages - 1, window), has_links);
}

uint64_t coordinator_bytes(const struct coordinator_config *config, bool has_links)
{
	const struct step_limits limits = coordinator_widest_limits(config);
	const uint32_t window = window_of(config);

	return epoch_bytes(&limits, window) +
	       buffer_bytes(coordinator_link_of_tokens(&limits, window), has_links) +
	       config->max_job_bytes;
}

uint32_t coordinator_chunk(const struct coordinator_config *config, unsigned n_stages)
{
	uint32_t chunk = config->prompt_chunk;

	if (!chunk)
		chunk = n_stages > 1 ? CHUNK_OF_MANY : CHUNK_OF_ONE;
	return chunk < config->max_rows ? chunk : config->max_rows;
}

uint32_t coordinator_prompt_chunk(const struct coordinator_config *config)
{
	return coordinator_chunk(config, config->n_stages);
}

struct stage_limits coordinator_stage_limits(const struct coordinator_config *config)
{
	const struct step_limits limits = coordinator_widest_limits(config);

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
	const struct step_limits limits = coordinator_widest_limits(config);

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
		.n_sequences = config->max_sequences,
	};
}

void coordinator_on_known(void *arg)
{
	struct coordinator *c = arg;
	struct error err;

	if (coordinator_begin_epoch(c, c->config.n_stages, &err) != SC_OK) {
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
		coordinator_replace_epoch(c, &err);
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
	coordinator_stop_watching_loading(c);
	coordinator_warn_of_weights(c);
	epoch_start_probe(c->epoch);
	if (c->phase == COORDINATOR_LOADING)
		coordinator_set_phase(c, COORDINATOR_PROBING);
	coordinator_pump(c);
}
