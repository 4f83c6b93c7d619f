/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/tiles.h"

#include "backend/cpu/cpu.h"

enum { PREPARE_COST = 4 };	/* of an element, in multiply-adds of a product */

const uint8_t *cpu_tile(const struct cpu_tiles *tiles, enum cpu_tile_kind kind, unsigned row,
			unsigned n_in)
{
	return tiles->memory[kind] + cpu_tile_bytes(kind, 1, n_in) * row;
}

/* Interleaves rows, input by input. */
static void pack_floats(const float *x, size_t n_in, unsigned r, float *tile)
{
	for (unsigned row = 0; row < r; row++)
		for (size_t k = 0; k < n_in; k++)
			tile[k * r + row] = x[row * n_in + k];
}

struct preparation {
	const struct cpu_backend *cpu;
	enum cpu_tile_kind kind;
	unsigned tile_rows;
	const float *x;
	unsigned n_rows;
	unsigned n_in;
};

static void prepare_tile(void *arg, size_t item, unsigned thread)
{
	const struct preparation *p = arg;
	const struct cpu_kernels *kernels = p->cpu->kernels;
	unsigned first = (unsigned)item * p->tile_rows, left = p->n_rows - first;
	unsigned r = left < p->tile_rows ? left : p->tile_rows;
	const float *x = p->x + (size_t)first * p->n_in;
	uint8_t *tile = (uint8_t *)cpu_tile(&p->cpu->tiles, p->kind, first, p->n_in);

	(void)thread;
	if (p->kind == CPU_TILE_FLOAT)
		pack_floats(x, p->n_in, r, (float *)tile);
	else if (p->kind == CPU_TILE_BF16)
		kernels->round_bf16(x, p->n_in, r, p->n_in, tile);
	else
		kernels->quantise(x, p->n_in, r, p->n_in, tile, p->cpu->tiles.scales + first);
}

void cpu_tiles_prepare(const struct cpu_backend *cpu, enum cpu_tile_kind kind, unsigned tile_rows,
		       const float *x, unsigned n_rows, unsigned n_in)
{
	struct preparation p = { cpu, kind, tile_rows, x, n_rows, n_in };
	uint64_t cost = (uint64_t)n_rows * n_in * PREPARE_COST;

	cpu_parallel_even(cpu, cpu_threads_for(cpu, cost), (n_rows + tile_rows - 1) / tile_rows,
			  prepare_tile, &p);
}
