/* SPDX-License-Identifier: Apache-2.0 */
/* What tells files with the same header apart: samples of tensors, and hashes of whole tensors. */
#include "model/tensor_hash.h"

#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct buf file = BUF_INIT;
static struct model *model;

static int start(void **state)
{
	struct tiny_model tiny = tiny_llama;

	(void)state;
	tiny.n_vocab = 1000;	/* an embedding of 250 KiB */
	model = tiny_model_open(&tiny, &file);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	model_close(model);
	buf_deinit(&file);
	return 0;
}

static uint64_t samples_with(const struct tensor *tensor, size_t at)
{
	uint8_t *byte = (uint8_t *)(uintptr_t)tensor->data + at;
	uint64_t samples;

	*byte ^= 1;
	assert_int_equal(model_take_samples(model, NULL), SC_OK);
	samples = model->samples;
	*byte ^= 1;
	return samples;
}

static void one_byte_of_a_sample_changes_the_samples(void **state)
{
	const struct tensor *large = model->outer[OUTER_TOKEN_EMBD], *small = model->layers[2].of[LAYER_FFN_NORM];
	const size_t middle = (large->n_bytes - 4096) / 2;
	uint64_t samples;

	(void)state;
	assert_true(large->n_bytes > 200000);
	assert_true(model->samples == 0);
	assert_int_equal(model_take_samples(model, NULL), SC_OK);
	samples = model->samples;
	assert_true(samples != 0);
	assert_true(samples_with(large, 0) != samples);
	assert_true(samples_with(large, 4095) != samples);
	assert_true(samples_with(large, middle) != samples);
	assert_true(samples_with(large, middle + 4095) != samples);
	assert_true(samples_with(large, large->n_bytes - 4096) != samples);
	assert_true(samples_with(large, large->n_bytes - 1) != samples);
	for (size_t i = 0; i < small->n_bytes; i++)
		assert_true(samples_with(small, i) != samples);
	assert_int_equal(model_take_samples(model, NULL), SC_OK);
	assert_true(model->samples == samples);
}

/* Every tensor has samples. */
static void samples_are_of_every_tensor(void **state)
{
	uint64_t samples;

	(void)state;
	assert_int_equal(model_take_samples(model, NULL), SC_OK);
	samples = model->samples;
	for (size_t i = 0; i < gguf_n_tensors(model->gguf); i++)
		assert_true(samples_with(gguf_tensor(model->gguf, i), 0) != samples);
}

/* The limit of samples, which the whole hash does not have. */
static void bytes_between_the_samples_are_seen_by_the_hash_alone(void **state)
{
	const struct tensor *large = model->outer[OUTER_TOKEN_EMBD];
	uint64_t hash = tensor_hash(large), samples;
	uint8_t *byte = (uint8_t *)(uintptr_t)large->data + 5000;

	(void)state;
	assert_int_equal(model_take_samples(model, NULL), SC_OK);
	samples = model->samples;
	assert_true(samples_with(large, 5000) == samples);
	*byte ^= 1;
	assert_true(tensor_hash(large) != hash);
	*byte ^= 1;
	assert_true(tensor_hash(large) == hash);
}

static void every_byte_of_a_tensor_changes_its_hash(void **state)
{
	const struct tensor *tensor = model->layers[1].of[LAYER_ATTN_K];
	uint8_t *bytes = (uint8_t *)(uintptr_t)tensor->data;
	uint64_t hash = tensor_hash(tensor);

	(void)state;
	for (size_t i = 0; i < tensor->n_bytes; i += 7) {
		bytes[i] ^= 0x80;
		assert_true(tensor_hash(tensor) != hash);
		bytes[i] ^= 0x80;
	}
}

/* Rows in another place are another tensor. */
static void units_that_change_places_change_the_hash(void **state)
{
	const struct tensor *tensor = model->layers[1].of[LAYER_ATTN_Q];
	const size_t n_bytes = TENSOR_HASH_ROWS * tensor_row_bytes(tensor);
	uint8_t *bytes = (uint8_t *)(uintptr_t)tensor->data, was[4096];
	uint64_t hash = tensor_hash(tensor);

	(void)state;
	assert_true(n_bytes <= sizeof was);
	for (unsigned round = 0; round < 2; round++) {
		memcpy(was, bytes, n_bytes);
		memcpy(bytes, bytes + 2 * n_bytes, n_bytes);
		memcpy(bytes + 2 * n_bytes, was, n_bytes);
		assert_true((tensor_hash(tensor) == hash) == (round == 1));
	}
}

static void parts_in_any_order_make_the_whole(void **state)
{
	const struct tensor *tensor = model->outer[OUTER_TOKEN_EMBD];	/* 1000 rows: 125 units */
	uint64_t sum = 0;

	(void)state;
	sum += tensor_hash_rows(tensor, 800, 200, NULL);
	sum += tensor_hash_rows(tensor, 0, 8, NULL);
	sum += tensor_hash_rows(tensor, 8, 792, NULL);
	assert_true(tensor_hash_of_sum(sum) == tensor_hash(tensor));
	assert_int_equal(tensor_hash_of_sum(0), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(one_byte_of_a_sample_changes_the_samples),
		TEST(samples_are_of_every_tensor),
		TEST(bytes_between_the_samples_are_seen_by_the_hash_alone),
		TEST(every_byte_of_a_tensor_changes_its_hash),
		TEST(units_that_change_places_change_the_hash),
		TEST(parts_in_any_order_make_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
