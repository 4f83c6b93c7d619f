/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operands: names, brackets, what stands behind them, filters and tests.
 */
#include "jinja/functions.h"
#include "jinja/parser.h"

/* --- brackets --- */

static bool at_tuple_end(const struct parser *p)
{
	return p->token.kind == TOKEN_VARIABLE_END || p->token.kind == TOKEN_BLOCK_END ||
	       at_operator(p, ")") || at_name(p, "recursive");
}

struct node *parse_tuple(struct parser *p, bool has_condition)
{
	const struct token at = p->token;
	struct node *first, *tuple, **tail;

	first = has_condition ? parse_expression(p) : parse_expression_plain(p);
	if (!at_operator(p, ","))
		return first;
	tuple = parser_node(p, NODE_TUPLE, &at);
	tail = &tuple->children;
	parser_add_child(tuple, &tail, first);
	while (skip_operator(p, ",") && !at_tuple_end(p))
		parser_add_child(tuple, &tail, has_condition ? parse_expression(p) :
							       parse_expression_plain(p));
	return tuple;
}

static struct node *parse_parentheses(struct parser *p)
{
	const struct token at = p->token;
	struct node *node;

	parser_next(p);
	if (skip_operator(p, ")"))
		return parser_node(p, NODE_TUPLE, &at);
	node = parse_tuple(p, true);
	parser_expect(p, TOKEN_OPERATOR, ")");
	return node;
}

static struct node *parse_list(struct parser *p)
{
	struct node *list = parser_node(p, NODE_LIST, &p->token);
	struct node **tail = &list->children;

	parser_next(p);
	while (!skip_operator(p, "]") && !p->status) {
		if (list->n_children) {
			parser_expect(p, TOKEN_OPERATOR, ",");
			if (skip_operator(p, "]"))
				break;
		}
		parser_add_child(list, &tail, parse_expression(p));
	}
	return list;
}

static struct node *parse_dict(struct parser *p)
{
	struct node *dict = parser_node(p, NODE_DICT, &p->token);
	struct node **tail = &dict->children;

	parser_next(p);
	while (!skip_operator(p, "}") && !p->status) {
		const struct token at = p->token;
		struct node *key;

		if (dict->n_children) {
			parser_expect(p, TOKEN_OPERATOR, ",");
			if (skip_operator(p, "}"))
				break;
		}
		key = parse_expression(p);
		parser_expect(p, TOKEN_OPERATOR, ":");
		key = parser_join(p, NODE_PAIR, &at, key, parse_expression(p));
		parser_add_child(dict, &tail, key);
	}
	return dict;
}

static struct node *parse_primary(struct parser *p)
{
	struct node *node;

	if (at_operator(p, "("))
		return parse_parentheses(p);
	if (at_operator(p, "["))
		return parse_list(p);
	if (at_operator(p, "{"))
		return parse_dict(p);
	if (p->token.kind != TOKEN_NAME)
		return parse_constant(p);
	if (at_name(p, "true") || at_name(p, "True") || at_name(p, "false") ||
	    at_name(p, "False") || at_name(p, "none") || at_name(p, "None"))
		return parse_constant(p);
	node = parser_node(p, NODE_NAME, &p->token);
	node->name = parser_name(p, &p->token);
	parser_next(p);
	return node;
}

/* --- postfixes --- */

static struct node *parse_argument(struct parser *p)
{
	const struct token at = p->token;
	struct node *node;

	if (skip_operator(p, "*"))
		return parser_join(p, NODE_SPREAD, &at, parse_expression(p), NULL);
	if (skip_operator(p, "**"))
		return parser_join(p, NODE_SPREAD_NAMED, &at, parse_expression(p), NULL);
	if (p->token.kind != TOKEN_NAME || !token_is(parser_look(p), TOKEN_OPERATOR, "="))
		return parse_expression(p);
	node = parser_node(p, NODE_KEYWORD, &at);
	node->text = parser_take_name(p);
	parser_next(p);
	node->left = parse_expression(p);
	return node;
}

/* (a, b=c, *d, **e): adds them to node's children. */
static void parse_arguments(struct parser *p, struct node *node)
{
	struct node **tail = &node->children;
	bool has_named = false;

	parser_expect(p, TOKEN_OPERATOR, "(");
	while (!skip_operator(p, ")") && !p->status) {
		const struct token at = p->token;
		struct node *argument;
		bool is_named;

		if (node->n_children) {
			parser_expect(p, TOKEN_OPERATOR, ",");
			if (skip_operator(p, ")"))
				break;
		}
		argument = parse_argument(p);
		is_named = argument->kind == NODE_KEYWORD || argument->kind == NODE_SPREAD_NAMED ||
			   argument->kind == NODE_SPREAD;
		if (has_named && !is_named)
			parser_fail(p, &at, "an argument without a name behind one with a name");
		has_named |= is_named;
		parser_add_child(node, &tail, argument);
	}
}

static struct node *parse_call(struct parser *p, struct node *callee)
{
	struct node *call = parser_join(p, NODE_CALL, &p->token, callee, NULL);

	parse_arguments(p, call);
	return call;
}

static struct node *parse_dot(struct parser *p, struct node *object)
{
	struct node *node;

	parser_next(p);
	if (p->token.kind == TOKEN_INTEGER)
		return parser_join(p, NODE_ITEM, &p->token, object, parse_constant(p));
	node = parser_join(p, NODE_ATTRIBUTE, &p->token, object, NULL);
	node->text = parser_take_name(p);
	return node;
}

/* Inside of [ ]. */
static struct node *parse_index(struct parser *p)
{
	const struct token at = p->token;
	struct node *first = NULL, *slice;

	if (!at_operator(p, ":")) {
		first = parse_expression(p);
		if (!at_operator(p, ":"))
			return first;
	}
	slice = parser_join(p, NODE_SLICE, &at, first, NULL);
	parser_next(p);
	if (!at_operator(p, ":") && !at_operator(p, "]") && !at_operator(p, ","))
		slice->right = parse_expression(p);
	if (skip_operator(p, ":") && !at_operator(p, "]") && !at_operator(p, ","))
		slice->third = parse_expression(p);
	return slice;
}

static struct node *parse_subscript(struct parser *p, struct node *object)
{
	struct node *node = parser_join(p, NODE_ITEM, &p->token, object, NULL), *tuple, **tail;

	parser_next(p);
	node->right = parse_index(p);
	if (at_operator(p, ",")) {
		tuple = parser_node(p, NODE_TUPLE, &p->token);
		tail = &tuple->children;
		parser_add_child(tuple, &tail, node->right);
		while (skip_operator(p, ",") && !at_operator(p, "]"))
			parser_add_child(tuple, &tail, parse_index(p));
		node->right = tuple;
	}
	parser_expect(p, TOKEN_OPERATOR, "]");
	return node;
}

static struct node *parse_postfixes(struct parser *p, struct node *node)
{
	for (;;) {
		if (at_operator(p, "."))
			node = parse_dot(p, node);
		else if (at_operator(p, "["))
			node = parse_subscript(p, node);
		else if (at_operator(p, "("))
			node = parse_call(p, node);
		else
			return node;
	}
}

/* --- filters and tests --- */

/* a.b.c */
static struct value parse_dotted_name(struct parser *p)
{
	const struct token first = p->token;
	struct token last = first;

	parser_expect_kind(p, TOKEN_NAME, "a name");
	while (skip_operator(p, ".")) {
		last = p->token;
		parser_expect_kind(p, TOKEN_NAME, "a name");
	}
	if (p->status)
		return NONE;
	return parser_string(p, first.text, (size_t)(last.text - first.text) + last.n_bytes);
}

struct node *parse_filters(struct parser *p, struct node *value, bool is_inline)
{
	while (is_inline || at_operator(p, "|")) {
		struct node *filter;

		if (!is_inline)
			parser_next(p);
		is_inline = false;
		filter = parser_join(p, NODE_FILTER, &p->token, value, NULL);
		filter->text = parse_dotted_name(p);
		if (!p->status)
			filter->function = filter_find(filter->text.string);
		if (at_operator(p, "("))
			parse_arguments(p, filter);
		value = filter;
	}
	return value;
}

static bool at_test_argument(const struct parser *p)
{
	switch (p->token.kind) {
	case TOKEN_NAME:
		return !at_name(p, "else") && !at_name(p, "or") && !at_name(p, "and");
	case TOKEN_STRING:
	case TOKEN_INTEGER:
	case TOKEN_FLOAT:
		return true;
	default:
		return at_operator(p, "[") || at_operator(p, "{");
	}
}

static struct node *parse_test(struct parser *p, struct node *value)
{
	const struct token at = p->token;
	struct node *test, **tail;
	bool is_negated;

	parser_next(p);
	is_negated = parser_skip(p, TOKEN_NAME, "not");
	test = parser_join(p, NODE_TEST, &p->token, value, NULL);
	test->text = parse_dotted_name(p);
	if (!p->status)
		test->function = test_find(test->text.string);
	tail = &test->children;
	if (at_operator(p, "(")) {
		parse_arguments(p, test);
	} else if (at_name(p, "is")) {
		parser_fail(p, &p->token, "tests cannot be chained with is");
	} else if (at_test_argument(p)) {
		parser_add_child(test, &tail, parse_postfixes(p, parse_primary(p)));
	}
	return is_negated ? parser_join(p, NODE_NOT, &at, test, NULL) : test;
}

static struct node *parse_filters_and_tests(struct parser *p, struct node *node)
{
	for (;;) {
		if (at_operator(p, "|"))
			node = parse_filters(p, node, false);
		else if (at_name(p, "is"))
			node = parse_test(p, node);
		else if (at_operator(p, "("))
			node = parse_call(p, node);
		else
			return node;
	}
}

/* --- signs --- */

static struct node *parse_signed(struct parser *p, bool has_filters)
{
	const struct token at = p->token;
	struct node *node;

	if (!parser_enter(p)) {
		parser_leave(p);
		return parser_node(p, NODE_CONSTANT, &at);
	}
	if (skip_operator(p, "-"))
		node = parser_join(p, NODE_NEGATIVE, &at, parse_signed(p, false), NULL);
	else if (skip_operator(p, "+"))
		node = parser_join(p, NODE_POSITIVE, &at, parse_signed(p, false), NULL);
	else
		node = parse_primary(p);
	node = parse_postfixes(p, node);
	if (has_filters)
		node = parse_filters_and_tests(p, node);
	parser_leave(p);
	return node;
}

struct node *parse_unary(struct parser *p)
{
	return parse_signed(p, true);
}
