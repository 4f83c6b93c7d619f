/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/slice.h"
#include "backend/cpu/cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/*
 * Attention in one pass over the positions with a running maximum ("Online normalizer calculation
 * for softmax", arXiv 1805.02867), slice by slice.
 * - A slice covers the same positions for every row and every block length. CPU_PART_SLICES slices
 *   make a part. Each part is summed from zero, and parts are merged in order.
 * - A tile is a set of neighbouring rows of a span and of query heads that read the same key-value
 *   head. A tile processes all positions that one of its rows sees: with a window, from the first
 *   that its first row sees. Masked positions get weight 0, so they do not change a row's result.
 * - But 0 x infinity is NaN, so a NaN or infinity at a masked position would spread to rows that
 *   must not see it. A tile whose result is not finite is therefore computed again, one row at a
 *   time. Positions that no row of the tile sees are never multiplied.
 * - If there are fewer tiles than threads, threads share the parts of a tile.
 * Every query therefore goes through the same additions in the same order as if it were alone.
 */
struct attention {
	const struct cpu_backend *cpu;
	const struct kv_cache *cache;
	const struct attention_span *spans;
	unsigned n_spans;
	unsigned layer;
	const float *q;
	const struct attention_shape *shape;
	unsigned n_heads;
	unsigned group;			/* query heads of a key-value head */
	unsigned tile_heads;
	unsigned tile_rows;
	unsigned head_tiles;		/* tiles that cover a group */
	unsigned n_parts;		/* work items per tile; 1: a tile computes all its parts */
	size_t part_floats;		/* floats of one item's result */
	float *out;
};

/* The result of a tile so far. */
struct result {
	float *max;		/* [n_queries] */
	float *total;		/* [n_queries] */
	float *sum;		/* [n_queries][value_width] */
};

struct tile {
	const struct attention_span *span;
	unsigned first_row;		/* in the span */
	unsigned n_rows;
	unsigned kv_head;
	unsigned first_head;
	unsigned n_heads;
	unsigned n_queries;		/* n_rows x n_heads, row by row */
	unsigned begin;			/* the first position that its first row sees */
	unsigned first_end;		/* one after the last position that its first row, */
	unsigned end;			/* and its last row, sees */
	float *query;			/* [head_dim][n] for each group of n
					 * queries, or rounded to integers */
	float *score;			/* [n_queries][LDS] */
	float *state[2];		/* room for results */
	float *scaled;			/* [CPU_MAX_QUERY_GROUP][LDS] */
	float *unpacked;		/* keys, then values of a slice */
	uint8_t *gathered;		/* a slice's record */
};

/* Lower bounds that keep tiles from becoming too small. */
enum { ITEMS_PER_THREAD = 8, MAX_UNPACKING_FREE = 8 };
enum { LDS = CPU_SLICE_POSITIONS };	/* floats from a query's scores to the next's */

static unsigned parts_of(unsigned n_positions)
{
	return (unsigned)div_up(n_positions, CPU_PART_POSITIONS);
}

/* The first part that a row of the tile sees. Parts before it add nothing to any row. */
static unsigned first_part(const struct tile *t)
{
	return t->begin / CPU_PART_POSITIONS;
}

/* Finds the span of a tile, and the tile's index within the span. */
static const struct attention_span *find_span(const struct attention *a, size_t *tile)
{
	const uint32_t *start = a->cpu->span_start;
	unsigned low = 0, high = a->n_spans;

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (start[middle] <= *tile)
			low = middle;
		else
			high = middle;
	}
	*tile -= start[low];
	return &a->spans[low];
}

static void find_scratch(const struct kv_cache *cache, unsigned thread, struct tile *t)
{
	size_t state = CPU_TILE_QUERIES * kv_state_floats(cache);
	float *end = cache->scratch + (thread + 1) * cache->scratch_floats;

	t->query = cache->scratch + thread * cache->scratch_floats;
	t->score = t->query + (size_t)CPU_TILE_QUERIES * cache->query_floats;
	t->state[0] = t->score + CPU_TILE_QUERIES * LDS;
	t->state[1] = t->state[0] + state;
	t->scaled = t->state[1] + state;
	t->unpacked = t->scaled + CPU_MAX_QUERY_GROUP * LDS;
	t->gathered = (uint8_t *)end - cache->gathered.n_bytes;
}

/* The first position that a row sees which sees positions up to `end`. */
static unsigned begin_of(const struct attention *a, unsigned end)
{
	unsigned window = a->cache->config.window;

	return window && end > window ? end - window : 0;
}

/* Sets the tile to n rows of the span, for the tile's heads. */
static void set_rows(const struct attention *a, struct tile *t, unsigned first, unsigned n)
{
	t->first_row = first;
	t->n_rows = n;
	t->n_queries = n * t->n_heads;
	t->first_end = t->span->first_position + first + 1;
	t->end = t->first_end + n - 1;
	t->begin = begin_of(a, t->first_end);
}

static void init_tile(const struct attention *a, size_t item, unsigned thread, struct tile *t)
{
	const struct kv_cache *cache = a->cache;
	unsigned head_tile, row_tile, n_row_tiles;

	t->span = find_span(a, &item);
	t->kv_head = (unsigned)(item % cache->config.n_kv_heads);
	item /= cache->config.n_kv_heads;
	head_tile = (unsigned)(item % a->head_tiles);
	/* Later rows see more positions and cost more. They come first, so that no thread ends with
	 * a long tile. */
	n_row_tiles = (unsigned)div_up(t->span->n_rows, a->tile_rows);
	row_tile = n_row_tiles - 1 - (unsigned)(item / a->head_tiles);
	t->first_head = t->kv_head * a->group + head_tile * a->tile_heads;
	t->n_heads = min_of(a->tile_heads, a->group - head_tile * a->tile_heads);
	set_rows(a, t, row_tile * a->tile_rows,
		 min_of(a->tile_rows, t->span->n_rows - row_tile * a->tile_rows));
	find_scratch(cache, thread, t);
}

static struct result result_at(float *floats, const struct tile *t)
{
	return (struct result){ floats, floats + t->n_queries, floats + 2 * t->n_queries };
}

static size_t query_index(const struct attention *a, const struct tile *t, unsigned i)
{
	size_t row = t->span->first_row + t->first_row + i / t->n_heads;

	return row * a->n_heads + t->first_head + i % t->n_heads;
}

static void round_queries(const struct attention *a, const struct tile *t)
{
	unsigned dim = a->cache->config.head_dim;

	for (unsigned i = 0; i < t->n_queries; i++)
		a->cpu->kernels->attention.round_query(a->q + query_index(a, t, i) * dim,
						       a->shape->scale, dim, t->n_queries, i,
						       t->query);
}

static void load_queries(const struct attention *a, const struct tile *t)
{
	unsigned dim = a->cache->config.head_dim, n;

	if (a->cache->quad > 1) {
		round_queries(a, t);
		return;
	}
	for (unsigned first = 0; first < t->n_queries; first += n) {
		float *to = t->query + (size_t)first * dim;

		n = cpu_query_group(a->cpu->kernels->attention.max_group, t->n_queries - first);
		for (unsigned i = 0; i < n; i++) {
			const float *q = a->q + query_index(a, t, first + i) * dim;

			for (unsigned d = 0; d < dim; d++)
				to[d * n + i] = q[d] * a->shape->scale;
		}
	}
}

/* --- one slice --- */

/* Caps the scores of query i, whose row sees positions up to `end`, and adds its head's slope. */
static void bend(const struct attention *a, const struct tile *t, unsigned i, unsigned end,
		 unsigned first, unsigned n_scores, float *score)
{
	const float *slopes = a->shape->slopes;
	float slope = slopes ? slopes[t->first_head + i % t->n_heads] : 0;

	if (a->shape->cap > 0 || slopes)
		a->cpu->kernels->attention.bend(score, n_scores, a->shape->cap, slope,
						(float)first - (float)(end - 1));
}

/* Computes the weights of all queries, and the factors by which earlier sums shrink. */
static void weigh(const struct attention *a, const struct tile *t, unsigned c,
		  const struct cpu_kv_slice *slice, struct result *r, float *shrink)
{
	unsigned n_scores = slice->n_vectors * a->cache->lanes;
	unsigned first = c * CPU_SLICE_POSITIONS + slice->first;

	for (unsigned i = 0; i < t->n_queries; i++) {
		unsigned end = t->first_end + i / t->n_heads, begin = begin_of(a, end);
		float *score = t->score + (size_t)i * LDS;

		shrink[i] = 1;
		if (end <= first || begin >= first + n_scores) {
			memset(score, 0, n_scores * sizeof *score);
			continue;
		}
		bend(a, t, i, end, first, n_scores, score);
		for (unsigned k = first; k < begin; k++)
			score[k - first] = -INFINITY;
		for (unsigned k = end - first; k < n_scores; k++)
			score[k] = -INFINITY;
		shrink[i] = a->cpu->kernels->attention.softmax(score, n_scores, &r->max[i],
							       &r->total[i]);
	}
}

static void add_slice(const struct attention *a, const struct tile *t, unsigned c,
		      struct result *r)
{
	const struct cpu_attention_kernels *kernels = &a->cpu->kernels->attention;
	const struct slice_source source = {
		a->cache, t->span->blocks, a->layer, t->kv_head, t->begin, t->end,
	};
	enum cpu_kv_type type = a->cache->type;
	bool is_unpacked = kernels->unpack[type] && t->n_queries > MAX_UNPACKING_FREE;
	float shrink[CPU_TILE_QUERIES];
	struct cpu_kv_slice slice;

	if (kv_is_gathered(a->cache, is_unpacked))
		slice_gather(&source, c, t->gathered, &slice);
	else
		slice_find(&source, c, &slice);
	if (is_unpacked) {
		slice_unpack(a->cache, kernels, &slice, t->unpacked);
		type = type == CPU_KV_Q8_0 ? CPU_KV_CODES : CPU_KV_F32;
	}
	kernels->scores[type](&slice, t->n_queries, t->query, t->score, LDS);
	weigh(a, t, c, &slice, r, shrink);
	kernels->values[type](&slice, t->n_queries, t->score, LDS, shrink, t->scaled, r->sum);
}

/* --- parts --- */

static void add_part(const struct attention *a, const struct tile *t, unsigned part,
		     struct result *r)
{
	unsigned n_slices = (unsigned)div_up(t->end, CPU_SLICE_POSITIONS);
	unsigned first = part * CPU_PART_SLICES;
	unsigned first_seen = (unsigned)max_of(first, t->begin / CPU_SLICE_POSITIONS);

	for (unsigned i = 0; i < t->n_queries; i++) {
		r->max[i] = -INFINITY;
		r->total[i] = 0;
	}
	memset(r->sum, 0, (size_t)t->n_queries * a->cache->value_width * sizeof *r->sum);
	for (unsigned c = first_seen; c < min_of(first + CPU_PART_SLICES, n_slices); c++)
		add_slice(a, t, c, r);
}

static void merge_part(const struct attention *a, const struct tile *t, struct result *r,
		       const struct result *next)
{
	unsigned width = a->cache->value_width;

	for (unsigned i = 0; i < t->n_queries; i++)
		if (next->total[i] > 0 || isnan(next->total[i]))
			a->cpu->kernels->attention.merge(&r->max[i], &r->total[i],
							 r->sum + (size_t)i * width, next->max[i],
							 next->total[i],
							 next->sum + (size_t)i * width, width);
}

/* A sum of zero may have either sign, depending on what the row did not see; adding + 0 makes it
 * +0. Returns false if some result is not finite. */
static bool store_result(const struct attention *a, const struct tile *t, const struct result *r)
{
	unsigned dim = a->cache->config.value_dim, n_odd = 0;

	for (unsigned i = 0; i < t->n_queries; i++) {
		float *out = a->out + query_index(a, t, i) * dim;
		const float *sum = r->sum + (size_t)i * a->cache->value_width;

		for (unsigned d = 0; d < dim; d++) {
			out[d] = sum[d] / r->total[i] + 0.0f;
			n_odd += !isfinite(out[d]);
		}
	}
	return !n_odd;
}

static bool attend_tile(const struct attention *a, const struct tile *t)
{
	struct result all = result_at(t->state[0], t), next = result_at(t->state[1], t);

	load_queries(a, t);
	add_part(a, t, first_part(t), &all);
	for (unsigned part = first_part(t) + 1; part < parts_of(t->end); part++) {
		add_part(a, t, part, &next);
		merge_part(a, t, &all, &next);
	}
	return store_result(a, t, &all);
}

static void attend_rows(const struct attention *a, const struct tile *t)
{
	for (unsigned i = 0; i < t->n_rows; i++) {
		struct tile row = *t;

		set_rows(a, &row, t->first_row + i, 1);
		(void)attend_tile(a, &row);
	}
}

static void attend(void *arg, size_t item, unsigned thread)
{
	const struct attention *a = arg;
	struct tile t;

	init_tile(a, item, thread, &t);
	if (!attend_tile(a, &t) && t.n_rows > 1)
		attend_rows(a, &t);
}

static void attend_part(void *arg, size_t item, unsigned thread)
{
	const struct attention *a = arg;
	unsigned part = (unsigned)(item % a->n_parts);
	struct result r;
	struct tile t;

	init_tile(a, item / a->n_parts, thread, &t);
	part += first_part(&t);
	if (part >= parts_of(t.end))
		return;
	load_queries(a, &t);
	r = result_at(a->cache->parts + item * a->part_floats, &t);
	add_part(a, &t, part, &r);
}

static void merge_tile(void *arg, size_t item, unsigned thread)
{
	const struct attention *a = arg;
	float *floats = a->cache->parts + item * a->n_parts * a->part_floats;
	struct result all, next;
	struct tile t;

	init_tile(a, item, thread, &t);
	all = result_at(floats, &t);
	for (unsigned i = 1; first_part(&t) + i < parts_of(t.end); i++) {
		next = result_at(floats + i * a->part_floats, &t);
		merge_part(a, &t, &all, &next);
	}
	if (!store_result(a, &t, &all) && t.n_rows > 1)
		attend_rows(a, &t);
}

/* --- the operation --- */

/* The most positions that n neighbouring rows of a span see together. */
static unsigned positions_of(const struct attention *a, const struct attention_span *span,
			     unsigned n)
{
	unsigned window = a->cache->config.window, all = span->first_position + span->n_rows;

	return window ? (unsigned)min_of(all, (uint64_t)window - 1 + n) : all;
}

/* The most parts that a tile of n rows of a span has. */
static unsigned most_parts(const struct attention *a, const struct attention_span *span,
			   unsigned n)
{
	unsigned all = parts_of(span->first_position + span->n_rows);

	return (unsigned)min_of(all, parts_of(positions_of(a, span, n) - 1) + 1);
}

/* Sets n_parts to the largest number of parts of a tile, if there are many threads, few tiles, and
 * enough memory for the results. */
static void split_tiles(struct attention *a, unsigned n_threads, unsigned n_tiles)
{
	unsigned n_parts = 1, most_rows = 0;

	a->n_parts = 1;
	if (n_threads == 1 || n_tiles >= n_threads * ITEMS_PER_THREAD)
		return;
	for (unsigned i = 0; i < a->n_spans; i++) {
		unsigned n_rows = (unsigned)min_of(a->spans[i].n_rows, a->tile_rows);

		n_parts = (unsigned)max_of(n_parts, most_parts(a, &a->spans[i], n_rows));
		most_rows = (unsigned)max_of(most_rows, n_rows);
	}
	a->part_floats = (size_t)most_rows * a->tile_heads * kv_state_floats(a->cache);
	if ((uint64_t)n_tiles * n_parts * a->part_floats <= a->cache->n_part_floats)
		a->n_parts = n_parts;
}

void cpu_attention(struct backend *backend, const struct kv_cache *cache, unsigned layer,
		   const struct attention_span *spans, unsigned n_spans, const float *q,
		   const struct attention_shape *shape, float *out)
{
	struct cpu_backend *cpu = cpu_of(backend);
	unsigned n_heads = shape->n_heads;
	struct attention a = {
		.cpu = cpu, .cache = cache, .spans = spans, .n_spans = n_spans, .layer = layer,
		.q = q, .shape = shape, .n_heads = n_heads,
		.group = n_heads / cache->config.n_kv_heads, .out = out,
	};
	uint64_t n_operations = 0;
	unsigned n_tiles = 0, n_threads;

	assert(n_heads % cache->config.n_kv_heads == 0 && n_spans <= cpu->max_rows);
	a.tile_heads = min_of(a.group, CPU_TILE_QUERIES);
	a.tile_rows = CPU_TILE_QUERIES / a.tile_heads;
	a.head_tiles = (unsigned)div_up(a.group, a.tile_heads);
	for (unsigned i = 0; i < n_spans; i++) {
		cpu->span_start[i] = n_tiles;
		n_tiles += (unsigned)div_up(spans[i].n_rows, a.tile_rows) * a.head_tiles *
			   cache->config.n_kv_heads;
		n_operations += (uint64_t)spans[i].n_rows * n_heads *
				positions_of(&a, &spans[i], 1) *
				(cache->config.head_dim + cache->config.value_dim);
	}
	n_threads = cpu_threads_for(cpu, n_operations);
	split_tiles(&a, n_threads, n_tiles);
	if (a.n_parts == 1) {
		cpu_parallel_dynamic(cpu, n_threads, n_tiles, attend, &a);
		return;
	}
	cpu_parallel_dynamic(cpu, n_threads, (size_t)n_tiles * a.n_parts, attend_part, &a);
	cpu_parallel_even(cpu, n_threads, n_tiles, merge_tile, &a);
}
