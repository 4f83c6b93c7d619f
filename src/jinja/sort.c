/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/sort.h"

#include "jinja/compare.h"

#include <string.h>

/* Whether b comes before a. Equal ones keep their order in both directions; also those that have no
 * order, as none and none. */
static bool is_behind(struct render *r, struct value a, struct value b, bool is_reverse)
{
	struct value first = a.array->values[0], second = b.array->values[0];

	if (first.kind <= VALUE_NONE && value_equals(r, first, second))
		return false;
	return is_reverse ? value_compare(r, first, second, "<") < 0 :
			    value_compare(r, second, first, "<") < 0;
}

/* Merges the runs [begin, middle) and [middle, end) of `from`. */
static void merge(struct render *r, const struct value *from, struct value *to, size_t begin,
		  size_t middle, size_t end, bool is_reverse)
{
	size_t left = begin, right = middle;

	for (size_t i = begin; i < end; i++) {
		bool takes_right = left == middle;

		if (left < middle && right < end && render_step(r, 1))
			takes_right = is_behind(r, from[left], from[right], is_reverse);
		to[i] = takes_right && right < end ? from[right++] : from[left++];
	}
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void sort_pairs(struct render *r, struct array *pairs, bool is_reverse)
{
	const size_t n = pairs->n;
	struct value *from = pairs->values, *to = render_alloc_array(r, n + 1, sizeof *to);

	for (size_t width = 1; width < n && render_goes_on(r); width *= 2) {
		struct value *merged = to;

		for (size_t begin = 0; begin < n; begin += 2 * width)
			merge(r, from, to, begin, least(begin + width, n),
			      least(begin + 2 * width, n), is_reverse);
		to = from;
		from = merged;
	}
	if (!render_goes_on(r))
		return;
	pairs->values = from;
	pairs->capacity = n;
}
