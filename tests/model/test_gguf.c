/* SPDX-License-Identifier: Apache-2.0 */
/* Reading valid files: every getter, arrays, tensors, alignments, versions. */
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

struct fixture {
	struct gguf_writer w;
	struct buf file;
	struct gguf *gguf;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	gguf_writer_init(&f->w);
	buf_init(&f->file);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gguf_close(f->gguf);
	gguf_writer_deinit(&f->w);
	buf_deinit(&f->file);
	free(f);
	return 0;
}

static void open_file(struct fixture *f)
{
	gguf_writer_finish(&f->w, &f->file);
	if (gguf_open_memory("test.gguf", f->file.data, f->file.length, &f->gguf, &f->err))
		fail_msg("%s", f->err.text);
}

#define RAW(w, key, type, ctype, value) \
	gguf_writer_raw(w, key, type, &(ctype){ value }, sizeof(ctype))

static void add_numbers(struct gguf_writer *w)
{
	RAW(w, "u8", GGUF_U8, uint8_t, 200);
	RAW(w, "i8", GGUF_I8, int8_t, 100);
	RAW(w, "u16", GGUF_U16, uint16_t, 60000);
	RAW(w, "i16", GGUF_I16, int16_t, 30000);
	RAW(w, "u32", GGUF_U32, uint32_t, 4000000000u);
	RAW(w, "i32", GGUF_I32, int32_t, 2000000000);
	RAW(w, "u64", GGUF_U64, uint64_t, 4294967295u);
	RAW(w, "i64", GGUF_I64, int64_t, 77);
	RAW(w, "f32", GGUF_F32, float, 12.0f);
	RAW(w, "f64", GGUF_F64, double, 3000000000.0);
	RAW(w, "half", GGUF_F32, float, 0.5f);
	RAW(w, "tenth", GGUF_F64, double, 0.1);
	RAW(w, "huge", GGUF_F64, double, 1e300);
	RAW(w, "odd", GGUF_U32, uint32_t, (1u << 24) + 1);
	RAW(w, "negative", GGUF_I8, int8_t, -5);
	RAW(w, "least", GGUF_I64, int64_t, INT64_MIN);
	RAW(w, "too_large", GGUF_U64, uint64_t, UINT64_C(1) << 32);
	RAW(w, "nan", GGUF_F32, float, __builtin_nanf(""));
	RAW(w, "true", GGUF_BOOL, uint8_t, 1);
	RAW(w, "false", GGUF_BOOL, uint8_t, 0);
	gguf_writer_string(w, "string", "hello");
	gguf_writer_string(w, "empty", "");
}

static void any_type_that_holds_the_value_is_read_as_u32(void **state)
{
	static const struct {
		const char *key;
		uint32_t value;
	} cases[] = {
		{ "u8", 200 }, { "i8", 100 }, { "u16", 60000 }, { "i16", 30000 },
		{ "u32", 4000000000u }, { "i32", 2000000000 }, { "u64", 4294967295u },
		{ "i64", 77 }, { "f32", 12 }, { "f64", 3000000000u },
	};
	struct fixture *f = *state;
	uint32_t value;

	add_numbers(&f->w);
	open_file(f);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(gguf_get_u32(f->gguf, cases[i].key, &value, &f->err), SC_OK);
		assert_int_equal(value, cases[i].value);
	}
}

static void what_is_no_u32_is_refused_with_key_expected_and_found(void **state)
{
	static const struct {
		const char *key;
		const char *found;
	} cases[] = {
		{ "half", "found f32 0.5" }, { "negative", "found i8 -5" },
		{ "least", "found i64 -9223372036854775808" },
		{ "too_large", "found u64 4294967296" }, { "huge", "found f64 1e+300" },
		{ "nan", "nan" }, { "true", "found a bool" }, { "string", "found a string" },
		{ "strings", "found an array of 0 string" },
	};
	struct fixture *f = *state;
	uint32_t value = 42;

	add_numbers(&f->w);
	gguf_writer_strings(&f->w, "strings", NULL, 0);
	open_file(f);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(gguf_get_u32(f->gguf, cases[i].key, &value, &f->err),
				 SC_E_FORMAT);
		assert_non_null(strstr(f->err.text, cases[i].key));
		assert_non_null(strstr(f->err.text, "expected an integer from 0 to 4294967295"));
		assert_non_null(strstr(f->err.text, cases[i].found));
		assert_non_null(strstr(f->err.text, "test.gguf: offset "));
	}
	assert_int_equal(value, 42);
}

static void floats_are_read_from_what_holds_them(void **state)
{
	struct fixture *f = *state;
	float value;

	add_numbers(&f->w);
	open_file(f);
	assert_int_equal(gguf_get_f32(f->gguf, "half", &value, &f->err), SC_OK);
	assert_true(value == 0.5f);
	assert_int_equal(gguf_get_f32(f->gguf, "tenth", &value, &f->err), SC_OK);
	assert_true(value == 0.1f);
	assert_int_equal(gguf_get_f32(f->gguf, "negative", &value, &f->err), SC_OK);
	assert_true(value == -5.0f);
	assert_int_equal(gguf_get_f32(f->gguf, "u16", &value, &f->err), SC_OK);
	assert_true(value == 60000.0f);
	assert_int_equal(gguf_get_f32(f->gguf, "huge", &value, &f->err), SC_E_FORMAT);
	assert_int_equal(gguf_get_f32(f->gguf, "odd", &value, &f->err), SC_E_FORMAT);
	assert_int_equal(gguf_get_f32(f->gguf, "true", &value, &f->err), SC_E_FORMAT);
	assert_int_equal(gguf_get_f32(f->gguf, "string", &value, &f->err), SC_E_FORMAT);
}

static void bools_and_strings_are_read_only_as_such(void **state)
{
	struct fixture *f = *state;
	struct gguf_string string;
	bool flag;

	add_numbers(&f->w);
	open_file(f);
	assert_int_equal(gguf_get_bool(f->gguf, "true", &flag, &f->err), SC_OK);
	assert_true(flag);
	assert_int_equal(gguf_get_bool(f->gguf, "false", &flag, &f->err), SC_OK);
	assert_false(flag);
	assert_int_equal(gguf_get_bool(f->gguf, "u8", &flag, &f->err), SC_E_FORMAT);
	assert_int_equal(gguf_get_string(f->gguf, "string", &string, &f->err), SC_OK);
	assert_int_equal(string.length, 5);
	assert_memory_equal(string.data, "hello", 5);
	assert_int_equal(gguf_get_string(f->gguf, "empty", &string, &f->err), SC_OK);
	assert_int_equal(string.length, 0);
	assert_int_equal(gguf_get_string(f->gguf, "u8", &string, &f->err), SC_E_FORMAT);
	assert_non_null(strstr(f->err.text, "key 'u8': expected a string, found u8 200"));
}

static void a_missing_key_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct gguf_string string;
	struct gguf_array array;
	uint32_t u;
	float r;
	bool b;

	add_numbers(&f->w);
	open_file(f);
	assert_true(gguf_has(f->gguf, "u8"));
	assert_false(gguf_has(f->gguf, "u9"));
	assert_int_equal(gguf_get_u32(f->gguf, "u9", &u, &f->err), SC_E_NOT_FOUND);
	assert_int_equal(gguf_get_f32(f->gguf, "u9", &r, &f->err), SC_E_NOT_FOUND);
	assert_int_equal(gguf_get_bool(f->gguf, "u9", &b, &f->err), SC_E_NOT_FOUND);
	assert_int_equal(gguf_get_string(f->gguf, "u9", &string, &f->err), SC_E_NOT_FOUND);
	assert_int_equal(gguf_get_array(f->gguf, "u9", &array, &f->err), SC_E_NOT_FOUND);
	assert_string_equal(f->err.text, "test.gguf: expected the key 'u9', found none");
	assert_int_equal(gguf_get_array(f->gguf, "u8", &array, NULL), SC_E_FORMAT);
}

static void arrays_give_their_elements(void **state)
{
	static const char *const words[] = { "one", "", "three\xff", "vier" };
	static const int16_t shorts[] = { -3, 0, 32767 };
	static const double reals[] = { 0.25, -1e300 };
	static const uint8_t bools[] = { 1, 0 };
	struct fixture *f = *state;
	struct gguf_array array;

	gguf_writer_string(&f->w, "k", "v");	/* so that what follows is not aligned */
	gguf_writer_strings(&f->w, "words", words, 4);
	gguf_writer_array(&f->w, "shorts", GGUF_I16, shorts, 3, sizeof shorts);
	gguf_writer_array(&f->w, "reals", GGUF_F64, reals, 2, sizeof reals);
	gguf_writer_array(&f->w, "bools", GGUF_BOOL, bools, 2, sizeof bools);
	gguf_writer_array(&f->w, "none", GGUF_F32, NULL, 0, 0);
	open_file(f);
	assert_int_equal(gguf_get_array(f->gguf, "words", &array, &f->err), SC_OK);
	assert_int_equal(array.type, GGUF_STRING);
	assert_int_equal(array.n, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct gguf_string word = gguf_array_string(&array, i);

		assert_int_equal(word.length, strlen(words[i]));
		assert_memory_equal(word.data, words[i], word.length);
	}
	assert_int_equal(gguf_get_array(f->gguf, "shorts", &array, &f->err), SC_OK);
	assert_true(gguf_array_number(&array, 0) == -3.0);
	assert_true(gguf_array_number(&array, 2) == 32767.0);
	assert_int_equal(gguf_get_array(f->gguf, "reals", &array, &f->err), SC_OK);
	assert_true(gguf_array_number(&array, 1) == -1e300);
	assert_memory_equal(array.data, reals, sizeof reals);
	assert_int_equal(gguf_get_array(f->gguf, "bools", &array, &f->err), SC_OK);
	assert_true(gguf_array_number(&array, 0) == 1.0 && gguf_array_number(&array, 1) == 0.0);
	assert_int_equal(gguf_get_array(f->gguf, "none", &array, &f->err), SC_OK);
	assert_int_equal(array.n, 0);
}

static void tensors_are_found_by_name_and_by_number(void **state)
{
	static const float a[6] = { 1, 2, 3, 4, 5, 6 }, b[2] = { 7, 8 };
	struct fixture *f = *state;
	const struct tensor *tensor;

	gguf_writer_floats(&f->w, "a", TENSOR_F32, 3, 2, a);
	gguf_writer_floats(&f->w, "b", TENSOR_F32, 2, 1, b);
	open_file(f);
	assert_int_equal(gguf_n_tensors(f->gguf), 2);
	assert_int_equal(gguf_n_bytes(f->gguf), f->file.length);
	assert_string_equal(gguf_path(f->gguf), "test.gguf");
	tensor = gguf_find_tensor(f->gguf, "a");
	assert_ptr_equal(tensor, gguf_tensor(f->gguf, 0));
	assert_string_equal(tensor->name, "a");
	assert_int_equal(tensor->n_dims, 2);
	assert_int_equal(tensor->dims[0], 3);
	assert_int_equal(tensor->dims[1], 2);
	assert_int_equal(tensor->dims[2], 1);
	assert_int_equal(tensor->n_bytes, sizeof a);
	assert_memory_equal(tensor->data, a, sizeof a);
	assert_memory_equal(gguf_find_tensor(f->gguf, "b")->data, b, sizeof b);
	assert_null(gguf_find_tensor(f->gguf, "c"));
	assert_null(gguf_find_tensor(f->gguf, ""));
}

static void any_alignment_from_8_to_a_megabyte_is_followed(void **state)
{
	static const float values[3] = { 1, 2, 3 };

	for (uint32_t alignment = 8; alignment <= 1u << 20; alignment *= 2) {
		struct fixture *f;

		setup(state);
		f = *state;
		f->w.alignment = alignment;
		gguf_writer_u32(&f->w, "general.alignment", alignment);
		gguf_writer_floats(&f->w, "a", TENSOR_F32, 3, 1, values);
		gguf_writer_floats(&f->w, "b", TENSOR_F32, 3, 1, values);
		open_file(f);
		assert_memory_equal(gguf_find_tensor(f->gguf, "b")->data, values, sizeof values);
		assert_int_equal(((const char *)gguf_find_tensor(f->gguf, "b")->data -
				  f->file.data) % alignment, 0);
		teardown(state);
	}
	*state = NULL;
}

static void version_2_has_the_same_layout(void **state)
{
	static const float values[3] = { 1, 2, 3 };
	struct fixture *f = *state;

	f->w.version = 2;
	gguf_writer_floats(&f->w, "a", TENSOR_F32, 3, 1, values);
	open_file(f);
	assert_memory_equal(gguf_find_tensor(f->gguf, "a")->data, values, sizeof values);
}

static void a_file_may_hold_nothing(void **state)
{
	struct fixture *f = *state;

	open_file(f);
	assert_int_equal(f->file.length, 24);
	assert_int_equal(gguf_n_tensors(f->gguf), 0);
	assert_false(gguf_has(f->gguf, ""));
}

static void tensors_may_lie_in_any_order_and_apart(void **state)
{
	static const float values[32] = { 1 };
	struct fixture *f = *state;

	gguf_writer_entry(&f->w, "last", TENSOR_F32, 1, &(uint64_t){ 8 }, 96);
	gguf_writer_entry(&f->w, "first", TENSOR_F32, 1, &(uint64_t){ 8 }, 0);
	assert_int_equal(buf_add(&f->w.data, values, sizeof values), SC_OK);
	open_file(f);
	assert_int_equal((const char *)gguf_find_tensor(f->gguf, "last")->data -
			 (const char *)gguf_find_tensor(f->gguf, "first")->data, 96);
}

static void tensors_of_any_type_are_taken_on_request(void **state)
{
	static const char bytes[120];
	const uint64_t dims[] = { 10, 3 };
	struct fixture *f = *state;
	struct gguf *refused;

	gguf_writer_tensor(&f->w, "known", 16, 2, dims, bytes, 100);	/* IQ2_XXS */
	gguf_writer_tensor(&f->w, "f32", TENSOR_F32, 2, dims, bytes, 120);
	gguf_writer_tensor(&f->w, "unknown", 4000000000u, 2, dims, bytes, 33);
	gguf_writer_finish(&f->w, &f->file);
	assert_int_equal(gguf_open_memory("test.gguf", f->file.data, f->file.length, &refused,
					  &f->err), SC_E_UNSUPPORTED);
	if (gguf_open_memory_any_types("test.gguf", f->file.data, f->file.length, &f->gguf,
				       &f->err))
		fail_msg("%s", f->err.text);
	/* With the padding up to the next tensor or to the end of the file. */
	assert_int_equal(gguf_find_tensor(f->gguf, "known")->n_bytes, 128);
	assert_int_equal(gguf_find_tensor(f->gguf, "f32")->n_bytes, 120);
	assert_in_range(gguf_find_tensor(f->gguf, "unknown")->n_bytes, 33, 64);
	assert_int_equal(gguf_find_tensor(f->gguf, "unknown")->type, 4000000000u);
	assert_string_equal(gguf_part(f->gguf, 0).path, "test.gguf");
	assert_int_equal(gguf_part(f->gguf, 0).n_tensors, 3);
	assert_int_equal(gguf_part(f->gguf, 0).n_bytes, f->file.length);
}

static void tensors_of_any_type_lie_apart_and_inside_the_file(void **state)
{
	static const struct {
		uint64_t offset, rows;
		const char *error;
	} cases[] = {
		{ 0, 1, "overlapping" }, { 64, 1, "truncated?" },
		{ UINT64_C(1) << 63, 1, "expected data inside the file" },
		{ 32, UINT64_C(1) << 62, "expected a size below 2^63" },
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const uint64_t small[] = { 3 }, dims[] = { 3, cases[i].rows };
		struct buf file = BUF_INIT;
		struct gguf_writer w;
		struct gguf *gguf;

		gguf_writer_init(&w);
		gguf_writer_tensor(&w, "a", 16, 1, small, "abc", 3);
		gguf_writer_entry(&w, "b", 16, 2, dims, cases[i].offset);
		gguf_writer_finish(&w, &file);
		assert_int_equal(gguf_open_memory_any_types("test.gguf", file.data, file.length,
							    &gguf, &err), SC_E_FORMAT);
		assert_non_null(strstr(err.text, cases[i].error));
		gguf_writer_deinit(&w);
		buf_deinit(&file);
	}
}

static void values_are_given_key_by_key_and_exactly(void **state)
{
	static const uint16_t numbers[] = { 7, 65535 };
	struct fixture *f = *state;
	struct gguf_number number;
	struct gguf_array value;
	bool is_array;

	RAW(&f->w, "least", GGUF_I64, int64_t, INT64_MIN);
	RAW(&f->w, "most", GGUF_U64, uint64_t, UINT64_MAX);
	gguf_writer_array(&f->w, "numbers", GGUF_U16, numbers, 2, sizeof numbers);
	open_file(f);
	value = gguf_value(f->gguf, 0, &is_array);
	number = gguf_array_exact(&value, 0);
	assert_true(number.is_negative && number.magnitude == UINT64_C(1) << 63 && !is_array);
	value = gguf_value(f->gguf, 1, &is_array);
	assert_true(gguf_array_exact(&value, 0).magnitude == UINT64_MAX);
	value = gguf_value(f->gguf, 2, &is_array);
	assert_true(is_array && value.n == 2 && gguf_array_exact(&value, 1).magnitude == 65535);
	assert_string_equal(gguf_type_name(value.type), "u16");
}

static void the_fingerprint_follows_metadata_and_not_weights(void **state)
{
	static const float values[2] = { 1, 2 };
	struct fixture *f = *state;
	uint64_t before;

	gguf_writer_u32(&f->w, "k", 7);
	gguf_writer_floats(&f->w, "a", TENSOR_F32, 2, 1, values);
	open_file(f);
	before = gguf_fingerprint(f->gguf);
	gguf_close(f->gguf);
	f->gguf = NULL;
	f->file.data[f->file.length - 1] ^= 1;
	assert_int_equal(gguf_open_memory("x", f->file.data, f->file.length, &f->gguf, NULL),
			 SC_OK);
	assert_true(gguf_fingerprint(f->gguf) == before);
	gguf_close(f->gguf);
	f->gguf = NULL;
	f->file.data[24 + 8 + 1 + 4] ^= 1;	/* the value of k */
	assert_int_equal(gguf_open_memory("x", f->file.data, f->file.length, &f->gguf, NULL),
			 SC_OK);
	assert_false(gguf_fingerprint(f->gguf) == before);
}

static void bytes_that_are_not_aligned_are_refused(void **state)
{
	struct fixture *f = *state;

	gguf_writer_finish(&f->w, &f->file);
	assert_int_equal(gguf_open_memory("x", f->file.data + 1, f->file.length - 1, &f->gguf,
					  &f->err), SC_E_INVALID);
}

static void no_bytes_are_no_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(gguf_open_memory("x", NULL, 0, &f->gguf, &f->err), SC_E_FORMAT);
	assert_string_equal(f->err.text, "x: expected a model file, found no bytes");
}

static void an_error_about_a_key_says_where_its_value_is(void **state)
{
	struct fixture *f = *state;

	gguf_writer_u32(&f->w, "k", 7);
	open_file(f);
	assert_int_equal(gguf_require(f->gguf, "k", &f->err), SC_OK);
	/* Behind magic, version, two counts, the key's length, the key and its type. */
	assert_int_equal(gguf_key_error(f->gguf, "k", SC_E_UNSUPPORTED, &f->err, "found %d", 7),
			 SC_E_UNSUPPORTED);
	assert_string_equal(f->err.text, "test.gguf: offset 37: key 'k': found 7");
	assert_int_equal(gguf_key_error(f->gguf, "l", SC_E_FORMAT, &f->err, "found none"),
			 SC_E_FORMAT);
	assert_string_equal(f->err.text, "test.gguf: key 'l': found none");
	assert_int_equal(gguf_require(f->gguf, "l", &f->err), SC_E_FORMAT);
	assert_int_equal(f->err.status, SC_E_FORMAT);
	assert_string_equal(f->err.text, "test.gguf: expected the key 'l', found none");
	assert_int_equal(gguf_require(f->gguf, "l", NULL), SC_E_FORMAT);
}

/* Bytes of mapped files that are in this process's memory. */
static uint64_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof line, file) && sscanf(line, "RssFile: %lu kB", &kib) != 1)
		;
	fclose(file);
	assert_true(kib > 0);
	return (uint64_t)kib << 10;
}

static float sum_of(const struct tensor *tensor)
{
	const float *values = tensor->data;
	float sum = 0;

	for (size_t i = 0; i < tensor->n_bytes / sizeof *values; i++)
		sum += values[i];
	return sum;
}

enum { LARGE_ROWS = 2048, LARGE_WIDTH = 1024 };

static void save_large_tensors(struct fixture *f, const char *path)
{
	float *values = calloc((size_t)LARGE_ROWS * LARGE_WIDTH, sizeof *values);
	FILE *file = fopen(path, "wb");

	assert_non_null(values);
	assert_non_null(file);
	for (size_t i = 0; i < (size_t)LARGE_ROWS * LARGE_WIDTH; i += 1000)
		values[i] = 1;
	gguf_writer_floats(&f->w, "a", TENSOR_F32, 3, 1, values);
	gguf_writer_floats(&f->w, "b", TENSOR_F32, LARGE_WIDTH, LARGE_ROWS, values);
	gguf_writer_floats(&f->w, "c", TENSOR_F32, LARGE_WIDTH, LARGE_ROWS, values);
	gguf_writer_finish(&f->w, &f->file);
	assert_int_equal(fwrite(f->file.data, 1, f->file.length, file), f->file.length);
	fclose(file);
	free(values);
}

static void a_released_tensor_leaves_memory_and_can_be_read_again(void **state)
{
	const uint64_t n_bytes = (uint64_t)LARGE_ROWS * LARGE_WIDTH * sizeof(float);
	char path[] = "test_gguf.XXXXXX";
	struct fixture *f = *state;
	uint64_t full, less;
	float sum;
	int fd;

	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	save_large_tensors(f, path);
	if (gguf_open(path, &f->gguf, &f->err))
		fail_msg("%s", f->err.text);
	unlink(path);
	tensor_expect(gguf_find_tensor(f->gguf, "b"), n_bytes / 2, n_bytes);
	sum = sum_of(gguf_find_tensor(f->gguf, "b"));
	assert_true(sum > 2000 && sum == sum_of(gguf_find_tensor(f->gguf, "c")));
	full = mapped_bytes();
	tensor_release(gguf_find_tensor(f->gguf, "b"), 0, n_bytes);
	less = mapped_bytes();
	/* Neighbours in a huge page go along. */
	assert_true(full - less > n_bytes * 9 / 10 && full - less < n_bytes * 3 / 2);
	assert_true(sum == sum_of(gguf_find_tensor(f->gguf, "b")));
	assert_true(sum == sum_of(gguf_find_tensor(f->gguf, "c")));
	assert_true(mapped_bytes() > less + n_bytes * 9 / 10);
}

static void memory_of_the_caller_is_not_released(void **state)
{
	struct fixture *f = *state;
	float values[4096];

	for (size_t i = 0; i < 4096; i++)
		values[i] = 1;
	gguf_writer_floats(&f->w, "a", TENSOR_F32, 4096, 1, values);
	open_file(f);
	tensor_release(gguf_find_tensor(f->gguf, "a"), 0, sizeof values);
	assert_true(sum_of(gguf_find_tensor(f->gguf, "a")) == 4096);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(any_type_that_holds_the_value_is_read_as_u32),
		TEST(what_is_no_u32_is_refused_with_key_expected_and_found),
		TEST(floats_are_read_from_what_holds_them),
		TEST(bools_and_strings_are_read_only_as_such),
		TEST(a_missing_key_is_not_found),
		TEST(arrays_give_their_elements),
		TEST(tensors_are_found_by_name_and_by_number),
		cmocka_unit_test(any_alignment_from_8_to_a_megabyte_is_followed),
		TEST(version_2_has_the_same_layout),
		TEST(a_file_may_hold_nothing),
		TEST(tensors_may_lie_in_any_order_and_apart),
		TEST(tensors_of_any_type_are_taken_on_request),
		cmocka_unit_test(tensors_of_any_type_lie_apart_and_inside_the_file),
		TEST(values_are_given_key_by_key_and_exactly),
		TEST(the_fingerprint_follows_metadata_and_not_weights),
		TEST(bytes_that_are_not_aligned_are_refused),
		TEST(no_bytes_are_no_file),
		TEST(an_error_about_a_key_says_where_its_value_is),
		TEST(a_released_tensor_leaves_memory_and_can_be_read_again),
		TEST(memory_of_the_caller_is_not_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
