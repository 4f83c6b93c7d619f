/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_TILES_H
#define STAGECOACH_BACKEND_CPU_TILES_H
/*
 * tiles - the activations of a product as the kernels read them (kernels.h says how they lie).
 * Owns memory for the largest step. Thread: the backend's.
 */
#include "backend/cpu/kernels.h"

struct cpu_backend;

struct cpu_tiles {
	uint8_t *memory[CPU_N_TILE_KINDS];
	float *scales;			/* [max_rows] of the rows of integer tiles */
};

/* false: no memory; deinit all the same. */
bool cpu_tiles_init(struct cpu_tiles *tiles, const struct cpu_backend *cpu);
void cpu_tiles_deinit(struct cpu_tiles *tiles);

/* Makes tiles of one kind, each but the last of tile_rows rows, of x[n_rows][n_in]. */
void cpu_tiles_prepare(const struct cpu_backend *cpu, enum cpu_tile_kind kind, unsigned tile_rows,
		       const float *x, unsigned n_rows, unsigned n_in);

/* The tile that begins with a row, a multiple of their tile_rows. */
const uint8_t *cpu_tile(const struct cpu_tiles *tiles, enum cpu_tile_kind kind, unsigned row,
			unsigned n_in);

/* Bytes of the first k inputs of a tile of r rows; k is even for bfloat16, of 32 for integers. */
static inline size_t cpu_tile_bytes(enum cpu_tile_kind kind, unsigned r, size_t k)
{
	switch (kind) {
	case CPU_TILE_FLOAT:
		return k * r * 4;
	case CPU_TILE_BF16:
		return (k + k % 2) * r * 2;
	default:
		return k / CPU_QUANT_BLOCK * r * CPU_TILE_INT_BYTES;
	}
}

#endif
