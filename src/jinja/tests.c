/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can stand behind `is`.
 */
#include "jinja/ast.h"
#include "jinja/compare.h"
#include "jinja/dict.h"
#include "jinja/evaluate.h"
#include "jinja/iterate.h"

#include <string.h>

/* A test of the value alone. */
#define IS(name, condition)          \
	BUILTIN(name)                \
	{                            \
		(void)r, (void)args, (void)all; \
		return value_bool(condition); \
	}

IS(defined, self.kind != VALUE_UNDEFINED)
IS(undefined, self.kind == VALUE_UNDEFINED)
IS(none, self.kind == VALUE_NONE)
IS(boolean, self.kind == VALUE_BOOL)
IS(is_true, self.kind == VALUE_BOOL && self.is_true)
IS(is_false, self.kind == VALUE_BOOL && !self.is_true)
IS(integer, self.kind == VALUE_INT)
IS(is_float, self.kind == VALUE_FLOAT)
IS(number, is_number(self))
IS(string, self.kind == VALUE_STRING)
IS(mapping, self.kind == VALUE_DICT)
IS(iterable, value_is_iterable(self))
IS(sequence, value_has_length(self) && self.kind != VALUE_VIEW)
IS(callable, self.kind == VALUE_UNDEFINED || self.kind == VALUE_MACRO ||
	     self.kind == VALUE_FUNCTION || self.kind == VALUE_METHOD ||
	     self.kind == VALUE_LOOP || self.kind == VALUE_JOINER)
IS(escaped, self.kind == VALUE_STRING && self.string->is_safe)

BUILTIN(sameas)
{
	(void)all;
	if (self.kind == VALUE_STRING)
		render_count_bytes(r, self.string->n_bytes);
	return value_bool(value_is_same(self, args[0]));
}

static struct value remainder_is(struct render *r, struct value self, struct value divisor,
				 int64_t wanted)
{
	struct value rest = value_arithmetic(r, OPERATOR_MODULO, self, divisor);

	return value_bool(value_equals(r, rest, value_int(wanted)));
}

BUILTIN(even)
{
	(void)args, (void)all;
	return remainder_is(r, self, value_int(2), 0);
}

BUILTIN(odd)
{
	(void)args, (void)all;
	return remainder_is(r, self, value_int(2), 1);
}

BUILTIN(divisibleby)
{
	(void)all;
	return remainder_is(r, self, args[0], 0);
}

static struct value ask(struct render *r, struct value self, const char *method)
{
	const struct arguments none = { 0 };
	const struct str name = { .bytes = method, .n_bytes = strlen(method) };
	struct value text = value_string(text_of(r, self));

	return builtin_call(r, method_find(text, &name), text, &none);
}

BUILTIN(lower)
{
	(void)args, (void)all;
	return ask(r, self, "islower");
}

BUILTIN(upper)
{
	(void)args, (void)all;
	return ask(r, self, "isupper");
}

BUILTIN(is_filter)
{
	(void)args, (void)all;
	if (!dict_key_is_fine(r, self))
		return render_fail(r, "unhashable type: '%s'", value_type(self));
	return value_bool(self.kind == VALUE_STRING && filter_find(self.string));
}

BUILTIN(is_test)
{
	(void)args, (void)all;
	if (!dict_key_is_fine(r, self))
		return render_fail(r, "unhashable type: '%s'", value_type(self));
	return value_bool(self.kind == VALUE_STRING && test_find(self.string));
}

/* --- comparisons --- */

BUILTIN(equal)
{
	(void)all;
	return value_bool(value_equals(r, self, args[0]));
}

BUILTIN(not_equal)
{
	(void)all;
	return value_bool(!value_equals(r, self, args[0]));
}

BUILTIN(inside)
{
	(void)all;
	return value_bool(value_contains(r, args[0], self));
}

BUILTIN(greater)
{
	int order = value_compare(r, self, args[0], ">");

	(void)all;
	return value_bool(order > 0 && order != COMPARE_NOT_ORDERED);
}

BUILTIN(greater_or_equal)
{
	int order = value_compare(r, self, args[0], ">=");

	(void)all;
	return value_bool(order >= 0 && order != COMPARE_NOT_ORDERED);
}

BUILTIN(less)
{
	(void)all;
	return value_bool(value_compare(r, self, args[0], "<") < 0);
}

BUILTIN(less_or_equal)
{
	(void)all;
	return value_bool(value_compare(r, self, args[0], "<=") <= 0);
}

bool test_holds(struct render *r, const struct builtin *test, struct value value,
		const struct arguments *args)
{
	struct value holds = builtin_call(r, test, value, args);

	return render_goes_on(r) && value_is_true(holds);
}

const struct builtin test_table[] = {
	{ "defined", "", 0, defined },
	{ "undefined", "", 0, undefined },
	{ "none", "", 0, none },
	{ "boolean", "", 0, boolean },
	{ "true", "", 0, is_true },
	{ "false", "", 0, is_false },
	{ "integer", "", 0, integer },
	{ "float", "", 0, is_float },
	{ "number", "", 0, number },
	{ "string", "", 0, string },
	{ "mapping", "", 0, mapping },
	{ "iterable", "", 0, iterable },
	{ "sequence", "", 0, sequence },
	{ "callable", "", 0, callable },
	{ "escaped", "", 0, escaped },
	{ "sameas", "other", 1, sameas },
	{ "even", "", 0, even },
	{ "odd", "", 0, odd },
	{ "divisibleby", "num", 1, divisibleby },
	{ "lower", "", 0, lower },
	{ "upper", "", 0, upper },
	{ "filter", "", 0, is_filter },
	{ "test", "", 0, is_test },
	{ "in", "seq", 1, inside },
	{ "equalto", "other", 1, equal },
	{ "eq", "other", 1, equal },
	{ "==", "other", 1, equal },
	{ "ne", "other", 1, not_equal },
	{ "!=", "other", 1, not_equal },
	{ "gt", "other", 1, greater },
	{ "greaterthan", "other", 1, greater },
	{ ">", "other", 1, greater },
	{ "ge", "other", 1, greater_or_equal },
	{ ">=", "other", 1, greater_or_equal },
	{ "lt", "other", 1, less },
	{ "lessthan", "other", 1, less },
	{ "<", "other", 1, less },
	{ "le", "other", 1, less_or_equal },
	{ "<=", "other", 1, less_or_equal },
	{ 0 },
};
