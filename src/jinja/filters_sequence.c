/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/compare.h"
#include "jinja/dict.h"
#include "jinja/evaluate.h"
#include "jinja/iterate.h"
#include "jinja/select.h"
#include "jinja/sort.h"
#include "jinja/strings.h"

#include <string.h>

BUILTIN(length)
{
	(void)args, (void)all;
	return value_int(value_length(r, self));
}

BUILTIN(list)
{
	(void)args, (void)all;
	return value_list(value_items(r, self));
}

BUILTIN(first)
{
	struct iteration iteration;
	struct value item = UNDEFINED;

	(void)args, (void)all;
	item.string = str_own(r, "the first item of an empty sequence");
	if (iterate(r, self, &iteration))
		iterate_next(&iteration, &item);
	return item;
}

BUILTIN(last)
{
	const struct array *items;
	struct value none = UNDEFINED;

	(void)args, (void)all;
	none.string = str_own(r, "the last item of an empty sequence");
	if (self.kind == VALUE_GENERATOR)
		return render_fail(r, "'generator' object is not reversible");
	items = value_items(r, self);
	return items->n ? items->values[items->n - 1] : none;
}

BUILTIN(reverse)
{
	struct array *items, *reversed;

	(void)args, (void)all;
	if (self.kind == VALUE_STRING)
		return value_string(str_reversed(r, self.string));
	items = value_items(r, self);
	reversed = array_create(r, items->n);
	for (size_t i = items->n; i--;)
		array_add(r, reversed, items->values[i]);
	return value_generator(reversed);
}

BUILTIN(items)
{
	(void)args, (void)all;
	if (self.kind == VALUE_UNDEFINED)
		return value_generator(array_create(r, 0));
	if (self.kind != VALUE_DICT)
		return render_fail(r, "Can only get item pairs from a mapping.");
	return value_generator(value_items(r, (struct value){ .kind = VALUE_VIEW,
							      .of = VIEW_ITEMS,
							      .dict = self.dict }));
}

BUILTIN(default_value)
{
	(void)r, (void)all;
	if (self.kind == VALUE_UNDEFINED || (truth_arg(args[1], false) && !value_is_true(self)))
		return is_given(args[0]) ? args[0] : value_string(&str_empty);
	return self;
}

/* --- order --- */

/* Pairs of a key and an item. path: of the attribute, or several with commas between. */
static struct array *keyed(struct render *r, struct value self, struct value path,
			   bool is_sensitive)
{
	struct array *pairs = array_create(r, 0), *paths = NULL;
	struct iteration iteration;
	struct value item;

	if (path.kind == VALUE_STRING && memchr(path.string->bytes, ',', path.string->n_bytes)) {
		const struct str comma = { .bytes = ",", .n_bytes = 1, .n_chars = 1 };

		paths = str_split(r, path.string, &comma, -1);
	}
	if (!iterate(r, self, &iteration))
		return pairs;
	while (iterate_next(&iteration, &item)) {
		struct array *keys = paths ? array_create(r, paths->n) : NULL;

		for (size_t i = 0; paths && i < paths->n; i++)
			array_add(r, keys, key_of(r, item, paths->values[i], is_sensitive));
		array_add(r, pairs, value_pair(r, keys ? value_list(keys) :
					       key_of(r, item, path, is_sensitive), item));
	}
	return pairs;
}

/* The second of each pair, in place. */
static struct array *seconds(struct array *pairs)
{
	for (size_t i = 0; i < pairs->n; i++)
		if (pairs->values[i].array->n == 2)
			pairs->values[i] = pairs->values[i].array->values[1];
	return pairs;
}

BUILTIN(sort)
{
	struct array *pairs = keyed(r, self, args[2], truth_arg(args[1], false));

	(void)all;
	sort_pairs(r, pairs, truth_arg(args[0], false));
	return render_goes_on(r) ? value_list(seconds(pairs)) : UNDEFINED;
}

BUILTIN(dictsort)
{
	bool is_sensitive = truth_arg(args[0], false), by_value = false;
	struct array *pairs = array_create(r, 0);

	(void)all;
	if (self.kind != VALUE_DICT)
		return render_fail(r, "dictsort: the value is no mapping");
	if (is_given(args[1])) {
		by_value = args[1].kind == VALUE_STRING && str_is(args[1].string, "value");
		if (!by_value && !(args[1].kind == VALUE_STRING && str_is(args[1].string, "key")))
			return render_fail(r, "You can only sort by either \"key\" or \"value\"");
	}
	for (size_t i = 0; i < self.dict->n && render_step(r, 1); i++) {
		const struct dict_entry *entry = &self.dict->entries[i];
		struct value key = folded(r, by_value ? entry->value : entry->key, is_sensitive);

		array_add(r, pairs, value_pair(r, key, value_pair(r, entry->key, entry->value)));
	}
	sort_pairs(r, pairs, truth_arg(args[2], false));
	return render_goes_on(r) ? value_list(seconds(pairs)) : UNDEFINED;
}

/* The first item of those with the least key, or with the greatest. */
static struct value extreme(struct render *r, struct value self, const struct value *args,
			    int sign)
{
	const struct array *pairs = keyed(r, self, args[1], truth_arg(args[0], false));
	const struct value *best = NULL;
	struct value none = UNDEFINED;

	none.string = str_own(r, "the extreme item of an empty sequence");
	for (size_t i = 0; i < pairs->n && render_step(r, 1); i++) {
		const struct value *pair = pairs->values[i].array->values;
		int order = best ? value_compare(r, pair[0], best[0], sign < 0 ? "<" : ">") : sign;

		if (order != COMPARE_NOT_ORDERED && order * sign > 0)
			best = pair;
	}
	return best && render_goes_on(r) ? best[1] : none;
}

BUILTIN(least)
{
	(void)all;
	return extreme(r, self, args, -1);
}

BUILTIN(greatest)
{
	(void)all;
	return extreme(r, self, args, 1);
}

BUILTIN(unique)
{
	const struct array *pairs = keyed(r, self, args[1], truth_arg(args[0], false));
	struct dict *seen = dict_create(r);
	struct array *kept = array_create(r, 0);

	(void)all;
	for (size_t i = 0; i < pairs->n && render_goes_on(r); i++) {
		const struct value *pair = pairs->values[i].array->values;
		bool is_new = !dict_key_is_fine(r, pair[0]) || !dict_find(seen, pair[0]);

		dict_set(r, seen, pair[0], NONE);
		if (is_new)
			array_add(r, kept, pair[1]);
	}
	return value_generator(kept);
}

static struct value make_group(struct render *r, struct value key, struct array *members)
{
	struct value group = value_pair(r, key, value_list(members));

	group.of = TUPLE_GROUP;
	return group;
}

BUILTIN(groupby)
{
	bool is_sensitive = truth_arg(args[2], false);
	struct array *pairs = array_create(r, 0), *groups = array_create(r, 0), *members = NULL;
	struct iteration iteration;
	struct value item, key = NONE;

	(void)all;
	if (iterate(r, self, &iteration))
		while (iterate_next(&iteration, &item))
			array_add(r, pairs, value_pair(r, folded(r, attribute_path(r, item, args[0],
							args[1]), is_sensitive), item));
	sort_pairs(r, pairs, false);
	for (size_t i = 0; i < pairs->n && render_goes_on(r); i++) {
		const struct value *pair = pairs->values[i].array->values;

		if (!members || !value_equals(r, key, pair[0])) {
			members = array_create(r, 0);
			/* Its name is that of the first member, in its own case. */
			array_add(r, groups, make_group(r, attribute_path(r, pair[1], args[0],
									  args[1]), members));
		}
		key = pair[0];
		array_add(r, members, pair[1]);
	}
	return value_list(groups);
}

/* --- parts --- */

BUILTIN(batch)
{
	const struct array *items = value_items(r, self);
	int64_t size = integer_arg(r, args[0], 1);
	struct array *batches = array_create(r, 0), *batch = NULL;

	(void)all;
	for (size_t i = 0; i < items->n && render_goes_on(r); i++) {
		if (!batch || (int64_t)batch->n == size) {
			batch = array_create(r, 0);
			array_add(r, batches, value_list(batch));
		}
		array_add(r, batch, items->values[i]);
	}
	while (batch && is_given(args[1]) && args[1].kind != VALUE_NONE &&
	       (int64_t)batch->n < size && render_step(r, 1))
		array_add(r, batch, args[1]);
	return value_generator(batches);
}

BUILTIN(slice)
{
	const struct array *items = value_items(r, self);
	int64_t n = integer_arg(r, args[0], 1), size, n_longer;
	struct array *slices = array_create(r, 0);
	size_t at = 0;

	(void)all;
	if (n < 1)
		return render_fail(r, "slice: expected one part or more");
	size = (int64_t)items->n / n;
	n_longer = (int64_t)items->n % n;
	for (int64_t i = 0; i < n && render_step(r, 1); i++) {
		struct array *slice = array_create(r, 0);

		for (int64_t k = 0; k < size + (i < n_longer); k++)
			array_add(r, slice, items->values[at++]);
		if (i >= n_longer && is_given(args[1]) && args[1].kind != VALUE_NONE)
			array_add(r, slice, args[1]);
		array_add(r, slices, value_list(slice));
	}
	return value_generator(slices);
}

BUILTIN(sum)
{
	struct value total = is_given(args[1]) ? args[1] : value_int(0), item;
	struct iteration iteration;

	(void)all;
	if (!iterate(r, self, &iteration))
		return UNDEFINED;
	while (iterate_next(&iteration, &item)) {
		if (is_given(args[0]) && args[0].kind != VALUE_NONE)
			item = attribute_path(r, item, args[0], MISSING);
		total = value_arithmetic(r, 0, total, item);
	}
	return total;
}

const struct builtin sequence_filters[] = {
	{ "length", "", 0, length },
	{ "count", "", 0, length },
	{ "list", "", 0, list },
	{ "first", "", 0, first },
	{ "last", "", 0, last },
	{ "reverse", "", 0, reverse },
	{ "items", "", 0, items },
	{ "default", "default_value boolean", 0, default_value },
	{ "d", "default_value boolean", 0, default_value },
	{ "sort", "reverse case_sensitive attribute", 0, sort },
	{ "dictsort", "case_sensitive by reverse", 0, dictsort },
	{ "min", "case_sensitive attribute", 0, least },
	{ "max", "case_sensitive attribute", 0, greatest },
	{ "unique", "case_sensitive attribute", 0, unique },
	{ "groupby", "attribute default case_sensitive", 1, groupby },
	{ "batch", "linecount fill_with", 1, batch },
	{ "slice", "slices fill_with", 1, slice },
	{ "sum", "attribute start", 0, sum },
	{ 0 },
};
