/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/functions.h"

#include <string.h>

const struct builtin *builtin_find(const struct builtin *table, const struct str *name)
{
	for (; table->name; table++)
		if (str_is(name, table->name))
			return table;
	return NULL;
}

const struct builtin *filter_find(const struct str *name)
{
	const struct builtin *const tables[] = { text_filters, sequence_filters, select_filters,
						 number_filters };

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		const struct builtin *found = builtin_find(tables[i], name);

		if (found)
			return found;
	}
	return NULL;
}

const struct builtin *test_find(const struct str *name)
{
	return builtin_find(test_table, name);
}

const struct builtin *global_find(const struct str *name)
{
	return builtin_find(global_table, name);
}

const struct builtin *method_find(struct value object, const struct str *name)
{
	const struct builtin *found;

	switch (object.kind) {
	case VALUE_STRING:
		found = builtin_find(string_methods, name);
		return found ? found : builtin_find(string_tests, name);
	case VALUE_LIST:
		return builtin_find(list_methods, name);
	case VALUE_TUPLE:
		return builtin_find(tuple_methods, name);
	case VALUE_DICT:
		return builtin_find(dict_methods, name);
	case VALUE_CYCLER:
		return builtin_find(cycler_methods, name);
	default:
		return NULL;
	}
}

const struct str *string_of(struct render *r, struct value value, const char *what)
{
	if (value.kind == VALUE_STRING)
		return value.string;
	render_fail(r, "%s must be a str, not %s", what, value_type(value));
	return &str_empty;
}

int64_t integer_arg(struct render *r, struct value value, int64_t otherwise)
{
	if (!is_given(value))
		return otherwise;
	if (!is_integer(value))
		render_fail(r, "'%s' object cannot be interpreted as an integer",
			    value_type(value));
	return is_integer(value) ? integer_of(value) : otherwise;
}
