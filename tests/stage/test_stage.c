/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/stage.h"

#include "tests/stage/chain.h"
#include "tests/wire/greedy_sampling.h"
#include "stage/forward.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MODEL "llama-gqa3-4layers"
#define MAX_SEQUENCES 100

static struct step_limits limits_for(const struct model *model)
{
	return (struct step_limits){
		.max_rows = 100, .max_sequences = MAX_SEQUENCES, .n_groups = 1,
		.max_blocks = { 200 }, .table_blocks = { 5 },
		.block_length = 8, .max_context = 40, .n_vocab = model->hparams.n_vocab,
		.dim = model->hparams.dim,
	};
}

struct config {
	struct stage_config stage;
	struct stage_assignment part;
};

static struct config config_for(const struct model *model)
{
	return (struct config){
		.stage = { .model = model, .backend = &backend_cpu, .n_threads = 1 },
		.part = { .n_layers = model->hparams.n_layers, .limits = limits_for(model) },
	};
}

static enum sc_status create_and_assign(const struct config *config, struct stage **stage_out,
					struct error *err)
{
	struct stage *stage;
	enum sc_status status = stage_create(&config->stage, &stage, err);

	if (status)
		return status;
	status = stage_assign(stage, &config->part, err);
	if (status)
		stage_destroy(stage);
	else
		*stage_out = stage;
	return status;
}

static struct stage *create(const struct config *config)
{
	struct error err = { .text = "" };
	struct stage *stage = NULL;

	if (create_and_assign(config, &stage, &err))
		fail_msg("%s", err.text);
	return stage;
}

static void refuse(const struct config *config, enum sc_status status, const char *why)
{
	struct error err = { .text = "" };
	struct stage *stage = NULL;

	if (create_and_assign(config, &stage, &err) != status)
		fail_msg("%s: %s", sc_status_name(err.status), err.text);
	assert_null(stage);
	assert_int_equal(err.status, status);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void a_stage_needs_layers_that_the_model_has(void **state)
{
	struct model *model = chain_open_reference(MODEL);
	struct config config = config_for(model);

	(void)state;
	config.part.n_layers = 0;
	refuse(&config, SC_E_INVALID, "0 layers from layer 0: the model has 4");
	config.part.n_layers = 5;
	refuse(&config, SC_E_INVALID, "5 layers from layer 0");
	config.part.first_layer = 4;
	config.part.n_layers = 1;
	refuse(&config, SC_E_INVALID, "1 layers from layer 4");
	config.part.first_layer = 3;
	config.part.n_layers = UINT32_MAX;
	refuse(&config, SC_E_INVALID, "from layer 3");
	model_close(model);
}

static void limits_must_fit_the_model(void **state)
{
	struct model *model = chain_open_reference(MODEL);
	struct config config = config_for(model);

	(void)state;
	config.part.limits.dim++;
	refuse(&config, SC_E_INVALID, "expected dimension 48");
	config = config_for(model);
	config.part.limits.n_vocab--;
	refuse(&config, SC_E_INVALID, "vocabulary 263");
	config = config_for(model);
	config.part.limits.max_rows = 0;
	refuse(&config, SC_E_INVALID, "max_rows");
	model_close(model);
}

/* A backend whose operations begin to fail after a number of them. */
static struct backend_ops failing;
static enum sc_status failing_with;
static unsigned n_until_failure;

static bool fails_now(void)
{
	return n_until_failure-- == 0;
}

static enum sc_status failing_open(unsigned device, const struct backend_config *config,
				   struct backend **backend_out, struct error *err)
{
	enum sc_status status;

	if (fails_now())
		return error_set(err, failing_with, "open failed");
	status = backend_cpu.open(device, config, backend_out, err);
	if (!status)
		(*backend_out)->ops = &failing;
	return status;
}

static enum sc_status failing_alloc(struct backend *backend, size_t n_bytes, void **out)
{
	return fails_now() ? failing_with : backend_cpu.alloc(backend, n_bytes, out);
}

static enum sc_status failing_weight_create(struct backend *backend, const struct tensor *tensor,
					    struct weight **weight_out, struct error *err)
{
	if (fails_now())
		return error_set(err, failing_with, "weight failed");
	return backend_cpu.weight_create(backend, tensor, weight_out, err);
}

static enum sc_status failing_kv_create(struct backend *backend,
					const struct kv_cache_config *config,
					struct kv_cache **cache_out, struct error *err)
{
	if (fails_now())
		return error_set(err, failing_with, "cache failed");
	return backend_cpu.kv_create(backend, config, cache_out, err);
}

static void prepare_failing(enum sc_status status, unsigned n)
{
	failing = backend_cpu;
	failing.open = failing_open;
	failing.alloc = failing_alloc;
	failing.weight_create = failing_weight_create;
	failing.kv_create = failing_kv_create;
	failing_with = status;
	n_until_failure = n;
}

static void creation_unwinds_from_every_failure(void **state)
{
	struct model *model = chain_open_reference("qwen2-bias");
	struct config config = config_for(model);
	struct error err = { .text = "" };
	struct stage *stage = NULL;
	unsigned n = 0;

	(void)state;
	config.stage.backend = &failing;
	for (;; n++) {
		prepare_failing(SC_E_DEVICE, n);
		stage = NULL;
		err.text[0] = '\0';
		if (!create_and_assign(&config, &stage, &err))
			break;
		assert_null(stage);
		assert_string_not_equal(err.text, "");
	}
	stage_destroy(stage);
	/* Open, 12 tensors of each layer, embedding, norm, head, cache, activations. */
	assert_int_equal(n, 1 + 12 * model->hparams.n_layers + 3 + 2);
	model_close(model);
}

static void what_does_not_fit_is_named_with_its_size(void **state)
{
	struct model *model = chain_open_reference("qwen2-bias");
	struct config config = config_for(model);

	(void)state;
	config.stage.backend = &failing;
	prepare_failing(SC_E_NOMEM, 1 + 12 + 5);
	refuse(&config, SC_E_CAPACITY, "blk.1.attn_v.weight: no memory for its 0.0 MiB: 0.2 MiB of "
	       "this stage's 0.2 MiB");
	config.part.isa = CPU_SCALAR;	/* with longer vectors, short blocks are padded */
	prepare_failing(SC_E_NOMEM, 1 + 2 * 12 + 3);
	refuse(&config, SC_E_CAPACITY, "KV cache: no memory for 0.4 MiB: 200 blocks of 8 positions "
	       "of 2 layers");
	prepare_failing(SC_E_NOMEM, 1 + 2 * 12 + 4);
	refuse(&config, SC_E_CAPACITY, "steps of 100 rows");
	model_close(model);
}

static bool note_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	uint64_t *last = arg;

	assert_true(done_bytes > last[0]);
	assert_true(done_bytes <= total_bytes);
	last[0] = done_bytes;
	last[1] = total_bytes;
	last[2]++;
	return true;
}

static void progress_ends_at_the_total(void **state)
{
	struct model *model = chain_open_reference(MODEL);
	struct config config = config_for(model);
	uint64_t last[3] = { 0 };

	(void)state;
	config.stage.on_progress = note_progress;
	config.stage.arg = last;
	stage_destroy(create(&config));
	assert_int_equal(last[0], last[1]);
	assert_true(last[2] > 9 * config.part.n_layers);
	model_close(model);
}

static bool stop_at_the_fifth_tensor(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	unsigned *n_calls = arg;

	assert_true(done_bytes < total_bytes);
	return ++*n_calls < 5;
}

/* Memory for keys and values is the last that is taken. */
static bool stop_at_the_end(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	(void)arg;
	return done_bytes < total_bytes;
}

static void loading_ends_when_it_is_told_to(void **state)
{
	struct model *model = chain_open_reference(MODEL);
	struct config config = config_for(model);
	struct stage *stage = NULL;
	struct error err;
	unsigned n_calls = 0;

	(void)state;
	config.stage.on_progress = stop_at_the_fifth_tensor;
	config.stage.arg = &n_calls;
	assert_int_equal(create_and_assign(&config, &stage, &err), SC_E_CANCELLED);
	assert_non_null(strstr(err.text, "cancelled with "));
	assert_null(stage);
	assert_int_equal(n_calls, 5);
	config.stage.on_progress = stop_at_the_end;
	assert_int_equal(create_and_assign(&config, &stage, &err), SC_E_CANCELLED);
	assert_string_equal(err.text, "KV cache: cancelled while memory was taken");
	assert_null(stage);
	model_close(model);
}

static void a_tied_embedding_is_held_once(void **state)
{
	struct model *model = chain_open_reference("qwen2-tied");
	struct config config = config_for(model);
	uint64_t whole, first, last;
	struct stage *stage;

	(void)state;
	assert_ptr_equal(model->outer[OUTER_OUTPUT], model->outer[OUTER_TOKEN_EMBD]);
	config.part.limits.block_length = 16;
	config.part.limits.table_blocks[0] = 3;
	stage = create(&config);
	whole = stage_weight_bytes(stage);
	assert_int_equal(stage_kv_bytes(stage), 200 * 16 * model->hparams.n_layers * 4 *
			 model->hparams.n_kv_heads * 2 * model->hparams.head_dim);
	stage_destroy(stage);
	config.part.n_layers = 1;
	stage = create(&config);
	first = stage_weight_bytes(stage);
	stage_destroy(stage);
	config.part.first_layer = 1;
	stage = create(&config);
	last = stage_weight_bytes(stage);
	stage_destroy(stage);
	assert_true(first + last >= whole + model->outer[OUTER_TOKEN_EMBD]->n_bytes);
	model_close(model);
}

/* One-row sequences 0 .. n - 1 begin; sequence i reads token i. */
struct crowd {
	struct segment segments[MAX_SEQUENCES];
	struct sampling samplings[MAX_SEQUENCES];
	uint32_t tokens[MAX_SEQUENCES], blocks[MAX_SEQUENCES];
	struct step step;
};

static struct step *make_crowd(struct crowd *crowd, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		crowd->tokens[i] = i;
		crowd->blocks[i] = i;
		crowd->segments[i] = (struct segment){
			.sequence = i, .flags = SEGMENT_NEW | (i % 5 ? SEGMENT_SAMPLE : 0),
			.n_rows = 1, .first_block = i, .n_blocks = 1,
			.sampling_at = i * (uint32_t)STEP_SAMPLING_WORDS,
		};
		crowd->samplings[i] = greedy_sampling.sampling;
	}
	crowd->step = (struct step){
		.id = 3, .n_rows = n, .n_segments = n, .n_blocks = n,
		.n_sampling = n * (uint32_t)STEP_SAMPLING_WORDS,
		.sampling = (const uint64_t *)crowd->samplings,
		.segments = crowd->segments, .tokens = crowd->tokens, .blocks = crowd->blocks,
	};
	return &crowd->step;
}

/* Of steps whose records have no likeliest tokens. */
static enum sc_status run_stage(struct stage *stage, const struct step *step, float *activations,
				struct token_record *records, uint32_t *n_records_out,
				struct error *err)
{
	struct stage_answer answer = { .records = records };
	enum sc_status status = stage_run(stage, step, activations, &answer, err);

	if (n_records_out && status == SC_OK)
		*n_records_out = answer.n_records;
	return status;
}

static void more_rows_sample_than_the_head_takes_at_once(void **state)
{
	struct model *model = chain_open_reference(MODEL);
	struct config config = config_for(model);
	struct stage *stage = create(&config);
	struct token_record records[MAX_SEQUENCES], alone;
	uint32_t n_records, n = 0;
	struct crowd crowd;
	struct error err;

	(void)state;
	_Static_assert(MAX_SEQUENCES * 4 / 5 > FORWARD_MAX_LOGIT_ROWS, "one group would do");
	assert_int_equal(run_stage(stage, make_crowd(&crowd, MAX_SEQUENCES), NULL, records,
				   &n_records, &err), SC_OK);
	assert_int_equal(n_records, MAX_SEQUENCES * 4 / 5);
	stage_destroy(stage);
	config.part.limits.max_rows = 1;
	for (uint32_t i = 0; i < MAX_SEQUENCES; i++) {
		if (i % 5 == 0)
			continue;
		stage = create(&config);
		make_crowd(&crowd, 1)->tokens = &i;
		crowd.segments[0].sequence = i;
		crowd.segments[0].flags |= SEGMENT_SAMPLE;
		assert_int_equal(run_stage(stage, &crowd.step, NULL, &alone, &n_records, &err),
				 SC_OK);
		assert_memory_equal(&records[n++], &alone, sizeof alone);
		stage_destroy(stage);
	}
	model_close(model);
}

static void a_step_that_only_frees_draws_nothing(void **state)
{
	struct model *model = chain_open_reference(MODEL);
	struct config config = config_for(model);
	struct stage *stage = create(&config);
	struct token_record records[2];
	uint32_t n_records = 7;
	const uint32_t frees[] = { 1, 0 };
	const struct step step = { .id = 4, .n_frees = 2, .frees = frees };
	struct crowd crowd;
	struct error err;

	(void)state;
	assert_int_equal(run_stage(stage, make_crowd(&crowd, 2), NULL, records, &n_records, &err),
			 SC_OK);
	assert_int_equal(n_records, 1);
	assert_int_equal(run_stage(stage, &step, NULL, records, &n_records, &err), SC_OK);
	assert_int_equal(n_records, 0);
	assert_int_equal(run_stage(stage, &step, NULL, records, &n_records, &err), SC_E_PROTOCOL);
	assert_string_equal(err.text, "step 4: free: sequence 1: its slot is empty");
	stage_destroy(stage);
	model_close(model);
}

static void a_later_stage_needs_activations(void **state)
{
	struct model *model = chain_open_reference(MODEL);
	struct config config = config_for(model);
	struct token_record records[2];
	struct stage *stage;
	uint32_t n_records;
	struct crowd crowd;
	struct error err;

	(void)state;
	config.part.first_layer = 2;
	config.part.n_layers = 2;
	stage = create(&config);
	assert_int_equal(run_stage(stage, make_crowd(&crowd, 2), NULL, records, &n_records, &err),
			 SC_E_PROTOCOL);
	assert_string_equal(err.text, "step 3: activations: expected 2 rows of 48, found none");
	stage_destroy(stage);
	model_close(model);
}

/* A copy of the model's file, to be spoilt. */
static struct model *open_copy(const char *name, void **bytes_out)
{
	struct model *good = chain_open_reference(name);
	size_t n_bytes = gguf_n_bytes(good->gguf);
	FILE *file = fopen(gguf_path(good->gguf), "rb");
	void *bytes = malloc(n_bytes);
	struct model *model;
	struct gguf *gguf;

	assert_non_null(file);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, n_bytes, file), n_bytes);
	fclose(file);
	model_close(good);
	assert_int_equal(gguf_open_memory("spoilt", bytes, n_bytes, &gguf, NULL), SC_OK);
	assert_int_equal(model_open_gguf(gguf, &model, NULL), SC_OK);
	*bytes_out = bytes;
	return model;
}

static float *floats_of(const struct tensor *tensor)
{
	assert_int_equal(tensor->type, TENSOR_F32);
	return (float *)(uintptr_t)tensor->data;
}

static void names_not_finite(const struct stage *stage, const char *name, uint32_t n)
{
	const char *found;
	uint32_t n_found;

	found = stage_not_finite(stage, &n_found);
	assert_int_equal(n_found, n);
	if (name)
		assert_string_equal(found, name);
	else
		assert_null(found);
}

static void logits_that_are_no_numbers_give_records_that_say_so(void **state)
{
	void *bytes;
	struct model *model = open_copy(MODEL, &bytes);
	struct config config = config_for(model);
	struct token_record records[2];
	struct stage *stage;
	uint32_t n_records;
	struct crowd crowd;
	struct error err;

	(void)state;
	floats_of(model->outer[OUTER_OUTPUT_NORM])[5] = NAN;
	stage = create(&config);
	names_not_finite(stage, "output_norm.weight", 1);
	assert_int_equal(run_stage(stage, make_crowd(&crowd, 2), NULL, records, &n_records, &err),
			 SC_OK);
	assert_int_equal(n_records, 1);
	assert_int_equal(records[0].sequence, 1);
	assert_int_equal(records[0].position, 1);
	assert_int_equal(records[0].fault, TOKEN_FAULT_NAN);
	stage_destroy(stage);
	model_close(model);
	free(bytes);
}

/* One token's row of the embedding: sequences that read another token get the same bits, beside it
 * and then in the blocks that it leaves. */
static void a_spoilt_row_is_no_others_affair(void **state)
{
	enum { N = 20, SPOILT = 6 };
	const uint32_t frees[] = { SPOILT };
	struct token_record good[N], found[N], late[2];
	struct crowd crowd;
	struct segment again = { .sequence = SPOILT, .flags = SEGMENT_NEW | SEGMENT_SAMPLE,
				 .n_rows = 1, .n_blocks = 1 };
	const uint32_t token = SPOILT + 1, block = SPOILT;
	const struct step second = { .id = 4, .n_rows = 1, .n_segments = 1, .n_blocks = 1,
				     .n_frees = 1, .sampling = greedy_sampling.words,
				     .segments = &again, .tokens = &token,
				     .blocks = &block, .frees = frees };
	uint32_t n_good, n_found;
	struct error err;
	void *bytes;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct model *model = open_copy("qwen2-bias", &bytes);
		struct config config = config_for(model);
		float *row = floats_of(model->outer[OUTER_TOKEN_EMBD]) +
			     (size_t)SPOILT * model->hparams.dim;
		struct stage *stage;

		assert_ptr_not_equal(model->outer[OUTER_OUTPUT], model->outer[OUTER_TOKEN_EMBD]);
		for (uint32_t k = 0; i && k < model->hparams.dim; k++)
			row[k] = k % 2 ? NAN : INFINITY;
		stage = create(&config);
		names_not_finite(stage, i ? "token_embd.weight" : NULL, i);
		make_crowd(&crowd, N);
		assert_int_equal(run_stage(stage, &crowd.step, NULL, i ? found : good,
					   i ? &n_found : &n_good, &err), SC_OK);
		assert_int_equal(run_stage(stage, &second, NULL, &late[i], &n_found, &err), SC_OK);
		stage_destroy(stage);
		model_close(model);
		free(bytes);
	}
	assert_int_equal(n_good, N * 4 / 5);
	for (uint32_t i = 0; i < n_good; i++) {
		assert_int_equal(found[i].fault, found[i].sequence == SPOILT ? TOKEN_FAULT_NAN : 0);
		if (found[i].sequence != SPOILT)
			assert_memory_equal(&found[i], &good[i], sizeof good[i]);
	}
	assert_memory_equal(&late[0], &late[1], sizeof late[0]);
}

/* A device whose memory is not the host's, as far as the stage knows. */
static struct backend_ops distant;

static enum sc_status distant_open(unsigned device, const struct backend_config *config,
				   struct backend **backend_out, struct error *err)
{
	enum sc_status status = backend_cpu.open(device, config, backend_out, err);

	if (!status)
		(*backend_out)->ops = &distant;
	return status;
}

static void run_two_stages(struct config config, struct token_record *records_out)
{
	uint32_t n_rows = 10, n_records;
	size_t n_floats = n_rows * config.part.limits.dim;
	float *activations = aligned_alloc(64, (n_floats * sizeof(float) + 63) / 64 * 64);
	struct crowd crowd;
	struct error err = { .text = "" };
	struct stage *stage;

	assert_non_null(activations);
	make_crowd(&crowd, n_rows);
	config.part.n_layers = 2;
	stage = create(&config);
	if (run_stage(stage, &crowd.step, activations, NULL, NULL, &err))
		fail_msg("%s", err.text);
	stage_destroy(stage);
	config.part.first_layer = 2;
	crowd.step.dim = config.part.limits.dim;
	crowd.step.activations = activations;
	stage = create(&config);
	if (run_stage(stage, &crowd.step, NULL, records_out, &n_records, &err))
		fail_msg("%s", err.text);
	assert_int_equal(n_records, 8);
	stage_destroy(stage);
	free(activations);
}

static void memory_of_a_distant_device_is_copied(void **state)
{
	struct model *model = chain_open_reference(MODEL);
	struct config config = config_for(model);
	struct token_record near[10], far[10];

	(void)state;
	distant = backend_cpu;
	distant.open = distant_open;
	distant.is_host_memory = false;
	run_two_stages(config, near);
	config.stage.backend = &distant;
	run_two_stages(config, far);
	assert_memory_equal(near, far, 8 * sizeof near[0]);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stage_needs_layers_that_the_model_has),
		cmocka_unit_test(limits_must_fit_the_model),
		cmocka_unit_test(creation_unwinds_from_every_failure),
		cmocka_unit_test(what_does_not_fit_is_named_with_its_size),
		cmocka_unit_test(progress_ends_at_the_total),
		cmocka_unit_test(loading_ends_when_it_is_told_to),
		cmocka_unit_test(a_tied_embedding_is_held_once),
		cmocka_unit_test(more_rows_sample_than_the_head_takes_at_once),
		cmocka_unit_test(a_step_that_only_frees_draws_nothing),
		cmocka_unit_test(a_later_stage_needs_activations),
		cmocka_unit_test(logits_that_are_no_numbers_give_records_that_say_so),
		cmocka_unit_test(a_spoilt_row_is_no_others_affair),
		cmocka_unit_test(memory_of_a_distant_device_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
