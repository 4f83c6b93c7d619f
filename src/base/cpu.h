/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_CPU_H
#define STAGECOACH_BASE_CPU_H
/* cpu - what this processor and this process's share of it can do. Thread: any. */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum cpu_isa {
	CPU_SCALAR,
	CPU_AVX2,	/* AVX2, FMA, F16C */
	CPU_AVX512,	/* F, BW, DQ, VL, VNNI */
};

/* The best instruction set that this processor, its operating system and this build have, or the
 * one that the environment variable STAGECOACH_CPU=scalar|avx2|avx512|avx512-vnni forces; the last
 * is CPU_AVX512 as if the processor had nothing beside it.
 * SC_E_CONFIG: the variable is something else, or names one that is not there. */
must_check enum sc_status cpu_isa_select(enum cpu_isa *isa_out, struct error *err);

const char *cpu_isa_name(enum cpu_isa isa);

/* Beside CPU_AVX512: products of bfloat16 numbers (AVX512_BF16), unless STAGECOACH_CPU says no. */
bool cpu_has_bf16_dot(void);

/* Processors in this process's affinity mask, at least 1. */
unsigned cpu_count(void);

/* The same number for threads and processes of a machine that may run on the same processors. */
uint64_t cpu_set_id(void);

#endif
