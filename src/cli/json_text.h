/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_JSON_TEXT_H
#define STAGECOACH_CLI_JSON_TEXT_H
/*
 * json_text - bytes of any origin as a value of JSON.
 * Thread: any.
 */
#include <jansson.h>
#include <stddef.h>

/* A string where the bytes are UTF-8, NUL among them; else an array of the bytes as numbers, as
 * llama-server writes pieces of tokens. NULL: out of memory. Caller calls json_decref. */
json_t *json_text(const void *bytes, size_t n_bytes);

/* For json_dumpf to standard output: where that is a terminal, characters that it might obey are
 * to be escaped. */
size_t json_text_flags(void);

#endif
