/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_LEXER_H
#define STAGECOACH_JINJA_LEXER_H
/*
 * lexer - cuts a template into tokens. White space around tags is dropped as jinja2 does with
 * trim_blocks and lstrip_blocks.
 * source: valid UTF-8 with \n line ends, borrowed.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
	TOKEN_END,		/* of the template */
	TOKEN_FAULT,		/* lexer.fault says which */
	TOKEN_DATA,		/* text between tags */
	TOKEN_BLOCK_BEGIN,
	TOKEN_BLOCK_END,
	TOKEN_VARIABLE_BEGIN,
	TOKEN_VARIABLE_END,
	TOKEN_NAME,
	TOKEN_STRING,		/* with its quotes */
	TOKEN_INTEGER,
	TOKEN_FLOAT,
	TOKEN_OPERATOR,
};

struct token {
	enum token_kind kind;
	const char *text;
	size_t n_bytes;
	uint32_t line, column;
};

enum lexer_state { LEX_TEXT, LEX_BLOCK, LEX_VARIABLE, LEX_RAW };

enum { BRACKETS_MAX = 250 };

struct lexer {
	const char *source;
	size_t n_bytes;
	size_t at;
	/* The place of `placed` is line and column. */
	size_t placed;
	uint32_t line, column;
	enum lexer_state state;
	bool is_line_start;	/* text begins at the start of a line */
	size_t tag;		/* where the tag is that begins next */
	unsigned n_brackets;
	char brackets[BRACKETS_MAX];
	const char *fault;
};

void lexer_init(struct lexer *lexer, const char *source, size_t n_bytes);
void lexer_next(struct lexer *lexer, struct token *token_out);
bool token_is(const struct token *token, enum token_kind kind, const char *text);

#endif
