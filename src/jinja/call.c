/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/ast.h"
#include "jinja/evaluate.h"
#include "jinja/iterate.h"
#include "jinja/scope.h"
#include "jinja/sequences.h"

#include <string.h>

/* --- arguments --- */

static void spread(struct render *r, struct array *values, struct value value)
{
	struct iteration iteration;
	struct value item;

	if (!iterate(r, value, &iteration))
		return;
	while (iterate_next(&iteration, &item))
		array_add(r, values, item);
}

static void spread_named(struct render *r, struct dict *named, struct value value)
{
	if (value.kind != VALUE_DICT) {
		render_fail(r, "argument after ** must be a mapping, not %s", value_type(value));
		return;
	}
	for (size_t i = 0; i < value.dict->n; i++)
		dict_set(r, named, value.dict->entries[i].key, value.dict->entries[i].value);
}

struct arguments evaluate_arguments(struct render *r, const struct node *node)
{
	struct array *values;
	struct dict *named = NULL;

	if (!node->children)
		return (struct arguments){ 0 };
	values = array_create(r, node->n_children);
	for (const struct node *child = node->children; child && render_goes_on(r);
	     child = child->next) {
		bool is_named = child->kind == NODE_KEYWORD || child->kind == NODE_SPREAD_NAMED;

		if (is_named && !named)
			named = dict_create(r);
		if (child->kind == NODE_KEYWORD)
			dict_set(r, named, child->text, evaluate(r, child->left));
		else if (child->kind == NODE_SPREAD_NAMED)
			spread_named(r, named, evaluate(r, child->left));
		else if (child->kind == NODE_SPREAD)
			spread(r, values, evaluate(r, child->left));
		else
			array_add(r, values, evaluate(r, child));
	}
	return (struct arguments){ values->values, values->n, named };
}

/* --- built-in functions --- */

/* Which parameter has this name; n if none. */
static unsigned find_parameter(const char *parameters, const struct str *name)
{
	unsigned i = 0;

	while (*parameters) {
		size_t n = strcspn(parameters, " ");

		if (name->n_bytes == n && !memcmp(name->bytes, parameters, n))
			return i;
		parameters += n + (parameters[n] == ' ');
		i++;
	}
	return PARAMETERS_MAX;
}

static unsigned count_parameters(const char *parameters)
{
	unsigned n = *parameters != '\0';

	for (; *parameters; parameters++)
		n += *parameters == ' ';
	return n;
}

static void sort_named(struct render *r, const struct builtin *builtin, const struct dict *named,
		       struct value args[PARAMETERS_MAX])
{
	for (size_t i = 0; i < named->n; i++) {
		const struct str *name = named->entries[i].key.string;
		unsigned place = PARAMETERS_MAX;

		if (named->entries[i].key.kind == VALUE_STRING)
			place = find_parameter(builtin->parameters, name);
		if (place == PARAMETERS_MAX) {
			render_fail(r, "%s() has no such keyword argument", builtin->name);
			return;
		}
		if (is_given(args[place])) {
			render_fail(r, "%s() got multiple values for argument '%.*s'",
				    builtin->name, str_shown(name), name->bytes);
			return;
		}
		args[place] = named->entries[i].value;
	}
}

struct value builtin_call(struct render *r, const struct builtin *builtin, struct value self,
			  const struct arguments *all)
{
	struct value args[PARAMETERS_MAX];
	unsigned n;

	if (!render_step(r, 1))
		return UNDEFINED;
	for (unsigned i = 0; i < PARAMETERS_MAX; i++)
		args[i] = MISSING;
	if (!builtin->parameters)
		return builtin->fn(r, self, args, all);
	n = count_parameters(builtin->parameters);
	if (all->n > n)
		return render_fail(r, "%s() takes at most %u arguments, but %zu were given",
				   builtin->name, n, all->n);
	for (size_t i = 0; i < all->n; i++)
		args[i] = all->values[i];
	if (all->named)
		sort_named(r, builtin, all->named, args);
	for (unsigned i = 0; i < builtin->n_required; i++)
		if (!is_given(args[i]))
			return render_fail(r, "%s() needs %u arguments", builtin->name,
					   builtin->n_required);
	return render_goes_on(r) ? builtin->fn(r, self, args, all) : UNDEFINED;
}

/* --- macros --- */

static struct value *find_named(const struct arguments *args, const struct value name)
{
	struct dict_entry *entry = args->named ? dict_find(args->named, name) : NULL;

	return entry ? &entry->value : NULL;
}

static bool has_parameter(const struct node *macro, const struct value name)
{
	for (const struct node *parameter = macro->children; parameter;
	     parameter = parameter->next)
		if (name.kind == VALUE_STRING &&
		    str_equals(parameter->text.string, name.string))
			return true;
	return false;
}

static void bind_parameters(struct render *r, const struct node *macro,
			    const struct arguments *args)
{
	size_t i = 0;

	for (const struct node *parameter = macro->children; parameter && render_goes_on(r);
	     parameter = parameter->next, i++) {
		struct value *named = find_named(args, parameter->text);
		struct value value = UNDEFINED;

		value.string = parameter->text.string;
		if (i < args->n)
			value = args->values[i];
		else if (named)
			value = *named;
		else if (parameter->left)
			value = evaluate(r, parameter->left);
		scope_set(r, parameter->name, value);
	}
}

/* caller, varargs and kwargs, and complaints about what the macro does not take. */
static void bind_rest(struct render *r, const struct node *macro, const struct arguments *args)
{
	const struct str *name = macro->text.string;
	struct array *varargs = array_create(r, 0);
	struct dict *kwargs = dict_create(r);
	struct value caller = UNDEFINED;

	caller.string = r->tmpl->names.entries[NAME_CALLER].key.string;
	for (size_t i = macro->n_children; i < args->n; i++)
		array_add(r, varargs, args->values[i]);
	for (size_t i = 0; args->named && i < args->named->n; i++) {
		const struct dict_entry *entry = &args->named->entries[i];

		if (!render_step(r, macro->n_children) || has_parameter(macro, entry->key))
			continue;
		if ((macro->flags & FLAG_CALLER) && entry->key.kind == VALUE_STRING &&
		    str_is(entry->key.string, "caller"))
			caller = entry->value;
		else
			dict_set(r, kwargs, entry->key, entry->value);
	}
	if (varargs->n && !(macro->flags & FLAG_VARARGS))
		render_fail(r, "macro '%.*s' takes not more than %u argument(s)",
			    str_shown(name), name->bytes, macro->n_children);
	if (kwargs->n && !(macro->flags & FLAG_KWARGS))
		render_fail(r, "macro '%.*s' has no such keyword argument", str_shown(name),
			    name->bytes);
	if (macro->flags & FLAG_CALLER)
		scope_set(r, NAME_CALLER, caller);
	if (macro->flags & FLAG_VARARGS)
		scope_set(r, NAME_VARARGS, value_tuple(varargs));
	if (macro->flags & FLAG_KWARGS)
		scope_set(r, NAME_KWARGS, value_dict(kwargs));
}

static struct value call_macro(struct render *r, const struct macro *macro,
			       const struct arguments *args)
{
	struct scope *outside = r->scope, *scope;
	size_t begin = text_begin(r);

	r->scope = macro->scope;
	scope = scope_enter(r);
	if (scope) {
		bind_rest(r, macro->node, args);
		bind_parameters(r, macro->node, args);
		execute(r, macro->node->body);
	}
	r->scope = outside;
	return value_string(text_end(r, begin));
}

/* --- calls --- */

struct value value_call(struct render *r, struct value callee, const struct arguments *args)
{
	struct value value;

	if (!render_enter(r))
		return UNDEFINED;
	switch (callee.kind) {
	case VALUE_MACRO:
		value = call_macro(r, callee.macro, args);
		break;
	case VALUE_FUNCTION:
		value = builtin_call(r, callee.function, NONE, args);
		break;
	case VALUE_METHOD:
		value = builtin_call(r, callee.method->function, callee.method->object, args);
		break;
	case VALUE_LOOP:
		value = args->n == 1 ? loop_again(r, callee.loop, args->values[0]) :
				       render_fail(r, "loop() takes one argument");
		break;
	case VALUE_JOINER:
		value = joiner_next(callee.joiner);
		break;
	case VALUE_UNDEFINED:
		value = render_fail_undefined(r, callee);
		break;
	default:
		value = render_fail(r, "'%s' object is not callable", value_type(callee));
	}
	render_leave(r);
	return value;
}
