/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/parser.h"

#include "base/utf8.h"
#include "jinja/codepoint.h"
#include "jinja/functions.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SOURCE_MAX = 1 << 20,
	DEPTH_MAX = 150,
	ARENA_MAX = 512 << 20,	/* more than SOURCE_MAX can need */
};

/* --- failures --- */

static void fail_status(struct parser *p, enum sc_status status, const struct token *at,
			const char *text)
{
	if (p->status)
		return;
	p->status = error_set(p->err, status, "line %u, column %u: %s", at->line, at->column, text);
	p->token.kind = TOKEN_FAULT;
	p->has_look = false;
	p->lexer.at = p->lexer.n_bytes;
	p->lexer.state = LEX_TEXT;
	p->lexer.fault = "";
}

void parser_fail(struct parser *p, const struct token *at, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fail_status(p, SC_E_FORMAT, at, text);
}

static void describe(const struct token *token, char text[], size_t n)
{
	const int shown = codepoint_fit(token->text, token->n_bytes, TOKEN_SHOWN_MAX);

	if (token->kind == TOKEN_END)
		snprintf(text, n, "the end of the template");
	else if (token->kind == TOKEN_DATA)
		snprintf(text, n, "text");
	else if (token->kind == TOKEN_BLOCK_END || token->kind == TOKEN_VARIABLE_END)
		snprintf(text, n, "the end of the tag");
	else
		snprintf(text, n, "'%.*s'", shown, token->text);
}

void parser_fail_unexpected(struct parser *p, const char *expected)
{
	char found[64];

	describe(&p->token, found, sizeof found);
	parser_fail(p, &p->token, "expected %s, found %s", expected, found);
}

bool parser_enter(struct parser *p)
{
	p->depth++;
	if (p->depth > DEPTH_MAX && !p->status) {
		char text[64];

		snprintf(text, sizeof text, "nested more than %d levels deep", DEPTH_MAX);
		fail_status(p, SC_E_TOO_LARGE, &p->token, text);
	}
	return !p->status;
}

/* --- tokens --- */

static void read_token(struct parser *p, struct token *token)
{
	lexer_next(&p->lexer, token);
	if (token->kind == TOKEN_FAULT)
		fail_status(p, SC_E_FORMAT, token, p->lexer.fault);
}

void parser_next(struct parser *p)
{
	if (p->has_look)
		p->token = p->look;
	else
		read_token(p, &p->token);
	p->has_look = false;
	if (p->status)
		p->token.kind = TOKEN_FAULT;
}

const struct token *parser_look(struct parser *p)
{
	if (!p->has_look) {
		read_token(p, &p->look);
		p->has_look = true;
	}
	return &p->look;
}

bool parser_skip(struct parser *p, enum token_kind kind, const char *text)
{
	if (!parser_at(p, kind, text))
		return false;
	parser_next(p);
	return true;
}

void parser_expect(struct parser *p, enum token_kind kind, const char *text)
{
	char expected[32];

	if (parser_skip(p, kind, text))
		return;
	snprintf(expected, sizeof expected, "'%s'", text);
	parser_fail_unexpected(p, expected);
}

void parser_expect_kind(struct parser *p, enum token_kind kind, const char *what)
{
	if (p->token.kind == kind)
		parser_next(p);
	else
		parser_fail_unexpected(p, what);
}

/* --- nodes --- */

static void *alloc(struct parser *p, size_t n_bytes)
{
	void *memory = p->status ? NULL : arena_alloc(&p->tmpl->arena, n_bytes);

	if (!memory)
		fail_status(p, SC_E_NOMEM, &p->token, "no memory for the template");
	return memory;
}

/* What nodes are made of after a failure: nobody reads it. */
static _Thread_local struct node spare;

struct node *parser_node(struct parser *p, enum node_kind kind, const struct token *at)
{
	struct node *node = alloc(p, sizeof *node);

	if (!node) {
		spare = (struct node){ .kind = NODE_CONSTANT };
		return &spare;
	}
	node->kind = (uint8_t)kind;
	node->line = at->line;
	node->column = at->column;
	return node;
}

struct node *parser_join(struct parser *p, enum node_kind kind, const struct token *at,
			 struct node *left, struct node *right)
{
	struct node *node = parser_node(p, kind, at);

	node->left = left;
	node->right = right;
	return node;
}

void parser_add_child(struct node *parent, struct node ***tail, struct node *node)
{
	if (node == &spare || parent == &spare)
		return;
	**tail = node;
	*tail = &node->next;
	parent->n_children++;
}

struct value parser_string(struct parser *p, const char *bytes, size_t n_bytes)
{
	struct str *str = alloc(p, sizeof *str);

	if (!str)
		return NONE;
	*str = (struct str){ .bytes = bytes, .n_bytes = n_bytes, .is_own = true,
			     .n_chars = codepoint_count(bytes, n_bytes) };
	return value_string(str);
}

static uint32_t name_number(struct parser *p, const char *bytes, size_t n_bytes)
{
	const struct str str = { .bytes = bytes, .n_bytes = n_bytes };
	struct dict *names = &p->tmpl->names;
	struct dict_entry *entry = dict_find(names, value_string(&str));
	struct value key;

	if (entry)
		return (uint32_t)entry->value.integer;
	key = parser_string(p, bytes, n_bytes);
	if (!p->status && !dict_put(names, &p->tmpl->arena, key, value_int((int64_t)names->n)))
		fail_status(p, SC_E_NOMEM, &p->token, "no memory for the template");
	return (uint32_t)names->n - 1;
}

uint32_t parser_name(struct parser *p, const struct token *token)
{
	uint32_t name = p->status ? 0 : name_number(p, token->text, token->n_bytes);

	if (name < N_KNOWN_NAMES)
		p->n_mentions[name]++;
	return name;
}

struct value parser_take_name(struct parser *p)
{
	struct token token = p->token;

	parser_expect_kind(p, TOKEN_NAME, "a name");
	return parser_string(p, token.text, token.n_bytes);
}

/* --- templates --- */

static void add_known_names(struct parser *p)
{
	static const char *const names[N_KNOWN_NAMES] = {
		[NAME_LOOP] = "loop", [NAME_CALLER] = "caller", [NAME_VARARGS] = "varargs",
		[NAME_KWARGS] = "kwargs",
	};

	for (unsigned i = 0; i < N_KNOWN_NAMES; i++)
		name_number(p, names[i], strlen(names[i]));
}

/* As jinja2: all line ends become \n, and the last one is dropped. */
static size_t copy_source(char *to, const char *source, size_t n_bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < n_bytes; i++) {
		if (source[i] == '\r' && i + 1 < n_bytes && source[i + 1] == '\n')
			continue;
		to[n++] = source[i] == '\r' ? '\n' : source[i];
	}
	return n && to[n - 1] == '\n' ? n - 1 : n;
}

static void find_globals(struct parser *p)
{
	struct jinja_template *tmpl = p->tmpl;

	tmpl->n_names = (uint32_t)tmpl->names.n;
	tmpl->globals = alloc(p, tmpl->n_names * sizeof *tmpl->globals);
	for (uint32_t i = 0; !p->status && i < tmpl->n_names; i++)
		tmpl->globals[i] = global_find(tmpl->names.entries[i].key.string);
}

static void parse(struct parser *p, const char *source, size_t n_bytes)
{
	char *copy = alloc(p, n_bytes + 1);

	if (!copy)
		return;
	p->source = copy;
	lexer_init(&p->lexer, copy, copy_source(copy, source, n_bytes));
	add_known_names(p);
	parser_next(p);
	p->tmpl->body = parse_statements(p, "");
	find_globals(p);
}

enum sc_status jinja_parse(const char *source, size_t n_bytes,
			   struct jinja_template **template_out, struct error *err)
{
	struct parser p = { .err = err, .token = { .line = 1, .column = 1 } };

	if (n_bytes > SOURCE_MAX)
		return error_set(err, SC_E_TOO_LARGE, "the template has %zu bytes; at most %d are "
				 "allowed", n_bytes, SOURCE_MAX);
	if (utf8_valid_length(source, n_bytes) != n_bytes)
		return error_set(err, SC_E_FORMAT, "the template is not valid UTF-8");
	p.tmpl = calloc(1, sizeof *p.tmpl);
	if (!p.tmpl)
		return error_set(err, SC_E_NOMEM, "no memory for the template");
	arena_init(&p.tmpl->arena, ARENA_MAX);
	parse(&p, source, n_bytes);
	if (p.status) {
		jinja_destroy(p.tmpl);
		return p.status;
	}
	*template_out = p.tmpl;
	return SC_OK;
}

void jinja_destroy(struct jinja_template *tmpl)
{
	if (!tmpl)
		return;
	arena_deinit(&tmpl->arena);
	free(tmpl);
}
