/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_JSON_PULL_H
#define STAGECOACH_HF_JSON_PULL_H
/*
 * json_pull - reads JSON from front to back without a tree. For vocabularies: a tree of half a
 * million merges takes longer, and more memory, than all else of a tokenizer.
 * Accepts what RFC 8259 does. Errors name the file, the line and the column.
 * Private to this folder. Thread: one at a time.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_PULL_MAX_DEPTH 256

struct json_pull {
	const char *path;	/* for errors */
	const char *text;	/* UTF-8 */
	size_t n, at;		/* at: the next byte */
	struct error *err;
};

/* SC_E_FORMAT, with the line and column of byte `at`. */
enum sc_status json_pull_error(const struct json_pull *pull, size_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The first byte of the next value or mark, behind white space; 0 at the end. */
char json_pull_peek(struct json_pull *pull);
/* Reads a mark: one of { } [ ] : , */
must_check enum sc_status json_pull_mark(struct json_pull *pull, char mark);

/* Walks an object or array whose first mark has been read. *is_more_out: another element comes;
 * otherwise the last mark, `end`, has been read. n: elements so far. */
must_check enum sc_status json_pull_next(struct json_pull *pull, size_t n, char end,
					 bool *is_more_out);

/* Appends a string to out, escapes undone. SC_E_NOMEM. */
must_check enum sc_status json_pull_string(struct json_pull *pull, struct buf *out);
/* A number without sign, fraction or exponent, at most 2^32 - 1. */
must_check enum sc_status json_pull_u32(struct json_pull *pull, uint32_t *value_out);
/* Any number. The result is rounded as serde_json, with which the tokenizers package reads its files,
 * rounds: the digits become an integer, which is then divided or multiplied by a power of ten. It can
 * differ in the last bit from the nearest double, and that bit decides between equal sums. */
must_check enum sc_status json_pull_number(struct json_pull *pull, double *value_out);
/* Skips a value; checks brackets and strings only. */
must_check enum sc_status json_pull_skip(struct json_pull *pull);

#endif
