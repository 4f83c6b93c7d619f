/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum sc_status gguf_error(const struct gguf_file *file, size_t offset, enum sc_status status,
			  struct error *err, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!file->context.data)
		return error_set(err, status, "%s: offset %zu: %s", file->path, offset, text);
	return error_set(err, status, "%s: offset %zu: '%s': %s", file->path, offset,
			 quote(file->context.data, file->context.length).text, text);
}

enum sc_status gguf_error_short(const struct gguf_file *file, uint64_t n_bytes, const char *what,
				struct error *err)
{
	return gguf_error(file, cursor_offset(&file->cursor), SC_E_FORMAT, err,
			  "expected %s (at least %" PRIu64 " bytes), found the end of the file at "
			  "%zu: truncated?", what, n_bytes, file->n_bytes);
}
