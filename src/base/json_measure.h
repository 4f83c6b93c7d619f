/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_JSON_MEASURE_H
#define STAGECOACH_BASE_JSON_MEASURE_H
/*
 * json_measure - what a JSON text would take once it is parsed, without parsing it: a value of two
 * bytes can take hundreds of bytes. Whoever parses a text of a client measures the text first.
 * Thread: any.
 */
#include <stddef.h>

/* The most that a request may take: bytes of parsed values, and levels of brackets. */
#define JSON_MAX_PARSED ((size_t)64 << 20)
#define JSON_MAX_DEPTH 256

/* An upper bound of the memory that the parsed text takes, from one pass over its bytes.
 * *depth_out: of the deepest brackets. */
size_t json_measure(const char *bytes, size_t n_bytes, unsigned *depth_out);

#endif
