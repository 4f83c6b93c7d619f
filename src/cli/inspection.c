/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inspection.h"

#include "base/integers.h"
#include "cli/prepare.h"
#include "cli/report.h"
#include "coordinator/pool.h"
#include "hf/source.h"
#include "worker/sizes.h"

/* Steps of a search for a split that take about a second. */
#define MAX_PLAN_STEPS (UINT64_C(1) << 24)

/* A stage of memory_bytes on a machine of its own. */
static enum sc_status worker_apart(const struct coordinator_config *coordinator,
				   const struct worker_config *worker,
				   struct fit_workers *workers_out, struct error *err)
{
	const struct stage_limits limits = coordinator_stage_limits(coordinator);

	*workers_out = (struct fit_workers){
		.memory_bytes = worker->memory_bytes, .n_threads = worker->n_threads,
		.has_links = true,
	};
	return worker_sizes_of(worker, worker->isa, &limits, &workers_out->sizes, err);
}

/* As stagecoachd with n_stages in its process is wired. */
static enum sc_status wire(const struct config *config, const struct opened_model *opened,
			   unsigned n_stages, struct coordinator_config *coordinator_out,
			   struct worker_config *worker_out, struct error *err)
{
	struct allowance allowance;
	enum sc_status status;

	status = wire_coordinator_config(config, opened, n_stages, coordinator_out, err);
	if (status != SC_OK)
		return status;
	allowance = allowance_inside(n_stages, wire_coordinator_bytes(coordinator_out, false,
							prepare_client_bytes(config)));
	return wire_worker_config(config, opened->model, &allowance, worker_out, err);
}

static enum sc_status plan_here(struct inspection *inspection, const struct config *config,
				struct error *err)
{
	struct inspection_fit *fit = &inspection->fit;
	struct coordinator_config coordinator;
	struct worker_config worker;
	struct fit_workers workers;
	enum sc_status status;

	fit->n_stages = config->stages;
	status = wire(config, &inspection->opened, config->stages, &coordinator, &worker, err);
	if (status == SC_OK)
		status = worker_apart(&coordinator, &worker, &workers, err);
	if (status != SC_OK)
		return status;
	workers.has_links = false;
	return fit_plan(&coordinator, &workers, &fit->here, err);
}

/* What the whole model needs, whoever has room for it. */
static enum sc_status size_up(struct inspection_fit *fit,
			      const struct coordinator_config *coordinator,
			      const struct fit_workers *worker, struct error *err)
{
	struct fit_workers unbounded = *worker;
	struct fit whole;
	enum sc_status status;

	unbounded.memory_bytes = 0;
	status = fit_plan(coordinator, &unbounded, &whole, err);
	if (status == SC_OK && whole.plan) {
		fit->weight_bytes = whole.plan->stages[0].weight_bytes;
		fit->work_bytes = whole.plan->stages[0].work_bytes;
	}
	fit_deinit(&whole);
	fit->position_bytes = fit_position_bytes(coordinator, worker, true);
	fit->whole_position_bytes = fit_position_bytes(coordinator, worker, false);
	fit->context_bytes = fit_context_bytes(coordinator, worker, fit->context);
	return status;
}

static enum sc_status plan_apart(struct inspection_fit *fit, struct coordinator_config *coordinator,
				 const struct fit_workers *worker, struct error *err)
{
	const uint32_t least = (uint32_t)min_of(fit->context, POOL_LEAST_CONTEXT);
	const uint64_t n_layers = coordinator->model->hparams.n_layers;
	enum sc_status status;

	status = fit_least_stages(coordinator, worker, fit->context, &fit->n_stages_whole, err);
	if (status == SC_OK)
		status = fit_least_stages(coordinator, worker, least, &fit->n_stages_least, err);
	if (status != SC_OK)
		return status;
	fit->n_stages_apart = fit->n_stages_whole ? fit->n_stages_whole : fit->n_stages_least;
	if (!fit->n_stages_apart || fit->n_stages_apart * n_layers * n_layers > MAX_PLAN_STEPS)
		return SC_OK;
	coordinator->n_stages = fit->n_stages_apart;
	return fit_plan(coordinator, worker, &fit->apart, err);
}

static enum sc_status find_fit(struct inspection *inspection, const struct config *config,
			       struct error *err)
{
	struct inspection_fit *fit = &inspection->fit;
	struct coordinator_config coordinator;
	struct worker_config worker;
	struct fit_workers workers;
	enum sc_status status = wire(config, &inspection->opened, 1, &coordinator, &worker, err);

	if (status == SC_OK)
		status = worker_apart(&coordinator, &worker, &workers, err);
	if (status != SC_OK)
		return status;
	fit->kv_type = coordinator.kv_type;
	fit->context = coordinator.max_context;
	fit->memory_bytes = worker.memory_bytes;
	fit->is_memory_set = config->memory;
	status = size_up(fit, &coordinator, &workers, err);
	if (status == SC_OK)
		status = plan_here(inspection, config, err);
	if (status == SC_OK)
		status = plan_apart(fit, &coordinator, &workers, err);
	return status;
}

enum sc_status inspection_of(struct inspection *inspection, struct gguf *gguf, struct error *err)
{
	*inspection = (struct inspection){ .gguf = gguf };
	error_set(&inspection->why_not, SC_E_UNSUPPORTED, "nobody asked");
	return summary_read(gguf, &inspection->summary, err);
}

enum sc_status inspection_open(struct inspection *inspection, const char *path,
			       const struct config *config, struct error *err)
{
	struct model_choice choice = model_choice_of(config);
	enum sc_status status;
	struct gguf *gguf;

	*inspection = (struct inspection){ .gguf = NULL };
	status = source_open(path, SOURCE_ANY_TYPES, &gguf, err);
	if (status != SC_OK)
		return status;
	gguf_ignore_keys(gguf, config->ignored_keys);
	report_ignored_keys(gguf, config->ignored_keys);
	status = inspection_of(inspection, gguf, err);
	if (status != SC_OK)
		return status;
	inspection->why_not.status = SC_OK;
	choice.name = path;
	status = opened_model_open(&inspection->opened, &choice, &inspection->why_not);
	if (status != SC_E_NOMEM)
		return status == SC_OK ? find_fit(inspection, config, err) : SC_OK;
	if (err)
		*err = inspection->why_not;
	return status;
}

void inspection_close(struct inspection *inspection)
{
	fit_deinit(&inspection->fit.here);
	fit_deinit(&inspection->fit.apart);
	opened_model_close(&inspection->opened);
	summary_deinit(&inspection->summary);
	gguf_close(inspection->gguf);
}
