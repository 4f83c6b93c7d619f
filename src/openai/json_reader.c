/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/json_reader.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void json_reader_init(struct json_reader *reader, const json_t *object)
{
	reader->object = object;
	reader->status = SC_OK;
	reader->param[0] = '\0';
	reader->error = (struct error){ .status = SC_OK };
	reader->n_names = 0;
}

const char *json_reader_type(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "a string";
	case JSON_INTEGER: return "an integer";
	case JSON_REAL: return "a number";
	case JSON_NULL: return "null";
	default: return "a boolean";
	}
}

/* Does text name the field, or a place in it, already ("tools[0].function: ...")? */
static bool names_field(const char *text, const char *name)
{
	const size_t n = strlen(name);

	return !strncmp(text, name, n) && text[n] && strchr(":[.", text[n]);
}

void json_reader_fail(struct json_reader *reader, const char *name, enum sc_status status,
		      const char *format, ...)
{
	va_list args;
	char text[ERROR_TEXT_MAX];

	if (reader->status != SC_OK)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(reader->param, sizeof reader->param, "%s", name);
	reader->status = names_field(text, name) ? error_set(&reader->error, status, "%s", text) :
			 error_set(&reader->error, status, "%s: %s", name, text);
}

static void fail_type(struct json_reader *reader, const char *name, const char *expected,
		      const json_t *found)
{
	json_reader_fail(reader, name, SC_E_INVALID, "expected %s, found %s", expected,
			 json_reader_type(found));
}

const json_t *json_read(struct json_reader *reader, const char *name)
{
	const json_t *value = json_object_get(reader->object, name);

	assert(reader->n_names < JSON_READER_MAX_NAMES);
	reader->names[reader->n_names++] = name;
	return reader->status == SC_OK && !json_is_null(value) ? value : NULL;
}

void json_read_ignored(struct json_reader *reader, const char *name)
{
	(void)json_read(reader, name);
}

/* A number without a fraction, within 64 bits. */
static bool get_integer(const json_t *value, int64_t *out)
{
	double real = json_number_value(value);

	if (json_is_integer(value)) {
		*out = json_integer_value(value);
		return true;
	}
	if (!json_is_real(value) || real != nearbyint(real) || fabs(real) > 9e15)
		return false;
	*out = (int64_t)real;
	return true;
}

void json_read_i64(struct json_reader *reader, const char *name, int64_t min, int64_t max,
		   int64_t *value_out)
{
	const json_t *value = json_read(reader, name);
	int64_t number;

	if (!value)
		return;
	if (!get_integer(value, &number))
		fail_type(reader, name, "an integer", value);
	else if (number < min || number > max)
		json_reader_fail(reader, name, SC_E_INVALID,
				 "expected %lld to %lld, found %lld", (long long)min,
				 (long long)max, (long long)number);
	else
		*value_out = number;
}

void json_read_u32(struct json_reader *reader, const char *name, uint32_t min, uint32_t max,
		   uint32_t *value_out)
{
	int64_t number = *value_out;

	json_read_i64(reader, name, min, max, &number);
	*value_out = (uint32_t)number;
}

void json_read_float(struct json_reader *reader, const char *name, double min, double max,
		     float *value_out)
{
	const json_t *value = json_read(reader, name);
	double number = json_number_value(value);

	if (!value)
		return;
	if (!json_is_number(value))
		fail_type(reader, name, "a number", value);
	else if (!(number >= min && number <= max))
		json_reader_fail(reader, name, SC_E_INVALID, "expected %g to %g, found %g", min,
				 max, number);
	else
		*value_out = (float)number;
}

void json_read_bool(struct json_reader *reader, const char *name, bool *value_out)
{
	const json_t *value = json_read(reader, name);

	if (!value)
		return;
	if (!json_is_boolean(value))
		fail_type(reader, name, "true or false", value);
	else
		*value_out = json_is_true(value);
}

void json_read_string(struct json_reader *reader, const char *name, const char **value_out)
{
	const json_t *value = json_read(reader, name);

	if (!value)
		return;
	if (!json_is_string(value))
		fail_type(reader, name, "a string", value);
	else if (strlen(json_string_value(value)) != json_string_length(value))
		json_reader_fail(reader, name, SC_E_INVALID, "expected no NUL character");
	else
		*value_out = json_string_value(value);
}

const json_t *json_read_array(struct json_reader *reader, const char *name)
{
	const json_t *value = json_read(reader, name);

	if (!value || json_is_array(value))
		return value;
	fail_type(reader, name, "an array", value);
	return NULL;
}

const json_t *json_read_object(struct json_reader *reader, const char *name)
{
	const json_t *value = json_read(reader, name);

	if (!value || json_is_object(value))
		return value;
	fail_type(reader, name, "an object", value);
	return NULL;
}

static bool is_known(const struct json_reader *reader, const char *name)
{
	for (unsigned i = 0; i < reader->n_names; i++)
		if (strcmp(reader->names[i], name) == 0)
			return true;
	return false;
}

unsigned json_reader_unknown(const struct json_reader *reader, const char **names_out,
			     unsigned max)
{
	json_t *object = (json_t *)(uintptr_t)reader->object;	/* iterators take no const */
	const char *name;
	json_t *value;
	unsigned n = 0;

	json_object_foreach(object, name, value) {
		if (n == max)
			break;
		if (!is_known(reader, name))
			names_out[n++] = name;
	}
	return n;
}
