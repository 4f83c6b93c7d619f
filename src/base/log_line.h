/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_LOG_LINE_H
#define STAGECOACH_BASE_LOG_LINE_H
/*
 * log_line - the text of one line of the log, for people or as a JSON object.
 * What does not fit is left out so that the line stays what it is: a field as a whole, a message
 * from some character on.
 * Thread: any.
 */
#include "base/log.h"

#include <stddef.h>

struct log_line {
	const char *prefix;	/* of a text line: time, level and process */
	const char *time;	/* these three of an object; "" for none */
	const char *level;
	const char *process;
	const struct log_field *fields;	/* [n_fields] */
	size_t n_fields;
	const char *request_id;	/* of the request that is being handled, or NULL */
	const char *trace_id;
	const char *message;
};

/* "PREFIXmessage name=value" and a newline. Returns the length; size is at least 256. */
size_t log_line_text(const struct log_line *line, char *out, size_t size);

/* {"time": ..., "level": ..., "message": ...} in ASCII or UTF-8, and a newline. Bytes that are no
 * UTF-8 become U+FFFD. */
size_t log_line_json(const struct log_line *line, char *out, size_t size);

#endif
