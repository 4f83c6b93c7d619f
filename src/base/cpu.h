/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_CPU_H
#define STAGECOACH_BASE_CPU_H
/* cpu - what this processor and this process's share of it can do. Thread: any. */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The sets of instructions that kernels are written for, worst first. A processor with one of them
 * has all before it. Results differ between sets in their last bits, so each combination of
 * features that shows in results is a set of its own. */
enum cpu_isa {
	CPU_AUTO,		/* none in particular: the best there is */
	CPU_SCALAR,		/* what every processor has */
	CPU_AVX2,		/* AVX2, FMA, F16C */
	CPU_AVX512,		/* beside those: AVX-512 F, BW, DQ, VL, VNNI */
	CPU_AVX512_BF16,	/* beside those: AVX512_BF16, products of bfloat16 numbers */
	CPU_N_ISAS,
};

/* The best set that this processor, its operating system and this build have: never CPU_AUTO. */
enum cpu_isa cpu_isa_best(void);

/* "auto", "scalar", "avx2", "avx512", "avx512-bf16". */
const char *cpu_isa_name(enum cpu_isa isa);
/* False: no such name. */
bool cpu_isa_find(const char *name, enum cpu_isa *isa_out);

/* The set to use where `wanted` was asked for: itself, or the best for CPU_AUTO.
 * SC_E_CONFIG: this processor does not have it. */
must_check enum sc_status cpu_isa_select(enum cpu_isa wanted, enum cpu_isa *isa_out,
					 struct error *err);

/* Processors in this process's affinity mask, at least 1. */
unsigned cpu_count(void);

/* The same number for threads and processes of a machine that may run on the same processors. */
uint64_t cpu_set_id(void);

/* Bytes that the last level of caches of those processors holds, of all its caches together; 0: the
 * system does not say. Reads /sys. */
uint64_t cpu_cache_bytes(void);

#endif
