/* SPDX-License-Identifier: Apache-2.0 */
/* Model files as `stagecoach inspect` describes them, with tensors of any type. The text for people
 * must be printable UTF-8, and the text for programs JSON. Files that are models are planned. */
#include "tests/fuzz/fuzz.h"
#include "tests/model/broken_gguf.h"
#include "tests/model/tiny_model.h"

#include "cli/inspection.h"
#include "model/printable.h"
#include "worker/sizes.h"

#include <stdlib.h>
#include <string.h>

/* What is written holds nothing that would have to be escaped. */
static void expect_printable(const struct buf *text)
{
	struct buf again = BUF_INIT;

	if (printable_add_lines(&again, text->data, text->length) ||
	    again.length != text->length || memcmp(again.data, text->data, text->length))
		abort();
	buf_deinit(&again);
}

static void write_lines(const struct inspection *inspection)
{
	struct buf text = BUF_INIT;

	if (inspection_print(inspection, &text) || inspection_print_keys(inspection, &text) ||
	    inspection_print_tensors(inspection, &text))
		abort();
	expect_printable(&text);
	buf_deinit(&text);
}

static void write_json(const struct inspection *inspection)
{
	json_t *json = inspection_json(inspection, INSPECTION_KEYS | INSPECTION_TENSORS |
						   INSPECTION_TEMPLATES);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_t *again = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;

	if (!again || !json_equal(json, again))
		abort();
	json_decref(again);
	json_decref(json);
	free(text);
}

/* Whether the model fits into little memory, and in how many stages. */
static void plan(const struct model *model)
{
	const struct coordinator_config config = {
		.model = model, .n_stages = 1, .max_rows = 512, .max_sequences = 32,
		.max_context = 4096, .block_length = 32, .kv_type = TENSOR_F16,
	};
	const struct worker_config worker = { .model = model, .backend = backend_find("cpu") };
	const struct stage_limits limits = coordinator_stage_limits(&config);
	struct fit_workers workers = {
		.memory_bytes = 8 << 20, .n_threads = 2, .has_links = true,
	};
	unsigned n_stages;
	struct fit fit;

	if (worker_sizes_of(&worker, CPU_SCALAR, &limits, &workers.sizes, NULL))
		return;
	if (fit_plan(&config, &workers, &fit, NULL) ||
	    fit_least_stages(&config, &workers, config.max_context, &n_stages, NULL) ||
	    n_stages > model->hparams.n_layers)
		abort();
	if ((n_stages == 1) != (fit.plan && fit.context == config.max_context))
		abort();
	fit_deinit(&fit);
}

static void open_model(const void *data, size_t size)
{
	struct model *model;
	struct gguf *gguf;

	if (gguf_open_memory("memory", data, size, &gguf, NULL) ||
	    model_open_gguf(gguf, &model, NULL))
		return;
	plan(model);
	model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inspection inspection;
	struct error err;
	struct gguf *gguf;
	void *copy = malloc(size ? size : 1);	/* aligned, and no longer than the input */

	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (!gguf_open_memory_any_types("memory", copy, size, &gguf, &err)) {
		if (inspection_of(&inspection, gguf, &err))
			abort();
		write_lines(&inspection);
		write_json(&inspection);
		inspection_close(&inspection);
		open_model(copy, size);
	}
	free(copy);
	return 0;
}

/* A file that we do not serve: no architecture that is known, and no type. */
static void unknown_model(struct buf *seed)
{
	static const int32_t heads[] = { 4, 0, 2 };
	static const uint8_t bytes[100];
	const uint64_t dims[] = { 8, 2, 3 };
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_string(&w, "general.architecture", "mammoth");
	gguf_writer_string(&w, "general.name", "\x1B]0;\xFF\xE2\x80\xAE");
	gguf_writer_u32(&w, "mammoth.embedding_length", 64);
	gguf_writer_array(&w, "mammoth.attention.head_count", GGUF_I32, heads, 3, sizeof heads);
	gguf_writer_u32(&w, "tokenizer.ggml.bos_token_id", 1);
	gguf_writer_string(&w, "tokenizer.chat_template", "{{ messages }}\x1B");
	gguf_writer_f32(&w, "nan", __builtin_nanf(""));
	gguf_writer_tensor(&w, "token_embd.weight", 16, 3, dims, bytes, sizeof bytes);
	gguf_writer_tensor(&w, "b", 4000000000u, 1, dims, bytes, 7);
	gguf_writer_finish(&w, seed);
	gguf_writer_deinit(&w);
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	struct tiny_model tiny = tiny_qwen2;

	tiny.n_layers = 1;
	tiny.n_vocab = 264;
	if (i == 0)
		tiny_model_write(&tiny, seed);
	else if (i == 1)
		unknown_model(seed);
	else if (i - 2 < n_broken_ggufs)
		broken_ggufs[i - 2].make(seed);
	else
		return false;
	return true;
}
