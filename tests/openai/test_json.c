/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_measure.h"
#include "openai/json_body.h"
#include "openai/json_reader.h"
#include "openai/json_writer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- writer --- */

static void expect_text(const void *bytes, size_t n_bytes, const char *expected)
{
	struct buf out = BUF_INIT;
	struct json_writer writer;

	json_put_init(&writer, &out);
	json_put_text(&writer, bytes, n_bytes);
	assert_int_equal(json_put_status(&writer), SC_OK);
	assert_string_equal(out.data, expected);
	buf_deinit(&out);
}

static void commas_come_by_themselves(void **state)
{
	struct buf out = BUF_INIT;
	struct json_writer writer;

	(void)state;
	json_put_init(&writer, &out);
	json_put_open(&writer, '{');
	json_put_member_uint(&writer, "a", 1);
	json_put_key(&writer, "b");
	json_put_open(&writer, '[');
	json_put_null(&writer);
	json_put_bool(&writer, true);
	json_put_open(&writer, '{');
	json_put_close(&writer, '}');
	json_put_int(&writer, -5);
	json_put_close(&writer, ']');
	json_put_member_string(&writer, "c", NULL);
	json_put_close(&writer, '}');
	assert_string_equal(out.data, "{\"a\":1,\"b\":[null,true,{},-5],\"c\":null}");
	buf_deinit(&out);
}

static void text_is_escaped(void **state)
{
	(void)state;
	expect_text("a\"b\\c\n\t\x01\x7f", 9, "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\"");
	expect_text("nul\0!", 5, "\"nul\\u0000!\"");
	expect_text("h\xc3\xa9 \xf0\x9f\x98\x80", 8, "\"h\xc3\xa9 \xf0\x9f\x98\x80\"");
}

static void odd_bytes_become_replacement_characters(void **state)
{
	(void)state;
	expect_text("a\xff" "b", 3, "\"a\xef\xbf\xbd" "b\"");
	expect_text("\xf0\x9f\x98", 3, "\"\xef\xbf\xbd\"");		/* unfinished */
	expect_text("\xed\xa0\xbd!", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\"");
	expect_text("", 0, "\"\"");
}

/* Whatever the bytes, what is written can be read again. */
static void any_bytes_give_valid_json(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct buf out = BUF_INIT;
		struct json_writer writer;
		uint8_t bytes[24];
		json_t *value;

		for (size_t i = 0; i < sizeof bytes; i++) {
			random = random * 1664525u + 1013904223u;
			bytes[i] = (uint8_t)(random >> 24);
		}
		json_put_init(&writer, &out);
		json_put_open(&writer, '[');
		json_put_text(&writer, bytes, sizeof bytes);
		json_put_close(&writer, ']');
		value = json_loadb(out.data, out.length, JSON_ALLOW_NUL, NULL);
		assert_non_null(value);
		json_decref(value);
		buf_deinit(&out);
	}
}

static void a_float_is_read_as_the_same_float(void **state)
{
	static const float values[] = { -0.1f, 1e-30f, -123.456789f, 3.4e38f, 0.0f };

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct buf out = BUF_INIT;
		struct json_writer writer;

		json_put_init(&writer, &out);
		json_put_float(&writer, values[i]);
		assert_true(strtof(out.data, NULL) == values[i]);
		buf_deinit(&out);
	}
}

static void what_is_no_number_is_null(void **state)
{
	struct buf out = BUF_INIT;
	struct json_writer writer;

	(void)state;
	json_put_init(&writer, &out);
	json_put_open(&writer, '[');
	json_put_float(&writer, NAN);
	json_put_double(&writer, -INFINITY);
	json_put_close(&writer, ']');
	assert_string_equal(out.data, "[null,null]");
	buf_deinit(&out);
}

/* --- body --- */

static void expect_fault(const char *text, enum sc_status status, const char *message)
{
	struct error err = { .status = SC_OK };
	json_t *object = NULL;

	assert_int_equal(json_body_parse(text, strlen(text), &object, &err), status);
	assert_non_null(strstr(err.text, message));
	assert_null(object);
}

static void a_faulty_body_is_refused_with_its_place(void **state)
{
	(void)state;
	expect_fault("", SC_E_INVALID, "empty");
	expect_fault("[1]", SC_E_INVALID, "expected a JSON object");
	expect_fault("{\"a\": }", SC_E_INVALID, "line 1, column 7");
	expect_fault("{\"a\": 1} x", SC_E_INVALID, "more text");
	expect_fault("{\"a\": 1e999}", SC_E_INVALID, "out of range");
	expect_fault("{\"a\": \"\\ud83d\"}", SC_E_INVALID, "surrogate");
	expect_fault("{\"a\": \"\xff\"}", SC_E_INVALID, "UTF-8");
	expect_fault("{\"a\": NaN}", SC_E_INVALID, "not valid JSON");
}

static void messages_do_not_quote_the_body(void **state)
{
	struct error err;
	json_t *object;

	(void)state;
	assert_int_equal(json_body_parse("{\"a\": secret}", 13, &object, &err), SC_E_INVALID);
	assert_null(strstr(err.text, "secret"));
}

static void a_body_that_would_swell_is_refused(void **state)
{
	size_t n = 2 << 20;
	char *text = malloc(n + 8);
	struct error err;
	json_t *object;

	(void)state;
	memcpy(text, "{\"a\":[", 6);
	for (size_t i = 6; i + 3 < n; i += 3)
		memcpy(text + i, "{},", 3);
	assert_int_equal(json_body_parse(text, n, &object, &err), SC_E_TOO_LARGE);
	free(text);
}

static void brackets_in_strings_do_not_count(void **state)
{
	static const char text[] = "{\"a\": \"[[[{{{\\\"[[[\"}";
	unsigned depth;

	(void)state;
	json_measure(text, sizeof text - 1, &depth);
	assert_int_equal(depth, 1);
}

static void deep_nesting_is_refused(void **state)
{
	char text[1200] = "{\"a\":";
	struct error err;
	json_t *object;

	(void)state;
	memset(text + 5, '[', 500);
	memset(text + 505, ']', 500);
	text[1005] = '}';
	assert_int_equal(json_body_parse(text, 1006, &object, &err), SC_E_TOO_LARGE);
}

/* --- reader --- */

struct fields {
	uint32_t u32;
	int64_t i64;
	float real;
	bool flag;
	const char *text;
};

static void read_all(struct json_reader *reader, const json_t *object, struct fields *fields)
{
	json_reader_init(reader, object);
	json_read_u32(reader, "u32", 1, 100, &fields->u32);
	json_read_i64(reader, "i64", -5, 5, &fields->i64);
	json_read_float(reader, "real", 0.0, 2.0, &fields->real);
	json_read_bool(reader, "flag", &fields->flag);
	json_read_string(reader, "text", &fields->text);
}

static enum sc_status read_text(const char *text, struct json_reader *reader, struct fields *fields)
{
	json_t *object = json_loads(text, JSON_ALLOW_NUL, NULL);

	assert_non_null(object);
	read_all(reader, object, fields);
	json_decref(object);
	return reader->status;
}

static void null_and_absent_leave_the_default(void **state)
{
	struct fields fields = { 7, -1, 0.5f, true, "x" };
	struct json_reader reader;

	(void)state;
	assert_int_equal(read_text("{\"u32\":null,\"real\":null,\"flag\":null,\"text\":null}",
				   &reader, &fields), SC_OK);
	assert_int_equal(fields.u32, 7);
	assert_true(fields.flag);
	assert_string_equal(fields.text, "x");
}

static void an_integer_may_be_written_with_a_point(void **state)
{
	struct fields fields = { 0 };
	struct json_reader reader;

	(void)state;
	assert_int_equal(read_text("{\"u32\":40.0,\"real\":1}", &reader, &fields), SC_OK);
	assert_int_equal(fields.u32, 40);
	assert_true(fields.real == 1.0f);
}

static void a_fault_names_its_field(void **state)
{
	static const struct { const char *text, *param, *message; } faults[] = {
		{ "{\"u32\":0}", "u32", "expected 1 to 100, found 0" },
		{ "{\"u32\":101}", "u32", "found 101" },
		{ "{\"u32\":4.5}", "u32", "expected an integer" },
		{ "{\"u32\":\"4\"}", "u32", "found a string" },
		{ "{\"real\":1e300}", "real", "expected 0 to 2" },
		{ "{\"real\":[]}", "real", "found an array" },
		{ "{\"flag\":1}", "flag", "true or false" },
		{ "{\"text\":\"a\\u0000b\"}", "text", "NUL" },
		{ "{\"text\":{}}", "text", "found an object" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		struct fields fields = { 0 };
		struct json_reader reader;

		assert_int_equal(read_text(faults[i].text, &reader, &fields), SC_E_INVALID);
		assert_string_equal(reader.param, faults[i].param);
		assert_non_null(strstr(reader.error.text, faults[i].message));
	}
}

static void a_text_that_names_the_field_is_not_prefixed(void **state)
{
	static const char *const texts[] = {
		"tools: expected a list", "tools[0].function: missing", "tools.x: odd",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct json_reader reader;

		json_reader_init(&reader, NULL);
		json_reader_fail(&reader, "tools", SC_E_INVALID, "%s", texts[i]);
		assert_string_equal(reader.error.text, texts[i]);
		assert_string_equal(reader.param, "tools");
	}
}

static void the_first_fault_counts(void **state)
{
	struct fields fields = { 0 };
	struct json_reader reader;

	(void)state;
	assert_int_equal(read_text("{\"flag\":1,\"i64\":9}", &reader, &fields), SC_E_INVALID);
	assert_string_equal(reader.param, "i64");
}

static void names_that_nobody_asked_for_are_unknown(void **state)
{
	json_t *object = json_loads("{\"u32\":5,\"a\":1,\"real\":1,\"b\":2,\"c\":3}", 0, NULL);
	struct fields fields = { 0 };
	struct json_reader reader;
	const char *names[2];

	(void)state;
	read_all(&reader, object, &fields);
	assert_int_equal(json_reader_unknown(&reader, names, 2), 2);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "b");
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_come_by_themselves),
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(odd_bytes_become_replacement_characters),
		cmocka_unit_test(any_bytes_give_valid_json),
		cmocka_unit_test(a_float_is_read_as_the_same_float),
		cmocka_unit_test(what_is_no_number_is_null),
		cmocka_unit_test(a_faulty_body_is_refused_with_its_place),
		cmocka_unit_test(messages_do_not_quote_the_body),
		cmocka_unit_test(a_body_that_would_swell_is_refused),
		cmocka_unit_test(brackets_in_strings_do_not_count),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(null_and_absent_leave_the_default),
		cmocka_unit_test(an_integer_may_be_written_with_a_point),
		cmocka_unit_test(a_fault_names_its_field),
		cmocka_unit_test(a_text_that_names_the_field_is_not_prefixed),
		cmocka_unit_test(the_first_fault_counts),
		cmocka_unit_test(names_that_nobody_asked_for_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
