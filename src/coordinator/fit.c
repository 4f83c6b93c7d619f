/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/fit.h"

#include "base/integers.h"
#include "coordinator/pool.h"

#include <stdlib.h>

/* What pool_plan is asked, with the arrays that it borrows. */
struct question {
	struct plan_input input;
	struct pool_wish wish;
	uint64_t *memory_bytes;
	uint32_t *n_threads;
	struct stage_sizes *sizes;
};

static void question_deinit(struct question *question)
{
	free(question->memory_bytes);
	free(question->n_threads);
	free(question->sizes);
}

static enum sc_status question_init(struct question *question,
				    const struct coordinator_config *config,
				    const struct fit_workers *workers, struct error *err)
{
	const unsigned n = config->n_stages;

	coordinator_planning(config, workers->has_links && n > 1, &question->input,
			     &question->wish);
	question->memory_bytes = calloc(n, sizeof question->memory_bytes[0]);
	question->n_threads = calloc(n, sizeof question->n_threads[0]);
	question->sizes = calloc(n, sizeof question->sizes[0]);
	if (!question->memory_bytes || !question->n_threads || !question->sizes) {
		question_deinit(question);
		return error_set(err, SC_E_NOMEM, "out of memory for a plan of %u stages", n);
	}
	for (unsigned i = 0; i < n; i++) {
		question->memory_bytes[i] = workers->memory_bytes;
		question->n_threads[i] = workers->n_threads;
		question->sizes[i] = workers->sizes;
	}
	question->input.memory_bytes = question->memory_bytes;
	question->input.n_threads = question->n_threads;
	question->input.sizes = question->sizes;
	return SC_OK;
}

enum sc_status fit_plan(const struct coordinator_config *config, const struct fit_workers *workers,
			struct fit *fit, struct error *err)
{
	struct question question;
	enum sc_status status;

	*fit = (struct fit){ .plan = NULL };
	status = question_init(&question, config, workers, err);
	if (status != SC_OK)
		return status;
	status = pool_plan(&question.input, &question.wish, &fit->plan, &fit->why_not);
	if (status == SC_OK) {
		fit->context = question.input.max_context;
		fit->n_positions = (uint64_t)question.input.n_blocks * question.input.block_length;
	}
	question_deinit(&question);
	if (status != SC_E_NOMEM)
		return SC_OK;
	if (err)
		*err = fit->why_not;
	return status;
}

void fit_deinit(struct fit *fit)
{
	plan_destroy(fit->plan);
	fit->plan = NULL;
}

static enum sc_status has_room(const struct coordinator_config *config,
			       const struct fit_workers *workers, uint32_t context,
			       bool *has_room_out, struct error *err)
{
	const uint32_t wanted = (uint32_t)div_up(context, config->block_length);
	struct question question;
	enum sc_status status;
	uint32_t most;

	status = question_init(&question, config, workers, err);
	if (status != SC_OK)
		return status;
	question.input.max_context = context;
	status = plan_most_blocks(&question.input, wanted, &most);
	question_deinit(&question);
	if (status != SC_OK)
		return error_set(err, status, "out of memory for a plan");
	*has_room_out = most == wanted;
	return SC_OK;
}

enum sc_status fit_least_stages(const struct coordinator_config *config,
				const struct fit_workers *workers, uint32_t context,
				unsigned *n_stages_out, struct error *err)
{
	const uint32_t n_layers = config->model->hparams.n_layers;
	struct coordinator_config tried = *config;
	enum sc_status status;
	bool is_found = false;

	for (tried.n_stages = 1; tried.n_stages <= n_layers; tried.n_stages++) {
		status = has_room(&tried, workers, context, &is_found, err);
		if (status != SC_OK)
			return status;
		if (is_found)
			break;
	}
	*n_stages_out = is_found ? tried.n_stages : 0;
	return SC_OK;
}

uint64_t fit_position_bytes(const struct coordinator_config *config,
			    const struct fit_workers *workers, bool has_windows)
{
	const struct model *model = config->model;
	uint64_t n = 0;

	for (uint32_t g = 0; g < model->n_groups; g++)
		if (has_windows || !model->groups[g].window)
			n += workers->sizes.caches[g].kv_block_bytes * model->groups[g].n_layers;
	return div_up(n, config->block_length);
}

uint64_t fit_context_bytes(const struct coordinator_config *config,
			   const struct fit_workers *workers, uint32_t context)
{
	const uint32_t n_layers = config->model->hparams.n_layers;
	struct stage_shape shape = {
		.n_layers = n_layers,
		.pools = kv_pools_of(config->model, &(struct kv_pools_wish){
			.max_rows = coordinator_stage_limits(config).max_rows,
			.block_length = config->block_length,
			.max_context = context,
			.n_blocks = (uint32_t)div_up(context, config->block_length),
		}),
	};

	stage_count_layers(config->model, 0, n_layers, shape.group_layers);
	return stage_kv_bytes_of(&workers->sizes, &shape);
}
