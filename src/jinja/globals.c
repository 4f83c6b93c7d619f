/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that every template can call.
 */
#include "jinja/dict.h"
#include "jinja/functions.h"
#include "jinja/iterate.h"
#include "jinja/sequences.h"
#include "jinja/strftime.h"

enum { RANGE_MAX = 100000 };	/* items; the sandbox of jinja2 has the same limit */

/* Items of start, start + step ... before stop; at most RANGE_MAX + 1. */
static uint64_t range_items(int64_t start, int64_t stop, int64_t step)
{
	uint64_t distance, stride, n;

	if (step > 0 ? stop <= start : stop >= start)
		return 0;
	distance = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
	stride = step > 0 ? (uint64_t)step : -(uint64_t)step;
	n = (distance - 1) / stride + 1;
	return n > RANGE_MAX ? RANGE_MAX + 1 : n;
}

BUILTIN(make_range)
{
	int64_t start = is_given(args[1]) ? integer_arg(r, args[0], 0) : 0;
	int64_t stop = integer_arg(r, is_given(args[1]) ? args[1] : args[0], 0);
	int64_t step = integer_arg(r, args[2], 1);
	struct range *range = render_alloc(r, sizeof *range);

	(void)self, (void)all;
	if (!step)
		return render_fail(r, "range() arg 3 must not be zero");
	if (!range)
		return UNDEFINED;
	*range = (struct range){ start, stop, step, range_items(start, stop, step) };
	if (range->n > RANGE_MAX)
		return render_fail(r, "a range of more than %d items", RANGE_MAX);
	return (struct value){ .kind = VALUE_RANGE, .range = range };
}

/* What dict() and namespace() take: a dict or pairs, and names. */
static struct dict *gather(struct render *r, const struct arguments *all)
{
	struct dict *dict = dict_create(r);
	struct iteration iteration;
	struct value item;

	if (all->n > 1)
		render_fail(r, "expected at most 1 argument, got %zu", all->n);
	if (all->n && all->values[0].kind == VALUE_DICT) {
		for (size_t i = 0; i < all->values[0].dict->n; i++)
			dict_set(r, dict, all->values[0].dict->entries[i].key,
				 all->values[0].dict->entries[i].value);
	} else if (all->n && iterate(r, all->values[0], &iteration)) {
		while (iterate_next(&iteration, &item)) {
			const struct array *pair = value_items(r, item);

			if (pair->n != 2)
				render_fail(r, "expected pairs of a key and a value");
			else
				dict_set(r, dict, pair->values[0], pair->values[1]);
		}
	}
	for (size_t i = 0; all->named && i < all->named->n; i++)
		dict_set(r, dict, all->named->entries[i].key, all->named->entries[i].value);
	return dict;
}

BUILTIN(make_dict)
{
	(void)self, (void)args;
	return value_dict(gather(r, all));
}

BUILTIN(make_namespace)
{
	(void)self, (void)args;
	return (struct value){ .kind = VALUE_NAMESPACE, .dict = gather(r, all) };
}

BUILTIN(make_cycler)
{
	struct cycler *cycler = render_alloc(r, sizeof *cycler);
	struct array *values = array_create(r, all->n);

	(void)self, (void)args;
	for (size_t i = 0; i < all->n; i++)
		array_add(r, values, all->values[i]);
	if (!all->n)
		return render_fail(r, "at least one item has to be provided");
	if (!render_goes_on(r))
		return UNDEFINED;
	*cycler = (struct cycler){ values->values, values->n, 0 };
	return (struct value){ .kind = VALUE_CYCLER, .cycler = cycler };
}

BUILTIN(make_joiner)
{
	static const struct str comma = { .bytes = ", ", .n_bytes = 2, .n_chars = 2,
					  .is_own = true };
	struct joiner *joiner = render_alloc(r, sizeof *joiner);

	(void)self, (void)all;
	if (!joiner)
		return UNDEFINED;
	joiner->separator = is_given(args[0]) ? text_of(r, args[0]) : &comma;
	return (struct value){ .kind = VALUE_JOINER, .joiner = joiner };
}

struct value joiner_next(struct joiner *joiner)
{
	bool is_used = joiner->is_used;

	joiner->is_used = true;
	return value_string(is_used ? joiner->separator : &str_empty);
}

BUILTIN(raise_exception)
{
	(void)self, (void)all;
	render_raise(r, text_of(r, args[0]));
	return UNDEFINED;
}

BUILTIN(strftime_now)
{
	(void)self, (void)all;
	return value_string(time_text(r, string_of(r, args[0], "the format of the time"),
				      r->now_unix));
}

const struct builtin global_table[] = {
	{ "range", "start stop step", 1, make_range },
	{ "dict", NULL, 0, make_dict },
	{ "namespace", NULL, 0, make_namespace },
	{ "cycler", NULL, 0, make_cycler },
	{ "joiner", "sep", 0, make_joiner },
	{ "raise_exception", "message", 1, raise_exception },
	{ "strftime_now", "format", 1, strftime_now },
	{ 0 },
};
