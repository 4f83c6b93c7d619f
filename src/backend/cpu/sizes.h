/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_SIZES_H
#define STAGECOACH_BACKEND_CPU_SIZES_H
/*
 * sizes - how much memory the CPU backend takes. The backend allocates its arrays by the numbers of
 * cpu_array_bytes, and cpu_sizes adds the same numbers up.
 * Pure computation. Thread: any.
 */
#include "backend/backend.h"
#include "backend/cpu/formats.h"

#include <stddef.h>

struct cpu_kernels;

/* The arrays of an open backend. */
enum cpu_array {
	CPU_ARRAY_SCRATCH,
	CPU_ARRAY_SPANS,
	CPU_ARRAY_TILES,	/* one for each kind of tile */
	CPU_ARRAY_TILE_SCALES = CPU_ARRAY_TILES + CPU_N_TILE_KINDS,
	CPU_ARRAY_ROPE_FILLED,
	CPU_ARRAY_ROPE_POSITIONS,
	CPU_ARRAY_ROPE_COSINE,
	CPU_ARRAY_ROPE_SINE,
	CPU_N_ARRAYS,
};

/* The most that a compute thread's stack comes to use, its caller's part included. */
enum { CPU_STACK_BYTES = 64 << 10 };

void cpu_array_bytes(unsigned n_threads, unsigned max_rows, unsigned max_width,
		     size_t n_bytes_out[CPU_N_ARRAYS]);

/* backend_ops.sizes */
must_check enum sc_status cpu_sizes(const struct backend_config *config,
				    const struct kv_cache_config *kv,
				    struct backend_sizes *sizes_out, struct error *err);

/* What open_backend makes of its settings. SC_E_INVALID: out of range. */
must_check enum sc_status cpu_check_config(const struct backend_config *config, struct error *err);
unsigned cpu_n_threads(const struct backend_config *config);
const struct cpu_kernels *cpu_kernels_of(enum cpu_isa isa);

#endif
