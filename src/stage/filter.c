/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/filter.h"

#include "backend/backend.h"
#include "base/integers.h"
#include "base/portable_math.h"

#include <math.h>
#include <string.h>

/* A candidate whose logit is 10 below the best one is 1/22,000 times as probable. */
#define NEAR 10.0f

const struct candidate filter_keep_all = { -INFINITY, UINT32_MAX };

/* --- the candidates of a row, in order of token --- */

struct walk {
	const struct logit_row *row;
	struct candidate worst;		/* the worst candidate that is still visited */
	uint32_t token;			/* the next token to look at */
	uint32_t end;			/* end of the block that contains token */
};

static struct walk walk_row(const struct logit_row *row, struct candidate worst)
{
	return (struct walk){ .row = row, .worst = worst };
}

/* Skips blocks whose maximum is below the bound. */
static bool next_block(struct walk *walk)
{
	const struct logit_row *row = walk->row;
	uint32_t block = walk->end / BACKEND_LOGIT_BLOCK + !!(walk->end % BACKEND_LOGIT_BLOCK);

	while (block < row->n_blocks && row->maxima[block] < walk->worst.value)
		block++;
	if (block >= row->n_blocks)
		return false;
	walk->token = block * BACKEND_LOGIT_BLOCK;
	walk->end = (uint32_t)min_of((uint64_t)walk->token + BACKEND_LOGIT_BLOCK, row->n);
	return true;
}

static inline bool next_candidate(struct walk *walk, struct candidate *candidate_out)
{
	do {
		for (; walk->token < walk->end; walk->token++) {
			float value = walk->row->logits[walk->token];

			if (value < walk->worst.value ||
			    (value == walk->worst.value && walk->token > walk->worst.token))
				continue;
			*candidate_out = (struct candidate){ value, walk->token++ };
			return true;
		}
	} while (next_block(walk));
	return false;
}

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
	bool is_count;			/* every weight is 1, else e^(logit - best) */
	double goal;
	struct candidate worst;		/* of the range */
	float best;			/* likewise, its value */
	double above;
	bool is_narrowed;
	struct filter_scratch *scratch;
};

static double weight_of(const struct search *s, float value)
{
	return s->is_count ? 1 : portable_exp((double)value - (double)s->row->best.value);
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

	while (next_candidate(&walk, &candidate)) {
		if (candidate.value > s->best)
			continue;
		if (n == FILTER_CANDIDATES)
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
	while (next_candidate(&walk, &candidate))
		if (candidate.value <= s->best)
			buckets[(key_of(candidate.value) - lowest) >> shift] +=
				weight_of(s, candidate.value);
}

/* Narrows the range to one bucket. Returns false if the sum does not reach the goal. */
static bool narrow(struct search *s)
{
	uint32_t lowest = key_of(s->worst.value), highest = key_of(s->best), i, first;
	const double *buckets = s->scratch->buckets;
	unsigned shift = 0;

	while ((highest - lowest) >> shift >= FILTER_BUCKETS)
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

	while (next_candidate(&walk, bound_out))
		if (bound_out->value <= s->best &&
		    (sum += weight_of(s, bound_out->value)) >= s->goal)
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
		sum += weight_of(s, heap[0].value);
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

/* --- the filters --- */

/* Returns a value that at least k block maxima reach; so at least k logits reach it. */
static float kth_maximum(const struct logit_row *row, uint32_t k, struct filter_scratch *scratch)
{
	struct candidate *heap = scratch->candidates;

	if (k > row->n_blocks || k > FILTER_CANDIDATES)
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

static struct search search_from(const struct logit_row *row, struct candidate worst,
				 struct filter_scratch *scratch)
{
	return (struct search){
		.row = row, .worst = worst, .best = row->best.value, .scratch = scratch,
	};
}

static struct candidate bound_top_k(const struct logit_row *row, uint32_t k,
				    struct filter_scratch *scratch)
{
	struct candidate worst = { kth_maximum(row, k, scratch), UINT32_MAX };
	struct search search = search_from(row, worst, scratch);

	search.is_count = true;
	search.goal = k;
	(void)take_until(&search, &worst);
	return worst;
}

static double sum_kept(const struct logit_row *row, struct candidate bound)
{
	struct walk walk = walk_row(row, bound);
	struct candidate candidate;
	double sum = 0;

	while (next_candidate(&walk, &candidate))
		sum += portable_exp((double)candidate.value - (double)row->best.value);
	return sum;
}

/* `bound` is the bound of top-k. */
static struct candidate bound_top_p(const struct logit_row *row, struct candidate bound,
				    double goal, struct filter_scratch *scratch)
{
	const struct candidate near = { row->best.value - NEAR, UINT32_MAX };
	struct search search = search_from(row, bound, scratch);
	struct candidate found;

	/* Usually the few candidates near the best one are enough. */
	if (candidate_is_better(near, bound)) {
		search.worst = near;
		search.goal = goal;
		if (take_until(&search, &found))
			return found;
		search = search_from(row, bound, scratch);
	}
	search.goal = goal;
	(void)take_until(&search, &found);
	return found;
}

/* p >= min_p * p_max is equivalent to logit >= largest + log(min_p). */
static struct candidate bound_min_p(const struct logit_row *row, struct candidate bound,
				    float min_p)
{
	double least = (double)row->best.value + portable_log((double)min_p);
	struct candidate at_least = { (float)least, UINT32_MAX };

	return candidate_is_better(at_least, bound) ? at_least : bound;
}

struct candidate filter_bound(const struct logit_row *row, const struct sampling *sampling,
			      double total, struct filter_scratch *scratch)
{
	struct candidate bound = filter_keep_all;

	if (sampling->top_k > 0 && sampling->top_k < row->n) {
		bound = bound_top_k(row, sampling->top_k, scratch);
		if (sampling->top_p < 1)
			total = sum_kept(row, bound);
	}
	if (sampling->top_p < 1)
		bound = bound_top_p(row, bound, (double)sampling->top_p * total, scratch);
	if (sampling->min_p > 0)
		bound = bound_min_p(row, bound, sampling->min_p);
	return bound;
}
