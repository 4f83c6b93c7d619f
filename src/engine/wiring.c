/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wiring.h"

#include "engine/engine.h"

#include <string.h>

#define MAX_CONTEXT (16u << 20)	/* as the option ctx-size */
#define USUAL_CONTEXT 4096	/* cleared in no time */
#define PROCESS_BYTES (UINT64_C(16) << 20)	/* of a coordinator, for what is not counted */

/* A token is drawn in any case, also where none is wanted. */
static uint64_t new_positions(const struct config *config, size_t n_prompt)
{
	return n_prompt + (config->n_predict ? (uint64_t)config->n_predict : 1);
}

/* Positions that the text of --prompt takes at most; 0: unknown, because it is read later or has no
 * end. */
static uint64_t positions_of_prompt(const struct config *config,
				    const struct opened_model *opened)
{
	struct token_list prompt = { 0 };
	uint64_t n = 0;

	if (config->n_predict < 0)
		return 0;
	if (opened->n_prompt_tokens)
		return new_positions(config, opened->n_prompt_tokens);
	if (!config->prompt || !strcmp(config->prompt, "-"))
		return 0;
	if (tokenizer_encode(opened->tokenizer, config->prompt, strlen(config->prompt),
			     TOKENIZE_ADD_BOS, &prompt, NULL) == SC_OK)
		n = new_positions(config, prompt.n);
	token_list_deinit(&prompt);
	return n;
}

/* A context that was asked for, also by the length of one text, may be longer than the model was
 * trained for: many files understate it, and what is lost is only quality. One text of known length
 * needs no more than that, which spares the time to clear the rest of a long context. */
static uint32_t choose_context(const struct config *config, const struct opened_model *opened,
			       bool *is_fixed_out)
{
	uint64_t trained = opened->model->hparams.n_context;
	uint64_t needed = positions_of_prompt(config, opened);
	uint64_t wanted = trained < MAX_CONTEXT ? trained : MAX_CONTEXT;
	uint32_t most = model_max_positions(opened->model);

	*is_fixed_out = config->context || needed > USUAL_CONTEXT || needed > wanted;
	if (config->context)
		return config->context;
	if (needed && wanted > USUAL_CONTEXT)
		wanted = USUAL_CONTEXT;
	if (needed > wanted)
		wanted = needed < MAX_CONTEXT ? needed : MAX_CONTEXT;
	return wanted < most ? (uint32_t)wanted : most;
}

/* The words of the option table. Of models trained in BF16, whose weights often come so, keys and
 * values may be beyond what F16 holds. */
static enum tensor_type kv_type_of(const struct config *config, const struct model *model)
{
	static const struct {
		const char *name;
		enum tensor_type type;
	} types[] = {
		{ "f32", TENSOR_F32 }, { "f16", TENSOR_F16 }, { "bf16", TENSOR_BF16 },
		{ "q8_0", TENSOR_Q8_0 },
	};

	for (size_t i = 0; config->kv_type && i < sizeof types / sizeof types[0]; i++)
		if (!strcmp(config->kv_type, types[i].name))
			return types[i].type;
	return model_is_bf16(model) ? TENSOR_BF16 : TENSOR_F16;
}

enum sc_status wire_coordinator_config(const struct config *config,
				       const struct opened_model *opened, unsigned n_stages,
				       struct coordinator_config *out, struct error *err)
{
	bool is_context_fixed;
	uint32_t context;

	if (config->deadline_ms < 2 * config->heartbeat_ms)
		return error_set(err, SC_E_CONFIG, "deadline-ms: %u is less than two heartbeats "
				 "of %u ms", config->deadline_ms, config->heartbeat_ms);
	context = choose_context(config, opened, &is_context_fixed);
	if (context > model_max_positions(opened->model))
		return error_set(err, SC_E_CONFIG, "ctx-size: %u is more than the %u positions "
				 "that this model has learned", context,
				 model_max_positions(opened->model));
	*out = (struct coordinator_config){
		.model = opened->model,
		.tokenizer = opened->tokenizer,
		.n_stages = n_stages,
		.window = config->window,
		.max_rows = config->batch,
		.prompt_chunk = config->prompt_chunk,
		.max_gap_ms = config->max_gap_ms,
		.max_sequences = config->max_sequences,
		.max_queue = config->max_queue,
		.max_context = context,
		.is_context_fixed = is_context_fixed,
		.kv_positions = config->kv_positions,
		.kv_contexts = config_has_prompt(config) || opened->n_prompt_tokens
				       ? config->n_sequences : config->max_sequences,
		.block_length = config->block_length,
		.kv_type = kv_type_of(config, opened->model),
		.heartbeat_ms = config->heartbeat_ms,
		.deadline_ms = config->deadline_ms,
		.start_ms = config->start_ms,
		.allows_mixed_backends = config->allows_mixed_backends,
		.keep_jobs = config->keep_jobs,
		.max_job_bytes = allowance_part(config->job_memory),
	};
	return SC_OK;
}

uint32_t wire_prompt_chunk(const struct config *config)
{
	const struct coordinator_config coordinator = {
		.n_stages = config->stages,
		.max_rows = config->batch,
		.prompt_chunk = config->prompt_chunk,
	};

	return coordinator_prompt_chunk(&coordinator);
}

uint64_t wire_coordinator_bytes(const struct coordinator_config *coordinator, bool has_links,
				size_t client_bytes)
{
	return PROCESS_BYTES + coordinator_bytes(coordinator, has_links) + client_bytes;
}

static enum backend_pin pin_of(const struct config *config)
{
	return !strcmp(config->pin, "on")   ? BACKEND_PIN_ON :
	       !strcmp(config->pin, "auto") ? BACKEND_PIN_AUTO :
					      BACKEND_PIN_OFF;
}

enum sc_status wire_isa(const struct config *config, enum cpu_isa *isa_out, struct error *err)
{
	enum cpu_isa wanted = CPU_AUTO, isa;
	enum sc_status status;

	if (!cpu_isa_find(config->cpu, &wanted))
		return error_set(err, SC_E_CONFIG, "cpu: there is no instruction set \"%s\": use "
				 "auto, scalar, avx2, avx512 or avx512-bf16", config->cpu);
	status = cpu_isa_select(wanted, &isa, err);
	if (status == SC_OK)
		*isa_out = wanted;
	return status;
}

enum sc_status wire_worker_config(const struct config *config, const struct model *model,
				  const struct allowance *allowance, struct worker_config *out,
				  struct error *err)
{
	const struct backend_ops *backend = backend_find(config->backend);
	enum cpu_isa isa = CPU_AUTO;
	enum sc_status status;

	if (!backend)
		return error_set(err, SC_E_UNSUPPORTED, "backend %s is not in this build",
				 config->backend);
	if (!backend_is_complete(backend))
		return error_set(err, SC_E_UNSUPPORTED,
				 "backend %s cannot run a whole stage yet: use cpu",
				 config->backend);
	if (config->device >= backend->count())
		return error_set(err, config_fault(config, "device"), "device %u: backend %s "
				 "has %u on this machine, numbered from 0", config->device,
				 config->backend, backend->count());
	status = wire_isa(config, &isa, err);
	if (status != SC_OK)
		return status;
	*out = (struct worker_config){
		.model = model,
		.backend = backend,
		.device = config->device,
		.isa = isa,
		.spin_us = config->spin_us,
		.memory_bytes = config->memory,
		.n_threads = config->threads,
		.place = { .pin = pin_of(config) },
	};
	if (!allowance)
		return SC_OK;
	if (!config->memory)
		out->memory_bytes = allowance->memory_bytes;
	if (!config->threads)
		out->n_threads = allowance->n_processors;
	out->place.n_stages = allowance->n_sharers;
	out->place.stage = allowance->sharer;
	return SC_OK;
}
