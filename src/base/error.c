/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Truncation works on bytes, so the text may end inside a UTF-8 character. Drops such a partial
 * character. */
static void drop_partial_character(char *text)
{
	size_t end = strlen(text), lead = end;
	unsigned char byte;

	while (lead > 0 && end - lead < 3 && ((unsigned char)text[lead - 1] & 0xC0) == 0x80)
		lead--;
	if (!lead)
		return;
	byte = (unsigned char)text[--lead];
	if (end - lead < (byte >= 0xF0 ? 4u : byte >= 0xE0 ? 3u : byte >= 0xC0 ? 2u : 1u))
		text[lead] = '\0';
}

__attribute__((format(printf, 3, 0)))
static void set_text(struct error *err, enum sc_status status, const char *format, va_list args)
{
	err->status = status;
	vsnprintf(err->text, sizeof err->text, format, args);
	drop_partial_character(err->text);
}

enum sc_status error_set(struct error *err, enum sc_status status, const char *format, ...)
{
	va_list args;

	if (!err)
		return status;
	va_start(args, format);
	set_text(err, status, format, args);
	va_end(args);
	return status;
}

enum sc_status error_errno(struct error *err, enum sc_status status, int errnum,
			   const char *format, ...)
{
	va_list args;
	size_t used;

	if (!err)
		return status;
	va_start(args, format);
	set_text(err, status, format, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(errnum));
	return status;
}

void error_prefix(struct error *err, const char *format, ...)
{
	char context[ERROR_TEXT_MAX - 2];	/* leaves room for ": " */
	size_t used, kept;
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	vsnprintf(context, sizeof context, format, args);
	va_end(args);
	drop_partial_character(context);
	used = strlen(context);
	kept = strlen(err->text);
	if (kept > sizeof err->text - used - 3)
		kept = sizeof err->text - used - 3;
	memmove(err->text + used + 2, err->text, kept);
	err->text[used + 2 + kept] = '\0';
	memcpy(err->text, context, used);
	memcpy(err->text + used, ": ", 2);
	drop_partial_character(err->text);
}
