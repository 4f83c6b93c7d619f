/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_JSON_FILE_H
#define STAGECOACH_HF_JSON_FILE_H
/*
 * json_file - JSON in files and in memory. Private to this folder; see json_file_load in parts.h.
 * Numbers and nesting are bounded by the Jansson library (2,048 levels), sizes of files here.
 * Thread: any.
 */
#include "base/error.h"

#include <jansson.h>

enum json_dialect {
	DIALECT_STRICT,	/* equal keys and NUL bytes are an error */
	DIALECT_PYTHON,	/* as json_file_load says */
};

/* Parses an object; errors name `path`. Changes text. The caller calls json_decref.
 * SC_E_FORMAT: err has line and column. SC_E_NOMEM. */
must_check enum sc_status json_file_parse(const char *path, char *text, size_t n_bytes,
					  enum json_dialect dialect, json_t **json_out,
					  struct error *err);

#endif
