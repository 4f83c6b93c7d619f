/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/search.h"

#include "base/portable_math.h"

#include <math.h>
#include <string.h>

/* --- heaps --- */

/* Restores the heap's order below `parent`. The root of a heap is its best candidate or, with
 * worst_first, its worst. */
static void heap_sift(struct candidate *heap, uint32_t n, uint32_t parent, bool worst_first)
{
	struct candidate moved = heap[parent];

	for (uint64_t child; (child = 2 * (uint64_t)parent + 1) < n; parent = (uint32_t)child) {
		if (child + 1 < n &&
		    candidate_is_better(heap[child + 1], heap[child]) != worst_first)
			child++;
		if (candidate_is_better(heap[child], moved) == worst_first)
			break;
		heap[parent] = heap[child];
	}
	heap[parent] = moved;
}

static void heap_build(struct candidate *heap, uint32_t n, bool worst_first)
{
	for (uint32_t parent = n / 2; parent-- > 0;)
		heap_sift(heap, n, parent, worst_first);
}

/* --- taking the best until their weights sum to a goal --- */

/* Finds the bound of "the best candidates of a row whose weights sum to `goal`". The search keeps a
 * range that contains this bound; `above` is the sum of the weights above the range. While the
 * range has more candidates than the scratch memory, it is divided into buckets and narrowed to the
 * bucket in which the sum reaches the goal. */
struct search {
	const struct logit_row *row;
	const struct logit_row *weights;	/* NULL: every weight is 1 */
	double goal;
	struct candidate worst;		/* of the range */
	float best;			/* likewise, its value */
	double above;
	bool is_narrowed;
	struct search_scratch *scratch;
};

static inline double weight_of(const struct search *s, struct candidate candidate)
{
	const struct logit_row *weights = s->weights;

	return weights ? portable_exp((double)weights->logits[candidate.token] -
				      (double)weights->best.value) : 1;
}

/* Maps a value to a key with the same order. +0 and -0 have the same key. */
static uint32_t key_of(float value)
{
	float unsigned_zero = value + 0.0f;
	uint32_t bits;

	memcpy(&bits, &unsigned_zero, sizeof bits);
	return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

static float value_of(uint32_t key)
{
	uint32_t bits = key >> 31 ? key & ~(UINT32_C(1) << 31) : ~key;
	float value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

/* Collects the range's candidates. Returns false if they do not fit into the scratch memory. */
static bool collect(const struct search *s, uint32_t *n_out)
{
	struct walk walk = walk_row(s->row, s->worst);
	struct candidate candidate;
	uint32_t n = 0;

	while (walk_next(&walk, &candidate)) {
		if (candidate.value > s->best)
			continue;
		if (n == SEARCH_CANDIDATES)
			return false;
		s->scratch->candidates[n++] = candidate;
	}
	*n_out = n;
	return true;
}

static void fill_buckets(const struct search *s, uint32_t lowest, unsigned shift)
{
	struct walk walk = walk_row(s->row, s->worst);
	double *buckets = s->scratch->buckets;
	struct candidate candidate;

	memset(buckets, 0, sizeof s->scratch->buckets);
	while (walk_next(&walk, &candidate))
		if (candidate.value <= s->best)
			buckets[(key_of(candidate.value) - lowest) >> shift] +=
				weight_of(s, candidate);
}

/* Narrows the range to one bucket. Returns false if the sum does not reach the goal. */
static bool narrow(struct search *s)
{
	uint32_t lowest = key_of(s->worst.value), highest = key_of(s->best), i, first;
	const double *buckets = s->scratch->buckets;
	unsigned shift = 0;

	while ((highest - lowest) >> shift >= SEARCH_BUCKETS)
		shift++;
	fill_buckets(s, lowest, shift);
	for (i = (highest - lowest) >> shift; s->above + buckets[i] < s->goal; i--) {
		s->above += buckets[i];
		if (!i)
			return false;
	}
	first = lowest + (i << shift);
	s->best = value_of((uint32_t)min_of((uint64_t)first + (1u << shift) - 1, highest));
	if (i)
		s->worst = (struct candidate){ value_of(first), UINT32_MAX };
	s->is_narrowed = true;
	return true;
}

/* For a range whose candidates are all equal: lower tokens come first. */
static bool take_equals(const struct search *s, struct candidate *bound_out)
{
	struct walk walk = walk_row(s->row, s->worst);
	double sum = s->above;

	while (walk_next(&walk, bound_out))
		if (bound_out->value <= s->best &&
		    (sum += weight_of(s, *bound_out)) >= s->goal)
			return true;
	return false;
}

static bool take_sorted(const struct search *s, uint32_t n, struct candidate *bound_out)
{
	struct candidate *heap = s->scratch->candidates;
	double sum = s->above;

	heap_build(heap, n, false);
	while (n) {
		*bound_out = heap[0];
		sum += weight_of(s, heap[0]);
		if (sum >= s->goal)
			return true;
		heap[0] = heap[--n];
		if (n)
			heap_sift(heap, n, 0, false);
	}
	return false;
}

/* Returns false if the weights of the range do not sum to the goal. */
static bool find_bound(struct search *s, struct candidate *bound_out)
{
	uint32_t n;

	while (!collect(s, &n)) {
		if (s->worst.value == s->best)
			return take_equals(s, bound_out);
		if (!narrow(s))
			return false;
	}
	return take_sorted(s, n, bound_out);
}

/* Returns false, and sets *bound_out to `worst`, if the weights of all candidates down to `worst`
 * do not sum to the goal. */
static bool take_until(struct search *s, struct candidate *bound_out)
{
	if (find_bound(s, bound_out))
		return true;
	/* The bucket's sum reached the goal, but the same weights added in another order may miss
	 * it by a rounding error. */
	*bound_out = s->worst;
	return s->is_narrowed;
}

/* --- searches --- */

/* Returns a value that at least k block maxima reach; so at least k logits reach it. */
static float kth_maximum(const struct logit_row *row, uint32_t k, struct search_scratch *scratch)
{
	struct candidate *heap = scratch->candidates;

	if (k > row->n_blocks || k > SEARCH_CANDIDATES)
		return -INFINITY;
	for (uint32_t i = 0; i < k; i++)
		heap[i] = (struct candidate){ row->maxima[i], i };
	heap_build(heap, k, true);
	for (uint32_t i = k; i < row->n_blocks; i++) {
		if (row->maxima[i] <= heap[0].value)
			continue;
		heap[0] = (struct candidate){ row->maxima[i], i };
		heap_sift(heap, k, 0, true);
	}
	return heap[0].value;
}

struct candidate search_count(const struct logit_row *row, uint32_t k,
			      struct search_scratch *scratch)
{
	struct candidate worst = { kth_maximum(row, k, scratch), UINT32_MAX };
	struct search search = {
		.row = row, .goal = k, .worst = worst, .best = row->best.value, .scratch = scratch,
	};

	(void)take_until(&search, &worst);
	return worst;
}

bool search_weight(const struct logit_row *row, const struct logit_row *weights,
		   struct candidate worst, double goal, struct search_scratch *scratch,
		   struct candidate *bound_out)
{
	struct search search = {
		.row = row, .weights = weights, .goal = goal, .worst = worst,
		.best = row->best.value, .scratch = scratch,
	};

	return take_until(&search, bound_out);
}
