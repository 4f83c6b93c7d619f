/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sizes.h"

#include "base/integers.h"
#include "stage/forward.h"
#include "stage/past.h"
#include "stage/sampler.h"
#include "stage/sequences.h"
#include "stage/weights.h"

#include <string.h>

struct backend_config stage_backend_config(const struct stage_config *config, enum cpu_isa isa,
					   uint32_t max_rows)
{
	return (struct backend_config){
		.isa = isa,
		.n_threads = config->n_threads,
		.place = config->place,
		.max_rows = max_rows,
		.max_width = forward_max_width(config->model),
	};
}

static struct sampler_sizes sampler_sizes_of(const struct stage_config *config,
					     const struct step_limits *limits)
{
	return sampler_sizes(config->model->hparams.n_vocab,
			     (uint32_t)min_of(limits->max_rows, FORWARD_MAX_LOGIT_ROWS));
}

/* Logits, what drawing tokens from them takes, and a copy of the logits in host memory for backends
 * that are not there. */
static uint64_t head_bytes(const struct stage_config *config, const struct step_limits *limits)
{
	const struct model *model = config->model;
	uint32_t n_rows = (uint32_t)min_of(limits->max_rows, FORWARD_MAX_LOGIT_ROWS);
	uint64_t n = forward_bytes(model, limits, true) - forward_bytes(model, limits, false) +
		     sampler_sizes_of(config, limits).fixed_bytes +
		     past_sizes(limits).fixed_bytes;

	if (!config->backend->is_host_memory)
		n += (uint64_t)n_rows * model->hparams.n_vocab * sizeof(float);
	return n;
}

/* Asks the backend once for each group's cache. The numbers of the backend alone are the same each
 * time. */
static enum sc_status size_caches(const struct stage_config *config,
				  const struct stage_assignment *assignment,
				  struct cache_sizes *caches_out, struct backend_sizes *of,
				  struct error *err)
{
	const struct step_limits *limits = &assignment->limits;
	const struct backend_config backend = stage_backend_config(config, assignment->isa,
								   limits->max_rows);
	enum sc_status status = SC_OK;

	for (uint32_t g = 0; !status && g < config->model->n_groups; g++) {
		const struct kv_cache_config cache = forward_cache_config(config->model, limits,
									  assignment->kv_type, g);

		status = config->backend->sizes(&backend, &cache, of, err);
		caches_out[g] = (struct cache_sizes){
			.kv_block_bytes = of->kv_block_bytes,
			.cache_bytes = of->cache_bytes,
			.cache_thread_bytes = of->cache_thread_bytes,
			.shared_thread_bytes = of->shared_thread_bytes,
			.shared_block_bytes = of->shared_block_bytes,
		};
	}
	return status;
}

enum sc_status stage_sizes_of(const struct stage_config *config,
			      const struct stage_assignment *assignment,
			      struct stage_sizes *sizes_out, struct error *err)
{
	const struct step_limits *limits = &assignment->limits;
	const struct sequences_sizes sequences = sequences_sizes(limits->max_sequences);
	const struct sampler_sizes sampler = sampler_sizes_of(config, limits);
	struct cache_sizes caches[MODEL_MAX_GROUPS] = { { 0 } };
	struct backend_sizes of = { 0 };
	enum sc_status status = size_caches(config, assignment, caches, &of, err);

	if (status)
		return status;
	*sizes_out = (struct stage_sizes){
		.fixed_bytes = of.fixed_bytes + sequences.fixed_bytes +
			       weights_fixed_bytes(config->model, &of) +
			       forward_bytes(config->model, limits, false),
		.head_bytes = head_bytes(config, limits),
		.layer_bytes = weights_layer_bytes(config->model, &of),
		.block_bytes = sequences.block_bytes,
		.table_block_bytes = sequences.table_block_bytes,
		.thread_bytes = of.thread_bytes,
		.shared_most_bytes = of.shared_most_bytes,
		.token_block_bytes = past_sizes(limits).block_bytes,
		.draw_bytes = sampler.thread_bytes,
		.draw_context_block_bytes = sampler.thread_position_bytes * limits->block_length,
		.max_draw_threads = sampler.max_threads,
	};
	memcpy(sizes_out->caches, caches, sizeof caches);
	return SC_OK;
}
