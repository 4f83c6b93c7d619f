/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/value.h"

#include "jinja/dict.h"

bool value_is_true(struct value value)
{
	switch (value.kind) {
	case VALUE_UNDEFINED:
	case VALUE_NONE:
	case VALUE_MISSING:
		return false;
	case VALUE_BOOL:
		return value.is_true;
	case VALUE_INT:
		return value.integer;
	case VALUE_FLOAT:
		return value.real != 0;
	case VALUE_STRING:
		return value.string->n_bytes;
	case VALUE_LIST:
	case VALUE_TUPLE:
		return value.array->n;
	case VALUE_DICT:
	case VALUE_VIEW:
		return value.dict->n;
	case VALUE_RANGE:
		return value.range->n;
	default:
		return true;
	}
}

const char *value_kind_type(enum value_kind kind)
{
	static const char *const names[] = {
		[VALUE_UNDEFINED] = "Undefined",
		[VALUE_NONE] = "NoneType",
		[VALUE_BOOL] = "bool",
		[VALUE_INT] = "int",
		[VALUE_FLOAT] = "float",
		[VALUE_STRING] = "str",
		[VALUE_LIST] = "list",
		[VALUE_TUPLE] = "tuple",
		[VALUE_DICT] = "dict",
		[VALUE_VIEW] = "dict view",
		[VALUE_RANGE] = "range",
		[VALUE_GENERATOR] = "generator",
		[VALUE_NAMESPACE] = "Namespace",
		[VALUE_LOOP] = "LoopContext",
		[VALUE_MACRO] = "Macro",
		[VALUE_FUNCTION] = "function",
		[VALUE_METHOD] = "builtin_function_or_method",
		[VALUE_CYCLER] = "Cycler",
		[VALUE_JOINER] = "Joiner",
		[VALUE_MISSING] = "missing",
	};

	return names[kind];
}

const char *value_type(struct value value)
{
	static const char *const views[] = { "dict_keys", "dict_values", "dict_items" };

	if (value.kind == VALUE_VIEW)
		return views[value.of];
	return value_kind_type(value.kind);
}
