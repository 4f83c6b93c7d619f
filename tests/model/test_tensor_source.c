/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors whose elements are made when they are read, and models in memory that consist of them. */
#include "model/tensor_source.h"

#include "model/gguf_head.h"
#include "model/model.h"
#include "tests/model/sourced_gguf.h"
#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
	struct buf file;
	struct gguf *of, *gguf;
	struct sourced_count count;
};

static int setup_of(void **state, struct tiny_model tiny)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct error err;

	f->file = (struct buf)BUF_INIT;
	tiny_model_write(&tiny, &f->file);
	assert_int_equal(gguf_open_memory("of", f->file.data, f->file.length, &f->of, &err), SC_OK);
	f->gguf = sourced_gguf_open(f->of, &f->count);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_of(state, tiny_qwen2);
}

static int setup_q8_0(void **state)
{
	struct tiny_model tiny = tiny_llama;

	tiny.type = TENSOR_Q8_0;
	tiny.has_rope_factors = true;
	return setup_of(state, tiny);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gguf_close(f->gguf);
	assert_int_equal(f->count.n_closed, 1);
	assert_false(f->count.is_odd);
	gguf_close(f->of);
	buf_deinit(&f->file);
	free(f);
	return 0;
}

static void the_elements_are_those_of_the_source(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(gguf_n_tensors(f->gguf), gguf_n_tensors(f->of));
	for (size_t i = 0; i < gguf_n_tensors(f->of); i++) {
		const struct tensor *of = gguf_tensor(f->of, i);
		const struct tensor *tensor = gguf_find_tensor(f->gguf, of->name);
		struct tensor_bytes bytes;

		assert_non_null(tensor);
		assert_null(tensor->data);
		assert_int_equal(tensor->n_bytes, of->n_bytes);
		assert_int_equal(tensor_bytes_get(tensor, &bytes, NULL), SC_OK);
		assert_memory_equal(bytes.tensor.data, of->data, of->n_bytes);
		assert_false(bytes.tensor.is_mapped);
		tensor_bytes_put(&bytes);
	}
	assert_int_equal(f->count.n_releases, gguf_n_tensors(f->of));
	tensor_expect(gguf_tensor(f->gguf, 0), 5, 1);
	assert_int_equal(f->count.n_expects, 1);
}

static void a_tensor_with_data_is_not_copied(void **state)
{
	struct fixture *f = *state;
	const struct tensor *of = gguf_tensor(f->of, 0);
	struct tensor_bytes bytes;

	assert_int_equal(tensor_bytes_get(of, &bytes, NULL), SC_OK);
	assert_ptr_equal(bytes.tensor.data, of->data);
	assert_null(bytes.owned);
	tensor_bytes_put(&bytes);
}

static void some_rows_are_read_alone(void **state)
{
	struct fixture *f = *state;
	const char *name = "blk.1.ffn_up.weight";
	const struct tensor *of = gguf_find_tensor(f->of, name);
	const struct tensor *tensor = gguf_find_tensor(f->gguf, name);
	const size_t row_bytes = tensor_row_bytes(of);
	uint8_t *plain = malloc(5 * row_bytes), *made = malloc(5 * row_bytes);

	assert_int_equal(tensor_read_rows(of, 7, 5, plain, NULL), SC_OK);
	assert_int_equal(tensor_read_rows(tensor, 7, 5, made, NULL), SC_OK);
	assert_memory_equal(plain, (const uint8_t *)of->data + 7 * row_bytes, 5 * row_bytes);
	assert_memory_equal(made, plain, 5 * row_bytes);
	assert_int_equal(f->count.n_reads, 1);
	assert_int_equal(f->count.max_elements, 5 * of->dims[0]);
	free(plain);
	free(made);
}

static void check_view(const struct tensor *tensor, const uint8_t *expected, uint64_t first,
		       uint64_t n, size_t unit_bytes)
{
	const struct tensor outer = tensor_view(tensor, 1, tensor->dims[tensor->n_dims - 1] - 1);
	const struct tensor view = tensor_view(&outer, first - 1, n);
	struct tensor_bytes bytes;

	assert_int_equal(view.n_bytes, n * unit_bytes);
	assert_int_equal(view.dims[tensor->n_dims - 1], n);
	assert_int_equal(tensor_bytes_get(&view, &bytes, NULL), SC_OK);
	assert_memory_equal(bytes.tensor.data, expected + first * unit_bytes, n * unit_bytes);
	tensor_bytes_put(&bytes);
}

static void a_view_of_a_view_reads_its_rows(void **state)
{
	struct fixture *f = *state;
	const struct gguf *both[] = { f->of, f->gguf };
	const struct tensor *matrix = gguf_find_tensor(f->of, "blk.0.attn_output.weight");
	const struct tensor *vector = gguf_find_tensor(f->of, "blk.0.attn_norm.weight");

	for (size_t i = 0; i < 2; i++) {
		check_view(gguf_find_tensor(both[i], matrix->name), matrix->data, 3, 9,
			   tensor_row_bytes(matrix));
		check_view(gguf_find_tensor(both[i], vector->name), vector->data, 5, 17,
			   sizeof(float));
	}
}

static void places_are_in_order(void **state)
{
	struct fixture *f = *state;
	const struct gguf *both[] = { f->of, f->gguf };

	for (size_t i = 0; i < 2; i++) {
		const struct tensor *a = gguf_tensor(both[i], 1), *b = gguf_tensor(both[i], 2);
		const struct tensor rows = tensor_view(a, 4, 2);

		assert_true(tensor_compare_places(a, b) < 0);
		assert_true(tensor_compare_places(b, a) > 0);
		assert_true(tensor_compare_places(a, &rows) < 0);
		assert_true(tensor_compare_places(&rows, b) < 0);
		assert_int_equal(tensor_compare_places(a, a), 0);
	}
}

static void a_failure_names_the_tensor(void **state)
{
	struct fixture *f = *state;
	const struct tensor *tensor = gguf_tensor(f->gguf, 3);
	struct tensor_bytes bytes;
	struct error err;

	f->count.fails = true;
	assert_int_equal(tensor_bytes_get(tensor, &bytes, &err), SC_E_FORMAT);
	assert_non_null(strstr(err.text, tensor->name));
	assert_non_null(strstr(err.text, "no elements today"));
	assert_int_equal(gguf_check_unchanged(f->gguf, &err), SC_OK);
	f->count.is_changed = true;
	assert_int_equal(gguf_check_unchanged(f->gguf, &err), SC_E_IO);
	assert_int_equal(f->count.n_checks, 2);
}

static void a_model_of_sources_is_the_model(void **state)
{
	struct fixture *f = *state;
	struct model *plain, *made;
	struct error err = { .text = "" };

	if (model_open_gguf(f->of, &plain, &err) || model_open_gguf(f->gguf, &made, &err))
		fail_msg("%s", err.text);
	assert_int_equal(model_take_samples(plain, &err), SC_OK);
	assert_int_equal(model_take_samples(made, &err), SC_OK);
	assert_true(plain->samples && made->samples == plain->samples);
	assert_true(made->fingerprint == plain->fingerprint);
	f->count.fails = true;
	assert_int_equal(model_take_samples(made, &err), SC_E_FORMAT);
	f->of = f->gguf = NULL;
	model_close(made);
	model_close(plain);
}

static void files_behind_a_head_are_its_parts(void **state)
{
	char path[] = "/tmp/stagecoach-test-XXXXXX";
	const int fd = mkstemp(path);
	const struct gguf_part parts[] = { { path, 123, 1 }, { "/nowhere", 77, 0 } };
	const float numbers[4] = { 1, 2, 3, 4 };
	const struct tensor_source source = { .data = numbers, .path = "/nowhere" };
	const struct tensor_source *const sources[] = { &source };
	const struct gguf_body body = { .sources = sources, .parts = parts, .n_parts = 2 };
	const struct tensor tensor = {
		.name = "four", .n_dims = 1, .dims = { 4, 1, 1, 1 }, .n_bytes = sizeof numbers,
	};
	struct gguf_head head;
	struct gguf *gguf;
	uint64_t offset;

	(void)state;
	gguf_head_init(&head, NULL);
	assert_int_equal(gguf_head_add_tensor(&head, &tensor, &offset), SC_OK);
	assert_int_equal(gguf_open_head("the folder", &head, &body, &gguf, NULL), SC_OK);
	gguf_head_deinit(&head);
	assert_string_equal(gguf_path(gguf), "the folder");
	assert_int_equal(gguf_n_files(gguf), 2);
	assert_string_equal(gguf_part(gguf, 0).path, path);
	assert_int_equal(gguf_n_bytes(gguf), 200);
	assert_true(gguf_is_at(gguf, path));
	assert_false(gguf_is_at(gguf, "/tmp"));
	assert_int_equal(gguf_check_unchanged(gguf, NULL), SC_OK);
	assert_string_equal(gguf_tensor_path(gguf, "four"), "/nowhere");
	assert_string_equal(gguf_tensor_path(gguf, "five"), "the folder");
	assert_ptr_equal(gguf_tensor(gguf, 0)->data, numbers);
	assert_true(gguf_tensor(gguf, 0)->is_mapped);
	gguf_close(gguf);
	close(fd);
	unlink(path);
}

static void note_release(void *arg)
{
	++*(unsigned *)arg;
}

static void a_head_that_does_not_open_releases_its_body(void **state)
{
	const struct tensor_source source = { .data = "" };
	const struct tensor_source *const sources[] = { &source, &source };
	unsigned n_released = 0;
	const struct gguf_body body = {
		.sources = sources, .release = note_release, .arg = &n_released,
	};
	const struct tensor tensor = { .name = "twice", .n_dims = 1, .dims = { 1, 1, 1, 1 } };
	struct gguf_head head;
	struct gguf *gguf;
	struct error err;
	uint64_t offset;

	(void)state;
	gguf_head_init(&head, NULL);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(gguf_head_add_tensor(&head, &tensor, &offset), SC_OK);
	assert_int_equal(gguf_open_head("folder", &head, &body, &gguf, &err), SC_E_FORMAT);
	assert_int_equal(n_released, 1);
	assert_non_null(strstr(err.text, "folder: "));
	assert_non_null(strstr(err.text, "'twice' again"));
	gguf_head_deinit(&head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_elements_are_those_of_the_source, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_elements_are_those_of_the_source, setup_q8_0,
						teardown),
		cmocka_unit_test_setup_teardown(a_tensor_with_data_is_not_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(some_rows_are_read_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_view_of_a_view_reads_its_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(places_are_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_names_the_tensor, setup, teardown),
		cmocka_unit_test_setup_teardown(a_model_of_sources_is_the_model, setup, teardown),
		cmocka_unit_test_setup_teardown(a_model_of_sources_is_the_model, setup_q8_0,
						teardown),
		cmocka_unit_test(files_behind_a_head_are_its_parts),
		cmocka_unit_test(a_head_that_does_not_open_releases_its_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
