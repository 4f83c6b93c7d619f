/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char buf_empty[1];

void buf_init(struct buf *buf)
{
	*buf = (struct buf)BUF_INIT;
}

void buf_deinit(struct buf *buf)
{
	if (buf->capacity)
		free(buf->data);
	buf_init(buf);
}

enum sc_status buf_reserve(struct buf *buf, size_t n_bytes)
{
	size_t capacity = buf->capacity ? buf->capacity : 64;
	size_t needed;
	char *data;

	if (n_bytes > SIZE_MAX / 2 - buf->length - 1)
		return SC_E_NOMEM;
	needed = buf->length + n_bytes + 1;
	if (needed <= buf->capacity)
		return SC_OK;
	while (capacity < needed)
		capacity *= 2;
	data = realloc(buf->capacity ? buf->data : NULL, capacity);
	if (!data)
		return SC_E_NOMEM;
	if (!buf->capacity)
		data[0] = '\0';
	buf->data = data;
	buf->capacity = capacity;
	return SC_OK;
}

enum sc_status buf_add(struct buf *buf, const void *bytes, size_t n_bytes)
{
	enum sc_status status = buf_reserve(buf, n_bytes);

	if (status != SC_OK)
		return status;
	if (n_bytes)
		memcpy(buf->data + buf->length, bytes, n_bytes);
	buf->length += n_bytes;
	buf->data[buf->length] = '\0';
	return SC_OK;
}

enum sc_status buf_add_string(struct buf *buf, const char *string)
{
	return buf_add(buf, string, strlen(string));
}

enum sc_status buf_add_format(struct buf *buf, const char *format, ...)
{
	enum sc_status status;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return SC_E_INVALID;
	status = buf_reserve(buf, (size_t)n);
	if (status != SC_OK)
		return status;
	va_start(args, format);
	vsnprintf(buf->data + buf->length, (size_t)n + 1, format, args);
	va_end(args);
	buf->length += (size_t)n;
	return SC_OK;
}

void buf_consume(struct buf *buf, size_t n_bytes)
{
	if (n_bytes > buf->length)
		n_bytes = buf->length;
	if (!n_bytes)
		return;
	buf->length -= n_bytes;
	memmove(buf->data, buf->data + n_bytes, buf->length + 1);
}

void buf_truncate(struct buf *buf, size_t length)
{
	assert(length <= buf->length);
	if (length == buf->length)
		return;
	buf->length = length;
	buf->data[length] = '\0';
}

void buf_trim(struct buf *buf)
{
	char *data;

	if (!buf->length)
		buf_deinit(buf);
	if (!buf->capacity)
		return;
	data = realloc(buf->data, buf->length + 1);
	if (!data)
		return;
	buf->data = data;
	buf->capacity = buf->length + 1;
}
