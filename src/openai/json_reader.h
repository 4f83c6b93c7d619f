/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_JSON_READER_H
#define STAGECOACH_OPENAI_JSON_READER_H
/*
 * json_reader - the fields of an object, each with its type and bounds. A field that is absent or
 * null leaves its output as it is. The first fault is kept with the field's name; after it nothing
 * is read, so that a caller checks once, at the end.
 * The reader remembers which names were asked for. What else the object has is unknown.
 * Thread: one at a time, any.
 */
#include "base/error.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_READER_MAX_NAMES 192
#define JSON_READER_PARAM_BYTES 64

struct json_reader {
	const json_t *object;		/* borrowed */
	enum sc_status status;		/* of the first fault */
	char param[JSON_READER_PARAM_BYTES];	/* the name of the field at fault; "" without one */
	struct error error;		/* and its text */

	/* Private: */
	const char *names[JSON_READER_MAX_NAMES];
	unsigned n_names;
};

void json_reader_init(struct json_reader *reader, const json_t *object);

/* Any value; NULL: absent or null, or an earlier fault. Names are static strings. */
const json_t *json_read(struct json_reader *reader, const char *name);
/* Known, and of no effect. */
void json_read_ignored(struct json_reader *reader, const char *name);

/* Numbers within min and max. An integer may be written as 40.0. */
void json_read_u32(struct json_reader *reader, const char *name, uint32_t min, uint32_t max,
		   uint32_t *value_out);
void json_read_i64(struct json_reader *reader, const char *name, int64_t min, int64_t max,
		   int64_t *value_out);
void json_read_float(struct json_reader *reader, const char *name, double min, double max,
		     float *value_out);
void json_read_bool(struct json_reader *reader, const char *name, bool *value_out);
/* A string without NUL. Borrows from the object. */
void json_read_string(struct json_reader *reader, const char *name, const char **value_out);
/* SC_E_INVALID for values of another type. NULL: absent, null or a fault. */
const json_t *json_read_array(struct json_reader *reader, const char *name);
const json_t *json_read_object(struct json_reader *reader, const char *name);

/* Notes a fault of a field; the text gets its name in front. Does nothing after an earlier one. */
void json_reader_fail(struct json_reader *reader, const char *name, enum sc_status status,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The names that were not asked for: at most max of them, as they are in the object, borrowed.
 * Returns how many were written. */
unsigned json_reader_unknown(const struct json_reader *reader, const char **names_out,
			     unsigned max);

/* "a string", "an array": for messages. */
const char *json_reader_type(const json_t *value);

#endif
