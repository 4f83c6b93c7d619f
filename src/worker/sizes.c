/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sizes.h"

#include "stage/sizes.h"

enum sc_status worker_sizes_of(const struct worker_config *config, enum cpu_isa isa,
			       const struct stage_limits *limits, struct stage_sizes *sizes_out,
			       struct error *err)
{
	const struct stage_config stage = {
		.model = config->model,
		.backend = config->backend,
		.device = config->device,
		.place = config->place,
	};
	const struct stage_assignment assignment = {
		.isa = isa,
		.kv_type = limits->kv_type,
		.limits = {
			.max_rows = limits->max_rows,
			.max_sequences = limits->max_sequences,
			.block_length = limits->block_length,
		},
	};
	enum sc_status status = stage_sizes_of(&stage, &assignment, sizes_out, err);

	if (status == SC_OK)
		sizes_out->fixed_bytes += WORKER_UNCOUNTED_BYTES +
					  limits->max_rows * sizeof(struct token_record) +
					  step_max_tops(&assignment.limits) *
					  sizeof(struct token_top);
	return status;
}

static void put_caches(const struct stage_sizes *from, uint32_t n_groups, size_t i,
		       struct worker_sizes *out)
{
	out->tables[i].n_caches = n_groups;
	out->tables[i].caches = out->cache_pointers[i];
	for (uint32_t g = 0; g < n_groups; g++) {
		Stagecoach__Cluster__V1__CacheSizes *to = &out->caches[i][g];

		stagecoach__cluster__v1__cache_sizes__init(to);
		to->kv_block_bytes = from->caches[g].kv_block_bytes;
		to->cache_bytes = from->caches[g].cache_bytes;
		to->cache_thread_bytes = from->caches[g].cache_thread_bytes;
		to->shared_thread_bytes = from->caches[g].shared_thread_bytes;
		to->shared_block_bytes = from->caches[g].shared_block_bytes;
		out->cache_pointers[i][g] = to;
	}
}

static void put_table(const struct stage_sizes *from, enum cpu_isa isa,
		      Stagecoach__Cluster__V1__StageSizes *to)
{
	stagecoach__cluster__v1__stage_sizes__init(to);
	if (isa != CPU_AUTO)
		to->instruction_set = (char *)cpu_isa_name(isa);
	to->fixed_bytes = from->fixed_bytes;
	to->head_bytes = from->head_bytes;
	to->layer_bytes = from->layer_bytes;
	to->block_bytes = from->block_bytes;
	to->table_block_bytes = from->table_block_bytes;
	to->thread_bytes = from->thread_bytes;
	to->shared_most_bytes = from->shared_most_bytes;
	to->token_block_bytes = from->token_block_bytes;
	to->draw_bytes = from->draw_bytes;
	to->draw_context_block_bytes = from->draw_context_block_bytes;
	to->max_draw_threads = from->max_draw_threads;
}

enum sc_status worker_sizes_for(const struct worker_config *config, enum cpu_isa best_isa,
				const Stagecoach__Cluster__V1__StageLimits *limits,
				struct worker_sizes *out, struct error *err)
{
	enum cpu_isa isa = best_isa == CPU_AUTO ? CPU_AUTO : CPU_SCALAR;
	struct stage_sizes sizes;
	enum sc_status status;

	if (!limits)
		return error_set(err, SC_E_PROTOCOL, "welcome: no limits: install the same "
				 "stagecoach on all machines");
	stagecoach__cluster__v1__sizes__init(&out->body);
	out->body.tables = out->pointers;
	for (; isa <= best_isa; isa++) {
		size_t i = out->body.n_tables++;

		status = worker_sizes_of(config, isa, &(struct stage_limits){
			.max_rows = limits->max_rows,
			.max_sequences = limits->max_sequences,
			.block_length = limits->block_length,
			.kv_type = (enum tensor_type)limits->kv_type,
		}, &sizes, err);
		if (status != SC_OK) {
			error_prefix(err, "welcome");
			return status;
		}
		put_table(&sizes, isa, &out->tables[i]);
		put_caches(&sizes, config->model->n_groups, i, out);
		out->pointers[i] = &out->tables[i];
	}
	stagecoach__cluster__v1__control__init(&out->message);
	out->message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_SIZES;
	out->message.sizes = &out->body;
	return SC_OK;
}
