/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_JSON_BODY_H
#define STAGECOACH_OPENAI_JSON_BODY_H
/*
 * json_body - parses the body of a request, within a limit on memory: a value of two bytes can take
 * hundreds of bytes once it is parsed.
 * Thread: any.
 */
#include "base/error.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

/* At most this many bytes of parsed values, and nesting of this depth. */
#define JSON_BODY_MAX_BYTES ((size_t)64 << 20)
#define JSON_BODY_MAX_DEPTH 256

/* An upper bound of the memory that the parsed body takes, from one pass over its bytes.
 * *depth_out: of the deepest brackets. */
size_t json_body_measure(const char *bytes, size_t n_bytes, unsigned *depth_out);

/* Parses an object. The caller calls json_decref, on any thread; that takes time by the number of
 * values. SC_E_INVALID: no valid JSON (err says where), or no object. SC_E_TOO_LARGE: over a
 * limit above. SC_E_NOMEM. */
must_check enum sc_status json_body_parse(const char *bytes, size_t n_bytes, json_t **object_out,
					  struct error *err);

#endif
