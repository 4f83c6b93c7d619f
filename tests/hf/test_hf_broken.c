/* SPDX-License-Identifier: Apache-2.0 */
/* Folders that are broken: each is refused with the file, what was expected and what to do. */
#include "hf/safetensors.h"

#include "hf/folder.h"
#include "tests/hf/model_folder.h"
#include "tests/hf/safetensors_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int setup(void **state)
{
	struct model_folder *folder = malloc(sizeof *folder);

	model_folder_create(folder);
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	model_folder_remove(*state);
	free(*state);
	return 0;
}

static void expect(enum sc_status found, enum sc_status expected, const struct error *err,
		   const char *text)
{
	if (found != expected || !strstr(err->text, text))
		fail_msg("expected %d '%s', found %d '%s'", expected, text, found,
			 found ? err->text : "success");
	assert_int_equal(err->status, expected);
}

/* --- one file --- */

static void a_broken_file_is_refused_by_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < n_broken_safetensors; i++) {
		const struct broken_safetensors *broken = &broken_safetensors[i];
		struct buf bytes = BUF_INIT;
		struct safetensors file;
		struct error err = { .text = "" };
		enum sc_status status;

		safetensors_write_raw(broken->header, broken->header_bytes, broken->n_data, &bytes);
		status = safetensors_read("the/file", (const uint8_t *)bytes.data, bytes.length,
					  &file, &err);
		expect(status, broken->status, &err, broken->expected);
		assert_non_null(strstr(err.text, "the/file"));
		for (const char *at = err.text; *at; at++)
			assert_true(*at >= ' ');
		buf_deinit(&bytes);
	}
}

static void a_file_cut_anywhere_is_refused(void **state)
{
	struct safetensors_writer w;
	struct buf bytes = BUF_INIT;
	struct safetensors file;
	struct error err;

	(void)state;
	safetensors_writer_init(&w);
	safetensors_writer_floats(&w, "a", "F32", 0, 3, (const float[]){ 1, 2, 3 });
	safetensors_writer_floats(&w, "b", "F16", 0, 2, (const float[]){ 1, 2 });
	safetensors_writer_finish(&w, &bytes);
	for (size_t n = 0; n < bytes.length; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, bytes.data, n);
		assert_int_equal(safetensors_read("f", copy, n, &file, &err), SC_E_FORMAT);
		free(copy);
	}
	assert_int_equal(safetensors_read("f", (const uint8_t *)bytes.data, bytes.length, &file,
					  &err), SC_OK);
	assert_int_equal(file.n, 2);
	safetensors_close(&file);
	safetensors_writer_deinit(&w);
	buf_deinit(&bytes);
}

/* --- folders without weights --- */

static void what_is_there_instead_of_weights_is_named(void **state)
{
	static const struct {
		const char *file;
		enum sc_status status;
		const char *expected;
	} cases[] = {
		{ "README.md", SC_E_NOT_FOUND, "found no weights: download" },
		{ "pytorch_model.bin", SC_E_UNSUPPORTED, "found pytorch_model.bin: pickled weights, "
		  "which are never read" },
		{ "pytorch_model-00001-of-00002.bin", SC_E_UNSUPPORTED, "safe_serialization=True" },
		{ "consolidated.00.pth", SC_E_UNSUPPORTED, "pickled" },
		{ "model.pt", SC_E_UNSUPPORTED, "pickled" },
		{ "tf_model.h5", SC_E_UNSUPPORTED, "another framework" },
		{ "flax_model.msgpack", SC_E_UNSUPPORTED, "another framework" },
		{ "adapter_model.safetensors", SC_E_UNSUPPORTED, "an adapter: merge it" },
		{ "consolidated.safetensors", SC_E_UNSUPPORTED, "weights under another name" },
		{ "model-00001-of-00002.safetensors", SC_E_NOT_FOUND,
		  "download model.safetensors.index.json" },
		{ "q4.gguf", SC_E_UNSUPPORTED, "/q4.gguf'" },
	};
	const struct model_folder *folder = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct hf_store *store;
		struct error err = { .text = "" };

		model_folder_write_text(folder, cases[i].file, "x");
		expect(hf_store_open(folder->path, NULL, &store, &err), cases[i].status, &err,
		       cases[i].expected);
		assert_non_null(strstr(err.text, folder->path));
		model_folder_delete(folder, cases[i].file);
	}
}

static void what_is_there_instead_of_config_json_is_named(void **state)
{
	static const struct {
		const char *file;
		enum sc_status status;
		const char *expected;
	} cases[] = {
		{ "README.md", SC_E_NOT_FOUND, "found none: is this the folder of a model?" },
		{ "q8.gguf", SC_E_UNSUPPORTED, "found q8.gguf, which is a model in one file: give "
		  "that file: -m '" },
		{ "model.safetensors", SC_E_NOT_FOUND, "found none: download it" },
		{ "params.json", SC_E_UNSUPPORTED, "its maker's own format" },
		{ "adapter_config.json", SC_E_UNSUPPORTED, "an adapter" },
		{ "snapshots/0123", SC_E_NOT_FOUND, "/snapshots/0123'" },
	};
	const struct model_folder *folder = *state;

	assert_int_equal(mkdir(model_folder_path(folder, "snapshots"), 0777), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct error err = { .text = "" };

		model_folder_write_text(folder, cases[i].file, "x");
		expect(folder_lacks_config(folder->path, &err), cases[i].status, &err,
		       cases[i].expected);
		model_folder_delete(folder, cases[i].file);
	}
}

/* --- files that are not what they should be --- */

static void links_and_pointers_to_nothing_are_explained(void **state)
{
	const struct model_folder *folder = *state;
	struct hf_store *store;
	struct error err = { .text = "" };
	char path[512];

	snprintf(path, sizeof path, "%s", model_folder_path(folder, "model.safetensors"));
	assert_int_equal(symlink("../../blobs/0123", path), 0);
	expect(hf_store_open(folder->path, NULL, &store, &err), SC_E_NOT_FOUND, &err,
	       "a link to a file that is missing: was a download interrupted?");
	model_folder_delete(folder, "model.safetensors");
	model_folder_write_text(folder, "model.safetensors",
				"version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
	expect(hf_store_open(folder->path, NULL, &store, &err), SC_E_FORMAT, &err, "git lfs pull");
	model_folder_write_text(folder, "model.safetensors", "");
	expect(hf_store_open(folder->path, NULL, &store, &err), SC_E_FORMAT, &err, "an empty file");
	model_folder_delete(folder, "model.safetensors");
	assert_int_equal(mkdir(path, 0777), 0);
	expect(hf_store_open(folder->path, NULL, &store, &err), SC_E_FORMAT, &err, "a directory");
}

static void json_faults_have_line_and_column(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{ "{\n  \"a\": 1,\n  \"b\" 2\n}", "config.json: line 3, column 7: not JSON: ':' "
		  "expected" },
		{ "{\"a\": }", "line 1, column 7: not JSON" },
		{ "{\"a\": \"\xff\"}", "line 1, column 7: not JSON: unable to decode byte 0xff" },
		{ "[1, 2]", "expected an object { ... }, found an array" },
		{ "\"text\"", "found a string" },
		{ "3", "found a number" },
		{ "null", "found null" },
		{ "{\"a\": 1} x", "end of file expected" },
		{ "{\"a\": 1e999}", "real number overflow" },
		{ "{\"a\": NaN}", "line 1, column 9: not JSON: invalid token" },
		{ " ", "line 1, column 1: not JSON" },
		{ "{\"a\": \"\\ud800\"}", "not JSON" },
		{ "{\"a\\u0000b\": 1}", "NUL byte in object key" },
	};
	const struct model_folder *folder = *state;
	struct error err = { .text = "" };
	json_t *json;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		model_folder_write_text(folder, "config.json", cases[i].text);
		expect(json_file_load(folder->path, "config.json", &json, &err), SC_E_FORMAT, &err,
		       cases[i].expected);
		assert_non_null(strstr(err.text, "/config.json: "));
	}
	expect(json_file_load(folder->path, "none.json", &json, &err), SC_E_NOT_FOUND, &err,
	       "none.json");
}

static void deep_and_large_json_is_refused(void **state)
{
	const struct model_folder *folder = *state;
	struct error err = { .text = "" };
	struct buf text = BUF_INIT;
	json_t *json;

	assert_int_equal(buf_add_string(&text, "{\"a\":"), SC_OK);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(buf_add_string(&text, "["), SC_OK);
	model_folder_write(folder, "deep.json", text.data, text.length);
	expect(json_file_load(folder->path, "deep.json", &json, &err), SC_E_FORMAT, &err,
	       "maximum parsing depth reached");
	buf_deinit(&text);
	model_folder_write_text(folder, "large.json", "{}");
	assert_int_equal(truncate(model_folder_path(folder, "large.json"), 200 << 20), 0);
	expect(json_file_load(folder->path, "large.json", &json, &err), SC_E_FORMAT, &err,
	       "at most 128 MiB of JSON, found 209715200 bytes");
}

/* Not JSON, but Python reads and writes it, and models have it. */
static void what_python_writes_is_accepted(void **state)
{
	const struct model_folder *folder = *state;
	struct error err = { .text = "" };
	json_t *json;

	model_folder_write_text(folder, "config.json", "{\"model_max_length\": "
		"1000000000000000019884624838656, \"least\": -9223372036854775809, \"most\": "
		"9223372036854775807, \"limit\": [0.0, Infinity, -Infinity], \"text\": "
		"\"Infinity 99999999999999999999 \\\" Infinity\\u0000\", \"twice\": 1, \"twice\": 2}");
	if (json_file_load(folder->path, "config.json", &json, &err))
		fail_msg("%s", err.text);
	assert_true(json_real_value(json_object_get(json, "model_max_length")) > 0.99e30);
	assert_true(json_real_value(json_object_get(json, "least")) < -9.2e18);
	assert_true(json_integer_value(json_object_get(json, "most")) == INT64_MAX);
	assert_true(json_is_null(json_array_get(json_object_get(json, "limit"), 1)));
	assert_true(json_is_null(json_array_get(json_object_get(json, "limit"), 2)));
	assert_int_equal(json_string_length(json_object_get(json, "text")), 41);
	assert_string_equal(json_string_value(json_object_get(json, "text")),
			    "Infinity 99999999999999999999 \" Infinity");
	assert_int_equal(json_integer_value(json_object_get(json, "twice")), 2);
	json_decref(json);
}

/* --- the index --- */

static void save_shard(const struct model_folder *folder, const char *name, const char *tensor)
{
	struct safetensors_writer w;
	struct buf bytes = BUF_INIT;

	safetensors_writer_init(&w);
	safetensors_writer_floats(&w, tensor, "F32", 0, 1, (const float[]){ 1 });
	safetensors_writer_finish(&w, &bytes);
	model_folder_write(folder, name, bytes.data, bytes.length);
	safetensors_writer_deinit(&w);
	buf_deinit(&bytes);
}

static void indexes_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		const char *map;
		enum sc_status status;
		const char *expected;
	} cases[] = {
		{ "{}", SC_E_FORMAT, "expected an object 'weight_map' with the file of each tensor, "
		  "found none" },
		{ "{\"weight_map\":{}}", SC_E_FORMAT, "found an empty one" },
		{ "{\"weight_map\":[1]}", SC_E_FORMAT, "found none" },
		{ "{\"weight_map\":{\"a\":1}}", SC_E_FORMAT, "tensor 'a': expected a file's name" },
		{ "{\"weight_map\":{\"a\":\"../1.safetensors\"}}", SC_E_FORMAT,
		  "without a path, found '../1.safetensors'" },
		{ "{\"weight_map\":{\"a\":\"/etc/1.safetensors\"}}", SC_E_FORMAT, "without a path" },
		{ "{\"weight_map\":{\"a\":\"1.safetensors\\u0000x\"}}", SC_E_FORMAT, "without a path" },
		{ "{\"weight_map\":{\"a\":\"..\"}}", SC_E_FORMAT, "without a path" },
		{ "{\"weight_map\":{\"a\":\"\"}}", SC_E_FORMAT, "ends in .safetensors" },
		{ "{\"weight_map\":{\"a\":\"1.bin\"}}", SC_E_FORMAT, "ends in .safetensors" },
		{ "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\","
		  "\"c\":\"4.safetensors\"}}", SC_E_NOT_FOUND, "/3.safetensors: no such file, but "
		  "model.safetensors.index.json lists it: 2 of 3 files with weights are missing" },
		{ "{\"weight_map\":{\"a\":\"1.safetensors\"}}", SC_OK, "" },
		{ "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}", SC_OK, "" },
		{ "{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}}", SC_E_FORMAT,
		  "tensor 'a': expected the file that has it, found '2.safetensors'" },
		{ "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"1.safetensors\"}}", SC_E_FORMAT,
		  "tensor 'c': expected a file that has it, found '1.safetensors'" },
		{ "{\"weight_map\":{\"b\":\"1.safetensors\",\"c\":\"2.safetensors\"}}", SC_E_FORMAT,
		  "tensor 'b': expected the file that has it" },
		{ "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\","
		  "\"x\":\"same.safetensors\"}}", SC_E_FORMAT, "same.safetensors: expected every "
		  "tensor once, found 'a', which is also in " },
		{ "{\"weight_map\":{\"b\":\"2.safetensors\",\"d\":\"two.safetensors\"}}", SC_E_FORMAT,
		  "" },
	};
	const struct model_folder *folder = *state;

	save_shard(folder, "1.safetensors", "a");
	save_shard(folder, "2.safetensors", "b");
	save_shard(folder, "same.safetensors", "a");
	save_shard(folder, "two.safetensors", "e");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct hf_store *store;
		struct error err = { .text = "" };
		enum sc_status status;

		model_folder_write_text(folder, "model.safetensors.index.json", cases[i].map);
		status = hf_store_open(folder->path, NULL, &store, &err);
		if (cases[i].status)
			expect(status, cases[i].status, &err, cases[i].expected);
		else if (status)
			fail_msg("%s", err.text);
		else
			hf_store_close(store);
	}
}

static void a_shard_with_a_tensor_that_the_index_lacks_is_refused(void **state)
{
	const struct model_folder *folder = *state;
	struct safetensors_writer w;
	struct buf bytes = BUF_INIT;
	struct error err = { .text = "" };
	struct hf_store *store;

	safetensors_writer_init(&w);
	safetensors_writer_floats(&w, "a", "F32", 0, 1, (const float[]){ 1 });
	safetensors_writer_floats(&w, "extra", "F32", 0, 1, (const float[]){ 1 });
	safetensors_writer_finish(&w, &bytes);
	model_folder_write(folder, "1.safetensors", bytes.data, bytes.length);
	model_folder_write_text(folder, "model.safetensors.index.json",
				"{\"weight_map\":{\"a\":\"1.safetensors\"}}");
	expect(hf_store_open(folder->path, NULL, &store, &err), SC_E_FORMAT, &err,
	       "1.safetensors: expected only tensors that model.safetensors.index.json lists, found "
	       "'extra'");
	safetensors_writer_deinit(&w);
	buf_deinit(&bytes);
}

static void a_file_without_tensors_is_no_model(void **state)
{
	const struct model_folder *folder = *state;
	struct error err = { .text = "" };
	struct buf bytes = BUF_INIT;
	struct hf_store *store;

	safetensors_write_raw("{\"__metadata__\":{}}  ", 0, 0, &bytes);
	model_folder_write(folder, "model.safetensors", bytes.data, bytes.length);
	expect(hf_store_open(folder->path, NULL, &store, &err), SC_E_FORMAT, &err,
	       "found no tensors");
	buf_deinit(&bytes);
}

/* --- quantised weights --- */

static void scales_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		const char *config;
		const char *dtype, *shape;
		size_t n_bytes;
		enum sc_status status;
		const char *expected;
	} cases[] = {
		{ "{}", "F32", "2,2", 16, SC_E_FORMAT, "for each of its 4 rows, found [2, 2]: does "
		  "config.json lack weight_block_size?" },
		{ "{\"quantization_config\":{\"weight_block_size\":[3,3]}}", "F32", "2,3", 24,
		  SC_E_FORMAT, "or one per block of 3 x 3 elements, found [2, 3]" },
		{ "{\"quantization_config\":{\"weight_block_size\":[3,4]}}", "F32", "2,1", 8, SC_OK,
		  "" },
		{ "{}", "F32", "1,4", 16, SC_E_FORMAT, "found [1, 4]" },
		{ "{}", "F32", "0", 0, SC_E_FORMAT, "found [0, 1]" },
		{ "{}", "F32", "1,1,0", 0, SC_E_FORMAT, "found [1, 1, 0, 1]" },
		{ "{}", "F32", "1,1,1,2", 8, SC_E_FORMAT, "found [1, 1, 1, 2]" },
		{ "{}", "F32", "3", 12, SC_E_FORMAT, "found [3, 1]" },
		{ "{}", "F8_E8M0", "1", 1, SC_E_UNSUPPORTED, "expected scales in F32, F16 or BF16, "
		  "found F8_E8M0" },
		{ "{\"quantization_config\":{\"weight_block_size\":[128]}}", "F32", "1", 4,
		  SC_E_FORMAT, "two positive numbers as weight_block_size" },
		{ "{\"quantization_config\":{\"weight_block_size\":[0,128]}}", "F32", "1", 4,
		  SC_E_FORMAT, "two positive numbers" },
		{ "{\"text_config\":{\"quantization_config\":{\"weight_block_size\":[2,2]}}}", "BF16",
		  "2,2", 8, SC_OK, "" },
		{ "{}", "F32", "4,1", 16, SC_OK, "" },
	};
	const struct model_folder *folder = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *config = json_loads(cases[i].config, 0, NULL);
		struct error err = { .text = "" };
		struct buf bytes = BUF_INIT;
		struct safetensors_writer w;
		struct hf_store *store;
		enum sc_status status;

		safetensors_writer_init(&w);
		safetensors_writer_add(&w, "x.weight", "F8_E4M3", "4,4", "0123456789abcdef", 16);
		safetensors_writer_add(&w, "x.weight_scale", cases[i].dtype, cases[i].shape,
				       "0123456789abcdef01234567", cases[i].n_bytes);
		safetensors_writer_finish(&w, &bytes);
		model_folder_write(folder, "model.safetensors", bytes.data, bytes.length);
		assert_non_null(config);
		status = hf_store_open(folder->path, config, &store, &err);
		if (cases[i].status)
			expect(status, cases[i].status, &err, cases[i].expected);
		else if (status)
			fail_msg("%s", err.text);
		else
			hf_store_close(store);
		safetensors_writer_deinit(&w);
		buf_deinit(&bytes);
		json_decref(config);
	}
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_file_is_refused_by_name),
		cmocka_unit_test(a_file_cut_anywhere_is_refused),
		WITH_FOLDER(what_is_there_instead_of_weights_is_named),
		WITH_FOLDER(what_is_there_instead_of_config_json_is_named),
		WITH_FOLDER(links_and_pointers_to_nothing_are_explained),
		WITH_FOLDER(json_faults_have_line_and_column),
		WITH_FOLDER(deep_and_large_json_is_refused),
		WITH_FOLDER(what_python_writes_is_accepted),
		WITH_FOLDER(indexes_that_do_not_fit_are_refused),
		WITH_FOLDER(a_shard_with_a_tensor_that_the_index_lacks_is_refused),
		WITH_FOLDER(a_file_without_tensors_is_no_model),
		WITH_FOLDER(scales_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
