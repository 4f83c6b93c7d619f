/* SPDX-License-Identifier: Apache-2.0 */
#include "model/hparams_reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

bool reader_seek(struct reader *r, const char *name)
{
	snprintf(r->key, sizeof r->key, "%s.%s", r->arch->name, name);
	return gguf_has(r->gguf, r->key);
}

enum sc_status reader_need(struct reader *r, const char *name)
{
	(void)reader_seek(r, name);
	return gguf_require(r->gguf, r->key, r->err);
}

enum sc_status reader_unsupported(struct reader *r, const char *what)
{
	return reader_error(r, SC_E_UNSUPPORTED, "%s not supported", what);
}

enum sc_status reader_u32(struct reader *r, uint32_t min, uint32_t max, uint32_t *value_out)
{
	enum sc_status status;
	uint32_t value;

	status = gguf_get_u32(r->gguf, r->key, &value, r->err);
	if (status)
		return status;
	if (value < min || value > max)
		return reader_error(r, SC_E_FORMAT,
				    "expected %" PRIu32 " to %" PRIu32 ", found %" PRIu32, min,
				    max, value);
	*value_out = value;
	return SC_OK;
}

/* Reads a finite number above `above`. */
static enum sc_status read_real(struct reader *r, float above, const char *expected,
				float *value_out)
{
	enum sc_status status;
	float value;

	status = gguf_get_f32(r->gguf, r->key, &value, r->err);
	if (status)
		return status;
	if (!isfinite(value) || value <= above)
		return reader_error(r, SC_E_FORMAT, "expected a %s number, found %g", expected,
				    (double)value);
	*value_out = value;
	return SC_OK;
}

enum sc_status reader_finite(struct reader *r, float *value_out)
{
	return read_real(r, -INFINITY, "finite", value_out);
}

enum sc_status reader_positive(struct reader *r, float *value_out)
{
	return read_real(r, 0, "positive, finite", value_out);
}

enum sc_status reader_factor(struct reader *r, float *value_out)
{
	float value = 1.0f;

	if (!gguf_get_f32(r->gguf, r->key, &value, NULL) && value == 0) {
		*value_out = 1.0f;
		return SC_OK;
	}
	return reader_positive(r, value_out);
}

enum sc_status reader_need_u32(struct reader *r, const char *name, uint32_t max,
			       uint32_t *value_out)
{
	enum sc_status status = reader_need(r, name);

	return status ? status : reader_u32(r, 1, max, value_out);
}

enum sc_status reader_maybe_u32(struct reader *r, const char *name, uint32_t max,
				uint32_t *value)
{
	return reader_seek(r, name) ? reader_u32(r, 1, max, value) : SC_OK;
}

enum sc_status reader_maybe_factor(struct reader *r, const char *name, float *value)
{
	return reader_seek(r, name) ? reader_factor(r, value) : SC_OK;
}

enum sc_status reader_maybe_bool(struct reader *r, const char *name, bool *value)
{
	return reader_seek(r, name) ? gguf_get_bool(r->gguf, r->key, value, r->err) : SC_OK;
}

static enum sc_status read_array(struct reader *r, const struct gguf_array *array, uint32_t max,
				 uint32_t n, uint32_t *values)
{
	if (array->n < n || array->type == GGUF_STRING || array->type == GGUF_ARRAY)
		return reader_error(r, SC_E_FORMAT, "expected a number for each of %" PRIu32
				    " layers, found an array of %zu", n, array->n);
	for (uint32_t i = 0; i < n; i++) {
		const double value = gguf_array_number(array, i);

		if (!(value >= 1 && value <= max) || value != floor(value))
			return reader_error(r, SC_E_FORMAT, "layer %" PRIu32 ": expected 1 to %"
					    PRIu32 ", found %g", i, max, value);
		values[i] = (uint32_t)value;
	}
	return SC_OK;
}

enum sc_status reader_layers_u32(struct reader *r, const char *name, uint32_t max, uint32_t n,
				 uint32_t *values)
{
	struct gguf_array array;
	enum sc_status status;

	if (!reader_seek(r, name))
		return SC_OK;
	if (!gguf_get_array(r->gguf, r->key, &array, NULL))
		return read_array(r, &array, max, n, values);
	status = reader_u32(r, 1, max, &values[0]);
	for (uint32_t i = 1; i < n && !status; i++)
		values[i] = values[0];
	return status;
}
