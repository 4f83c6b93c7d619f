/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hf/safetensors_writer.h"

#include "base/integers.h"
#include "model/float16.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void or_abort(enum sc_status status)
{
	if (!status)
		return;
	fprintf(stderr, "safetensors_writer: no memory\n");
	abort();
}

void safetensors_writer_init(struct safetensors_writer *w)
{
	*w = (struct safetensors_writer){ .header = BUF_INIT, .data = BUF_INIT };
}

void safetensors_writer_deinit(struct safetensors_writer *w)
{
	buf_deinit(&w->header);
	buf_deinit(&w->data);
}

void safetensors_writer_add(struct safetensors_writer *w, const char *name, const char *dtype,
			    const char *shape, const void *data, size_t n_bytes)
{
	or_abort(buf_add_format(&w->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],"
				"\"data_offsets\":[%zu,%zu]}", w->header.length ? "," : "", name,
				dtype, shape, w->data.length, w->data.length + n_bytes));
	or_abort(buf_add(&w->data, data, n_bytes));
}

void safetensors_writer_floats(struct safetensors_writer *w, const char *name, const char *dtype,
			       uint64_t n_rows, uint64_t n_columns, const float *values)
{
	const uint64_t n = (n_rows ? n_rows : 1) * n_columns;
	struct buf data = BUF_INIT;
	char shape[64];

	for (uint64_t i = 0; i < n; i++) {
		const uint16_t bits = *dtype == 'B' ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);

		or_abort(strcmp(dtype, "F32") ? buf_add(&data, &bits, sizeof bits)
					      : buf_add(&data, &values[i], sizeof values[i]));
	}
	if (n_rows)
		snprintf(shape, sizeof shape, "%llu,%llu", (unsigned long long)n_rows,
			 (unsigned long long)n_columns);
	else
		snprintf(shape, sizeof shape, "%llu", (unsigned long long)n_columns);
	safetensors_writer_add(w, name, dtype, shape, data.data, data.length);
	buf_deinit(&data);
}

void safetensors_writer_finish(const struct safetensors_writer *w, struct buf *file)
{
	const uint64_t n = round_up(w->header.length + 2, 8) + w->n_blanks;

	or_abort(buf_add(file, &n, sizeof n));
	or_abort(buf_add_format(file, "{%s}%*s", w->header.data,
				(int)(n - w->header.length - 2), ""));
	or_abort(buf_add(file, w->data.data, w->data.length));
}

void safetensors_write_raw(const char *header, uint64_t header_bytes, size_t n_data,
			   struct buf *file)
{
	const uint64_t n = header_bytes ? header_bytes : strlen(header);

	or_abort(buf_add(file, &n, sizeof n));
	or_abort(buf_add_string(file, header));
	for (size_t i = 0; i < n_data; i++)
		or_abort(buf_add(file, "x", 1));
}

#define ENTRY(name, dtype, shape, begin, end) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," \
	#end "]}"

const struct broken_safetensors broken_safetensors[] = {
	/* the header's length */
	{ "{}", 100000001, 0, SC_E_FORMAT, "a header of at most 100000000 bytes, found the length "
	  "100000001" },
	{ "{}", UINT64_MAX, 0, SC_E_FORMAT, "the length 18446744073709551615" },
	{ "{}", 3, 0, SC_E_FORMAT, "the header says that it has 3 bytes, but the file has only 10" },
	{ "{}", 1, 0, SC_E_FORMAT, "line 1, column 1: not JSON" },
	/* the header is no JSON, or not what is expected */
	{ "", 0, 0, SC_E_FORMAT, "not JSON" },
	{ "hello", 0, 0, SC_E_FORMAT, "header: " },
	{ "[]", 0, 0, SC_E_FORMAT, "expected an object { ... }, found an array" },
	{ "{\"a\":3}", 0, 0, SC_E_FORMAT, "tensor 'a': expected an object" },
	{ "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 0, 4, SC_E_FORMAT, "string 'dtype'" },
	{ "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 0, 4, SC_E_FORMAT,
	  "array 'shape'" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 0, 4, SC_E_FORMAT, "'data_offsets'" },
	{ "{" ENTRY("a", "F32", "1", 0, 4) "," ENTRY("a", "F32", "1", 0, 4) "}", 0, 4, SC_E_FORMAT,
	  "duplicate object key" },
	{ "{\"a\\u001b[2J\":3}", 0, 0, SC_E_FORMAT, "tensor 'a" },
	/* types and shapes */
	{ "{" ENTRY("a", "F99", "1", 0, 4) "}", 0, 4, SC_E_UNSUPPORTED, "tensor 'a': the type 'F99' "
	  "is not known" },
	{ "{" ENTRY("a", "F32", "-1", 0, 4) "}", 0, 4, SC_E_FORMAT, "dimension 1 of its shape" },
	{ "{" ENTRY("a", "F32", "1,1.5", 0, 4) "}", 0, 4, SC_E_FORMAT, "dimension 2 of its shape" },
	{ "{" ENTRY("a", "F32", "1,1,1,1,1", 0, 4) "}", 0, 4, SC_E_UNSUPPORTED,
	  "at most 4 dimensions, found 5" },
	{ "{" ENTRY("a", "F32", "2", 0, 4) "}", 0, 4, SC_E_FORMAT, "data of its shape [2, 1, 1, 1] in "
	  "F32, found 4 bytes" },
	{ "{" ENTRY("a", "F32", "4294967296,4294967296,2", 0, 4) "}", 0, 4, SC_E_FORMAT,
	  "data of its shape" },
	{ "{" ENTRY("a", "I64", "9223372036854775807,9223372036854775807", 0, 8) "}", 0, 8,
	  SC_E_FORMAT, "data of its shape" },
	{ "{" ENTRY("a", "F32", "99999999999999999999", 0, 4) "}", 0, 4, SC_E_FORMAT, "too big" },
	{ "{" ENTRY("a", "F4", "3", 0, 1) "}", 0, 1, SC_E_FORMAT, "data of its shape" },
	/* places */
	{ "{" ENTRY("a", "F32", "1", 4, 0) "}", 0, 4, SC_E_FORMAT, "the offsets 4 to 0" },
	{ "{" ENTRY("a", "F32", "1", -4, 0) "}", 0, 4, SC_E_FORMAT, "two offsets" },
	{ "{" ENTRY("a", "F32", "2", 0, 8) "}", 0, 7, SC_E_FORMAT, "whose data has 7 bytes, found the "
	  "offsets 0 to 8: is the file cut?" },
	{ "{" ENTRY("a", "F32", "2", 0, 8) "}", 0, 9, SC_E_FORMAT, "found 1 bytes behind it" },
	{ "{}", 0, 1, SC_E_FORMAT, "found 1 bytes behind it" },
	{ "{" ENTRY("a", "F32", "1", 4, 8) "}", 0, 8, SC_E_FORMAT, "the first data at offset 0, found "
	  "it at 4" },
	{ "{" ENTRY("a", "F32", "2", 0, 8) "," ENTRY("b", "F32", "1", 4, 8) "}", 0, 8, SC_E_FORMAT,
	  "tensor 'b': expected data of its own, found it overlapping the data of 'a'" },
	{ "{" ENTRY("b", "F32", "1", 0, 4) "," ENTRY("a", "F32", "1", 0, 4) "}", 0, 4, SC_E_FORMAT,
	  "overlapping" },
	{ "{" ENTRY("a", "F32", "1", 0, 4) "," ENTRY("b", "F32", "1", 6, 10) "}", 0, 10, SC_E_FORMAT,
	  "behind that of 'a', found 2 bytes between" },
};
const unsigned n_broken_safetensors = sizeof broken_safetensors / sizeof broken_safetensors[0];
