/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/compare.h"

#include "jinja/codepoint.h"
#include "jinja/dict.h"
#include "jinja/iterate.h"

#include <string.h>

int str_shown(const struct str *str)
{
	return codepoint_fit(str->bytes, str->n_bytes, SHOWN_MAX);
}

bool str_equals(const struct str *a, const struct str *b)
{
	return a == b || (a->n_bytes == b->n_bytes && !memcmp(a->bytes, b->bytes, a->n_bytes));
}

bool str_is(const struct str *a, const char *text)
{
	return a->n_bytes == strlen(text) && !memcmp(a->bytes, text, a->n_bytes);
}

int str_compare(const struct str *a, const struct str *b)
{
	size_t n = a->n_bytes < b->n_bytes ? a->n_bytes : b->n_bytes;
	int order = memcmp(a->bytes, b->bytes, n);

	return order ? (order > 0) - (order < 0) :
		       (a->n_bytes > b->n_bytes) - (a->n_bytes < b->n_bytes);
}

static int compare_reals(double a, double b)
{
	if (a != a || b != b)
		return COMPARE_NOT_ORDERED;
	return (a > b) - (a < b);
}

/* Exact, as in Python: 2**53 + 1 and 2.0**53 differ. */
static int compare_mixed(int64_t a, double b)
{
	int64_t whole;

	if (!(b >= -0x1p63 && b < 0x1p63))
		return compare_reals((double)a, b);
	whole = (int64_t)b;
	if (a != whole)
		return a > whole ? 1 : -1;
	return compare_reals((double)whole, b);
}

static int compare_numbers(struct value a, struct value b)
{
	int order;

	if (is_integer(a) && is_integer(b))
		return (integer_of(a) > integer_of(b)) - (integer_of(a) < integer_of(b));
	if (is_integer(a))
		return compare_mixed(integer_of(a), b.real);
	if (!is_integer(b))
		return compare_reals(a.real, b.real);
	order = compare_mixed(integer_of(b), a.real);
	return order == COMPARE_NOT_ORDERED ? order : -order;
}

bool value_is_same(struct value a, struct value b)
{
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case VALUE_NONE:
		return true;
	case VALUE_BOOL:
		return a.is_true == b.is_true;
	case VALUE_INT:
		return a.integer == b.integer;
	case VALUE_FLOAT:
		return a.real == b.real;
	case VALUE_STRING:
		return str_equals(a.string, b.string);
	case VALUE_UNDEFINED:
		return a.of == b.of && a.string == b.string;
	default:
		return a.dict == b.dict;
	}
}

bool value_equals_flat(struct value a, struct value b)
{
	if (is_number(a) && is_number(b))
		return !compare_numbers(a, b);
	if (a.kind != b.kind)
		return false;
	if (a.kind == VALUE_UNDEFINED)
		return true;
	if (a.kind != VALUE_TUPLE)
		return value_is_same(a, b);
	if (a.array->n != b.array->n)
		return false;
	for (size_t i = 0; i < a.array->n; i++)
		if (!value_equals_flat(a.array->values[i], b.array->values[i]))
			return false;
	return true;
}

static bool arrays_are_equal(struct render *r, const struct array *a, const struct array *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!render_step(r, 1) || !value_equals(r, a->values[i], b->values[i]))
			return false;
	return true;
}

static bool dicts_are_equal(struct render *r, const struct dict *a, const struct dict *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct dict_entry *entry = NULL;

		if (render_step(r, 1) && dict_key_is_fine(r, a->entries[i].key))
			entry = dict_find(b, a->entries[i].key);
		if (!entry || !value_equals(r, a->entries[i].value, entry->value))
			return false;
	}
	return true;
}

bool value_equals(struct render *r, struct value a, struct value b)
{
	bool is_equal;

	if (a.kind == VALUE_STRING && b.kind == VALUE_STRING) {
		render_count_bytes(r, a.string->n_bytes);
		return str_equals(a.string, b.string);
	}
	if (a.kind == VALUE_RANGE && b.kind == VALUE_RANGE)
		return a.range->n == b.range->n &&
		       (!a.range->n || (a.range->start == b.range->start &&
					(a.range->n == 1 || a.range->step == b.range->step)));
	if (a.kind != b.kind || (a.kind != VALUE_LIST && a.kind != VALUE_TUPLE &&
				 a.kind != VALUE_DICT))
		return value_equals_flat(a, b);
	if (!render_step(r, 1) || !render_enter(r))
		return false;
	is_equal = a.kind == VALUE_DICT ? dicts_are_equal(r, a.dict, b.dict) :
					  arrays_are_equal(r, a.array, b.array);
	render_leave(r);
	return is_equal;
}

static int compare_arrays(struct render *r, const struct array *a, const struct array *b,
			  const char *operator)
{
	for (size_t i = 0; i < a->n && i < b->n && render_step(r, 1); i++)
		if (!value_equals(r, a->values[i], b->values[i]))
			return value_compare(r, a->values[i], b->values[i], operator);
	return (a->n > b->n) - (a->n < b->n);
}

int value_compare(struct render *r, struct value a, struct value b, const char *operator)
{
	int order;

	if (is_number(a) && is_number(b))
		return compare_numbers(a, b);
	if (a.kind == VALUE_STRING && b.kind == VALUE_STRING) {
		render_count_bytes(r, a.string->n_bytes);
		return str_compare(a.string, b.string);
	}
	if (a.kind == VALUE_UNDEFINED || b.kind == VALUE_UNDEFINED) {
		render_fail_undefined(r, a.kind == VALUE_UNDEFINED ? a : b);
		return 0;
	}
	if (a.kind != b.kind || (a.kind != VALUE_LIST && a.kind != VALUE_TUPLE)) {
		render_fail(r, "'%s' not supported between instances of '%s' and '%s'", operator,
			    value_type(a), value_type(b));
		return 0;
	}
	if (!render_enter(r))
		return 0;
	order = compare_arrays(r, a.array, b.array, operator);
	render_leave(r);
	return order;
}

static bool string_contains(struct render *r, const struct str *text, struct value part)
{
	if (part.kind == VALUE_UNDEFINED) {
		render_fail(r, "'in <string>' requires string as left operand, not Undefined");
		return false;
	}
	if (part.kind != VALUE_STRING) {
		render_fail(r, "'in <string>' requires string as left operand, not %s",
			    value_type(part));
		return false;
	}
	render_count_bytes(r, text->n_bytes);
	return !part.string->n_bytes ||
	       memmem(text->bytes, text->n_bytes, part.string->bytes, part.string->n_bytes);
}

bool value_contains(struct render *r, struct value container, struct value element)
{
	struct iteration iteration;
	struct value item;

	if (container.kind == VALUE_STRING)
		return string_contains(r, container.string, element);
	if (container.kind == VALUE_DICT ||
	    (container.kind == VALUE_VIEW && container.of == VIEW_KEYS)) {
		if (dict_key_is_fine(r, element))
			return dict_find(container.dict, element);
		render_fail(r, "unhashable type: '%s'", value_type(element));
		return false;
	}
	if (!value_is_iterable(container)) {
		render_fail(r, "argument of type '%s' is not iterable", value_type(container));
		return false;
	}
	if (!iterate(r, container, &iteration))
		return false;
	while (iterate_next(&iteration, &item))
		if (value_equals(r, element, item))
			return true;
	return false;
}
