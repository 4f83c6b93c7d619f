/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map, select and reject, with their attributes.
 */
#include "jinja/dict.h"
#include "jinja/evaluate.h"
#include "jinja/iterate.h"
#include "jinja/number.h"
#include "jinja/select.h"
#include "jinja/strings.h"

#include <string.h>

static struct value follow(struct render *r, struct value item, struct value key,
			   struct value otherwise)
{
	struct value value = value_subscript(r, item, key);

	if (value.kind == VALUE_UNDEFINED && is_given(otherwise) && otherwise.kind != VALUE_NONE)
		return otherwise;
	return value;
}

/* A part of digits is a number. */
static struct value part_key(const struct str *part)
{
	int64_t index;

	for (size_t i = 0; i < part->n_bytes; i++)
		if (number_digit(part->bytes[i]) < 0 || number_digit(part->bytes[i]) > 9)
			return value_string(part);
	if (number_parse_int(part->bytes, part->n_bytes, 10, &index))
		return value_int(index);
	return value_string(part);
}

struct value attribute_path(struct render *r, struct value item, struct value path,
			    struct value otherwise)
{
	size_t at = 0;

	if (path.kind != VALUE_STRING)
		return follow(r, item, path, otherwise);
	do {
		const struct str *str = path.string;
		const char *dot = memchr(str->bytes + at, '.', str->n_bytes - at);
		size_t end = dot ? (size_t)(dot - str->bytes) : str->n_bytes;

		render_count_bytes(r, end - at);
		item = follow(r, item, part_key(str_part(r, str, at, end)), otherwise);
		at = end + 1;
	} while (at <= path.string->n_bytes && render_step(r, 1));
	return item;
}

struct value folded(struct render *r, struct value value, bool is_sensitive)
{
	if (is_sensitive || value.kind != VALUE_STRING)
		return value;
	return value_string(str_cased(r, value.string, LETTER_LOWER));
}

struct value key_of(struct render *r, struct value item, struct value path, bool is_sensitive)
{
	if (is_given(path) && path.kind != VALUE_NONE)
		item = attribute_path(r, item, path, MISSING);
	return folded(r, item, is_sensitive);
}

/* Arguments behind the first n. */
static struct arguments rest(const struct arguments *all, size_t n)
{
	return (struct arguments){ all->values + n, all->n - n, all->named };
}

/* --- map --- */

static struct value *named_argument(const struct arguments *all, const char *name)
{
	struct dict_entry *entry = all->named ? dict_find_name(all->named, name) : NULL;

	return entry ? &entry->value : NULL;
}

static struct value map_attribute(struct render *r, struct value self, struct value path,
				  struct value otherwise)
{
	struct array *mapped = array_create(r, 0);
	struct iteration iteration;
	struct value item;

	if (iterate(r, self, &iteration))
		while (iterate_next(&iteration, &item))
			array_add(r, mapped, attribute_path(r, item, path, otherwise));
	return value_generator(mapped);
}

BUILTIN(map)
{
	const struct value *path = named_argument(all, "attribute");
	const struct value *otherwise = named_argument(all, "default");
	struct array *mapped = array_create(r, 0);
	const struct builtin *filter;
	struct arguments filter_args;
	struct iteration iteration;
	struct value item;

	(void)args;
	/* As in jinja2, none and other values that are not true have no items. */
	if (!value_is_true(self))
		return value_generator(mapped);
	if (!all->n && path)
		return map_attribute(r, self, *path, otherwise ? *otherwise : MISSING);
	if (!all->n)
		return render_fail(r, "map requires a filter argument");
	filter = filter_find(string_of(r, all->values[0], "the name of the filter"));
	if (!filter)
		return render_fail(r, "map: there is no such filter");
	filter_args = rest(all, 1);
	if (iterate(r, self, &iteration))
		while (iterate_next(&iteration, &item))
			array_add(r, mapped, builtin_call(r, filter, item, &filter_args));
	return value_generator(mapped);
}

/* --- select and reject --- */

/* all: [attribute,] test, its arguments. */
static struct value select_items(struct render *r, struct value self, const struct arguments *all,
				 bool has_attribute, bool wants)
{
	struct array *selected = array_create(r, 0);
	const struct builtin *test = NULL;
	struct arguments test_args = { 0 };
	struct iteration iteration;
	struct value item;

	if (!value_is_true(self))
		return value_generator(selected);
	if (has_attribute && !all->n)
		return render_fail(r, "missing parameter for attribute name");
	if (all->n > has_attribute) {
		test = test_find(string_of(r, all->values[has_attribute], "the name of the test"));
		if (!test)
			return render_fail(r, "select: there is no such test");
		test_args = rest(all, (size_t)has_attribute + 1);
	}
	if (!iterate(r, self, &iteration))
		return UNDEFINED;
	while (iterate_next(&iteration, &item)) {
		struct value key = item;

		if (has_attribute)
			key = attribute_path(r, item, all->values[0], MISSING);
		if ((test ? test_holds(r, test, key, &test_args) : value_is_true(key)) == wants)
			array_add(r, selected, item);
	}
	return value_generator(selected);
}

BUILTIN(select_true)
{
	(void)args;
	return select_items(r, self, all, false, true);
}

BUILTIN(reject)
{
	(void)args;
	return select_items(r, self, all, false, false);
}

BUILTIN(selectattr)
{
	(void)args;
	return select_items(r, self, all, true, true);
}

BUILTIN(rejectattr)
{
	(void)args;
	return select_items(r, self, all, true, false);
}

BUILTIN(attr)
{
	(void)all;
	if (self.kind == VALUE_DICT)
		return UNDEFINED;
	return value_attribute(r, self, text_of(r, args[0]));
}

const struct builtin select_filters[] = {
	{ "map", NULL, 0, map },
	{ "select", NULL, 0, select_true },
	{ "reject", NULL, 0, reject },
	{ "selectattr", NULL, 0, selectattr },
	{ "rejectattr", NULL, 0, rejectattr },
	{ "attr", "name", 1, attr },
	{ 0 },
};
