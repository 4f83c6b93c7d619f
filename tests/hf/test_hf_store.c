/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in safetensors: every type at every alignment, shards, scales, changes. */
#include "hf/parts.h"

#include "tests/hf/model_folder.h"
#include "tests/hf/safetensors_writer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { ROWS = 5, COLUMNS = 7, N = ROWS * COLUMNS };

struct fixture {
	struct model_folder folder;
	struct safetensors_writer writer;
	struct hf_store *store;
	json_t *config;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	model_folder_create(&f->folder);
	safetensors_writer_init(&f->writer);
	f->config = json_object();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	hf_store_close(f->store);
	safetensors_writer_deinit(&f->writer);
	json_decref(f->config);
	model_folder_remove(&f->folder);
	free(f);
	return 0;
}

/* Writes what the writer has to a file and empties the writer. */
static void save(struct fixture *f, const char *name)
{
	struct buf file = BUF_INIT;

	safetensors_writer_finish(&f->writer, &file);
	model_folder_write(&f->folder, name, file.data, file.length);
	buf_deinit(&file);
	safetensors_writer_deinit(&f->writer);
	safetensors_writer_init(&f->writer);
}

static void open_store(struct fixture *f)
{
	hf_store_close(f->store);
	f->store = NULL;
	if (hf_store_open(f->folder.path, f->config, &f->store, &f->err))
		fail_msg("%s", f->err.text);
}

static const struct hf_stored *find(const struct fixture *f, const char *name)
{
	const struct hf_stored *stored = hf_store_find(f->store, name);

	assert_non_null(stored);
	assert_string_equal(stored->name, name);
	return stored;
}

static void set_config(struct fixture *f, const char *json)
{
	json_decref(f->config);
	f->config = json_loads(json, 0, NULL);
	assert_non_null(f->config);
}

static float value_of(unsigned i)
{
	return (float)i * 0.25f - 3.0f;	/* exact in F16 and BF16 */
}

static void add_floats(struct fixture *f, const char *name, const char *dtype)
{
	float values[N];

	for (unsigned i = 0; i < N; i++)
		values[i] = value_of(i);
	safetensors_writer_floats(&f->writer, name, dtype, ROWS, COLUMNS, values);
}

static void expect_floats(const struct fixture *f, const char *name)
{
	const struct hf_stored *stored = find(f, name);
	float found[N];

	assert_int_equal(stored->n_dims, 2);
	assert_int_equal(stored->dims[0], ROWS);
	assert_int_equal(stored->dims[1], COLUMNS);
	for (unsigned first = 0; first < N; first++) {
		hf_stored_f32(stored, first, N - first, found);
		for (unsigned i = first; i < N; i++)
			assert_true(found[i - first] == value_of(i));
	}
	hf_stored_expect(stored, 0, N);
	hf_stored_release(stored, 0, N);
	hf_stored_f32(stored, N - 1, 1, found);
	assert_true(found[0] == value_of(N - 1));
}

static void every_float_is_read_at_every_alignment(void **state)
{
	struct fixture *f = *state;

	for (unsigned n_blanks = 0; n_blanks < 8; n_blanks++) {
		safetensors_writer_add(&f->writer, "one.byte", "U8", "1", "\x07", 1);
		add_floats(f, "full", "F32");
		add_floats(f, "half", "F16");
		add_floats(f, "brain", "BF16");
		f->writer.n_blanks = n_blanks;
		save(f, "model.safetensors");
		open_store(f);
		assert_int_equal(hf_store_n(f->store), 4);
		expect_floats(f, "full");
		expect_floats(f, "half");
		expect_floats(f, "brain");
	}
}

static void integers_scalars_and_empty_tensors_are_read(void **state)
{
	const int64_t large[] = { -5, 1000000 };
	const int32_t small = -7;
	struct fixture *f = *state;
	float found[2];

	safetensors_writer_add(&f->writer, "__metadata__x", "I64", "2", large, sizeof large);
	safetensors_writer_add(&f->writer, "scalar", "I32", "", &small, sizeof small);
	safetensors_writer_add(&f->writer, "empty", "F32", "3,0,2", NULL, 0);
	safetensors_writer_add(&f->writer, "odd", "F64", "1,1,1,1", "12345678", 8);
	assert_int_equal(buf_add_string(&f->writer.header, ",\"__metadata__\":{\"format\":\"pt\"}"),
			 SC_OK);
	save(f, "model.safetensors");
	open_store(f);
	assert_int_equal(hf_store_n(f->store), 4);
	assert_null(hf_store_find(f->store, "__metadata__"));
	hf_stored_f32(find(f, "__metadata__x"), 0, 2, found);
	assert_true(found[0] == -5.0f && found[1] == 1000000.0f);
	hf_stored_f32(find(f, "scalar"), 0, 1, found);
	assert_true(found[0] == -7.0f);
	assert_int_equal(find(f, "scalar")->n_dims, 0);
	assert_int_equal(find(f, "empty")->n_bytes, 0);
	assert_int_equal(find(f, "odd")->dtype, HF_OTHER);
	assert_string_equal(find(f, "odd")->dtype_name, "F64");
	assert_int_equal(hf_dtype_bytes(HF_OTHER), 0);
	assert_int_equal(hf_dtype_bytes(HF_BF16), 2);
}

/* --- shards --- */

static void save_shards(struct fixture *f)
{
	add_floats(f, "a", "F32");
	save(f, "model-00001-of-00002.safetensors");
	add_floats(f, "b", "BF16");
	add_floats(f, "c", "F16");
	save(f, "model-00002-of-00002.safetensors");
	model_folder_write_text(&f->folder, "model.safetensors.index.json",
				"{\"metadata\":{\"total_size\":280},\"weight_map\":{"
				"\"c\":\"model-00002-of-00002.safetensors\","
				"\"b\":\"model-00002-of-00002.safetensors\","
				"\"a\":\"model-00001-of-00002.safetensors\"}}");
}

static void the_shards_of_an_index_are_one_store(void **state)
{
	struct fixture *f = *state;
	struct gguf_part part;

	save_shards(f);
	open_store(f);
	assert_int_equal(hf_store_n(f->store), 3);
	assert_string_equal(hf_store_get(f->store, 2)->name, "c");
	expect_floats(f, "a");
	expect_floats(f, "b");
	expect_floats(f, "c");
	assert_null(hf_store_find(f->store, "d"));
	assert_int_equal(hf_store_n_files(f->store), 2);
	part = hf_store_part(f->store, 1);
	assert_string_equal(part.path,
			    model_folder_path(&f->folder, "model-00002-of-00002.safetensors"));
	assert_string_equal(find(f, "b")->file, part.path);
	assert_int_equal(part.n_tensors, 2);
	assert_true(part.n_bytes > 140);
}

static void the_single_file_comes_before_the_index(void **state)
{
	struct fixture *f = *state;

	save_shards(f);
	add_floats(f, "alone", "F32");
	save(f, "model.safetensors");
	open_store(f);
	assert_int_equal(hf_store_n(f->store), 1);
	expect_floats(f, "alone");
}

/* As in the cache of the hub's tools: the folder has links to files elsewhere. */
static void links_lead_out_of_the_folder(void **state)
{
	struct fixture *f = *state;
	struct model_folder blobs;
	char from[200], to[200];

	model_folder_create(&blobs);
	save_shards(f);
	snprintf(from, sizeof from, "%s",
		 model_folder_path(&f->folder, "model-00001-of-00002.safetensors"));
	snprintf(to, sizeof to, "%s", model_folder_path(&blobs, "0123456789abcdef"));
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(symlink(to, from), 0);
	open_store(f);
	expect_floats(f, "a");
	model_folder_remove(&blobs);
}

/* --- FP8 --- */

/* By the definition of E4M3FN. */
static float f8_value(unsigned bits)
{
	const int exponent = bits >> 3 & 15, mantissa = bits & 7;
	const double sign = bits & 0x80 ? -1 : 1;

	if (exponent == 15 && mantissa == 7)
		return NAN;
	return (float)(exponent ? sign * ldexp(1.0 + mantissa / 8.0, exponent - 7)
				: sign * ldexp(mantissa / 8.0, -6));
}

static void every_byte_of_fp8_has_its_value(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[256];
	float found[256];

	for (unsigned i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	safetensors_writer_add(&f->writer, "all", "F8_E4M3", "256", bytes, 256);
	save(f, "model.safetensors");
	open_store(f);
	assert_null(find(f, "all")->scale);
	hf_stored_f32(find(f, "all"), 0, 256, found);
	assert_true(isnan(found[0x7f]) && isnan(found[0xff]));
	assert_true(found[0x7e] == 448.0f && found[0x01] == 0x1p-9f);
	for (unsigned i = 0; i < 256; i++)
		if (i % 128 != 127)
			assert_true(found[i] == f8_value(i) && !signbit(found[i]) == (i < 128));
}

static void add_f8(struct fixture *f, const char *name)
{
	uint8_t bytes[N];

	for (unsigned i = 0; i < N; i++)
		bytes[i] = (uint8_t)(i * 3 + 20);
	safetensors_writer_add(&f->writer, name, "F8_E4M3", "5,7", bytes, N);
}

/* The scale of row r, column c is scales[r / block_rows * width + c / block_columns]. */
static void expect_scaled(const struct fixture *f, const char *name, const float *scales,
			  unsigned width, unsigned block_rows, unsigned block_columns)
{
	const struct hf_stored *stored = find(f, name);
	float found[N];

	assert_non_null(stored->scale);
	assert_true(stored->scale->is_scale && !stored->is_scale);
	for (unsigned first = 0; first < N; first++) {
		hf_stored_f32(stored, first, N - first, found);
		for (unsigned i = first; i < N; i++) {
			const unsigned row = i / COLUMNS, column = i % COLUMNS;
			const float scale = scales[row / block_rows * width +
						   column / block_columns];

			assert_true(found[i - first] == f8_value(i * 3 + 20) * scale);
		}
	}
}

static void scales_are_by_block_row_or_tensor(void **state)
{
	static const float scales[] = { 0.5f, 2, 0.25f, 4, 8, 0.125f, 16, 1, 3 };
	struct fixture *f = *state;

	add_f8(f, "block.weight");
	safetensors_writer_floats(&f->writer, "block.weight_scale_inv", "F32", 3, 3, scales);
	add_f8(f, "row.weight");
	safetensors_writer_floats(&f->writer, "row.weight_scale", "BF16", 5, 1, scales);
	add_f8(f, "vector.weight");
	safetensors_writer_floats(&f->writer, "vector.weight_scale", "F16", 0, 5, scales);
	add_f8(f, "one.weight");
	safetensors_writer_floats(&f->writer, "one.weight_scale", "F32", 0, 1, scales + 3);
	safetensors_writer_floats(&f->writer, "one.input_scale", "F32", 0, 1, scales);
	safetensors_writer_floats(&f->writer, "other.input_scale", "F32", 0, 1, scales);
	add_f8(f, "scalar.weight");
	safetensors_writer_add(&f->writer, "scalar.weight_scale", "F32", "", scales + 4, 4);
	save(f, "model.safetensors");
	set_config(f, "{\"quantization_config\":{\"quant_method\":\"fp8\","
		      "\"weight_block_size\":[2,3]}}");
	open_store(f);
	expect_scaled(f, "block.weight", scales, 3, 2, 3);
	expect_scaled(f, "row.weight", scales, 1, 1, COLUMNS);
	expect_scaled(f, "vector.weight", scales, 1, 1, COLUMNS);
	expect_scaled(f, "one.weight", scales + 3, 1, ROWS, COLUMNS);
	expect_scaled(f, "scalar.weight", scales + 4, 1, ROWS, COLUMNS);
	assert_true(find(f, "one.input_scale")->is_scale);
	assert_false(find(f, "other.input_scale")->is_scale);
}

/* --- changes --- */

static void a_file_that_is_written_to_is_noticed(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	save_shards(f);
	open_store(f);
	assert_int_equal(hf_store_check(f->store, &f->err), SC_OK);
	file = fopen(model_folder_path(&f->folder, "model-00002-of-00002.safetensors"), "ab");
	fputc('x', file);
	fclose(file);
	assert_int_equal(hf_store_check(f->store, &f->err), SC_E_IO);
	assert_non_null(strstr(f->err.text, "model-00002-of-00002.safetensors: the file was changed"));
}

static void a_file_that_is_replaced_stays_readable(void **state)
{
	struct fixture *f = *state;

	save_shards(f);
	open_store(f);
	model_folder_delete(&f->folder, "model-00001-of-00002.safetensors");
	assert_int_equal(hf_store_check(f->store, &f->err), SC_OK);
	model_folder_write_text(&f->folder, "model-00001-of-00002.safetensors", "something else");
	assert_int_equal(hf_store_check(f->store, &f->err), SC_OK);
	expect_floats(f, "a");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(every_float_is_read_at_every_alignment),
		WITH_FIXTURE(integers_scalars_and_empty_tensors_are_read),
		WITH_FIXTURE(the_shards_of_an_index_are_one_store),
		WITH_FIXTURE(the_single_file_comes_before_the_index),
		WITH_FIXTURE(links_lead_out_of_the_folder),
		WITH_FIXTURE(every_byte_of_fp8_has_its_value),
		WITH_FIXTURE(scales_are_by_block_row_or_tensor),
		WITH_FIXTURE(a_file_that_is_written_to_is_noticed),
		WITH_FIXTURE(a_file_that_is_replaced_stays_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
