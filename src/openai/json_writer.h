/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_JSON_WRITER_H
#define STAGECOACH_OPENAI_JSON_WRITER_H
/*
 * json_writer - appends JSON to a buf, without a tree in between. Commas come by themselves.
 * Any bytes are valid text: bytes that are not UTF-8 become U+FFFD, so a writer fails only for want
 * of memory. A failure is kept: after it nothing is added, and json_put_status tells.
 * Thread: one at a time, any.
 */
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_writer {
	struct buf *out;	/* borrowed */
	bool needs_comma;
	enum sc_status status;	/* SC_OK or SC_E_NOMEM */
};

void json_put_init(struct json_writer *writer, struct buf *out);
/* SC_OK or SC_E_NOMEM. */
must_check enum sc_status json_put_status(const struct json_writer *writer);

/* bracket: '{' or '['; '}' or ']'. */
void json_put_open(struct json_writer *writer, char bracket);
void json_put_close(struct json_writer *writer, char bracket);
/* Names the next value, which is a member of an object. name needs no escapes. */
void json_put_key(struct json_writer *writer, const char *name);

void json_put_text(struct json_writer *writer, const void *bytes, size_t n_bytes);
void json_put_string(struct json_writer *writer, const char *string);	/* NULL: null */
void json_put_uint(struct json_writer *writer, uint64_t value);
void json_put_int(struct json_writer *writer, int64_t value);
/* Enough digits to read the same float again. Not a number or infinite: null. */
void json_put_float(struct json_writer *writer, float value);
void json_put_double(struct json_writer *writer, double value);
void json_put_bool(struct json_writer *writer, bool value);
void json_put_null(struct json_writer *writer);
/* A value that is JSON already. */
void json_put_raw(struct json_writer *writer, const void *bytes, size_t n_bytes);

/* Text in pieces: a string that is begun, continued and ended. Each piece consists of whole
 * characters, or what is cut becomes U+FFFD. */
void json_put_text_begin(struct json_writer *writer);
void json_put_text_part(struct json_writer *writer, const void *bytes, size_t n_bytes);
void json_put_text_end(struct json_writer *writer);

/* --- members of an object --- */

void json_put_member_string(struct json_writer *writer, const char *name, const char *string);
void json_put_member_uint(struct json_writer *writer, const char *name, uint64_t value);
void json_put_member_double(struct json_writer *writer, const char *name, double value);
void json_put_member_bool(struct json_writer *writer, const char *name, bool value);
void json_put_member_null(struct json_writer *writer, const char *name);

#endif
