/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights of a folder. The first byte says what the rest is: 'f', a file of safetensors in memory;
 * 's', model.safetensors in a folder, with scales of FP8; else the index of a folder that has two
 * shards. Every element is read.
 */
#include "hf/safetensors.h"

#include "tests/fuzz/fuzz.h"
#include "tests/hf/model_folder.h"
#include "tests/hf/safetensors_writer.h"

#include <stdlib.h>
#include <string.h>

static struct model_folder folder;
static json_t *config;

static void or_abort(bool is_good)
{
	if (!is_good)
		abort();
}

static void leave(void)
{
	model_folder_remove(&folder);
	json_decref(config);
}

static void save_shard(const char *name, const char *tensor)
{
	struct safetensors_writer w;
	struct buf bytes = BUF_INIT;

	safetensors_writer_init(&w);
	safetensors_writer_floats(&w, tensor, "F32", 0, 2, (const float[]){ 1, 2 });
	safetensors_writer_finish(&w, &bytes);
	model_folder_write(&folder, name, bytes.data, bytes.length);
	safetensors_writer_deinit(&w);
	buf_deinit(&bytes);
}

static void enter_once(void)
{
	if (folder.path[0])
		return;
	model_folder_create(&folder);
	save_shard("1.safetensors", "a");
	save_shard("2.safetensors", "b");
	config = json_loads("{\"quantization_config\":{\"weight_block_size\":[2,3]}}", 0, NULL);
	or_abort(config);
	atexit(leave);
}

static void read_elements(const struct hf_stored *stored)
{
	const size_t element = hf_dtype_bytes(stored->dtype);
	float x[16];
	uint64_t n;

	if (stored->dtype == HF_OTHER)
		return;
	n = stored->n_bytes / element;
	for (uint64_t i = 0; i < n; i += 16)
		hf_stored_f32(stored, i, n - i < 16 ? n - i : 16, x);
}

static void check_error(enum sc_status status, const struct error *err)
{
	or_abort(status == err->status && (!status || err->text[0]));
}

static void read_file(const uint8_t *data, size_t size)
{
	struct error err = { .status = SC_OK };
	struct safetensors file;
	enum sc_status status = safetensors_read("memory", data, size, &file, &err);
	uint64_t n_bytes = 0;

	check_error(status, &err);
	if (status)
		return;
	for (size_t i = 0; i < file.n; i++) {
		read_elements(&file.tensors[i]);
		n_bytes += file.tensors[i].n_bytes;
	}
	or_abort(n_bytes <= size - 8);
	safetensors_close(&file);
}

static void read_folder(const char *name, const uint8_t *data, size_t size)
{
	struct error err = { .status = SC_OK };
	struct hf_store *store;
	enum sc_status status;

	enter_once();
	model_folder_write(&folder, name, data, size);
	status = hf_store_open(folder.path, config, &store, &err);
	check_error(status, &err);
	for (size_t i = 0; !status && i < hf_store_n(store); i++) {
		or_abort(hf_store_find(store, hf_store_get(store, i)->name) == hf_store_get(store, i));
		read_elements(hf_store_get(store, i));
	}
	if (!status)
		hf_store_close(store);
	model_folder_delete(&folder, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] == 'f')
		read_file(data + 1, size - 1);
	else if (data[0] == 's')
		read_folder("model.safetensors", data + 1, size - 1);
	else
		read_folder("model.safetensors.index.json", data + 1, size - 1);
	return 0;
}

static void add_good_file(struct buf *seed)
{
	static const float scales[] = { 1, 2, 3, 4, 0.5f, 0.25f };
	struct safetensors_writer w;

	safetensors_writer_init(&w);
	safetensors_writer_floats(&w, "a.weight", "BF16", 2, 3, scales);
	safetensors_writer_floats(&w, "b.weight", "F16", 2, 3, scales);
	safetensors_writer_add(&w, "c.weight", "F8_E4M3", "4,4", "0123456789abcdef", 16);
	safetensors_writer_floats(&w, "c.weight_scale_inv", "F32", 2, 2, scales);
	safetensors_writer_add(&w, "d.weight", "F8_E4M3", "2,4", "01234567", 8);
	safetensors_writer_floats(&w, "d.weight_scale", "BF16", 2, 1, scales);
	safetensors_writer_add(&w, "e", "I64", "1", "01234567", 8);
	safetensors_writer_add(&w, "f", "U8", "", "0", 1);
	w.n_blanks = 3;
	safetensors_writer_finish(&w, seed);
	safetensors_writer_deinit(&w);
}

static bool add_index(unsigned i, struct buf *seed)
{
	static const char *const indexes[] = {
		"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}",
		"{\"metadata\":{\"total_size\":4},\"weight_map\":{\"a\":\"1.safetensors\"}}",
		"{\"weight_map\":{\"a\":\"2.safetensors\"}}", "{\"weight_map\":{}}",
		"{\"weight_map\":{\"a\":\"../1.safetensors\"}}", "{\"weight_map\":{\"a\":\"3.safetensors\"}}",
		"{\"weight_map\":{\"a\":3}}",
	};

	return i < sizeof indexes / sizeof indexes[0] && !buf_add_string(seed, "i") &&
	       !buf_add_string(seed, indexes[i]);
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	const struct broken_safetensors *broken = &broken_safetensors[i];

	if (i >= n_broken_safetensors + 2)
		return add_index(i - n_broken_safetensors - 2, seed);
	or_abort(!buf_add_string(seed, i == n_broken_safetensors ? "s" : "f"));
	if (i < n_broken_safetensors)
		safetensors_write_raw(broken->header, broken->header_bytes, broken->n_data, seed);
	else
		add_good_file(seed);
	return true;
}
