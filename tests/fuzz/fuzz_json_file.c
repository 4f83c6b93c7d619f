/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as Python writes it: what is JSON means the same, and errors have a place. */
#include "hf/json_file.h"

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void or_abort(bool is_good)
{
	if (!is_good)
		abort();
}

static enum sc_status parse(const uint8_t *data, size_t size, enum json_dialect dialect,
			    json_t **json_out, struct error *err)
{
	char *text = malloc(size + 1);
	enum sc_status status;

	or_abort(text);
	memcpy(text, data, size);
	status = json_file_parse("memory", text, size, dialect, json_out, err);
	free(text);
	or_abort(!status || (status == err->status && strstr(err->text, "memory: line ")));
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *plain = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
	struct error err = { .status = SC_OK };
	json_t *json;

	if (!parse(data, size, DIALECT_STRICT, &json, &err)) {
		or_abort(plain && json_equal(json, plain));
		json_decref(json);
	}
	if (!parse(data, size, DIALECT_PYTHON, &json, &err)) {
		or_abort(!plain || json_equal(json, plain));
		json_decref(json);
	} else {
		or_abort(!json_is_object(plain));
	}
	json_decref(plain);
	return 0;
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const char *const seeds[] = {
		"{}", "[1, 2]", "{\"a\": 1,\n \"b\": [true, false, null]}", "{\"a\": {\"b\": {}}}",
		"{\"model_max_length\": 1000000000000000019884624838656}",
		"{\"limits\": [0.0, Infinity, -Infinity, NaN]}",
		"{\"least\": -9223372036854775808, \"most\": 9223372036854775807}",
		"{\"over\": [-9223372036854775809, 9223372036854775808, 18446744073709551616]}",
		"{\"reals\": [1e5, -2.5E-3, 1e999, 12345678901234567890.5, 0.1e+2]}",
		"{\"text\": \"\\\"Infinity\\\" 99999999999999999999 \\\\\"}",
		"{\"escapes\": \"\\u0000\\ud83d\\ude00\\n\"}", "{\"a\": 1, \"a\": 2}",
		"{\"zeros\": 00000000000000000000001}", "{\"a\": -", "{\"a\": \"", "{\"a\": \"\\",
		"{\"minus\": --99999999999999999999, \"word\": Infinityy}",
	};

	return i < sizeof seeds / sizeof seeds[0] && !buf_add_string(seed, seeds[i]);
}
