/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/rig.h"

#include "event/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <xxhash.h>

const struct rig_options rig_defaults = {
	.n_stages = 2,
	.n_threads = 1,
	.max_rows = 64,
	.prompt_chunk = 64,
	.max_sequences = 32,
	.max_queue = 64,
	.block_length = 8,
};

/* A row of the embedding as it was before it was spoilt. */
struct spoilt_row {
	uint8_t *at;		/* NULL: none is */
	uint8_t was[8192];
	size_t n_bytes;
};

static struct spoilt_row spoilt;
static struct buf model_file = BUF_INIT;
static struct opened_model opened;

void rig_use_model(const struct tiny_model *tiny)
{
	struct error err;

	rig_model_close();
	opened.model = tiny_model_open(tiny, &model_file);
	assert_int_equal(tokenizer_create(opened.model->gguf, &opened.tokenizer, &err), SC_OK);
}

void rig_use_open_model(struct model *model)
{
	struct error err = { .text = "" };

	rig_model_close();
	opened.model = model;
	if (tokenizer_create(opened.model->gguf, &opened.tokenizer, &err))
		fail_msg("%s", err.text);
}

void rig_use_file(const char *path)
{
	struct error err;

	rig_model_close();
	if (opened_model_open(&opened, &(struct model_choice){ path, "", NULL }, &err))
		fail_msg("%s", err.text);
}

const struct opened_model *rig_model(void)
{
	struct tiny_model tiny = tiny_llama;

	tiny.n_layers = 8;
	if (!opened.model)
		rig_use_model(&tiny);
	return &opened;
}

void rig_model_close(void)
{
	opened_model_close(&opened);
	opened = (struct opened_model){ 0 };
	spoilt.at = NULL;
	buf_deinit(&model_file);
}

bool rig_can_spoil(void)
{
	return rig_model() && model_file.length > 0;
}

void rig_spoil_token(uint32_t token)
{
	const struct tensor *embedding = rig_model()->model->outer[OUTER_TOKEN_EMBD];

	rig_mend_token();
	spoilt.n_bytes = tensor_row_bytes(embedding);
	assert_true(spoilt.n_bytes <= sizeof spoilt.was);
	spoilt.at = (uint8_t *)(uintptr_t)embedding->data + token * spoilt.n_bytes;
	memcpy(spoilt.was, spoilt.at, spoilt.n_bytes);
	/* NaN as an element or a scale of every type. */
	memset(spoilt.at, 0xff, spoilt.n_bytes);
}

void rig_mend_token(void)
{
	if (spoilt.at)
		memcpy(spoilt.at, spoilt.was, spoilt.n_bytes);
	spoilt.at = NULL;
}

int rig_model_teardown(void **state)
{
	(void)state;
	rig_model_close();
	return 0;
}

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct rig *rig = arg;

	rig->phase = phase;
	if (err)
		rig->error = *err;
}

/* On the last stage's thread; the test looks only after rig_stop has joined it. */
static void on_logits(void *arg, uint32_t sequence, uint32_t position, const float *logits,
		      uint32_t n_vocab)
{
	struct rig *rig = arg;

	(void)sequence;
	if (rig->n_logits == rig->max_logits) {
		rig->max_logits = rig->max_logits ? 2 * rig->max_logits : 1024;
		rig->logits = realloc(rig->logits, rig->max_logits * sizeof rig->logits[0]);
		if (!rig->logits)
			abort();
	}
	rig->logits[rig->n_logits++] = (struct rig_logits){
		position, XXH3_64bits(logits, n_vocab * sizeof logits[0])
	};
}

/* As the setting kv-type names it. */
static const char *kv_name(enum tensor_type type)
{
	return type == TENSOR_F32  ? "f32"  :
	       type == TENSOR_BF16 ? "bf16" :
	       type == TENSOR_Q8_0 ? "q8_0" :
				     "f16";
}

struct config rig_settings(const struct rig_options *options)
{
	return (struct config){
		.prompt_file = (char *)"",
		.backend = (char *)"cpu",
		.cpu = (char *)(options->isa == CPU_AUTO ? "auto" : cpu_isa_name(options->isa)),
		.pin = (char *)"off",
		.threads = options->n_threads,
		.memory = options->memory_bytes ? options->memory_bytes : UINT64_C(1) << 40,
		.stages = options->n_stages,
		.window = options->window,
		.batch = options->max_rows,
		.prompt_chunk = options->prompt_chunk,
		.max_sequences = options->max_sequences,
		.max_queue = options->max_queue,
		.kv_positions = options->memory_bytes ? 0 :
				options->kv_positions ? options->kv_positions : 4096,
		.block_length = options->block_length,
		.kv_type = (char *)kv_name(options->kv_type),
		.heartbeat_ms = 500,
		.deadline_ms = 60000,
		.start_ms = 60000,
		.keep_jobs = 1000,
		.job_memory = options->max_job_bytes,
	};
}

void rig_start(struct rig *rig, const struct rig_options *options)
{
	const struct config settings = rig_settings(options);
	const struct engine_hooks hooks = {
		.isas = options->isas, .on_logits = on_logits, .arg = rig,
	};
	struct engine_config config = {
		.settings = &settings, .model = rig_model(), .hooks = &hooks,
		.on_phase = on_phase, .arg = rig,
	};
	struct error err;

	*rig = (struct rig){ 0 };
	assert_int_equal(loop_create(&rig->loop), SC_OK);
	config.loop = rig->loop;
	if (engine_create(&config, &rig->engine, &err) != SC_OK)
		fail_msg("%s", err.text);
	rig_wait(rig, rig->phase >= COORDINATOR_READY);
}

void rig_stop(struct rig *rig)
{
	engine_drain(rig->engine, 0);
	rig_wait(rig, rig->phase >= COORDINATOR_STOPPED);
	engine_destroy(rig->engine);
	loop_destroy(rig->loop);
}

void rig_free_logits(struct rig *rig)
{
	free(rig->logits);
	rig->logits = NULL;
}

bool rig_has_logits(const struct rig *rig, uint32_t position, uint64_t hash)
{
	for (size_t i = 0; i < rig->n_logits; i++)
		if (rig->logits[i].position == position && rig->logits[i].hash == hash)
			return true;
	return false;
}
