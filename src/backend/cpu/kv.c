/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/kv.h"

#include "backend/cpu/cpu.h"
#include "model/float16.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_BLOCK_LENGTH = 1024,
	WRITE_COST = 16,		/* cost per element, in multiply-adds of a product */
	PART_QUERIES = 16,		/* of a key-value head, usually */
	PARTS_OF_THREAD = 8,
};

static enum sc_status check_config(const struct kv_cache_config *c, struct error *err)
{
	if (!c->n_layers || !c->n_blocks || !c->n_kv_heads || !c->head_dim || !c->value_dim ||
	    !c->block_length || c->block_length > MAX_BLOCK_LENGTH || c->n_layers > 1u << 16 ||
	    c->n_kv_heads > 1u << 14 || c->head_dim > 1u << 14 || c->value_dim > 1u << 14)
		return error_set(err, SC_E_INVALID, "kv cache: out of range: %u layers, %u blocks "
				 "of %u positions, %u heads of %u and %u", c->n_layers, c->n_blocks,
				 c->block_length, c->n_kv_heads, c->head_dim, c->value_dim);
	if (c->table_blocks &&
	    (!c->window || (uint64_t)c->table_blocks * c->block_length < c->window))
		return error_set(err, SC_E_INVALID, "kv cache: a table of %u blocks of %u "
				 "positions does not hold a window of %u", c->table_blocks,
				 c->block_length, c->window);
	return SC_OK;
}

static enum sc_status find_type(enum tensor_type type, enum cpu_kv_type *type_out,
				struct error *err)
{
	const struct tensor_type_info *info = tensor_type_info(type);

	switch ((int)type) {
	case TENSOR_F32:
		*type_out = CPU_KV_F32;
		return SC_OK;
	case TENSOR_F16:
		*type_out = CPU_KV_F16;
		return SC_OK;
	case TENSOR_BF16:
		*type_out = CPU_KV_BF16;
		return SC_OK;
	case TENSOR_Q8_0:
		*type_out = CPU_KV_Q8_0;
		return SC_OK;
	default:
		return error_set(err, SC_E_UNSUPPORTED, "kv cache: cannot hold %s, only F32, F16, "
				 "BF16 and Q8_0", info ? info->name : "an unknown type");
	}
}

static unsigned element_bytes(enum cpu_kv_type type)
{
	return type == CPU_KV_F32 ? 4 : type == CPU_KV_Q8_0 ? 1 : 2;
}

/* Bytes of the scales of n elements of each position. */
static size_t scale_bytes(const struct kv_cache *cache, unsigned n, unsigned key_stride)
{
	size_t n_groups = (n + CPU_KV_GROUP - 1) / CPU_KV_GROUP;

	return cache->type == CPU_KV_Q8_0 ? n_groups * key_stride * sizeof(uint16_t) : 0;
}

static struct kv_layout layout_of(const struct kv_cache *cache, unsigned length)
{
	const struct kv_cache_config *config = &cache->config;
	struct kv_layout l = {
		.length = length,
		.key_stride = (unsigned)round_up(length, cache->lanes),
	};

	l.key_elements = round_up(config->head_dim, cache->quad) * l.key_stride;
	l.value_elements = round_up(length, cache->quad) * cache->value_width;
	l.key_scales = l.key_elements * cache->element_bytes;
	l.values = l.key_scales + scale_bytes(cache, config->head_dim, l.key_stride);
	l.value_scales = round_up(l.values + l.value_elements * cache->element_bytes,
				  sizeof(uint16_t));
	l.n_bytes = round_up(l.value_scales + scale_bytes(cache, config->value_dim, l.key_stride),
			     64);
	return l;
}

/* Per thread: queries, scores and two results of a tile, scaled weights of a group, and a slice
 * as it is gathered and unpacked. */
static size_t scratch_floats(const struct kv_cache *cache, bool is_unpacked)
{
	size_t scores = CPU_SLICE_POSITIONS;
	size_t n = CPU_TILE_QUERIES * (cache->query_floats + scores +
				       2 * kv_state_floats(cache)) + CPU_MAX_QUERY_GROUP * scores;

	if (kv_is_gathered(cache, is_unpacked))
		n += cache->gathered.n_bytes / sizeof(float);
	if (is_unpacked)
		n += cache->gathered.key_elements + cache->gathered.value_elements;
	/* Threads write to lines of their own. */
	return round_up(n, 16);
}

/* Enough for one sequence that fills the pool, or for a few that share it: some parts per thread,
 * and those of each block. A single thread exchanges nothing. */
static size_t part_floats(const struct kv_cache *cache, unsigned n_threads)
{
	uint64_t n = add_capped(multiply_capped(cache->thread_part_floats, n_threads),
				multiply_capped(cache->block_part_floats, cache->config.n_blocks));

	return n_threads > 1 ? min_of(n, CPU_MAX_PART_FLOATS) : 0;
}

static void lay_out(struct kv_cache *cache, const struct cpu_kernels *table)
{
	const struct kv_cache_config *config = &cache->config;
	const struct cpu_attention_kernels *kernels = &table->attention;
	size_t part;

	cache->kernels = kernels;
	cache->element_bytes = element_bytes(cache->type);
	cache->lanes = table->lanes;
	cache->value_width = (unsigned)round_up(config->value_dim, cache->lanes);
	cache->quad = cache->type == CPU_KV_Q8_0 && kernels->round_query ? CPU_KV_QUAD : 1;
	cache->query_floats = (unsigned)round_up(config->head_dim, CPU_KV_GROUP);
	if (CPU_SLICE_POSITIONS % config->block_length == 0)
		cache->slice_blocks = CPU_SLICE_POSITIONS / config->block_length;
	cache->is_whole_slices = config->block_length > CPU_SLICE_POSITIONS &&
				 config->block_length % CPU_SLICE_POSITIONS == 0;
	cache->record = layout_of(cache, config->block_length);
	cache->gathered = layout_of(cache, CPU_SLICE_POSITIONS);
	cache->scratch_floats = scratch_floats(cache, kernels->unpack[cache->type]);
	part = config->n_kv_heads * PART_QUERIES * kv_state_floats(cache);
	cache->thread_part_floats = PARTS_OF_THREAD * part;
	cache->block_part_floats = div_up(config->block_length * part, CPU_PART_POSITIONS);
}

enum sc_status cpu_kv_lay_out(const struct kv_cache_config *config,
			      const struct cpu_kernels *kernels, struct kv_cache *cache,
			      struct error *err)
{
	enum sc_status status = check_config(config, err);
	enum cpu_kv_type type = CPU_KV_F32;

	if (!status)
		status = find_type(config->type, &type, err);
	if (status)
		return status;
	*cache = (struct kv_cache){ .config = *config, .type = type };
	lay_out(cache, kernels);
	return SC_OK;
}

enum sc_status cpu_kv_create(struct backend *backend, const struct kv_cache_config *config,
			     struct kv_cache **cache_out, struct error *err)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct kv_cache laid_out, *cache;
	size_t n_bytes = 0, n_records;
	enum sc_status status;

	status = cpu_kv_lay_out(config, cpu->kernels, &laid_out, err);
	if (status)
		return status;
	cache = calloc(1, sizeof *cache);
	if (!cache)
		goto fail;
	*cache = laid_out;
	cache->n_part_floats = part_floats(cache, cpu->n_threads);
	n_records = (size_t)config->n_layers * config->n_blocks;
	if (__builtin_mul_overflow(n_records, kv_block_bytes(cache), &n_bytes))
		goto fail;
	cache->records = cpu_memory_untouched(n_bytes);
	cache->scratch = cpu_memory(cpu, cpu->n_threads * kv_scratch_bytes(cache));
	cache->parts = cpu_memory(cpu, cache->n_part_floats * sizeof(float));
	if (!cache->records || !cache->scratch || !cache->parts)
		goto fail;
	status = cpu_memory_take(cpu, cache->records, n_bytes, config->on_progress, config->arg);
	if (status == SC_E_CANCELLED) {
		cpu_kv_destroy(backend, cache);
		return error_set(err, SC_E_CANCELLED, "cancelled while memory was taken");
	}
	if (status)
		goto fail;
	*cache_out = cache;
	return SC_OK;
fail:
	cpu_kv_destroy(backend, cache);
	return error_set(err, SC_E_CAPACITY, "kv cache: no memory for %u layers x %u blocks "
			 "(%zu bytes)", config->n_layers, config->n_blocks, n_bytes);
}

void cpu_kv_destroy(struct backend *backend, struct kv_cache *cache)
{
	if (!cache)
		return;
	pages_leave(cpu_of(backend)->pages);
	cpu_memory_free(cache->records);
	cpu_memory_free(cache->scratch);
	cpu_memory_free(cache->parts);
	free(cache);
}

/* --- writing --- */

#define HALF_MOST 65504.0f	/* the largest finite half */

/* The nearest finite half, unless x is NaN. */
static uint16_t to_half(float x)
{
	return f32_to_f16(x > HALF_MOST ? HALF_MOST : x < -HALF_MOST ? -HALF_MOST : x);
}

static unsigned count_beyond(const float *x, unsigned n, float most)
{
	unsigned n_beyond = 0;

	for (unsigned i = 0; i < n; i++)
		n_beyond += fabsf(x[i]) > most;
	return n_beyond;
}

/* Returns true if any number of a whole group may exceed `most`. Magnitudes are compared as
 * integers: adding (0x7fffffff - limit) sets the sign bit of every magnitude above the limit, and
 * of NaN, which count_beyond then ignores. */
static bool has_beyond(const float *x, float most)
{
	uint32_t bits[CPU_KV_GROUP], limit, sums = 0;

	memcpy(bits, x, sizeof bits);
	memcpy(&limit, &most, sizeof limit);
	for (unsigned i = 0; i < CPU_KV_GROUP; i++)
		sums |= (bits[i] & 0x7fffffff) + (0x7fffffff - limit);
	return sums >> 31;
}

/* Stores halves. Returns how many numbers exceeded a half's range. */
static unsigned store_halves(const struct kv_cache *cache, const float *x, unsigned n, uint16_t *at,
			     size_t step)
{
	uint16_t halves[CPU_KV_GROUP];

	if (n == CPU_KV_GROUP && !has_beyond(x, HALF_MOST)) {
		cache->kernels->to_halves(x, step == 1 ? at : halves);
		for (unsigned i = 0; step > 1 && i < CPU_KV_GROUP; i++)
			at[i * step] = halves[i];
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		at[i * step] = to_half(x[i]);
	return count_beyond(x, n, HALF_MOST);
}

/* The largest magnitude, compared as integers. It is NaN if the group has a NaN, because NaN as an
 * integer is larger than infinity. */
static float largest_of(const float *x)
{
	int32_t bits[CPU_KV_GROUP], most = 0;
	float largest;

	memcpy(bits, x, sizeof bits);
	for (unsigned i = 0; i < CPU_KV_GROUP; i++) {
		int32_t size = bits[i] & 0x7fffffff;

		most = size > most ? size : most;
	}
	memcpy(&largest, &most, sizeof largest);
	return largest;
}

/* Quantises n elements and pads with zeros: |code| <= 127, and the scale fits the largest element.
 * A group with NaN, infinity or a magnitude over 3.4e38 gets a NaN scale. The loops have a fixed
 * length, so that compilers vectorise them. */
static uint16_t quantise_group(const float *x, unsigned n, int8_t codes[CPU_KV_GROUP])
{
	float group[CPU_KV_GROUP] = { 0 }, largest, unit;
	bool is_number;
	uint16_t scale;

	memcpy(group, x, n * sizeof *x);
	largest = largest_of(group);
	is_number = largest <= 3.4e38f;
	scale = is_number ? to_half(largest / 127) : 0x7e00;
	unit = is_number && scale ? 1 / f16_to_f32(scale) : 0;
	if (!is_number)
		memset(group, 0, sizeof group);
	for (unsigned i = 0; i < CPU_KV_GROUP; i++) {
		float code = group[i] * unit;

		code = code > 127 ? 127 : code;
		code = code < -127 ? -127 : code;
		codes[i] = (int8_t)(int)(code + copysignf(0.5f, code));
	}
	return scale;
}

/* Where some elements of one position are stored. */
struct place {
	uint8_t *at;
	size_t step;		/* distance in elements to the next element, or to the next quad */
	bool is_quads;		/* codes + 128 in quads of CPU_KV_QUAD, the last quad padded */
	uint16_t *scale;
};

/* Stores codes. Returns how many numbers exceeded the range of the largest scale. */
static unsigned store_codes(const float *x, unsigned n, const struct place *to)
{
	int8_t codes[CPU_KV_GROUP];
	uint8_t *at = to->at;
	unsigned n_saturated = 0;

	*to->scale = quantise_group(x, n, codes);
	if (f16_to_f32(*to->scale) == HALF_MOST)
		n_saturated = count_beyond(x, n, 127 * HALF_MOST);
	if (!to->is_quads) {
		for (unsigned i = 0; i < n; i++)
			at[i * to->step] = (uint8_t)codes[i];
		return n_saturated;
	}
	for (unsigned i = 0; i < CPU_KV_GROUP; i++)
		codes[i] ^= -128;
	for (unsigned i = 0; i < n; i += CPU_KV_QUAD, at += to->step)
		memcpy(at, codes + i, CPU_KV_QUAD);
	return n_saturated;
}

/* Stores n <= CPU_KV_GROUP elements in the cache's type. Returns how many exceed its range. */
static unsigned store_elements(const struct kv_cache *cache, const float *x, unsigned n,
			       const struct place *to)
{
	void *at = to->at;

	switch (cache->type) {
	case CPU_KV_F16:
		return store_halves(cache, x, n, at, to->step);
	case CPU_KV_BF16:
		for (unsigned i = 0; i < n; i++)
			((uint16_t *)at)[i * to->step] = f32_to_bf16(x[i]);
		break;
	case CPU_KV_Q8_0:
		return store_codes(x, n, to);
	default:
		for (unsigned i = 0; i < n; i++)
			((float *)at)[i * to->step] = x[i];
	}
	return 0;
}

/* The place of a key's group from dimension d on; `at` is the key's position in its block. */
static struct place key_place(const struct kv_cache *cache, uint8_t *record, unsigned d,
			      unsigned at)
{
	uint16_t *scales = (uint16_t *)(void *)(record + cache->record.key_scales);
	size_t stride = cache->record.key_stride, first = d * stride + (size_t)at * cache->quad;

	return (struct place){
		.at = record + first * cache->element_bytes,
		.step = stride * cache->quad,
		.is_quads = cache->quad > 1,
		.scale = scales + d / CPU_KV_GROUP * stride + at,
	};
}

/* The same for a value. */
static struct place value_place(const struct kv_cache *cache, uint8_t *record, unsigned d,
				unsigned at)
{
	uint16_t *scales = (uint16_t *)(void *)(record + cache->record.value_scales);
	size_t width = min_of(cache->value_width - d, CPU_KV_GROUP);
	size_t strip = d * round_up(cache->config.block_length, cache->quad);
	size_t first = strip + at / cache->quad * cache->quad * width + at % cache->quad;

	return (struct place){
		.at = record + cache->record.values + first * cache->element_bytes,
		.step = cache->quad,
		.scale = scales + (size_t)d / CPU_KV_GROUP * cache->record.key_stride + at,
	};
}

static unsigned write_head(const struct kv_cache *cache, uint8_t *record, unsigned at,
			   const float *key, const float *value)
{
	const struct kv_cache_config *config = &cache->config;
	unsigned n_saturated = 0;

	for (unsigned d = 0; d < config->head_dim; d += CPU_KV_GROUP) {
		struct place to = key_place(cache, record, d, at);

		n_saturated += store_elements(cache, key + d,
					      (unsigned)min_of(config->head_dim - d,
							       CPU_KV_GROUP), &to);
	}
	for (unsigned d = 0; d < config->value_dim; d += CPU_KV_GROUP) {
		struct place to = value_place(cache, record, d, at);

		n_saturated += store_elements(cache, value + d,
					      (unsigned)min_of(config->value_dim - d,
							       CPU_KV_GROUP), &to);
	}
	return n_saturated;
}

struct span_write {
	struct kv_cache *cache;
	unsigned layer;
	const struct attention_span *span;
	const float *keys;
	const float *values;
};

static void write_position(void *arg, size_t i, unsigned thread)
{
	const struct span_write *w = arg;
	const struct kv_cache_config *config = &w->cache->config;
	unsigned position = w->span->first_position + (unsigned)i;
	uint32_t block = w->span->blocks[kv_table_entry(w->cache, position)];
	size_t head = (w->span->first_row + i) * config->n_kv_heads;
	size_t record = (size_t)w->layer * config->n_blocks + block;
	unsigned n_saturated = 0;

	(void)thread;
	record *= config->n_kv_heads;
	for (unsigned h = 0; h < config->n_kv_heads; h++) {
		uint8_t *at = w->cache->records + (record + h) * w->cache->record.n_bytes;

		n_saturated += write_head(w->cache, at, position % config->block_length,
					  w->keys + (head + h) * config->head_dim,
					  w->values + (head + h) * config->value_dim);
	}
	if (n_saturated)
		atomic_fetch_add(&w->cache->n_saturated, n_saturated);
}

void cpu_kv_write(struct backend *backend, struct kv_cache *cache, unsigned layer,
		  const struct attention_span *spans, unsigned n_spans, const float *keys,
		  const float *values)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	uint64_t row_cost = (uint64_t)cache->config.n_kv_heads *
			    (cache->config.head_dim + cache->config.value_dim) * WRITE_COST;
	bool was_saturated = atomic_load(&cache->n_saturated);

	for (unsigned i = 0; i < n_spans; i++) {
		struct span_write w = { cache, layer, &spans[i], keys, values };

		cpu_parallel_even(cpu, cpu_threads_for(cpu, spans[i].n_rows * row_cost),
				  spans[i].n_rows, write_position, &w);
	}
	if (!was_saturated && atomic_load(&cache->n_saturated))
		cache->saturated_layer = layer;
}

uint64_t cpu_kv_saturated(const struct kv_cache *cache, unsigned *layer_out)
{
	*layer_out = cache->saturated_layer;
	return atomic_load(&cache->n_saturated);
}
