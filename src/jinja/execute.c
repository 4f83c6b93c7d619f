/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/ast.h"
#include "jinja/evaluate.h"
#include "jinja/iterate.h"
#include "jinja/scope.h"
#include "jinja/write.h"

#include <string.h>

/* --- assignments --- */

static void assign_each(struct render *r, const struct node *target, struct value value)
{
	const struct node *child = target->children;
	struct iteration iteration;
	struct value item;
	uint32_t n = 0;

	if (!value_is_iterable(value)) {
		render_fail(r, "cannot unpack non-iterable %s object", value_type(value));
		return;
	}
	if (!iterate(r, value, &iteration))
		return;
	for (; iterate_next(&iteration, &item); child = child->next, n++) {
		if (!child) {
			render_fail(r, "too many values to unpack (expected %u)",
				    target->n_children);
			return;
		}
		assign(r, child, item);
	}
	if (n < target->n_children)
		render_fail(r, "not enough values to unpack (expected %u, got %u)",
			    target->n_children, n);
}

void assign(struct render *r, const struct node *target, struct value value)
{
	struct value object;

	if (!render_step(r, 1))
		return;
	if (target->kind == NODE_NAME) {
		scope_set(r, target->name, value);
		return;
	}
	if (target->kind == NODE_TUPLE) {
		assign_each(r, target, value);
		return;
	}
	object = scope_get(r, target->name);
	if (object.kind != VALUE_NAMESPACE)
		render_fail(r, "cannot assign attribute on non-namespace object");
	else
		dict_set(r, object.dict, target->text, value);
}

/* --- blocks --- */

const struct str *execute_captured(struct render *r, const struct node *first)
{
	size_t begin = text_begin(r);
	struct scope *scope = scope_enter(r);

	execute(r, first);
	scope_leave(r, scope);
	return text_end(r, begin);
}

static void execute_scope(struct render *r, const struct node *node)
{
	struct scope *scope = scope_enter(r);

	execute(r, node->body);
	scope_leave(r, scope);
}

/* All values of `with` are computed outside of its scope. */
static void execute_with(struct render *r, const struct node *node)
{
	struct array *values = array_create(r, node->n_children);
	struct scope *scope;
	size_t i = 0;

	for (const struct node *set = node->children; set; set = set->next)
		array_add(r, values, evaluate(r, set->right));
	scope = scope_enter(r);
	for (const struct node *set = node->children; set && i < values->n; set = set->next)
		assign(r, set->left, values->values[i++]);
	execute(r, node->body);
	scope_leave(r, scope);
}

static void execute_set_block(struct render *r, const struct node *node)
{
	struct value value = value_string(execute_captured(r, node->body));

	if (r->flow == FLOW_ON)
		assign(r, node->left, evaluate_filters(r, node->right, value));
}

static void execute_filter_block(struct render *r, const struct node *node)
{
	struct value value = value_string(execute_captured(r, node->body));

	if (r->flow == FLOW_ON)
		write_value(r, evaluate_filters(r, node->right, value));
}

static struct value make_macro(struct render *r, const struct node *node)
{
	struct macro *macro = render_alloc(r, sizeof *macro);

	if (!macro)
		return UNDEFINED;
	*macro = (struct macro){ node, r->scope };
	scope_keep(r->scope);
	return (struct value){ .kind = VALUE_MACRO, .macro = macro };
}

/* The call with the body as its caller. */
static void execute_call_block(struct render *r, const struct node *node)
{
	const struct node *call = node->left;
	struct value callee = evaluate(r, call->left);
	struct arguments args = evaluate_arguments(r, call);
	struct value name = value_string(str_own(r, "caller"));
	struct dict *named = dict_create(r);

	for (size_t i = 0; args.named && i < args.named->n; i++)
		dict_set(r, named, args.named->entries[i].key, args.named->entries[i].value);
	dict_set(r, named, name, make_macro(r, node->right));
	args.named = named;
	write_value(r, value_call(r, callee, &args));
}

/* --- statements --- */

static void execute_output(struct render *r, const struct node *node)
{
	for (const struct node *child = node->children; child && render_goes_on(r);
	     child = child->next)
		write_value(r, evaluate(r, child));
}

static void execute_if(struct render *r, const struct node *node)
{
	while (!value_is_true(evaluate(r, node->left))) {
		const struct node *otherwise = node->otherwise;

		if (!otherwise || otherwise->kind != NODE_IF || otherwise->next ||
		    !render_goes_on(r)) {
			execute(r, otherwise);
			return;
		}
		node = otherwise;
	}
	execute(r, node->body);
}

static void execute_kind(struct render *r, const struct node *node)
{
	switch (node->kind) {
	case NODE_TEXT:
		text_add_str(r, node->text.string);
		break;
	case NODE_OUTPUT:
		execute_output(r, node);
		break;
	case NODE_IF:
		execute_if(r, node);
		break;
	case NODE_FOR:
		execute_for(r, node);
		break;
	case NODE_SET:
		assign(r, node->left, evaluate(r, node->right));
		break;
	case NODE_SET_BLOCK:
		execute_set_block(r, node);
		break;
	case NODE_WITH:
		execute_with(r, node);
		break;
	case NODE_MACRO:
		scope_set(r, node->name, make_macro(r, node));
		break;
	case NODE_CALL_BLOCK:
		execute_call_block(r, node);
		break;
	case NODE_FILTER_BLOCK:
		execute_filter_block(r, node);
		break;
	case NODE_SCOPE:
		execute_scope(r, node);
		break;
	case NODE_DO:
		evaluate(r, node->left);
		break;
	case NODE_BREAK:
		r->flow = FLOW_BREAK;
		break;
	case NODE_CONTINUE:
		r->flow = FLOW_CONTINUE;
		break;
	default:
		render_fail(r, "an expression cannot stand here");
	}
}

void execute(struct render *r, const struct node *first)
{
	for (const struct node *node = first; node && r->flow == FLOW_ON; node = node->next) {
		if (render_step(r, 1) && render_enter(r)) {
			execute_kind(r, node);
			render_leave(r);
		}
		if (!render_goes_on(r)) {
			render_place(r, node);
			return;
		}
	}
}
