/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf.h"

#include "tests/model/gguf_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define N_SHARDS 3
#define PATH_MAX_LENGTH 96

struct fixture {
	char directory[32];
	/* What the files say; a test may change it before write_shards. */
	uint32_t no[N_SHARDS], count[N_SHARDS];
	uint32_t n_tensors;
	const char *names[N_SHARDS];
	struct gguf *gguf;
	struct error err;
};

static const char *shard_path(const struct fixture *f, uint32_t i)
{
	static char path[PATH_MAX_LENGTH];

	snprintf(path, sizeof path, "%s/model-%05u-of-%05u.gguf", f->directory, i + 1, N_SHARDS);
	return path;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	*f = (struct fixture){ .directory = "/tmp/stagecoach-test-XXXXXX", .no = { 0, 1, 2 },
			       .count = { 3, 3, 3 }, .n_tensors = 3, .names = { "a", "b", "c" } };
	*state = f;
	return mkdtemp(f->directory) ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gguf_close(f->gguf);
	for (uint32_t i = 0; i < N_SHARDS; i++)
		unlink(shard_path(f, i));
	rmdir(f->directory);
	free(f);
	return 0;
}

static void write_file(const char *path, const struct gguf_writer *w)
{
	struct buf bytes = BUF_INIT;
	FILE *file = fopen(path, "wb");

	gguf_writer_finish(w, &bytes);
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, bytes.length, file), bytes.length);
	assert_int_equal(fclose(file), 0);
	buf_deinit(&bytes);
}

/* File i holds one tensor of 3 times the value i + 1. */
static void write_shards(const struct fixture *f)
{
	for (uint32_t i = 0; i < N_SHARDS; i++) {
		const float values[3] = { (float)(i + 1), (float)(i + 1), (float)(i + 1) };
		struct gguf_writer w;

		gguf_writer_init(&w);
		if (i == 0)
			gguf_writer_string(&w, "general.architecture", "llama");
		gguf_writer_u32(&w, "split.no", f->no[i]);
		gguf_writer_u32(&w, "split.count", f->count[i]);
		gguf_writer_u32(&w, "split.tensors.count", f->n_tensors);
		gguf_writer_floats(&w, f->names[i], TENSOR_F32, 3, 1, values);
		write_file(shard_path(f, i), &w);
		gguf_writer_deinit(&w);
	}
}

static void expect_error(struct fixture *f, enum sc_status status, const char *text)
{
	assert_int_equal(gguf_open(shard_path(f, 0), &f->gguf, &f->err), status);
	if (!strstr(f->err.text, text))
		fail_msg("expected \"%s\", found \"%s\"", text, f->err.text);
}

static void all_shards_open_as_one(void **state)
{
	struct fixture *f = *state;

	write_shards(f);
	if (gguf_open(shard_path(f, 0), &f->gguf, &f->err))
		fail_msg("%s", f->err.text);
	assert_int_equal(gguf_n_tensors(f->gguf), 3);
	assert_true(gguf_has(f->gguf, "general.architecture"));
	for (uint32_t i = 0; i < N_SHARDS; i++) {
		const struct tensor *tensor = gguf_find_tensor(f->gguf, f->names[i]);

		assert_ptr_equal(tensor, gguf_tensor(f->gguf, i));
		assert_true(((const float *)tensor->data)[2] == (float)(i + 1));
		assert_string_equal(gguf_tensor_path(f->gguf, f->names[i]), shard_path(f, i));
	}
	assert_string_equal(gguf_tensor_path(f->gguf, "d"), shard_path(f, 0));
	assert_true(gguf_n_bytes(f->gguf) > 3 * 96);
}

static void a_missing_shard_is_named(void **state)
{
	struct fixture *f = *state;

	write_shards(f);
	unlink(shard_path(f, 1));
	expect_error(f, SC_E_NOT_FOUND, "model-00002-of-00003.gguf: cannot open");
}

static void a_truncated_shard_is_named(void **state)
{
	struct fixture *f = *state;

	write_shards(f);
	assert_int_equal(truncate(shard_path(f, 2), 100), 0);
	expect_error(f, SC_E_FORMAT, "model-00003-of-00003.gguf: ");
	assert_non_null(strstr(f->err.text, "truncated?"));
}

static void the_first_shard_must_be_named(void **state)
{
	struct fixture *f = *state;

	write_shards(f);
	assert_int_equal(gguf_open(shard_path(f, 1), &f->gguf, &f->err), SC_E_FORMAT);
	assert_non_null(strstr(f->err.text, "found number 2 of 3: name the one that ends in "
			       "-00001-of-00003.gguf"));
}

static void a_first_shard_of_another_name_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX_LENGTH];

	write_shards(f);
	snprintf(path, sizeof path, "%s/renamed.gguf", f->directory);
	assert_int_equal(rename(shard_path(f, 0), path), 0);
	assert_int_equal(gguf_open(path, &f->gguf, &f->err), SC_E_FORMAT);
	assert_non_null(strstr(f->err.text, "expected a name that ends in -00001-of-00003.gguf"));
	assert_int_equal(unlink(path), 0);
}

static void a_shard_out_of_place_is_refused(void **state)
{
	struct fixture *f = *state;

	f->no[1] = 2;
	write_shards(f);
	expect_error(f, SC_E_FORMAT,
		     "model-00002-of-00003.gguf: expected file 2 of 3 of a split model, "
		     "found split.no = 2 (from 0) and split.count = 3");
}

static void a_shard_of_another_split_is_refused(void **state)
{
	struct fixture *f = *state;

	f->count[2] = 4;
	write_shards(f);
	expect_error(f, SC_E_FORMAT,
		     "expected file 3 of 3 of a split model, found split.no = 2 (from 0) "
		     "and split.count = 4");
}

static void a_file_that_is_no_shard_is_refused_in_its_place(void **state)
{
	struct fixture *f = *state;
	struct gguf_writer w;

	write_shards(f);
	gguf_writer_init(&w);
	write_file(shard_path(f, 1), &w);
	gguf_writer_deinit(&w);
	expect_error(f, SC_E_FORMAT, "expected the key 'split.no' of a split model, found none");
}

static void tensors_that_are_missing_are_noticed(void **state)
{
	struct fixture *f = *state;

	f->n_tensors = 4;
	write_shards(f);
	expect_error(f, SC_E_FORMAT,
		     "key 'split.tensors.count': expected the tensors of all files, 3, "
		     "found 4");
}

static void a_tensor_in_two_shards_is_refused(void **state)
{
	struct fixture *f = *state;

	f->names[2] = "a";
	write_shards(f);
	expect_error(f, SC_E_FORMAT, "model-00003-of-00003.gguf: offset ");
	assert_non_null(strstr(f->err.text, "expected every tensor once, found 'a' again"));
}

static void a_merged_file_may_say_that_it_is_split_into_none(void **state)
{
	struct fixture *f = *state;

	f->count[0] = 0;
	write_shards(f);
	assert_int_equal(gguf_open(shard_path(f, 0), &f->gguf, &f->err), SC_OK);
	assert_int_equal(gguf_n_tensors(f->gguf), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_shards_open_as_one),
		TEST(a_missing_shard_is_named),
		TEST(a_truncated_shard_is_named),
		TEST(the_first_shard_must_be_named),
		TEST(a_first_shard_of_another_name_is_refused),
		TEST(a_shard_out_of_place_is_refused),
		TEST(a_shard_of_another_split_is_refused),
		TEST(a_file_that_is_no_shard_is_refused_in_its_place),
		TEST(tensors_that_are_missing_are_noticed),
		TEST(a_tensor_in_two_shards_is_refused),
		TEST(a_merged_file_may_say_that_it_is_split_into_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
