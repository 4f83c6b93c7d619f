/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_ARGUMENTS_H
#define STAGECOACH_CHAT_ARGUMENTS_H
/*
 * arguments - types of a tool's arguments by its schema, and values that a model wrote without
 * quotes as JSON. Private to chat. Thread: any.
 */
#include "base/buf.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

enum {
	ARGUMENT_STRING = 1,
	ARGUMENT_NUMBER = 2,
	ARGUMENT_BOOL = 4,
	ARGUMENT_NULL = 8,
	ARGUMENT_OBJECT = 16,
	ARGUMENT_ARRAY = 32,
};

/* The tool of the array `tools` with this name, or NULL. */
const json_t *tools_find(const json_t *tools, const char *name, size_t n);
/* The name of a tool, or NULL. */
const char *tool_name(const json_t *tool);

/* The types that the tool's schema allows for an argument. 0: the schema does not say. */
unsigned argument_types(const json_t *tool, const char *name, size_t n);

/* Adds the value as JSON: of a type in `types` if it can be read as one, else a string. None, True
 * and False are Python's. null only if the types allow null or no strings. */
must_check enum sc_status argument_write(struct buf *out, unsigned types, const char *value,
					 size_t n);

/* Adds text as the inside of a JSON string, without control tokens. */
must_check enum sc_status json_write_escaped(struct buf *out, const char *text, size_t n);

#endif
