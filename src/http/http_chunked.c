/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_chunked.h"

#include <string.h>

/* More digits than this overflow. */
#define MAX_DIGITS 15

enum state {
	SIZE,		/* digits */
	EXTENSION_SPACE,	/* white space after the size, before a semicolon */
	EXTENSION,
	SIZE_LF,
	CONTENT,
	CONTENT_CR,
	CONTENT_LF,
	LINE,		/* the beginning of a trailer line, or of the last line */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF,
	BAD,
};

static const char *const expected[] = {
	[SIZE] = "a chunk's size in hexadecimal digits",
	[EXTENSION_SPACE] = "a semicolon after a chunk's size",
	[EXTENSION] = "a chunk extension without control characters",
	[SIZE_LF] = "LF after the CR of a chunk's size",
	[CONTENT_CR] = "CR LF after a chunk",
	[CONTENT_LF] = "CR LF after a chunk",
	[LINE] = "a trailer, or CR LF",
	[TRAILER_NAME] = "a trailer of the form NAME: VALUE",
	[TRAILER_VALUE] = "a trailer without control characters",
	[TRAILER_LF] = "LF after the CR of a trailer",
	[LAST_LF] = "LF after the last CR",
};

void http_chunked_init(struct http_chunked *chunked)
{
	*chunked = (struct http_chunked){ .state = SIZE };
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool is_name(uint8_t c)
{
	return c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static unsigned after_size(const struct http_chunked *chunked, uint8_t c)
{
	if (!chunked->n_digits)
		return BAD;
	if (c == '\r')
		return SIZE_LF;
	return c == ';' ? EXTENSION : is_space(c) ? EXTENSION_SPACE : BAD;
}

static unsigned add_digit(struct http_chunked *chunked, uint8_t c)
{
	const int digit = hex_digit(c);

	if (digit < 0)
		return after_size(chunked, c);
	if (chunked->n_digits++ == MAX_DIGITS)
		return BAD;
	chunked->n_left = chunked->n_left << 4 | (uint64_t)digit;
	return SIZE;
}

/* The state after a byte that is not content. */
static unsigned step(struct http_chunked *chunked, uint8_t c)
{
	switch (chunked->state) {
	case SIZE:
		return add_digit(chunked, c);
	case EXTENSION_SPACE:
		return c == ';' ? EXTENSION : is_space(c) ? EXTENSION_SPACE : BAD;
	case EXTENSION:
		return c == '\r' ? SIZE_LF : is_text(c) ? EXTENSION : BAD;
	case SIZE_LF:
		return c != '\n' ? BAD : chunked->n_left ? CONTENT : LINE;
	case CONTENT_CR:
		return c == '\r' ? CONTENT_LF : BAD;
	case CONTENT_LF:
		chunked->n_digits = 0;
		return c == '\n' ? SIZE : BAD;
	case LINE:
		return c == '\r' ? LAST_LF : is_name(c) ? TRAILER_NAME : BAD;
	case TRAILER_NAME:
		return c == ':' ? TRAILER_VALUE : is_name(c) ? TRAILER_NAME : BAD;
	case TRAILER_VALUE:
		return c == '\r' ? TRAILER_LF : is_text(c) ? TRAILER_VALUE : BAD;
	case TRAILER_LF:
		return c == '\n' ? LINE : BAD;
	default:
		return BAD;
	}
}

static bool is_extra(unsigned state)
{
	return state == EXTENSION || state == EXTENSION_SPACE || state == TRAILER_NAME ||
	       state == TRAILER_VALUE;
}

static enum sc_status take_content(struct http_chunked *chunked, const uint8_t **bytes,
				   size_t *n_bytes, const uint8_t **content_out,
				   size_t *n_content_out)
{
	const size_t n = *n_bytes < chunked->n_left ? *n_bytes : (size_t)chunked->n_left;

	*content_out = *bytes;
	*n_content_out = n;
	*bytes += n;
	*n_bytes -= n;
	chunked->n_left -= n;
	if (!chunked->n_left)
		chunked->state = CONTENT_CR;
	return SC_AGAIN;
}

enum sc_status http_chunked_feed(struct http_chunked *chunked, const uint8_t **bytes,
				 size_t *n_bytes, const uint8_t **content_out,
				 size_t *n_content_out, const char **what_out)
{
	*n_content_out = 0;
	while (*n_bytes) {
		const unsigned state = chunked->state;
		uint8_t c;

		if (state == CONTENT)
			return take_content(chunked, bytes, n_bytes, content_out, n_content_out);
		c = *(*bytes)++;
		--*n_bytes;
		if (state == LAST_LF && c == '\n')
			return SC_OK;
		chunked->state = step(chunked, c);
		if (chunked->state == BAD) {
			*what_out = expected[state];
			return SC_E_INVALID;
		}
		if (is_extra(chunked->state) && ++chunked->n_extra > HTTP_MAX_CHUNK_EXTRA) {
			*what_out = "at most 4096 bytes of chunk extensions and trailers";
			return SC_E_INVALID;
		}
	}
	return SC_AGAIN;
}
