/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum sc_status error_set(struct error *err, enum sc_status status, const char *format, ...)
{
	va_list args;

	if (!err)
		return status;
	err->status = status;
	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
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
	err->status = status;
	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(errnum));
	return status;
}

enum sc_status error_prefix(struct error *err, const char *format, ...)
{
	char context[ERROR_TEXT_MAX - 2];	/* leaves room for ": " */
	size_t used, kept;
	va_list args;

	if (!err)
		return SC_OK;
	va_start(args, format);
	vsnprintf(context, sizeof context, format, args);
	va_end(args);
	used = strlen(context);
	kept = strlen(err->text);
	if (kept > sizeof err->text - used - 3)
		kept = sizeof err->text - used - 3;
	memmove(err->text + used + 2, err->text, kept);
	err->text[used + 2 + kept] = '\0';
	memcpy(err->text, context, used);
	memcpy(err->text + used, ": ", 2);
	return err->status;
}
