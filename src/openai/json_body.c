/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/json_body.h"

#include "base/json_measure.h"

static enum sc_status check_size(const char *bytes, size_t n_bytes, struct error *err)
{
	unsigned depth;
	size_t n_parsed = json_measure(bytes, n_bytes, &depth);

	if (n_parsed > JSON_MAX_PARSED)
		return error_set(err, SC_E_TOO_LARGE, "the body has too many values: parsed, it may"
				 " take %zu MiB, and the limit is %zu MiB", n_parsed >> 20,
				 JSON_MAX_PARSED >> 20);
	if (depth > JSON_MAX_DEPTH)
		return error_set(err, SC_E_TOO_LARGE, "the body has brackets in %u levels, and the "
				 "limit is %u", depth, JSON_MAX_DEPTH);
	return SC_OK;
}

/* Jansson's message may quote the body, so it is not passed on: bodies hold secrets, and bytes that
 * are no text. */
static const char *reason_of(enum json_error_code code)
{
	switch ((int)code) {
	case json_error_out_of_memory:
		return "out of memory";
	case json_error_premature_end_of_input:
		return "the body ends inside of a value";
	case json_error_end_of_input_expected:
		return "more text after the object";
	case json_error_invalid_utf8:
		return "bytes that are not UTF-8, or half of a surrogate pair";
	case json_error_numeric_overflow:
		return "a number out of range";
	default:
		return "not valid JSON, or half of a surrogate pair";
	}
}

enum sc_status json_body_parse(const char *bytes, size_t n_bytes, json_t **object_out,
			       struct error *err)
{
	enum sc_status status = check_size(bytes, n_bytes, err);
	json_error_t fault;
	json_t *value;

	if (status != SC_OK)
		return status;
	if (!n_bytes)
		return error_set(err, SC_E_INVALID, "the body is empty: expected a JSON object");
	value = json_loadb(bytes, n_bytes, JSON_ALLOW_NUL, &fault);
	if (!value) {
		enum json_error_code code = json_error_code(&fault);

		return error_set(err, code == json_error_out_of_memory ? SC_E_NOMEM : SC_E_INVALID,
				 "the body, line %d, column %d: %s", fault.line, fault.column,
				 reason_of(code));
	}
	if (!json_is_object(value)) {
		json_decref(value);
		return error_set(err, SC_E_INVALID, "the body: expected a JSON object, found an "
				 "array");
	}
	*object_out = value;
	return SC_OK;
}
