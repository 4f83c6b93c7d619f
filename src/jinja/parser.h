/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_PARSER_H
#define STAGECOACH_JINJA_PARSER_H
/*
 * parser - makes the tree of a template. The grammar and its oddities are jinja2's: a filter binds
 * tighter than a sign, `is` takes one argument without brackets, powers associate to the left.
 * The first failure is kept. After it there are only tokens of the kind TOKEN_FAULT, which no rule
 * accepts, so that all loops end; nodes may then be NULL or incomplete.
 */
#include "jinja/ast.h"
#include "jinja/jinja.h"
#include "jinja/lexer.h"

struct parser {
	struct lexer lexer;
	char *source;		/* what the lexer reads */
	struct token token;	/* current */
	struct token look;	/* the one behind it, if has_look */
	bool has_look;
	struct jinja_template *tmpl;
	unsigned depth;
	unsigned n_loops;	/* around the current statement, inside of the same function */
	unsigned n_mentions[N_KNOWN_NAMES];	/* of the names with a meaning */
	enum sc_status status;
	struct error *err;
};

/* --- tokens --- */

void parser_next(struct parser *p);
const struct token *parser_look(struct parser *p);
static inline bool parser_at(const struct parser *p, enum token_kind kind, const char *text)
{
	return token_is(&p->token, kind, text);
}

/* Passes by the token if it is that one. */
bool parser_skip(struct parser *p, enum token_kind kind, const char *text);
static inline bool skip_operator(struct parser *p, const char *text)
{
	return parser_skip(p, TOKEN_OPERATOR, text);
}

static inline bool at_operator(const struct parser *p, const char *text)
{
	return parser_at(p, TOKEN_OPERATOR, text);
}

static inline bool at_name(const struct parser *p, const char *text)
{
	return parser_at(p, TOKEN_NAME, text);
}

void parser_expect(struct parser *p, enum token_kind kind, const char *text);
/* kind: one whose text does not matter; what: its name for the error. */
void parser_expect_kind(struct parser *p, enum token_kind kind, const char *what);
void parser_fail(struct parser *p, const struct token *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Fails: the current token is not what the grammar expects. */
void parser_fail_unexpected(struct parser *p, const char *expected);
enum { TOKEN_SHOWN_MAX = 40 };	/* bytes of a token that an error shows */
/* Bounds rules that contain themselves. */
bool parser_enter(struct parser *p);
static inline void parser_leave(struct parser *p)
{
	p->depth--;
}

/* --- nodes --- */

struct node *parser_node(struct parser *p, enum node_kind kind, const struct token *at);
struct node *parser_join(struct parser *p, enum node_kind kind, const struct token *at,
			 struct node *left, struct node *right);
/* Appends node to parent's children; tail: where the last one hangs, at first &parent->children. */
void parser_add_child(struct node *parent, struct node ***tail, struct node *node);
/* A string of the template. */
struct value parser_string(struct parser *p, const char *bytes, size_t n_bytes);
/* Number of a variable's name. */
uint32_t parser_name(struct parser *p, const struct token *token);
/* Current token, a name, as a value; passes by it. */
struct value parser_take_name(struct parser *p);

/* --- rules --- */

struct node *parse_expression(struct parser *p);
/* Without `a if b else c` at its top. */
struct node *parse_expression_plain(struct parser *p);
/* Expressions with commas between them. has_condition: each is parse_expression. */
struct node *parse_tuple(struct parser *p, bool has_condition);
/* With postfixes and filters. */
struct node *parse_unary(struct parser *p);
/* |name(...)|...; value may be NULL. is_inline: the first | is left out. */
struct node *parse_filters(struct parser *p, struct node *value, bool is_inline);
struct node *parse_constant(struct parser *p);
/* Statements up to {% NAME, where ends has NAME; the current token is then that name. ends: names
 * with spaces between; "": up to the end of the template. */
struct node *parse_statements(struct parser *p, const char *ends);

#endif
