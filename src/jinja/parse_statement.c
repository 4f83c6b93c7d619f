/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/codepoint.h"
#include "jinja/parser.h"

#include <string.h>

/* Whether the current token is one of the names in `ends`. */
static bool at_end_name(const struct parser *p, const char *ends)
{
	while (*ends) {
		size_t n = strcspn(ends, " ");

		if (p->token.kind == TOKEN_NAME && p->token.n_bytes == n &&
		    !memcmp(p->token.text, ends, n))
			return true;
		ends += n + (ends[n] == ' ');
	}
	return false;
}

static void expect_block_end(struct parser *p)
{
	parser_expect_kind(p, TOKEN_BLOCK_END, "the end of the tag");
}

/* The rest of a tag, and the statements behind it, up to one of ends. */
static struct node *parse_body(struct parser *p, const char *ends)
{
	parser_skip(p, TOKEN_OPERATOR, ":");
	expect_block_end(p);
	return parse_statements(p, ends);
}

/* As parse_body, for statements that have a single end, and pass by it. Loops around them cannot be
 * left from inside if they become a function. */
static struct node *parse_function_body(struct parser *p, const char *end)
{
	unsigned n_loops = p->n_loops;
	struct node *body;

	p->n_loops = 0;
	body = parse_body(p, end);
	p->n_loops = n_loops;
	parser_next(p);
	return body;
}

static struct node *parse_plain_body(struct parser *p, const char *end)
{
	struct node *body = parse_body(p, end);

	parser_next(p);
	return body;
}

/* --- targets of assignments --- */

static struct node *parse_target(struct parser *p);

static struct node *parse_single_target(struct parser *p)
{
	static const char constants[] = "true false none True False None";
	struct node *node;

	if (parser_skip(p, TOKEN_OPERATOR, "(")) {
		node = parse_target(p);
		parser_expect(p, TOKEN_OPERATOR, ")");
		return node;
	}
	if (at_end_name(p, constants))
		parser_fail(p, &p->token, "a constant cannot be assigned to");
	node = parser_node(p, NODE_NAME, &p->token);
	if (p->token.kind == TOKEN_NAME)
		node->name = parser_name(p, &p->token);
	parser_expect_kind(p, TOKEN_NAME, "a name to assign to");
	if (parser_skip(p, TOKEN_OPERATOR, ".")) {
		node->kind = NODE_NAMESPACE_TARGET;
		node->text = parser_take_name(p);
	}
	return node;
}

static bool at_target_end(const struct parser *p)
{
	return p->token.kind == TOKEN_BLOCK_END || parser_at(p, TOKEN_NAME, "in") ||
	       parser_at(p, TOKEN_OPERATOR, "=") || parser_at(p, TOKEN_OPERATOR, ")");
}

/* a, or a, b, or (a, b), c */
static struct node *parse_target(struct parser *p)
{
	const struct token at = p->token;
	struct node *first, *tuple, **tail;

	if (!parser_enter(p)) {
		parser_leave(p);
		return parser_node(p, NODE_NAME, &at);
	}
	first = parse_single_target(p);
	if (parser_at(p, TOKEN_OPERATOR, ",")) {
		tuple = parser_node(p, NODE_TUPLE, &at);
		tail = &tuple->children;
		parser_add_child(tuple, &tail, first);
		while (parser_skip(p, TOKEN_OPERATOR, ",") && !at_target_end(p))
			parser_add_child(tuple, &tail, parse_single_target(p));
		first = tuple;
	}
	parser_leave(p);
	return first;
}

/* --- statements: the current token is the one behind the name of the tag --- */

static void parse_if(struct parser *p, struct node *node)
{
	for (;;) {
		struct token at;

		node->left = parse_tuple(p, false);
		node->body = parse_body(p, "elif else endif");
		at = p->token;
		if (!parser_skip(p, TOKEN_NAME, "elif"))
			break;
		node->otherwise = parser_node(p, NODE_IF, &at);
		node = node->otherwise;
	}
	if (parser_skip(p, TOKEN_NAME, "else"))
		node->otherwise = parse_body(p, "endif");
	parser_next(p);
}

static void parse_for(struct parser *p, struct node *node)
{
	unsigned n_mentions;

	node->left = parse_target(p);
	parser_expect(p, TOKEN_NAME, "in");
	node->right = parse_tuple(p, false);
	if (parser_skip(p, TOKEN_NAME, "if"))
		node->third = parse_expression(p);
	if (parser_skip(p, TOKEN_NAME, "recursive"))
		node->flags |= FLAG_RECURSIVE | FLAG_LOOP;
	n_mentions = p->n_mentions[NAME_LOOP];
	p->n_loops++;
	node->body = parse_body(p, "endfor else");
	p->n_loops--;
	if (p->n_mentions[NAME_LOOP] != n_mentions)
		node->flags |= FLAG_LOOP;
	if (parser_skip(p, TOKEN_NAME, "else"))
		node->otherwise = parse_body(p, "endfor");
	parser_next(p);
}

static void parse_set(struct parser *p, struct node *node)
{
	node->left = parse_target(p);
	if (parser_skip(p, TOKEN_OPERATOR, "=")) {
		node->right = parse_tuple(p, true);
		return;
	}
	node->kind = NODE_SET_BLOCK;
	node->right = parse_filters(p, NULL, false);
	node->body = parse_plain_body(p, "endset");
}

static void parse_with(struct parser *p, struct node *node)
{
	struct node **tail = &node->children;

	while (p->token.kind != TOKEN_BLOCK_END && !p->status) {
		struct node *set = parser_node(p, NODE_SET, &p->token);

		if (node->n_children)
			parser_expect(p, TOKEN_OPERATOR, ",");
		set->left = parse_target(p);
		parser_expect(p, TOKEN_OPERATOR, "=");
		set->right = parse_expression(p);
		parser_add_child(node, &tail, set);
	}
	node->body = parse_plain_body(p, "endwith");
}

/* (a, b=1): adds parameters to macro. */
static void parse_parameters(struct parser *p, struct node *macro)
{
	struct node **tail = &macro->children;
	bool has_default = false;

	parser_expect(p, TOKEN_OPERATOR, "(");
	while (!parser_skip(p, TOKEN_OPERATOR, ")") && !p->status) {
		struct node *parameter;

		if (macro->n_children) {
			parser_expect(p, TOKEN_OPERATOR, ",");
			if (parser_skip(p, TOKEN_OPERATOR, ")"))
				break;
		}
		parameter = parser_node(p, NODE_PARAMETER, &p->token);
		parameter->name = parser_name(p, &p->token);
		parameter->text = parser_take_name(p);
		if (parser_skip(p, TOKEN_OPERATOR, "="))
			parameter->left = parse_expression(p);
		else if (has_default)
			parser_fail(p, &p->token, "a parameter without a default behind one with a "
				    "default");
		has_default |= parameter->left != NULL;
		parser_add_child(macro, &tail, parameter);
	}
}

/* The body of a macro, up to end. */
static void parse_macro_body(struct parser *p, struct node *macro, const char *end)
{
	unsigned before[N_KNOWN_NAMES];

	memcpy(before, p->n_mentions, sizeof before);
	macro->body = parse_function_body(p, end);
	if (p->n_mentions[NAME_CALLER] != before[NAME_CALLER])
		macro->flags |= FLAG_CALLER;
	if (p->n_mentions[NAME_VARARGS] != before[NAME_VARARGS])
		macro->flags |= FLAG_VARARGS;
	if (p->n_mentions[NAME_KWARGS] != before[NAME_KWARGS])
		macro->flags |= FLAG_KWARGS;
}

static void parse_macro(struct parser *p, struct node *node)
{
	node->name = parser_name(p, &p->token);
	node->text = parser_take_name(p);
	parse_parameters(p, node);
	parse_macro_body(p, node, "endmacro");
}

static void parse_call_block(struct parser *p, struct node *node)
{
	struct node *caller = parser_node(p, NODE_MACRO, &p->token);

	caller->text = parser_string(p, "caller", strlen("caller"));
	if (parser_at(p, TOKEN_OPERATOR, "("))
		parse_parameters(p, caller);
	node->left = parse_expression(p);
	if (node->left->kind != NODE_CALL)
		parser_fail(p, &p->token, "expected a call");
	parse_macro_body(p, caller, "endcall");
	node->right = caller;
}

static void parse_filter_block(struct parser *p, struct node *node)
{
	node->right = parse_filters(p, NULL, true);
	node->body = parse_plain_body(p, "endfilter");
}

static void parse_generation(struct parser *p, struct node *node)
{
	node->body = parse_function_body(p, "endgeneration");
}

static void parse_block(struct parser *p, struct node *node)
{
	parser_expect_kind(p, TOKEN_NAME, "a name");
	while (parser_skip(p, TOKEN_NAME, "scoped") || parser_skip(p, TOKEN_NAME, "required"))
		;
	node->body = parse_body(p, "endblock");
	parser_next(p);
	if (p->token.kind == TOKEN_NAME)
		parser_next(p);
}

static void parse_autoescape(struct parser *p, struct node *node)
{
	const struct token at = p->token;
	struct node *is_on = parse_expression(p);

	if (is_on->kind != NODE_CONSTANT || value_is_true(is_on->constant))
		parser_fail(p, &at, "autoescape can only be false");
	node->body = parse_plain_body(p, "endautoescape");
}

static void parse_print(struct parser *p, struct node *node)
{
	struct node **tail = &node->children;

	while (p->token.kind != TOKEN_BLOCK_END && !p->status) {
		if (node->n_children)
			parser_expect(p, TOKEN_OPERATOR, ",");
		parser_add_child(node, &tail, parse_expression(p));
	}
}

static void parse_do(struct parser *p, struct node *node)
{
	node->left = parse_tuple(p, true);
}

static void parse_loop_control(struct parser *p, struct node *node)
{
	if (!p->n_loops)
		parser_fail(p, &p->token, "%s stands outside of a loop",
			    node->kind == NODE_BREAK ? "break" : "continue");
}

static const struct statement {
	const char *name;
	enum node_kind kind;
	void (*parse)(struct parser *p, struct node *node);
} statements[] = {
	{ "if", NODE_IF, parse_if },
	{ "for", NODE_FOR, parse_for },
	{ "set", NODE_SET, parse_set },
	{ "with", NODE_WITH, parse_with },
	{ "macro", NODE_MACRO, parse_macro },
	{ "call", NODE_CALL_BLOCK, parse_call_block },
	{ "filter", NODE_FILTER_BLOCK, parse_filter_block },
	{ "generation", NODE_SCOPE, parse_generation },
	{ "block", NODE_SCOPE, parse_block },
	{ "autoescape", NODE_SCOPE, parse_autoescape },
	{ "print", NODE_OUTPUT, parse_print },
	{ "do", NODE_DO, parse_do },
	{ "break", NODE_BREAK, parse_loop_control },
	{ "continue", NODE_CONTINUE, parse_loop_control },
};

static void fail_unknown(struct parser *p, const char *ends)
{
	const int n = codepoint_fit(p->token.text, p->token.n_bytes, TOKEN_SHOWN_MAX);

	if (at_end_name(p, "include import from extends"))
		parser_fail(p, &p->token, "the tag '%.*s' needs another template; chat templates "
			    "have none", n, p->token.text);
	else if (p->token.kind != TOKEN_NAME)
		parser_fail_unexpected(p, "the name of a tag");
	else if (*ends)
		parser_fail(p, &p->token, "unknown tag '%.*s'; one of these can stand here, too: "
			    "%s", n, p->token.text, ends);
	else
		parser_fail(p, &p->token, "unknown tag '%.*s'", n, p->token.text);
}

/* The current token is the name of the tag. */
static struct node *parse_statement(struct parser *p, const char *ends)
{
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
		struct node *node;

		if (!parser_at(p, TOKEN_NAME, statements[i].name))
			continue;
		node = parser_node(p, statements[i].kind, &p->token);
		parser_next(p);
		if (parser_enter(p))
			statements[i].parse(p, node);
		parser_leave(p);
		return node;
	}
	fail_unknown(p, ends);
	return NULL;
}

static struct node *parse_output(struct parser *p)
{
	struct node *output = parser_node(p, NODE_OUTPUT, &p->token);
	struct node **tail = &output->children;

	parser_next(p);
	parser_add_child(output, &tail, parse_tuple(p, true));
	parser_expect_kind(p, TOKEN_VARIABLE_END, "the end of the expression");
	return output;
}

static struct node *parse_data(struct parser *p)
{
	struct node *data = parser_node(p, NODE_TEXT, &p->token);

	data->text = parser_string(p, p->token.text, p->token.n_bytes);
	parser_next(p);
	return data;
}

struct node *parse_statements(struct parser *p, const char *ends)
{
	struct node *first = NULL, **tail = &first;

	while (p->token.kind != TOKEN_END && !p->status) {
		struct node *node;

		if (p->token.kind == TOKEN_DATA) {
			node = parse_data(p);
		} else if (p->token.kind == TOKEN_VARIABLE_BEGIN) {
			node = parse_output(p);
		} else {
			parser_next(p);
			if (at_end_name(p, ends))
				return first;
			node = parse_statement(p, ends);
			expect_block_end(p);
		}
		if (p->status)
			return NULL;
		*tail = node;
		tail = &node->next;
	}
	if (*ends && !p->status)
		parser_fail(p, &p->token, "the template ends where it needs one of these: %s",
			    ends);
	return first;
}
