/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/plain_text.h"

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Returns the length of the character at p (n_left > 0), or 0 if none starts there, or NUL does. */
static size_t character_length(const uint8_t *p, size_t n_left)
{
	const int n = p[0] ? utf8_next(p, n_left) : 0;

	return n > 0 ? (size_t)n : 0;
}

/* What stands for a byte that is no character. */
static enum sc_status add_mark(struct buf *text, uint8_t byte, bool drops_marks)
{
	if (drops_marks && (byte == 0xff || byte == 0xfe))
		return SC_OK;
	return buf_add(text, "\xef\xbf\xbd", 3);
}

static enum sc_status set(struct buf *text, const char *bytes, size_t n_bytes, bool drops_marks)
{
	const uint8_t *p = (const uint8_t *)bytes;
	size_t start = 0;
	size_t at = 0;
	enum sc_status status = SC_OK;

	buf_truncate(text, 0);
	while (at < n_bytes && status == SC_OK) {
		size_t n = character_length(p + at, n_bytes - at);

		if (n) {
			at += n;
			continue;
		}
		status = buf_add(text, bytes + start, at - start);
		if (status == SC_OK)
			status = add_mark(text, p[at], drops_marks);
		start = ++at;
	}
	if (status == SC_OK)
		status = buf_add(text, bytes + start, at - start);
	return status;
}

enum sc_status plain_text_set(struct buf *text, const char *bytes, size_t n_bytes)
{
	return set(text, bytes, n_bytes, false);
}

enum sc_status plain_text_set_output(struct buf *text, const char *bytes, size_t n_bytes)
{
	return set(text, bytes, n_bytes, true);
}

bool plain_text_is_plain(const char *bytes, size_t n_bytes)
{
	return !memchr(bytes, '\0', n_bytes) && !memchr(bytes, '\xff', n_bytes) &&
	       !memchr(bytes, '\xfe', n_bytes);
}

void plain_text_copy(const char *string, char *out, size_t capacity)
{
	const uint8_t *p = (const uint8_t *)string;
	size_t n_left = strlen(string);
	size_t length = 0;

	while (n_left) {
		size_t n = character_length(p, n_left);
		size_t n_out = n ? n : 3;

		if (length + n_out >= capacity)
			break;
		memcpy(out + length, n ? (const char *)p : "\xef\xbf\xbd", n_out);
		length += n_out;
		p += n ? n : 1;
		n_left -= n ? n : 1;
	}
	out[length] = '\0';
}
