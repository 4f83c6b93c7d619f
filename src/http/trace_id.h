/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_TRACE_ID_H
#define STAGECOACH_HTTP_TRACE_ID_H
/*
 * trace_id - the trace that a request belongs to, from a header field "traceparent" (W3C Trace
 * Context): version-traceid-parentid-flags, in lower-case hexadecimal digits.
 * Thread: any.
 */
#include <stdbool.h>

struct trace_id {
	char text[33];	/* 32 digits; "": there is none */
};

/* value: the field, or NULL. Returns false, and sets "", if the field is missing or malformed.
 * Versions after 00 may have more parts behind the four. */
bool trace_id_parse(const char *value, struct trace_id *out);

#endif
