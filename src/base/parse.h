/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_PARSE_H
#define STAGECOACH_BASE_PARSE_H
/* parse - numbers and words as people type them. The whole text must match. Every function returns
 * false, and writes no output, if it does not. Thread: any. */
#include <stdbool.h>
#include <stdint.h>

/* A decimal number with an optional sign. No blanks, no trailing characters, no overflow. */
bool parse_i64(const char *text, int64_t *value_out);
bool parse_u64(const char *text, uint64_t *value_out);

/* A finite decimal number. The decimal point is '.', because the programs never call
 * setlocale(). */
bool parse_f64(const char *text, double *value_out);

/* on/off, true/false, yes/no, 1/0, in any case. */
bool parse_bool(const char *text, bool *value_out);

/* A number of bytes with an optional suffix K, M, G or T (powers of 1024), as in "512M". */
bool parse_bytes(const char *text, uint64_t *value_out);

#endif
