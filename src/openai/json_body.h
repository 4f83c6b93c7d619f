/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_JSON_BODY_H
#define STAGECOACH_OPENAI_JSON_BODY_H
/*
 * json_body - parses the body of a request, within the limits of base/json_measure.h.
 * Thread: any.
 */
#include "base/error.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

/* Parses an object. The caller calls json_decref, on any thread; that takes time by the number of
 * values. SC_E_INVALID: no valid JSON (err says where), or no object. SC_E_TOO_LARGE: over a
 * limit. SC_E_NOMEM. */
must_check enum sc_status json_body_parse(const char *bytes, size_t n_bytes, json_t **object_out,
					  struct error *err);

#endif
