/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods of lists, tuples, dicts and cyclers. Those that change something do so only to values of
 * this rendering: what a template was given is copied when the rendering begins.
 */
#include "jinja/compare.h"
#include "jinja/dict.h"
#include "jinja/functions.h"
#include "jinja/iterate.h"
#include "jinja/sequences.h"

#include <string.h>

/* --- lists and tuples --- */

BUILTIN(index_of)
{
	(void)all;
	for (size_t i = 0; i < self.array->n && render_step(r, 1); i++)
		if (value_equals(r, self.array->values[i], args[0]))
			return value_int((int64_t)i);
	return render_fail(r, "the value is not in the %s", value_type(self));
}

BUILTIN(count)
{
	int64_t n = 0;

	(void)all;
	for (size_t i = 0; i < self.array->n && render_step(r, 1); i++)
		n += value_equals(r, self.array->values[i], args[0]);
	return value_int(n);
}

BUILTIN(append)
{
	(void)all;
	array_add(r, self.array, args[0]);
	return NONE;
}

BUILTIN(extend)
{
	const struct array *items = value_items(r, args[0]);

	(void)all;
	for (size_t i = 0; i < items->n; i++)
		array_add(r, self.array, items->values[i]);
	return NONE;
}

BUILTIN(insert)
{
	struct array *array = self.array;
	int64_t i = integer_arg(r, args[0], 0), n = (int64_t)array->n;

	(void)all;
	array_add(r, array, args[1]);
	if (!render_step(r, array->n / 32))
		return NONE;
	i = i < 0 ? i + n : i;
	i = i < 0 ? 0 : i > n ? n : i;
	memmove(&array->values[i + 1], &array->values[i], (size_t)(n - i) * sizeof *array->values);
	array->values[i] = args[1];
	return NONE;
}

BUILTIN(pop_item)
{
	struct array *array = self.array;
	int64_t n = (int64_t)array->n, i = integer_arg(r, args[0], -1);
	struct value value;

	(void)all;
	i = i < 0 ? i + n : i;
	if (i < 0 || i >= n)
		return render_fail(r, n ? "pop index out of range" : "pop from empty list");
	if (!render_step(r, array->n / 32))
		return UNDEFINED;
	value = array->values[i];
	memmove(&array->values[i], &array->values[i + 1],
		(size_t)(n - i - 1) * sizeof *array->values);
	array->n--;
	return value;
}

BUILTIN(copy_list)
{
	(void)args, (void)all;
	return value_list(value_items(r, self));
}

const struct builtin list_methods[] = {
	{ "append", "object", 1, append },
	{ "copy", "", 0, copy_list },
	{ "count", "value", 1, count },
	{ "extend", "iterable", 1, extend },
	{ "index", "value", 1, index_of },
	{ "insert", "index object", 2, insert },
	{ "pop", "index", 0, pop_item },
	{ 0 },
};

const struct builtin tuple_methods[] = {
	{ "count", "value", 1, count },
	{ "index", "value", 1, index_of },
	{ 0 },
};

/* --- dicts --- */

static struct value view(struct value self, uint8_t of)
{
	return (struct value){ .kind = VALUE_VIEW, .of = of, .dict = self.dict };
}

BUILTIN(keys)
{
	(void)r, (void)args, (void)all;
	return view(self, VIEW_KEYS);
}

BUILTIN(values)
{
	(void)r, (void)args, (void)all;
	return view(self, VIEW_VALUES);
}

BUILTIN(items)
{
	(void)r, (void)args, (void)all;
	return view(self, VIEW_ITEMS);
}

/* The entry, or NULL; fails if a dict cannot have such a key. */
static struct dict_entry *entry_of(struct render *r, struct value self, struct value key)
{
	if (dict_key_is_fine(r, key))
		return dict_find(self.dict, key);
	render_fail(r, "unhashable type: '%s'", value_type(key));
	return NULL;
}

BUILTIN(get)
{
	const struct dict_entry *entry = entry_of(r, self, args[0]);

	(void)all;
	return entry ? entry->value : is_given(args[1]) ? args[1] : NONE;
}

BUILTIN(pop_entry)
{
	struct dict_entry *entry = entry_of(r, self, args[0]);
	struct value value;

	(void)all;
	if (!entry)
		return is_given(args[1]) ? args[1] : render_fail(r, "pop(): there is no such key");
	if (!render_step(r, self.dict->n))
		return UNDEFINED;
	value = entry->value;
	dict_remove(self.dict, entry);
	return value;
}

BUILTIN(setdefault)
{
	const struct dict_entry *entry = entry_of(r, self, args[0]);
	struct value value = is_given(args[1]) ? args[1] : NONE;

	(void)all;
	if (entry)
		return entry->value;
	dict_set(r, self.dict, args[0], value);
	return value;
}

static void update_from(struct render *r, struct dict *dict, const struct dict *from)
{
	for (size_t i = 0; i < from->n && render_goes_on(r); i++)
		dict_set(r, dict, from->entries[i].key, from->entries[i].value);
}

BUILTIN(update)
{
	(void)args;
	if (all->n && all->values[0].kind != VALUE_DICT)
		return render_fail(r, "update() takes a dict, not %s", value_type(all->values[0]));
	if (all->n)
		update_from(r, self.dict, all->values[0].dict);
	if (all->named)
		update_from(r, self.dict, all->named);
	return NONE;
}

BUILTIN(copy_dict)
{
	struct dict *copy = dict_create(r);

	(void)args, (void)all;
	update_from(r, copy, self.dict);
	return value_dict(copy);
}

const struct builtin dict_methods[] = {
	{ "get", "key default", 1, get },
	{ "items", "", 0, items },
	{ "keys", "", 0, keys },
	{ "values", "", 0, values },
	{ "copy", "", 0, copy_dict },
	{ "pop", "key default", 1, pop_entry },
	{ "setdefault", "key default", 1, setdefault },
	{ "update", NULL, 0, update },
	{ 0 },
};

/* --- cyclers --- */

BUILTIN(next_value)
{
	struct cycler *cycler = self.cycler;
	struct value value = cycler->values[cycler->at];

	(void)r, (void)args, (void)all;
	cycler->at = (cycler->at + 1) % cycler->n;
	return value;
}

BUILTIN(reset)
{
	(void)r, (void)args, (void)all;
	self.cycler->at = 0;
	return NONE;
}

const struct builtin cycler_methods[] = {
	{ "next", "", 0, next_value },
	{ "reset", "", 0, reset },
	{ 0 },
};
