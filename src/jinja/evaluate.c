/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/evaluate.h"

#include "jinja/ast.h"
#include "jinja/compare.h"
#include "jinja/iterate.h"
#include "jinja/scope.h"
#include "jinja/write.h"

static struct value evaluate_array(struct render *r, const struct node *node)
{
	struct array *array = array_create(r, node->n_children);

	for (const struct node *child = node->children; child && render_goes_on(r);
	     child = child->next)
		array_add(r, array, evaluate(r, child));
	return node->kind == NODE_LIST ? value_list(array) : value_tuple(array);
}

static struct value evaluate_dict(struct render *r, const struct node *node)
{
	struct dict *dict = dict_create(r);

	for (const struct node *pair = node->children; pair && render_goes_on(r);
	     pair = pair->next) {
		struct value key = evaluate(r, pair->left);

		dict_set(r, dict, key, evaluate(r, pair->right));
	}
	return value_dict(dict);
}

static struct value evaluate_concat(struct render *r, const struct node *node)
{
	const struct str *first = text_of(r, evaluate(r, node->children));
	size_t begin = text_begin(r);

	for (const struct node *child = node->children->next; child && render_goes_on(r);
	     child = child->next)
		write_value(r, evaluate(r, child));
	return value_string(str_joined(r, first, text_end(r, begin)));
}

static bool compare_with(struct render *r, unsigned operator, struct value a, struct value b)
{
	static const char *const names[N_OPERATORS] = {
		[OPERATOR_LESS] = "<", [OPERATOR_LESS_OR_EQUAL] = "<=",
		[OPERATOR_GREATER] = ">", [OPERATOR_GREATER_OR_EQUAL] = ">=",
	};
	int order;

	switch (operator) {
	case OPERATOR_EQUAL:
		return value_equals(r, a, b);
	case OPERATOR_NOT_EQUAL:
		return !value_equals(r, a, b);
	case OPERATOR_IN:
		return value_contains(r, b, a);
	case OPERATOR_NOT_IN:
		return !value_contains(r, b, a);
	default:
		order = value_compare(r, a, b, names[operator]);
	}
	if (order == COMPARE_NOT_ORDERED)
		return false;
	return operator == OPERATOR_LESS ? order < 0 :
	       operator == OPERATOR_LESS_OR_EQUAL ? order <= 0 :
	       operator == OPERATOR_GREATER ? order > 0 : order >= 0;
}

/* a < b < c is a < b and b < c. */
static struct value evaluate_compare(struct render *r, const struct node *node)
{
	struct value left = evaluate(r, node->left);
	bool is_true = true;

	for (const struct node *operand = node->children; operand && is_true && render_goes_on(r);
	     operand = operand->next) {
		struct value right = evaluate(r, operand->left);

		is_true = render_goes_on(r) && compare_with(r, operand->operator, left, right);
		left = right;
	}
	return value_bool(is_true);
}

static struct value evaluate_condition(struct render *r, const struct node *node)
{
	if (value_is_true(evaluate(r, node->third)))
		return evaluate(r, node->left);
	return node->right ? evaluate(r, node->right) : UNDEFINED;
}

/* and, or: the operand that decides. */
static struct value evaluate_logic(struct render *r, const struct node *node)
{
	struct value left = evaluate(r, node->left);

	if (value_is_true(left) == (node->kind == NODE_OR))
		return left;
	return evaluate(r, node->right);
}

static struct value evaluate_sign(struct render *r, const struct node *node)
{
	struct value value = evaluate(r, node->left);

	if (value.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, value);
	if (!is_number(value))
		return render_fail(r, "bad operand type for unary %c: '%s'",
				   node->kind == NODE_NEGATIVE ? '-' : '+', value_type(value));
	if (node->kind == NODE_POSITIVE)
		return is_integer(value) ? value_int(integer_of(value)) : value;
	if (value.kind == VALUE_FLOAT)
		return value_float(-value.real);
	return value_arithmetic(r, OPERATOR_SUBTRACT, value_int(0), value);
}

static struct value evaluate_part(struct render *r, const struct node *node)
{
	return node ? evaluate(r, node) : NONE;
}

static struct value evaluate_item(struct render *r, const struct node *node)
{
	struct value object = evaluate(r, node->left), begin, end;
	const struct node *slice = node->right;

	if (slice->kind != NODE_SLICE)
		return value_subscript(r, object, evaluate(r, slice));
	begin = evaluate_part(r, slice->left);
	end = evaluate_part(r, slice->right);
	return value_slice(r, object, begin, end, evaluate_part(r, slice->third));
}

static struct value apply_filter(struct render *r, const struct node *node, struct value value)
{
	const struct str *name = node->text.string;
	struct arguments args;

	if (!node->function)
		return render_fail(r, "there is no filter '%.*s'", str_shown(name), name->bytes);
	args = evaluate_arguments(r, node);
	return builtin_call(r, node->function, value, &args);
}

static struct value evaluate_test(struct render *r, const struct node *node)
{
	struct value value = evaluate(r, node->left);
	const struct str *name = node->text.string;
	struct arguments args;

	if (!node->function)
		return render_fail(r, "there is no test '%.*s'", str_shown(name), name->bytes);
	args = evaluate_arguments(r, node);
	return value_bool(test_holds(r, node->function, value, &args));
}

/* object.method(...) needs no value for the method itself. */
static struct value evaluate_call(struct render *r, const struct node *node)
{
	const struct node *callee = node->left;
	struct arguments args;
	struct value object;

	if (callee->kind == NODE_ATTRIBUTE) {
		const struct builtin *method;

		object = evaluate(r, callee->left);
		method = method_find(object, callee->text.string);
		if (method) {
			args = evaluate_arguments(r, node);
			return builtin_call(r, method, object, &args);
		}
		object = value_attribute(r, object, callee->text.string);
	} else {
		object = evaluate(r, callee);
	}
	args = evaluate_arguments(r, node);
	return value_call(r, object, &args);
}

static struct value evaluate_kind(struct render *r, const struct node *node)
{
	struct value left;

	switch (node->kind) {
	case NODE_CONSTANT:
		return node->constant;
	case NODE_NAME:
		return scope_get(r, node->name);
	case NODE_ATTRIBUTE:
		left = evaluate(r, node->left);
		return value_attribute(r, left, node->text.string);
	case NODE_ITEM:
		return evaluate_item(r, node);
	case NODE_LIST:
	case NODE_TUPLE:
		return evaluate_array(r, node);
	case NODE_DICT:
		return evaluate_dict(r, node);
	case NODE_NOT:
		return value_bool(!value_is_true(evaluate(r, node->left)));
	case NODE_NEGATIVE:
	case NODE_POSITIVE:
		return evaluate_sign(r, node);
	case NODE_AND:
	case NODE_OR:
		return evaluate_logic(r, node);
	case NODE_CONDITION:
		return evaluate_condition(r, node);
	case NODE_COMPARE:
		return evaluate_compare(r, node);
	case NODE_ARITHMETIC:
		left = evaluate(r, node->left);
		return value_arithmetic(r, node->operator, left, evaluate(r, node->right));
	case NODE_CONCAT:
		return evaluate_concat(r, node);
	case NODE_CALL:
		return evaluate_call(r, node);
	case NODE_FILTER:
		return apply_filter(r, node, evaluate(r, node->left));
	case NODE_TEST:
		return evaluate_test(r, node);
	default:
		return render_fail(r, "a slice cannot stand here");
	}
}

struct value evaluate(struct render *r, const struct node *node)
{
	struct value value;

	if (!render_step(r, 1) || !render_enter(r)) {
		render_place(r, node);
		return UNDEFINED;
	}
	value = evaluate_kind(r, node);
	render_leave(r);
	if (r->status) {
		render_place(r, node);
		return UNDEFINED;
	}
	return value;
}

struct value evaluate_filters(struct render *r, const struct node *filters, struct value value)
{
	if (!filters)
		return value;
	if (render_enter(r)) {
		value = evaluate_filters(r, filters->left, value);
		value = apply_filter(r, filters, value);
		render_leave(r);
	}
	render_place(r, filters);
	return value;
}
