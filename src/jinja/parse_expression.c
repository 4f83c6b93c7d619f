/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators, from those that bind tightest to those that bind least.
 */
#include "jinja/parser.h"

static struct node *arithmetic(struct parser *p, const struct token *at, enum operator operator,
			       struct node *left, struct node *right)
{
	struct node *node = parser_join(p, NODE_ARITHMETIC, at, left, right);

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
			compare = parser_join(p, NODE_COMPARE, &at, first, NULL);
			tail = &compare->children;
		}
		operand = parser_join(p, NODE_OPERAND, &at, parse_sum(p), NULL);
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
	return parser_join(p, NODE_NOT, &at, node, NULL);
}

static struct node *parse_and(struct parser *p)
{
	struct node *left = parse_not(p);

	for (;;) {
		const struct token at = p->token;

		if (!parser_skip(p, TOKEN_NAME, "and"))
			return left;
		left = parser_join(p, NODE_AND, &at, left, parse_not(p));
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
		left = parser_join(p, NODE_OR, &at, left, parse_and(p));
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
		node = parser_join(p, NODE_CONDITION, &at, node, NULL);
		node->third = parse_expression_plain(p);
		if (!parser_skip(p, TOKEN_NAME, "else"))
			continue;
		if (parser_enter(p))
			node->right = parse_expression(p);
		parser_leave(p);
	}
}
