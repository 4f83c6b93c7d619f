/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder as a model: what hf_open makes of the parts of this folder, and which bytes are read.
 * The parts that know families and tokenizers are replaced: the folder has the tensors of a tiny
 * model under their GGUF names, and the keys are those of its file.
 */
#include "hf/parts.h"

#include "model/model.h"
#include "stage/weights.h"
#include "tests/hf/json_memory.h"
#include "tests/hf/model_folder.h"
#include "tests/hf/safetensors_writer.h"
#include "tests/model/failing_alloc.h"
#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

/* --- the parts --- */

struct hf_family {
	int unused;
};

static struct {
	const struct gguf *file;	/* the tiny model */
	bool copies;			/* tensors are copied, not used in place */
	const char *failing;		/* the part that fails */
	uint32_t n_vocab;		/* what hf_tokenizer_put got */
} parts;

static enum sc_status fail_if(const char *part, struct error *err)
{
	return parts.failing && !strcmp(parts.failing, part)
	     ? error_set(err, SC_E_UNSUPPORTED, "%s fails", part) : SC_OK;
}

enum sc_status hf_family_find(const json_t *config, const char *folder,
			      const struct hf_family **family_out, struct error *err)
{
	static const struct hf_family family;

	(void)config;
	(void)folder;
	*family_out = &family;
	return fail_if("family", err);
}

enum sc_status hf_config_put(const struct hf_family *family, const json_t *config,
			     const char *folder, struct gguf_head *head, struct error *err)
{
	static const char *const except[] = { NULL };

	(void)family;
	(void)config;
	(void)folder;
	if (gguf_head_copy_pairs(head, parts.file, except))
		return error_set(err, SC_E_NOMEM, "no memory");
	return fail_if("config", err);
}

struct copy {
	struct tensor_source source;
	const struct hf_stored *stored;
};

static enum sc_status read_copy(const struct tensor_source *source, uint64_t first, uint64_t n,
				void *out, struct error *err)
{
	const struct hf_stored *stored = ((const struct copy *)source)->stored;
	const size_t size = hf_dtype_bytes(stored->dtype);

	(void)err;
	memcpy(out, stored->data + first * size, n * size);
	return SC_OK;
}

static void release_copy(const struct tensor_source *source, uint64_t first, uint64_t n)
{
	hf_stored_release(((const struct copy *)source)->stored, first, n);
}

static enum sc_status add_tensor(const struct hf_store *store, size_t i, struct copy *copy,
				 struct gguf_head *head)
{
	const struct tensor *tensor = gguf_tensor(parts.file, i);
	uint64_t offset;

	copy->stored = hf_store_find(store, tensor->name);
	assert_non_null(copy->stored);
	copy->source.read = read_copy;
	copy->source.release = release_copy;
	copy->source.path = copy->stored->file;
	if (!parts.copies && (uintptr_t)copy->stored->data % hf_dtype_bytes(copy->stored->dtype) == 0)
		copy->source.data = copy->stored->data;
	return gguf_head_add_tensor(head, tensor, &offset);
}

enum sc_status hf_tensors_put(const struct hf_family *family, const json_t *config,
			      struct hf_store *store, struct gguf_head *head,
			      struct hf_tensors *tensors_out, struct error *err)
{
	struct hf_tensors tensors = { .n = gguf_n_tensors(parts.file) };
	struct copy *copies = calloc(tensors.n, sizeof *copies);
	enum sc_status status = fail_if("tensors", err);

	(void)family;
	(void)config;
	tensors.sources = calloc(tensors.n, sizeof *tensors.sources);
	if (!copies || !tensors.sources)
		status = error_set(err, SC_E_NOMEM, "no memory");
	for (size_t i = 0; !status && i < tensors.n; i++) {
		tensors.sources[i] = &copies[i].source;
		status = add_tensor(store, i, &copies[i], head);
	}
	if (status) {
		free(copies);
		free(tensors.sources);
		return status;
	}
	tensors.memory = copies;
	tensors.store = store;
	*tensors_out = tensors;
	return SC_OK;
}

void hf_tensors_deinit(struct hf_tensors *tensors)
{
	hf_store_close(tensors->store);
	free(tensors->sources);
	free(tensors->memory);
}

enum sc_status hf_tokenizer_put(const char *folder, const json_t *config, uint32_t n_vocab,
				struct gguf_head *head, struct error *err)
{
	(void)folder;
	(void)config;
	(void)head;
	parts.n_vocab = n_vocab;
	return fail_if("tokenizer", err);
}

/* --- folders of tiny models --- */

struct fixture {
	struct model_folder folder;
	struct buf bytes;
	struct error err;
};

static void add_stored(struct safetensors_writer *w, const struct tensor *tensor)
{
	static const char *const dtypes[] = {
		[TENSOR_F32] = "F32", [TENSOR_F16] = "F16", [TENSOR_BF16] = "BF16",
	};
	char shape[64];

	if (tensor->n_dims == 1)
		snprintf(shape, sizeof shape, "%llu", (unsigned long long)tensor->dims[0]);
	else
		snprintf(shape, sizeof shape, "%llu,%llu", (unsigned long long)tensor->dims[1],
			 (unsigned long long)tensor->dims[0]);
	safetensors_writer_add(w, tensor->name, dtypes[tensor->type], shape, tensor->data,
			       tensor->n_bytes);
}

static void save_folder(struct fixture *f, struct tiny_model tiny, unsigned n_blanks)
{
	struct safetensors_writer w;
	struct buf file = BUF_INIT;

	gguf_close((struct gguf *)(uintptr_t)parts.file);
	buf_truncate(&f->bytes, 0);
	tiny_model_write(&tiny, &f->bytes);
	assert_int_equal(gguf_open_memory("file", f->bytes.data, f->bytes.length,
					  (struct gguf **)(uintptr_t)&parts.file, NULL), SC_OK);
	safetensors_writer_init(&w);
	w.n_blanks = n_blanks;
	for (size_t i = 0; i < gguf_n_tensors(parts.file); i++)
		add_stored(&w, gguf_tensor(parts.file, i));
	safetensors_writer_finish(&w, &file);
	model_folder_write(&f->folder, "model.safetensors", file.data, file.length);
	model_folder_write_text(&f->folder, "config.json", "{}");
	safetensors_writer_deinit(&w);
	buf_deinit(&file);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	memset(&parts, 0, sizeof parts);
	f->bytes = (struct buf)BUF_INIT;
	model_folder_create(&f->folder);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gguf_close((struct gguf *)(uintptr_t)parts.file);
	buf_deinit(&f->bytes);
	model_folder_remove(&f->folder);
	free(f);
	return 0;
}

static struct model *open_model(struct gguf *gguf)
{
	struct model *model;
	struct error err;

	if (model_open_gguf(gguf, &model, &err))
		fail_msg("%s", err.text);
	assert_int_equal(model_take_samples(model, NULL), SC_OK);
	return model;
}

static struct gguf *open_folder(struct fixture *f)
{
	struct gguf *gguf;

	if (hf_open(f->folder.path, &gguf, &f->err))
		fail_msg("%s", f->err.text);
	return gguf;
}

static void a_folder_is_the_model_that_its_file_would_be(void **state)
{
	struct fixture *f = *state;
	struct tiny_model tiny = tiny_qwen2;
	struct model *plain, *made;

	tiny.type = TENSOR_BF16;
	for (unsigned n_blanks = 0; n_blanks < 2; n_blanks++) {
		parts.copies = n_blanks;
		save_folder(f, tiny, n_blanks);
		made = open_model(open_folder(f));
		plain = open_model((struct gguf *)(uintptr_t)parts.file);
		parts.file = NULL;
		assert_true(made->fingerprint == plain->fingerprint);
		assert_true(made->samples == plain->samples);
		assert_int_equal(parts.n_vocab, tiny.n_vocab);
		model_close(made);
		model_close(plain);
	}
}

static void a_folder_has_the_facts_of_a_file(void **state)
{
	struct fixture *f = *state;
	char path[80], shard[512];
	struct gguf *gguf;
	FILE *file;

	save_folder(f, tiny_llama, 0);
	snprintf(path, sizeof path, "%s///", f->folder.path);
	assert_true(hf_is_folder(path));
	assert_int_equal(hf_open(path, &gguf, &f->err), SC_OK);
	assert_string_equal(gguf_path(gguf), f->folder.path);
	snprintf(shard, sizeof shard, "%s", model_folder_path(&f->folder, "model.safetensors"));
	assert_false(hf_is_folder(shard));
	assert_int_equal(gguf_n_files(gguf), 1);
	assert_string_equal(gguf_part(gguf, 0).path, shard);
	assert_true(gguf_n_bytes(gguf) == gguf_part(gguf, 0).n_bytes);
	assert_true(gguf_is_at(gguf, shard));
	assert_string_equal(gguf_tensor_path(gguf, "token_embd.weight"), shard);
	assert_int_equal(gguf_check_unchanged(gguf, &f->err), SC_OK);
	file = fopen(shard, "ab");
	fputc('x', file);
	fclose(file);
	assert_int_equal(gguf_check_unchanged(gguf, &f->err), SC_E_IO);
	gguf_close(gguf);
}

static void the_failure_of_a_part_is_the_failure_of_all(void **state)
{
	static const char *const all[] = { "family", "config", "tensors", "tokenizer" };
	struct fixture *f = *state;
	struct gguf *gguf;

	save_folder(f, tiny_llama, 0);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		parts.failing = all[i];
		assert_int_equal(hf_open(f->folder.path, &gguf, &f->err), SC_E_UNSUPPORTED);
		assert_non_null(strstr(f->err.text, all[i]));
	}
	/* Without the weights, what is not supported is still what is said. */
	model_folder_delete(&f->folder, "model.safetensors");
	for (size_t i = 0; i < 2; i++) {
		parts.failing = all[i];
		assert_int_equal(hf_open(f->folder.path, &gguf, &f->err), SC_E_UNSUPPORTED);
	}
	assert_int_equal(hf_open("/nowhere", &gguf, &f->err), SC_E_NOT_FOUND);
	assert_non_null(strstr(f->err.text, "/nowhere: expected the folder of a model"));
	model_folder_delete(&f->folder, "config.json");
	assert_int_equal(hf_open(f->folder.path, &gguf, &f->err), SC_E_NOT_FOUND);
	assert_non_null(strstr(f->err.text, "expected config.json"));
}

static void memory_may_run_out_while_a_folder_is_opened(void **state)
{
	struct fixture *f = *state;
	struct tiny_model tiny = tiny_llama;
	bool is_done = false;

	if (!has_failing_alloc)
		skip();
	tiny.n_layers = 1;
	save_folder(f, tiny, 0);
	for (long n = 0; !is_done; n++) {
		const long n_before = failing_alloc_n_live();
		enum sc_status status;
		struct gguf *gguf;

		failing_alloc_arm(n);
		status = hf_open(f->folder.path, &gguf, &f->err);
		is_done = !failing_alloc_disarm();
		if (!status)
			gguf_close(gguf);
		else if (status != SC_E_NOMEM)
			fail_msg("allocation %ld: %s", n, f->err.text);
		assert_int_equal(failing_alloc_n_live(), n_before);
	}
}

/* --- which bytes are read --- */

/* Makes the whole pages of these bytes unreadable: whoever touches one is killed. */
static void forbid(const struct tensor *tensor, int protection)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t first = ((uintptr_t)tensor->data + page - 1) / page * page;
	const uintptr_t end = ((uintptr_t)tensor->data + tensor->n_bytes) / page * page;

	if (end > first)
		assert_int_equal(mprotect((void *)first, end - first, protection), 0);
}

static bool is_of_layer(const struct tensor *tensor, uint32_t first, uint32_t n)
{
	unsigned layer;

	return sscanf(tensor->name, "blk.%u.", &layer) == 1 && layer >= first &&
	       layer - first < n;
}

static void forbid_others(const struct gguf *gguf, uint32_t first, uint32_t n, int protection)
{
	for (size_t i = 0; i < gguf_n_tensors(gguf); i++)
		if (!is_of_layer(gguf_tensor(gguf, i), first, n))
			forbid(gguf_tensor(gguf, i), protection);
}

static struct backend *open_cpu(void)
{
	const struct backend_config config = {
		.isa = CPU_SCALAR, .n_threads = 1, .max_rows = 4, .max_width = 1024,
	};
	struct backend *backend;
	struct error err;

	if (backend_cpu.open(0, &config, &backend, &err))
		fail_msg("%s", err.text);
	return backend;
}

/* Whether a page of the mapping is in this process's tables. */
static bool is_present(const void *address)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	FILE *pagemap = fopen("/proc/self/pagemap", "rb");
	uint64_t entry = 0;

	if (!pagemap)
		return false;
	setvbuf(pagemap, NULL, _IONBF, 0);
	if (fseek(pagemap, (long)((uintptr_t)address / page * 8), SEEK_SET) ||
	    fread(&entry, sizeof entry, 1, pagemap) != 1)
		entry = 0;
	fclose(pagemap);
	return entry >> 63;
}

/* 16 MiB, because the kernel maps up to 2 MiB around a page that is touched. */
static struct tiny_model large_model(void)
{
	struct tiny_model tiny = tiny_llama;

	tiny.dim = 256;
	tiny.ffn_dim = 1024;
	tiny.n_heads = 4;
	tiny.n_kv_heads = 4;
	tiny.head_dim = 64;
	tiny.n_vocab = 1024;
	return tiny;
}

static void opening_reads_no_weights(void **state)
{
	struct fixture *f = *state;
	size_t n_pages = 0, n_all = 0;
	struct gguf *gguf;

	save_folder(f, large_model(), 0);
	gguf = open_folder(f);
	for (size_t i = 0; i < gguf_n_tensors(gguf); i++) {
		const struct tensor *tensor = gguf_tensor(gguf, i);

		assert_non_null(tensor->data);
		for (size_t at = 0; at < tensor->n_bytes; at += 4096, n_all++)
			n_pages += is_present((const char *)tensor->data + at);
	}
	assert_true(n_pages < n_all / 4);
	gguf_close(gguf);
}

static void a_stage_reads_the_bytes_of_its_own_layers(void **state)
{
	struct fixture *f = *state;
	struct backend *backend = open_cpu();
	struct weights weights;
	struct model *model;

	save_folder(f, large_model(), 0);
	if (model_open_gguf(open_folder(f), &model, &f->err))
		fail_msg("%s", f->err.text);
	forbid_others(model->gguf, 1, 2, PROT_NONE);
	assert_int_equal(weights_init(&weights, backend, model, &f->err), SC_OK);
	if (weights_change(&weights, &(struct weights_range){ .first_layer = 1, .n_layers = 2 },
			   &f->err))
		fail_msg("%s", f->err.text);
	forbid_others(model->gguf, 1, 2, PROT_READ);
	for (size_t i = 0; i < gguf_n_tensors(model->gguf); i++)
		assert_int_equal(model_hash(model, i) != 0,
				 is_of_layer(gguf_tensor(model->gguf, i), 1, 2));
	weights_deinit(&weights);
	model_close(model);
	backend->ops->close(backend);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(a_folder_is_the_model_that_its_file_would_be),
		WITH_FIXTURE(a_folder_has_the_facts_of_a_file),
		WITH_FIXTURE(the_failure_of_a_part_is_the_failure_of_all),
		WITH_FIXTURE(memory_may_run_out_while_a_folder_is_opened),
		WITH_FIXTURE(opening_reads_no_weights),
		WITH_FIXTURE(a_stage_reads_the_bytes_of_its_own_layers),
	};

	json_memory_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
