/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_CPU_H
#define STAGECOACH_BASE_CPU_H
/* cpu - the instruction sets of this processor, and the processors that this process may use.
 * Thread: any. */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The instruction sets that kernels are written for, lowest first. A processor that has one of them
 * has all lower ones. Kernels of different sets differ in the last bits of their results, so every
 * combination of features that changes results is a set of its own. */
enum cpu_isa {
	CPU_AUTO,		/* use the best set available */
	CPU_SCALAR,		/* plain C, runs on every processor */
	CPU_AVX2,		/* AVX2, FMA, F16C */
	CPU_AVX512,		/* in addition: AVX-512 F, BW, DQ, VL, VNNI */
	CPU_AVX512_BF16,	/* in addition: AVX512_BF16, products of bfloat16 numbers */
	CPU_N_ISAS,
};

/* The best set that this processor, its operating system and this build support. Never CPU_AUTO. */
enum cpu_isa cpu_isa_best(void);

/* Returns "auto", "scalar", "avx2", "avx512" or "avx512-bf16". */
const char *cpu_isa_name(enum cpu_isa isa);
/* Returns false if no set has this name. */
bool cpu_isa_find(const char *name, enum cpu_isa *isa_out);

/* Chooses the set to use: `wanted` itself, or the best set for CPU_AUTO.
 * SC_E_CONFIG: this processor or this build does not support `wanted`. */
must_check enum sc_status cpu_isa_select(enum cpu_isa wanted, enum cpu_isa *isa_out,
					 struct error *err);

/* The number of processors in this process's affinity mask, at least 1. */
unsigned cpu_count(void);

/* An id of the affinity mask. Threads and processes of a machine with equal masks get equal ids. */
uint64_t cpu_set_id(void);

/* Bytes that the last level of caches of those processors holds, of all its caches together; 0: the
 * system does not say. Reads /sys. */
uint64_t cpu_cache_bytes(void);

#endif
