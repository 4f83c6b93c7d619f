/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/functions.h"
#include "jinja/parser.h"

static bool skip_operator(struct parser *p, const char *text)
{
	return parser_skip(p, TOKEN_OPERATOR, text);
}

static bool at_operator(const struct parser *p, const char *text)
{
	return parser_at(p, TOKEN_OPERATOR, text);
}

static bool at_name(const struct parser *p, const char *text)
{
	return parser_at(p, TOKEN_NAME, text);
}

static struct node *join(struct parser *p, enum node_kind kind, const struct token *at,
			 struct node *left, struct node *right)
{
	struct node *node = parser_node(p, kind, at);

	node->left = left;
	node->right = right;
	return node;
}

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
		parser_add_child(dict, &tail, join(p, NODE_PAIR, &at, key, parse_expression(p)));
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
		return join(p, NODE_SPREAD, &at, parse_expression(p), NULL);
	if (skip_operator(p, "**"))
		return join(p, NODE_SPREAD_NAMED, &at, parse_expression(p), NULL);
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
	struct node *call = join(p, NODE_CALL, &p->token, callee, NULL);

	parse_arguments(p, call);
	return call;
}

static struct node *parse_dot(struct parser *p, struct node *object)
{
	struct node *node;

	parser_next(p);
	if (p->token.kind == TOKEN_INTEGER)
		return join(p, NODE_ITEM, &p->token, object, parse_constant(p));
	node = join(p, NODE_ATTRIBUTE, &p->token, object, NULL);
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
	slice = join(p, NODE_SLICE, &at, first, NULL);
	parser_next(p);
	if (!at_operator(p, ":") && !at_operator(p, "]") && !at_operator(p, ","))
		slice->right = parse_expression(p);
	if (skip_operator(p, ":") && !at_operator(p, "]") && !at_operator(p, ","))
		slice->third = parse_expression(p);
	return slice;
}

static struct node *parse_subscript(struct parser *p, struct node *object)
{
	struct node *node = join(p, NODE_ITEM, &p->token, object, NULL), *tuple, **tail;

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
		filter = join(p, NODE_FILTER, &p->token, value, NULL);
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
	test = join(p, NODE_TEST, &p->token, value, NULL);
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
	return is_negated ? join(p, NODE_NOT, &at, test, NULL) : test;
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

/* --- operators --- */

static struct node *parse_signed(struct parser *p, bool has_filters)
{
	const struct token at = p->token;
	struct node *node;

	if (!parser_enter(p)) {
		parser_leave(p);
		return parser_node(p, NODE_CONSTANT, &at);
	}
	if (skip_operator(p, "-"))
		node = join(p, NODE_NEGATIVE, &at, parse_signed(p, false), NULL);
	else if (skip_operator(p, "+"))
		node = join(p, NODE_POSITIVE, &at, parse_signed(p, false), NULL);
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

static struct node *arithmetic(struct parser *p, const struct token *at, enum operator operator,
			       struct node *left, struct node *right)
{
	struct node *node = join(p, NODE_ARITHMETIC, at, left, right);

	node->operator = (uint8_t)operator;
	return node;
}

static struct node *parse_power(struct parser *p)
{
	struct node *left = parse_unary(p);

	for (;;) {
		const struct token at = p->token;

		if (!skip_operator(p, "**"))
			return left;
		left = arithmetic(p, &at, OPERATOR_POWER, left, parse_unary(p));
	}
}

static struct node *parse_product(struct parser *p)
{
	struct node *left = parse_power(p);

	for (;;) {
		const struct token at = p->token;
		enum operator operator;

		if (at_operator(p, "*"))
			operator = OPERATOR_MULTIPLY;
		else if (at_operator(p, "/"))
			operator = OPERATOR_DIVIDE;
		else if (at_operator(p, "//"))
			operator = OPERATOR_FLOOR_DIVIDE;
		else if (at_operator(p, "%"))
			operator = OPERATOR_MODULO;
		else
			return left;
		parser_next(p);
		left = arithmetic(p, &at, operator, left, parse_power(p));
	}
}

static struct node *parse_concat(struct parser *p)
{
	const struct token at = p->token;
	struct node *first = parse_product(p), *concat, **tail;

	if (!at_operator(p, "~"))
		return first;
	concat = parser_node(p, NODE_CONCAT, &at);
	tail = &concat->children;
	parser_add_child(concat, &tail, first);
	while (skip_operator(p, "~"))
		parser_add_child(concat, &tail, parse_product(p));
	return concat;
}

static struct node *parse_sum(struct parser *p)
{
	struct node *left = parse_concat(p);

	for (;;) {
		const struct token at = p->token;

		if (skip_operator(p, "+"))
			left = arithmetic(p, &at, OPERATOR_ADD, left, parse_concat(p));
		else if (skip_operator(p, "-"))
			left = arithmetic(p, &at, OPERATOR_SUBTRACT, left, parse_concat(p));
		else
			return left;
	}
}

/* The comparison that the current token is; passes by it. False: none. */
static bool take_comparison(struct parser *p, enum operator *operator_out)
{
	static const struct {
		const char *text;
		enum operator operator;
	} comparisons[] = {
		{ "==", OPERATOR_EQUAL }, { "!=", OPERATOR_NOT_EQUAL },
		{ "<=", OPERATOR_LESS_OR_EQUAL }, { "<", OPERATOR_LESS },
		{ ">=", OPERATOR_GREATER_OR_EQUAL }, { ">", OPERATOR_GREATER },
	};

	for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
		*operator_out = comparisons[i].operator;
		if (skip_operator(p, comparisons[i].text))
			return true;
	}
	*operator_out = OPERATOR_IN;
	if (parser_skip(p, TOKEN_NAME, "in"))
		return true;
	*operator_out = OPERATOR_NOT_IN;
	if (!at_name(p, "not") || !token_is(parser_look(p), TOKEN_NAME, "in"))
		return false;
	parser_next(p);
	parser_next(p);
	return true;
}

static struct node *parse_comparison(struct parser *p)
{
	struct node *first = parse_sum(p), *compare = NULL, **tail = NULL;

	for (;;) {
		const struct token at = p->token;
		struct node *operand;
		enum operator operator;

		if (!take_comparison(p, &operator))
			return compare ? compare : first;
		if (!compare) {
			compare = join(p, NODE_COMPARE, &at, first, NULL);
			tail = &compare->children;
		}
		operand = join(p, NODE_OPERAND, &at, parse_sum(p), NULL);
		operand->operator = (uint8_t)operator;
		parser_add_child(compare, &tail, operand);
	}
}

static struct node *parse_not(struct parser *p)
{
	const struct token at = p->token;
	struct node *node;

	if (!parser_skip(p, TOKEN_NAME, "not"))
		return parse_comparison(p);
	node = parser_enter(p) ? parse_not(p) : NULL;
	parser_leave(p);
	return join(p, NODE_NOT, &at, node, NULL);
}

static struct node *parse_and(struct parser *p)
{
	struct node *left = parse_not(p);

	for (;;) {
		const struct token at = p->token;

		if (!parser_skip(p, TOKEN_NAME, "and"))
			return left;
		left = join(p, NODE_AND, &at, left, parse_not(p));
	}
}

struct node *parse_expression_plain(struct parser *p)
{
	struct node *left = NULL;

	if (parser_enter(p))
		left = parse_and(p);
	for (;;) {
		const struct token at = p->token;

		if (!parser_skip(p, TOKEN_NAME, "or"))
			break;
		left = join(p, NODE_OR, &at, left, parse_and(p));
	}
	parser_leave(p);
	return left ? left : parser_node(p, NODE_CONSTANT, &p->token);
}

struct node *parse_expression(struct parser *p)
{
	struct node *node = parse_expression_plain(p);

	for (;;) {
		const struct token at = p->token;

		if (!parser_skip(p, TOKEN_NAME, "if"))
			return node;
		node = join(p, NODE_CONDITION, &at, node, NULL);
		node->third = parse_expression_plain(p);
		if (!parser_skip(p, TOKEN_NAME, "else"))
			continue;
		if (parser_enter(p))
			node->right = parse_expression(p);
		parser_leave(p);
	}
}
