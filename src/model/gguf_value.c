/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata values by key, with checked conversions to the requested type. */
#include "model/gguf_file.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

struct type_row {
	const char *name;
	size_t n_bytes;
};

static const struct type_row type_rows[] = {
	[GGUF_U8] = { "u8", 1 }, [GGUF_I8] = { "i8", 1 }, [GGUF_U16] = { "u16", 2 },
	[GGUF_I16] = { "i16", 2 }, [GGUF_U32] = { "u32", 4 }, [GGUF_I32] = { "i32", 4 },
	[GGUF_F32] = { "f32", 4 }, [GGUF_BOOL] = { "bool", 1 }, [GGUF_STRING] = { "string", 0 },
	[GGUF_ARRAY] = { "array", 0 }, [GGUF_U64] = { "u64", 8 }, [GGUF_I64] = { "i64", 8 },
	[GGUF_F64] = { "f64", 8 },
};

const char *gguf_type_name(enum gguf_type type)
{
	return type_rows[type].name;
}

size_t gguf_type_bytes(enum gguf_type type)
{
	return type_rows[type].n_bytes;
}

static struct gguf_number from_unsigned(uint64_t v)
{
	return (struct gguf_number){ .magnitude = v, .real = (double)v };
}

static struct gguf_number from_signed(int64_t v)
{
	return (struct gguf_number){ .is_negative = v < 0, .real = (double)v,
				.magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v };
}

static struct gguf_number from_real(double v)
{
	return (struct gguf_number){ .is_float = true, .real = v };
}

static bool load_number(enum gguf_type type, const uint8_t *p, struct gguf_number *number_out)
{
	uint64_t bits;
	double real;

	switch (type) {
	case GGUF_U8: *number_out = from_unsigned(*p); return true;
	case GGUF_I8: *number_out = from_signed((int8_t)*p); return true;
	case GGUF_U16: *number_out = from_unsigned(load_le16(p)); return true;
	case GGUF_I16: *number_out = from_signed((int16_t)load_le16(p)); return true;
	case GGUF_U32: *number_out = from_unsigned(load_le32(p)); return true;
	case GGUF_I32: *number_out = from_signed((int32_t)load_le32(p)); return true;
	case GGUF_U64: *number_out = from_unsigned(load_le64(p)); return true;
	case GGUF_I64: *number_out = from_signed((int64_t)load_le64(p)); return true;
	case GGUF_F32: *number_out = from_real((double)load_lef32(p)); return true;
	case GGUF_F64:
		bits = load_le64(p);
		memcpy(&real, &bits, sizeof real);
		*number_out = from_real(real);
		return true;
	case GGUF_BOOL: case GGUF_STRING: case GGUF_ARRAY:
		break;
	}
	return false;
}

/* Describes a value for "found ..." in an error: "u32 7", "an array of 3 string". */
static void describe(const struct gguf_pair *pair, char *text, size_t n_bytes)
{
	const char *type = gguf_type_name(pair->value.type);
	struct gguf_number number;

	if (pair->is_array)
		snprintf(text, n_bytes, "an array of %zu %s", pair->value.n, type);
	else if (!load_number(pair->value.type, pair->value.data, &number))
		snprintf(text, n_bytes, "a %s", type);
	else if (number.is_float)
		snprintf(text, n_bytes, "%s %.9g", type, number.real);
	else
		snprintf(text, n_bytes, "%s %s%" PRIu64, type, number.is_negative ? "-" : "",
			 number.magnitude);
}

static enum sc_status wrong_type(const struct gguf_file *file, const struct gguf_pair *pair,
				 const char *expected, struct error *err)
{
	char found[64];

	describe(pair, found, sizeof found);
	return gguf_error(file, pair->offset, SC_E_FORMAT, err, "key '%s': expected %s, found %s",
			  quote(pair->key, pair->key_length).text, expected, found);
}

static const struct gguf_pair *find_pair(const struct gguf_file *file, const char *key,
					 struct error *err)
{
	const struct gguf_pair *pair = gguf_file_find(file, key);

	if (!pair)
		(void)error_set(err, SC_E_NOT_FOUND, "%s: expected the key '%s', found none",
				file->path, key);
	return pair;
}

enum sc_status gguf_require(const struct gguf *gguf, const char *key, struct error *err)
{
	if (find_pair(&gguf->files[0], key, err))
		return SC_OK;
	if (err)
		err->status = SC_E_FORMAT;
	return SC_E_FORMAT;
}

enum sc_status gguf_key_error(const struct gguf *gguf, const char *key, enum sc_status status,
			      struct error *err, const char *format, ...)
{
	const struct gguf_pair *pair = gguf_file_find(&gguf->files[0], key);
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!pair)
		return error_set(err, status, "%s: key '%s': %s", gguf_path(gguf), key, text);
	return gguf_error(&gguf->files[0], pair->offset, status, err, "key '%s': %s", key, text);
}

enum sc_status gguf_file_get_u32(const struct gguf_file *file, const char *key,
				 uint32_t *value_out, struct error *err)
{
	const char *expected = "an integer from 0 to 4294967295";
	const struct gguf_pair *pair = find_pair(file, key, err);
	struct gguf_number number;

	if (!pair)
		return SC_E_NOT_FOUND;
	if (pair->is_array || !load_number(pair->value.type, pair->value.data, &number))
		return wrong_type(file, pair, expected, err);
	if (number.is_float) {
		if (!(number.real >= 0 && number.real <= UINT32_MAX &&
		      number.real == floor(number.real)))
			return wrong_type(file, pair, expected, err);
		number.magnitude = (uint64_t)number.real;
	}
	if (number.is_negative || number.magnitude > UINT32_MAX)
		return wrong_type(file, pair, expected, err);
	*value_out = (uint32_t)number.magnitude;
	return SC_OK;
}

enum sc_status gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *value_out,
			    struct error *err)
{
	return gguf_file_get_u32(&gguf->files[0], key, value_out, err);
}

enum sc_status gguf_get_f32(const struct gguf *gguf, const char *key, float *value_out,
			    struct error *err)
{
	const struct gguf_file *file = &gguf->files[0];
	const struct gguf_pair *pair = find_pair(file, key, err);
	struct gguf_number number;

	if (!pair)
		return SC_E_NOT_FOUND;
	if (pair->is_array || !load_number(pair->value.type, pair->value.data, &number))
		return wrong_type(file, pair, "a number", err);
	if (number.is_float && isfinite(number.real) && fabs(number.real) > (double)FLT_MAX)
		return wrong_type(file, pair, "a number that fits a 32-bit float", err);
	if (!number.is_float && number.magnitude > 1u << 24)
		return wrong_type(file, pair, "a number that a 32-bit float holds exactly", err);
	*value_out = (float)number.real;
	return SC_OK;
}

enum sc_status gguf_get_bool(const struct gguf *gguf, const char *key, bool *value_out,
			     struct error *err)
{
	const struct gguf_pair *pair = find_pair(&gguf->files[0], key, err);

	if (!pair)
		return SC_E_NOT_FOUND;
	if (pair->is_array || pair->value.type != GGUF_BOOL)
		return wrong_type(&gguf->files[0], pair, "a bool", err);
	*value_out = *(const uint8_t *)pair->value.data != 0;
	return SC_OK;
}

enum sc_status gguf_get_string(const struct gguf *gguf, const char *key,
			       struct gguf_string *value_out, struct error *err)
{
	const struct gguf_pair *pair = find_pair(&gguf->files[0], key, err);

	if (!pair)
		return SC_E_NOT_FOUND;
	if (pair->is_array || pair->value.type != GGUF_STRING)
		return wrong_type(&gguf->files[0], pair, "a string", err);
	*value_out = gguf_array_string(&pair->value, 0);
	return SC_OK;
}

enum sc_status gguf_get_array(const struct gguf *gguf, const char *key,
			      struct gguf_array *array_out, struct error *err)
{
	const struct gguf_pair *pair = find_pair(&gguf->files[0], key, err);

	if (!pair)
		return SC_E_NOT_FOUND;
	if (!pair->is_array)
		return wrong_type(&gguf->files[0], pair, "an array", err);
	*array_out = pair->value;
	return SC_OK;
}

struct gguf_string gguf_array_string(const struct gguf_array *array, size_t i)
{
	const size_t *index = array->index;
	const uint8_t *at;

	assert(array->type == GGUF_STRING && i < array->n);
	at = (const uint8_t *)array->data + (index ? index[i] : 0);
	return (struct gguf_string){ .data = (const char *)at + 8, .length = load_le64(at) };
}

struct gguf_number gguf_array_exact(const struct gguf_array *array, size_t i)
{
	struct gguf_number number = { 0 };
	const uint8_t *data = array->data;

	assert(i < array->n);
	data += i * gguf_type_bytes(array->type);
	if (array->type == GGUF_BOOL)
		return from_unsigned(*data);
	if (!load_number(array->type, data, &number))
		assert(!"an array of numbers");
	return number;
}

double gguf_array_number(const struct gguf_array *array, size_t i)
{
	return gguf_array_exact(array, i).real;
}
