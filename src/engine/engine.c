/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include "engine/local_stages.h"
#include "engine/wiring.h"

#include <stdlib.h>

struct engine {
	const struct opened_model *model;
	struct coordinator *coordinator;
	struct local_stages *stages;	/* NULL: they are in other processes */
};

/* --- load --- */

/* What the stages of this process get, beside a coordinator that takes its own memory. */
static enum sc_status open_stages(struct engine *engine, const struct engine_config *config,
				  const struct coordinator_config *coordinator, struct error *err)
{
	const struct allowance allowance = allowance_inside(coordinator->n_stages,
		wire_coordinator_bytes(coordinator, false, config->client_bytes));
	struct worker_config worker;
	enum sc_status status;

	status = wire_worker_config(config->settings, config->model->model, &allowance, &worker,
				    err);
	if (status != SC_OK)
		return status;
	worker.loop = config->loop;
	if (config->hooks) {
		worker.on_logits = config->hooks->on_logits;
		worker.logits_arg = config->hooks->arg;
	}
	return local_stages_open(&(struct local_stages_config){
		.n_stages = coordinator->n_stages,
		.worker = &worker,
		.isas = config->hooks ? config->hooks->isas : NULL,
	}, &engine->stages, err);
}

static enum sc_status describe_coordinator(const struct engine_config *config,
					   struct coordinator_config *out, struct error *err)
{
	const struct engine_cluster *cluster = config->cluster;
	enum sc_status status = SC_OK;

	if (cluster)
		*out = *cluster->coordinator;
	else
		status = wire_coordinator_config(config->settings, config->model,
						 config->settings->stages, out, err);
	if (status != SC_OK)
		return status;
	out->loop = config->loop;
	out->spin_us = config->settings->spin_us;
	out->has_fixed_workers = true;
	if (cluster) {
		out->fabrics = cluster->fabrics;
		out->survives_losses = cluster->fabrics.survives_losses;
		out->warms_spares = config->settings->are_spares_warm;
		out->has_fixed_workers = cluster->has_fixed_workers;
		out->resources = cluster->resources;
		out->own_bytes = cluster->own_bytes;
	}
	out->on_phase = config->on_phase;
	out->on_progress = config->on_progress;
	out->arg = config->arg;
	return SC_OK;
}

/* The one place where a coordinator and its own stages meet. Workers of a cluster come later:
 * engine_accept. */
static enum sc_status join(struct engine *engine, const struct engine_config *config,
			   struct coordinator_config *coordinator, struct error *err)
{
	enum sc_status status = SC_OK;

	if (!config->cluster) {
		status = open_stages(engine, config, coordinator, err);
		if (status != SC_OK)
			return status;
		coordinator->fabrics = local_stages_fabrics(engine->stages);
	}
	status = coordinator_create(coordinator, &engine->coordinator, err);
	if (status == SC_OK && engine->stages)
		status = local_stages_start(engine->stages, engine->coordinator, err);
	return status;
}

enum sc_status engine_create(const struct engine_config *config, struct engine **engine_out,
			     struct error *err)
{
	struct engine *engine = calloc(1, sizeof *engine);
	struct coordinator_config coordinator;
	enum sc_status status;

	if (!engine)
		return error_set(err, SC_E_NOMEM, "out of memory");
	engine->model = config->model;
	status = describe_coordinator(config, &coordinator, err);
	if (status == SC_OK)
		status = join(engine, config, &coordinator, err);
	if (status != SC_OK) {
		engine_destroy(engine);
		return status;
	}
	*engine_out = engine;
	return SC_OK;
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	coordinator_destroy(engine->coordinator);
	local_stages_close(engine->stages);
	free(engine);
}

void engine_accept(struct engine *engine, struct channel *channel)
{
	coordinator_accept(engine->coordinator, channel);
}

const struct model *engine_model(const struct engine *engine)
{
	return engine->model->model;
}

const struct tokenizer *engine_tokenizer(const struct engine *engine)
{
	return engine->model->tokenizer;
}

/* --- submit and watch --- */

enum sc_status engine_submit(struct engine *engine, const struct job_request *request,
			     struct job **job_out, struct error *err)
{
	return job_submit(engine->coordinator, request, job_out, err);
}

enum sc_status engine_check_room(struct engine *engine, uint64_t client, struct error *err)
{
	return job_check_room(engine->coordinator, client, err);
}

enum sc_status engine_find(struct engine *engine, const char *id, struct job **job_out,
			   struct error *err)
{
	return job_find(engine->coordinator, id, job_out, err);
}

unsigned engine_list(struct engine *engine, unsigned states, struct job **jobs_out, unsigned max)
{
	return job_list(engine->coordinator, states, jobs_out, max);
}

/* --- status --- */

enum coordinator_phase engine_phase(const struct engine *engine)
{
	return coordinator_phase(engine->coordinator);
}

uint32_t engine_max_context(const struct engine *engine)
{
	return coordinator_max_context(engine->coordinator);
}

enum tensor_type engine_kv_type(const struct engine *engine)
{
	return coordinator_kv_type(engine->coordinator);
}

const struct plan *engine_plan(const struct engine *engine)
{
	return coordinator_plan(engine->coordinator);
}

void engine_status(const struct engine *engine, struct coordinator_status *out)
{
	coordinator_status(engine->coordinator, out);
}

void engine_stage_status(const struct engine *engine, unsigned stage, struct stage_status *out)
{
	coordinator_stage_status(engine->coordinator, stage, out);
}

unsigned engine_n_workers(const struct engine *engine)
{
	return coordinator_n_workers(engine->coordinator);
}

void engine_worker_status(const struct engine *engine, unsigned i, struct worker_status *out)
{
	coordinator_worker_status(engine->coordinator, i, out);
}

void engine_await_counters(struct engine *engine, struct counters_wait *wait)
{
	coordinator_await_counters(engine->coordinator, wait);
}

const struct metrics *engine_metrics(const struct engine *engine)
{
	return coordinator_metrics(engine->coordinator);
}

struct limit_counts *engine_limits(struct engine *engine)
{
	return coordinator_limits(engine->coordinator);
}

/* --- change and stop --- */

void engine_set_limits(struct engine *engine, uint32_t max_queue, uint32_t keep_jobs)
{
	coordinator_set_limits(engine->coordinator, max_queue, keep_jobs);
}

void engine_drain(struct engine *engine, uint32_t timeout_ms)
{
	coordinator_drain(engine->coordinator, timeout_ms);
}

void engine_abort(struct engine *engine, const struct error *err)
{
	coordinator_abort(engine->coordinator, err);
}
