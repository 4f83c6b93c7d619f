/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_POSITIONS = 64,
	MAX_BLOCK_LENGTH = 1024,
	WRITE_COST = 16,	/* of an element, in multiply-adds of a product */
};

static unsigned round_up(unsigned n, unsigned unit)
{
	return (n + unit - 1) / unit * unit;
}

static enum sc_status check_config(const struct kv_cache_config *c, struct error *err)
{
	if (!c->n_layers || !c->n_blocks || !c->n_kv_heads || !c->head_dim || !c->value_dim ||
	    !c->block_length || c->block_length > MAX_BLOCK_LENGTH || c->n_layers > 1u << 16 ||
	    c->n_kv_heads > 1u << 14 || c->head_dim > 1u << 14 || c->value_dim > 1u << 14)
		return error_set(err, SC_E_INVALID, "kv cache: out of range: %u layers, %u blocks "
				 "of %u positions, %u heads of %u and %u", c->n_layers, c->n_blocks,
				 c->block_length, c->n_kv_heads, c->head_dim, c->value_dim);
	return SC_OK;
}

/* Everything but the memory. Per thread: queries, scores and sums of a tile. */
static void lay_out(struct kv_cache *cache, const struct kv_cache_config *config, unsigned lanes)
{
	unsigned blocks = CHUNK_POSITIONS / config->block_length;

	cache->config = *config;
	cache->key_stride = round_up(config->block_length, lanes);
	cache->value_width = round_up(config->value_dim, lanes);
	cache->chunk_blocks = blocks ? blocks : 1;
	cache->key_block = (size_t)config->n_kv_heads * config->head_dim * cache->key_stride;
	cache->value_block = (size_t)config->n_kv_heads * config->block_length * cache->value_width;
	cache->scratch_floats = (size_t)CPU_TILE_QUERIES *
		(config->head_dim + (size_t)cache->chunk_blocks * cache->key_stride +
		 cache->value_width);
	/* Threads write to lines of their own. */
	cache->scratch_floats = (cache->scratch_floats + 15) / 16 * 16;
}

enum sc_status cpu_kv_create(struct backend *backend, const struct kv_cache_config *config,
			     struct kv_cache **cache_out, struct error *err)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	enum sc_status status = check_config(config, err);
	size_t n_blocks, key_bytes = 0, value_bytes = 0;
	struct kv_cache *cache;

	if (status)
		return status;
	cache = calloc(1, sizeof *cache);
	if (!cache)
		goto fail;
	lay_out(cache, config, cpu->kernels->lanes);
	n_blocks = (size_t)config->n_layers * config->n_blocks;
	if (__builtin_mul_overflow(n_blocks, cache->key_block * sizeof(float), &key_bytes) ||
	    __builtin_mul_overflow(n_blocks, cache->value_block * sizeof(float), &value_bytes))
		goto fail;
	cache->keys = cpu_memory(key_bytes);
	cache->values = cpu_memory(value_bytes);
	cache->scratch = cpu_memory(cpu->n_threads * cache->scratch_floats * sizeof(float));
	if (!cache->keys || !cache->values || !cache->scratch)
		goto fail;
	*cache_out = cache;
	return SC_OK;
fail:
	cpu_kv_destroy(backend, cache);
	return error_set(err, SC_E_CAPACITY, "kv cache: no memory for %u layers x %u blocks "
			 "(%zu + %zu bytes)", config->n_layers, config->n_blocks, key_bytes,
			 value_bytes);
}

void cpu_kv_destroy(struct backend *backend, struct kv_cache *cache)
{
	(void)backend;
	if (!cache)
		return;
	free(cache->keys);
	free(cache->values);
	free(cache->scratch);
	free(cache);
}

static void write_row(struct kv_cache *cache, size_t block, unsigned at, const float *keys,
		      const float *values)
{
	const struct kv_cache_config *config = &cache->config;
	float *k = cache->keys + block * cache->key_block + at;
	float *v = cache->values + block * cache->value_block + (size_t)at * cache->value_width;

	for (unsigned head = 0; head < config->n_kv_heads; head++) {
		for (unsigned d = 0; d < config->head_dim; d++)
			k[(size_t)d * cache->key_stride] = *keys++;
		memcpy(v, values, config->value_dim * sizeof *v);
		values += config->value_dim;
		k += (size_t)config->head_dim * cache->key_stride;
		v += (size_t)config->block_length * cache->value_width;
	}
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
	size_t row = w->span->first_row + i;
	unsigned position = w->span->first_position + (unsigned)i;
	uint32_t block = w->span->blocks[position / config->block_length];

	(void)thread;
	write_row(w->cache, (size_t)w->layer * config->n_blocks + block,
		  position % config->block_length,
		  w->keys + row * config->n_kv_heads * config->head_dim,
		  w->values + row * config->n_kv_heads * config->value_dim);
}

void cpu_kv_write(struct backend *backend, struct kv_cache *cache, unsigned layer,
		  const struct attention_span *spans, unsigned n_spans, const float *keys,
		  const float *values)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	uint64_t row_cost = (uint64_t)cache->config.n_kv_heads *
			    (cache->config.head_dim + cache->config.value_dim) * WRITE_COST;

	for (unsigned i = 0; i < n_spans; i++) {
		struct span_write w = { cache, layer, &spans[i], keys, values };

		cpu_parallel_even(cpu, cpu_threads_for(cpu, spans[i].n_rows * row_cost),
				  spans[i].n_rows, write_position, &w);
	}
}
