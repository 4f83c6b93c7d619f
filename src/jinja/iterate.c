/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/iterate.h"

#include "jinja/codepoint.h"
#include "jinja/dict.h"

bool value_is_iterable(struct value value)
{
	switch (value.kind) {
	case VALUE_UNDEFINED:
	case VALUE_STRING:
	case VALUE_LIST:
	case VALUE_TUPLE:
	case VALUE_DICT:
	case VALUE_VIEW:
	case VALUE_RANGE:
	case VALUE_GENERATOR:
		return true;
	default:
		return false;
	}
}

bool iterate(struct render *r, struct value value, struct iteration *iteration)
{
	*iteration = (struct iteration){ .r = r, .of = value };
	if (!value_is_iterable(value))
		render_fail(r, "'%s' object is not iterable", value_type(value));
	return render_goes_on(r);
}

static bool next_char(struct iteration *iteration, struct value *value_out)
{
	const struct str *str = iteration->of.string;
	size_t begin = iteration->at;

	if (begin == str->n_bytes)
		return false;
	iteration->at += codepoint_length((unsigned char)str->bytes[begin]);
	str = str_part(iteration->r, str, begin, iteration->at);
	*value_out = value_string(str->is_safe ? str_unsafe(iteration->r, str) : str);
	return true;
}

static struct value entry_value(struct render *r, const struct dict_entry *entry, unsigned what)
{
	if (what == VIEW_ITEMS)
		return value_pair(r, entry->key, entry->value);
	return what == VIEW_KEYS ? entry->key : entry->value;
}

static bool next_entry(struct iteration *iteration, struct value *value_out)
{
	const struct dict *dict = iteration->of.dict;
	unsigned what = iteration->of.kind == VALUE_DICT ? VIEW_KEYS : iteration->of.of;

	if (iteration->at >= dict->n)
		return false;
	*value_out = entry_value(iteration->r, &dict->entries[iteration->at++], what);
	return true;
}

static bool next_item(struct iteration *iteration, struct value *value_out)
{
	struct array *array = iteration->of.array;
	size_t *at = iteration->of.kind == VALUE_GENERATOR ? &array->at : &iteration->at;

	if (*at >= array->n)
		return false;
	*value_out = array->values[(*at)++];
	return true;
}

static bool next_number(struct iteration *iteration, struct value *value_out)
{
	if (iteration->at >= iteration->of.range->n)
		return false;
	*value_out = value_item(iteration->of, iteration->at++);
	return true;
}

bool iterate_next(struct iteration *iteration, struct value *value_out)
{
	if (!render_step(iteration->r, 1))
		return false;
	switch (iteration->of.kind) {
	case VALUE_STRING:
		return next_char(iteration, value_out);
	case VALUE_LIST:
	case VALUE_TUPLE:
	case VALUE_GENERATOR:
		return next_item(iteration, value_out);
	case VALUE_DICT:
	case VALUE_VIEW:
		return next_entry(iteration, value_out);
	case VALUE_RANGE:
		return next_number(iteration, value_out);
	default:
		return false;
	}
}

struct array *value_items(struct render *r, struct value value)
{
	struct array *items = array_create(r, value_has_length(value) ?
					      (size_t)value_length(r, value) : 0);
	struct iteration iteration;
	struct value item;

	if (iterate(r, value, &iteration))
		while (iterate_next(&iteration, &item))
			array_add(r, items, item);
	return items;
}

bool value_has_length(struct value value)
{
	return value_is_iterable(value) && value.kind != VALUE_GENERATOR;
}

int64_t value_length(struct render *r, struct value value)
{
	switch (value.kind) {
	case VALUE_UNDEFINED:
		return 0;
	case VALUE_STRING:
		return (int64_t)value.string->n_chars;
	case VALUE_LIST:
	case VALUE_TUPLE:
		return (int64_t)value.array->n;
	case VALUE_DICT:
	case VALUE_VIEW:
		return (int64_t)value.dict->n;
	case VALUE_RANGE:
		return (int64_t)value.range->n;
	default:
		render_fail(r, "object of type '%s' has no len()", value_type(value));
		return 0;
	}
}

struct value value_item(struct value value, size_t i)
{
	if (value.kind == VALUE_RANGE)
		return value_int(value.range->start + (int64_t)i * value.range->step);
	return value.array->values[i];
}
