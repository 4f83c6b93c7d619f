/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the weights of a folder with each allocation failing in turn: a clean error, and nothing
 * is left behind. */
#include "hf/parts.h"

#include "hf/folder.h"
#include "tests/hf/json_memory.h"
#include "tests/hf/model_folder.h"
#include "tests/hf/safetensors_writer.h"
#include "tests/model/failing_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const float numbers[] = { 1, 2, 3, 4 };

static void save_shard(const struct model_folder *folder, const char *name, const char *prefix)
{
	struct safetensors_writer w;
	struct buf bytes = BUF_INIT;
	char tensor[64];

	safetensors_writer_init(&w);
	snprintf(tensor, sizeof tensor, "%s.weight", prefix);
	safetensors_writer_add(&w, tensor, "F8_E4M3", "2,2", "abcd", 4);
	snprintf(tensor, sizeof tensor, "%s.weight_scale", prefix);
	safetensors_writer_floats(&w, tensor, "F32", 2, 1, numbers);
	safetensors_writer_finish(&w, &bytes);
	model_folder_write(folder, name, bytes.data, bytes.length);
	safetensors_writer_deinit(&w);
	buf_deinit(&bytes);
}

static void expect_no_memory(enum sc_status status, const struct error *err, long n)
{
	if (status != SC_E_NOMEM || err->status != status)
		fail_msg("allocation %ld: %s", n, err->text);
}

/* Returns true when n allocations were not needed. */
static bool open_store(const struct model_folder *folder, const json_t *config, long n)
{
	const long n_before = failing_alloc_n_live();
	struct hf_store *store;
	enum sc_status status;
	struct error err;
	bool is_done;

	failing_alloc_arm(n);
	status = hf_store_open(folder->path, config, &store, &err);
	is_done = !failing_alloc_disarm();
	if (!status)
		hf_store_close(store);
	else
		expect_no_memory(status, &err, n);
	assert_int_equal(failing_alloc_n_live(), n_before);
	return is_done;
}

static void shards_may_find_no_memory(void **state)
{
	struct model_folder folder;
	json_t *config;
	long n = 0;

	(void)state;
	if (!has_failing_alloc)
		skip();
	config = json_loads("{\"quantization_config\":{\"quant_method\":\"fp8\"}}", 0, NULL);
	model_folder_create(&folder);
	save_shard(&folder, "1.safetensors", "a");
	save_shard(&folder, "2.safetensors", "b");
	model_folder_write_text(&folder, "model.safetensors.index.json",
				"{\"weight_map\":{\"a.weight\":\"1.safetensors\","
				"\"a.weight_scale\":\"1.safetensors\",\"b.weight\":\"2.safetensors\","
				"\"b.weight_scale\":\"2.safetensors\"}}");
	while (!open_store(&folder, config, n))
		n++;
	assert_true(n > 25);
	model_folder_remove(&folder);
	json_decref(config);
	assert_int_equal(json_memory_n_live(), 0);
}

static bool load_json(const struct model_folder *folder, long n)
{
	const long n_before = failing_alloc_n_live();
	enum sc_status status;
	struct error err;
	json_t *json;
	bool is_done;

	failing_alloc_arm(n);
	status = json_file_load(folder->path, "config.json", &json, &err);
	is_done = !failing_alloc_disarm();
	if (!status)
		json_decref(json);
	else
		expect_no_memory(status, &err, n);
	assert_int_equal(failing_alloc_n_live(), n_before);
	return is_done;
}

static void a_json_file_may_find_no_memory(void **state)
{
	struct model_folder folder;
	long n = 0;

	(void)state;
	if (!has_failing_alloc)
		skip();
	model_folder_create(&folder);
	model_folder_write_text(&folder, "config.json",
				"{\"a\": [1, 2.5, \"text\", {\"b\": null}], \"c\": true}");
	while (!load_json(&folder, n))
		n++;
	assert_true(n >= 3);
	model_folder_remove(&folder);
}

/* An error that needs memory to look at the folder is still an error. */
static void what_a_folder_lacks_is_said_without_memory(void **state)
{
	struct model_folder folder;

	(void)state;
	if (!has_failing_alloc)
		skip();
	model_folder_create(&folder);
	model_folder_write_text(&folder, "params.json", "{}");
	for (long n = 0; n < 20; n++) {
		const long n_before = failing_alloc_n_live();
		struct error err = { .text = "" };

		failing_alloc_arm(n);
		assert_int_not_equal(folder_lacks_config(folder.path, &err), SC_OK);
		assert_int_not_equal(folder_lacks_weights(folder.path, &err), SC_OK);
		failing_alloc_disarm();
		assert_non_null(strstr(err.text, folder.path));
		assert_int_equal(failing_alloc_n_live(), n_before);
	}
	model_folder_remove(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shards_may_find_no_memory),
		cmocka_unit_test(a_json_file_may_find_no_memory),
		cmocka_unit_test(what_a_folder_lacks_is_said_without_memory),
	};

	json_memory_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
