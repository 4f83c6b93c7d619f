/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_TILES_H
#define STAGECOACH_BACKEND_CPU_TILES_H
/*
 * tiles - the activations of a product in the form that the kernels read (kernels.h describes it).
 * The backend owns the memory, which is for the largest step. Thread: the backend's.
 */
#include "backend/cpu/kernels.h"

struct cpu_backend;

struct cpu_tiles {
	uint8_t *memory[CPU_N_TILE_KINDS];
	float *scales;			/* [max_rows] scales of the rows of integer tiles */
};

/* Converts x[n_rows][n_in] into tiles of one kind. All tiles except the last have tile_rows
 * rows. */
void cpu_tiles_prepare(const struct cpu_backend *cpu, enum cpu_tile_kind kind, unsigned tile_rows,
		       const float *x, unsigned n_rows, unsigned n_in);

/* The tile that starts at a row, which must be a multiple of the tiles' tile_rows. */
const uint8_t *cpu_tile(const struct cpu_tiles *tiles, enum cpu_tile_kind kind, unsigned row,
			unsigned n_in);

/* Bytes of the first k inputs of a tile of r rows. k must be even for bfloat16, and a multiple of
 * 32 for integers. */
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
