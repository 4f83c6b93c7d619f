/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"
#include "model/model.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/*
 * The angle is the float product of position and frequency, as in training. Cosine and sine are
 * computed and scaled in double and rounded once. All layers of a step that have the same table
 * need the same angles for queries and keys, so each row keeps those of its last position. The
 * values depend only on position and table, so keeping them changes no bit.
 */

_Static_assert(CPU_ROPE_MAX_ANGLES * 2 >= MODEL_MAX_ROPE_DIM, "the angles of every model");

static bool is_of_table(const struct cpu_rope_cache *cache, const struct rope_table *table)
{
	unsigned n = table->dim / 2;

	return cache->n_angles == n && cache->scale == table->scale &&
	       !memcmp(cache->inverse_frequency, table->inverse_frequency, n * sizeof(float));
}

/* Returns the table's cache; if it has none, the one that was not used last becomes its. */
static struct cpu_rope_cache *take_table(struct cpu_backend *cpu, const struct rope_table *table)
{
	struct cpu_rope_cache *cache;

	for (unsigned i = 0; i < CPU_ROPE_TABLES; i++)
		if (is_of_table(&cpu->rope[i], table)) {
			cpu->last_rope = i;
			return &cpu->rope[i];
		}
	cpu->last_rope = (cpu->last_rope + 1) % CPU_ROPE_TABLES;
	cache = &cpu->rope[cpu->last_rope];
	cache->n_angles = table->dim / 2;
	cache->scale = table->scale;
	memcpy(cache->inverse_frequency, table->inverse_frequency,
	       cache->n_angles * sizeof(float));
	memset(cache->is_filled, 0, cpu->max_rows * sizeof *cache->is_filled);
	return cache;
}

struct rotation {
	const struct cpu_backend *cpu;
	const struct cpu_rope_cache *cache;
	const struct rope_table *table;
	float *x;
	const uint32_t *positions;
	unsigned n_heads;
	unsigned head_dim;
};

static void fill_row(const struct cpu_rope_cache *cache, size_t row, uint32_t position)
{
	float *cosine = cache->cosine + row * CPU_ROPE_MAX_ANGLES;
	float *sine = cache->sine + row * CPU_ROPE_MAX_ANGLES;
	const double scale = (double)cache->scale;

	if (cache->is_filled[row] && cache->positions[row] == position)
		return;
	for (unsigned i = 0; i < cache->n_angles; i++) {
		float angle = (float)position * cache->inverse_frequency[i];

		cosine[i] = (float)(cos((double)angle) * scale);
		sine[i] = (float)(sin((double)angle) * scale);
	}
	cache->positions[row] = position;
	cache->is_filled[row] = true;
}

static void rotate_row(void *arg, size_t row, unsigned thread)
{
	const struct rotation *r = arg;
	const float *cosine = r->cache->cosine + row * CPU_ROPE_MAX_ANGLES;
	const float *sine = r->cache->sine + row * CPU_ROPE_MAX_ANGLES;
	float *head = r->x + row * r->n_heads * r->head_dim;

	(void)thread;
	fill_row(r->cache, row, r->positions[row]);
	for (unsigned i = 0; i < r->n_heads; i++, head += r->head_dim)
		if (r->table->layout == ROPE_HALVES)
			r->cpu->kernels->rope_halves(head, cosine, sine, r->table->dim);
		else
			r->cpu->kernels->rope_interleaved(head, cosine, sine, r->table->dim);
}

void cpu_rope(struct backend *backend, const struct rope_table *table, float *x,
	      const uint32_t *positions, unsigned n_rows, unsigned n_heads, unsigned head_dim)
{
	struct cpu_backend *cpu = cpu_of(backend);
	struct rotation rotation = { cpu, NULL, table, x, positions, n_heads, head_dim };

	if (table->layout == ROPE_NONE)
		return;
	assert(n_rows <= cpu->max_rows && table->dim % 2 == 0 && table->dim <= head_dim &&
	       table->dim / 2 <= CPU_ROPE_MAX_ANGLES);
	rotation.cache = take_table(cpu, table);
	/* Counts a cosine and a sine for every few elements, as if none were kept. */
	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)n_rows * n_heads * head_dim * 32),
			  n_rows, rotate_row, &rotation);
}
