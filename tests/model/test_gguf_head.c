/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_head.h"

#include "tests/model/gguf_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
	struct gguf_writer writer;
	struct buf input, output;
	struct gguf *from, *to;
	struct gguf_head head;
};

static void open_input(struct fixture *f, uint32_t alignment)
{
	struct error err;

	f->input = f->output = (struct buf)BUF_INIT;
	f->writer.alignment = alignment;
	gguf_writer_finish(&f->writer, &f->input);
	assert_int_equal(gguf_open_memory("input", f->input.data, f->input.length, &f->from, &err),
			 SC_OK);
	gguf_head_init(&f->head, f->from);
}

static void open_output(struct fixture *f)
{
	static const char zeros[4096];
	struct error err = { .text = "" };

	assert_int_equal(gguf_head_finish(&f->head, &f->output), SC_OK);
	assert_true(f->head.data_bytes <= sizeof zeros);
	assert_int_equal(buf_add(&f->output, zeros, f->head.data_bytes), SC_OK);
	if (gguf_open_memory("output", f->output.data, f->output.length, &f->to, &err))
		fail_msg("%s", err.text);
}

static void close_all(struct fixture *f)
{
	gguf_close(f->from);
	gguf_close(f->to);
	gguf_head_deinit(&f->head);
	buf_deinit(&f->input);
	buf_deinit(&f->output);
	gguf_writer_deinit(&f->writer);
}

static void expect_text(const struct gguf *gguf, const char *key, const char *expected)
{
	struct gguf_string found;

	assert_int_equal(gguf_get_string(gguf, key, &found, NULL), SC_OK);
	assert_int_equal(found.length, strlen(expected));
	assert_memory_equal(found.data, expected, found.length);
}

static void pairs_of_every_kind_are_copied_but_for_those_named(void **state)
{
	static const char *const words[] = { "one", "", "three" };
	static const char *const except[] = { "left.out", "general", NULL };
	static const int16_t numbers[] = { 1, -2, 3 };
	struct fixture f = { 0 };
	struct gguf_array array;
	uint32_t integer;
	bool flag;

	(void)state;
	gguf_writer_init(&f.writer);
	gguf_writer_string(&f.writer, "general.name", "a name");
	gguf_writer_u32(&f.writer, "left.out", 1);
	gguf_writer_bool(&f.writer, "a.flag", true);
	gguf_writer_strings(&f.writer, "some.words", words, 3);
	gguf_writer_strings(&f.writer, "no.words", NULL, 0);
	gguf_writer_array(&f.writer, "some.numbers", GGUF_I16, numbers, 3, sizeof numbers);
	gguf_writer_string(&f.writer, "empty", "");
	open_input(&f, 32);
	assert_int_equal(gguf_head_copy_pairs(&f.head, f.from, except), SC_OK);
	assert_int_equal(gguf_head_add_u32(&f.head, "added", 7), SC_OK);
	open_output(&f);

	expect_text(f.to, "general.name", "a name");
	expect_text(f.to, "empty", "");
	assert_false(gguf_has(f.to, "left.out"));
	assert_int_equal(gguf_get_bool(f.to, "a.flag", &flag, NULL), SC_OK);
	assert_true(flag);
	assert_int_equal(gguf_get_array(f.to, "some.words", &array, NULL), SC_OK);
	assert_int_equal(array.n, 3);
	assert_int_equal(gguf_array_string(&array, 2).length, 5);
	assert_memory_equal(gguf_array_string(&array, 2).data, "three", 5);
	assert_int_equal(gguf_get_array(f.to, "no.words", &array, NULL), SC_OK);
	assert_int_equal(array.n, 0);
	assert_int_equal(gguf_get_array(f.to, "some.numbers", &array, NULL), SC_OK);
	assert_int_equal(array.type, GGUF_I16);
	assert_true(gguf_array_number(&array, 1) == -2.0);
	assert_int_equal(gguf_get_u32(f.to, "added", &integer, NULL), SC_OK);
	assert_int_equal(integer, 7);
	close_all(&f);
}

static void tensors_lie_one_behind_the_other_at_the_alignment(void **state)
{
	const struct tensor row = { .name = "row", .type = TENSOR_F32, .n_dims = 1,
				    .dims = { 3, 1, 1, 1 } };
	const struct tensor matrix = { .name = "matrix", .type = TENSOR_Q4_K, .n_dims = 2,
				       .dims = { 256, 2, 1, 1 } };
	static const char *const none[] = { NULL };
	struct fixture f = { 0 };
	uint64_t first, second;

	(void)state;
	gguf_writer_init(&f.writer);
	gguf_writer_u32(&f.writer, "general.alignment", 128);
	open_input(&f, 128);
	assert_int_equal(gguf_head_copy_pairs(&f.head, f.from, none), SC_OK);
	assert_int_equal(gguf_head_add_tensor(&f.head, &row, &first), SC_OK);
	assert_int_equal(gguf_head_add_tensor(&f.head, &matrix, &second), SC_OK);
	assert_int_equal(first, 0);
	assert_int_equal(second, 128);
	assert_int_equal(f.head.data_bytes, 128 + 384);
	open_output(&f);

	assert_int_equal((f.output.length - f.head.data_bytes) % 128, 0);
	assert_int_equal(gguf_n_tensors(f.to), 2);
	assert_int_equal(gguf_tensor(f.to, 1)->type, TENSOR_Q4_K);
	assert_int_equal(gguf_tensor(f.to, 1)->n_bytes, 288);
	assert_int_equal(gguf_tensor(f.to, 1)->dims[1], 2);
	assert_ptr_equal(gguf_tensor(f.to, 1)->data,
			 f.output.data + f.output.length - f.head.data_bytes + second);
	close_all(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_of_every_kind_are_copied_but_for_those_named),
		cmocka_unit_test(tensors_lie_one_behind_the_other_at_the_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
