/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hf/vector_file.h"

#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void vector_columns(const char *line, const char *columns[4])
{
	columns[0] = line;
	for (unsigned i = 1; i < 4; i++) {
		const char *tab = strchr(columns[i - 1], '\t');

		if (!tab)
			fail_msg("expected 4 columns: %s", line);
		columns[i] = tab + 1;
	}
}

void vector_unescape(const char *column, struct buf *out)
{
	for (const char *at = column; *at && *at != '\t' && *at != '\n'; at++) {
		char c = *at;

		if (c == '\\') {
			const char digits[3] = { at[2], at[3], '\0' };

			c = (char)strtoul(digits, NULL, 16);
			at += 3;
		}
		assert_int_equal(buf_add(out, &c, 1), SC_OK);
	}
}

void vector_lossy(const struct buf *text, struct buf *out)
{
	for (size_t at = 0; at < text->length;) {
		const int n = utf8_next((const uint8_t *)text->data + at, text->length - at);
		const size_t length = n > 0 ? (size_t)n : n < 0 ? (size_t)-n : text->length - at;

		if (n > 0)
			assert_int_equal(buf_add(out, text->data + at, length), SC_OK);
		else
			assert_int_equal(buf_add_string(out, "\uFFFD"), SC_OK);
		at += length;
	}
}
