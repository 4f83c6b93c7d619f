/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_PEAKS_H
#define STAGECOACH_BACKEND_CPU_PEAKS_H
/*
 * peaks - measures the upper limits of the processor: multiply-adds of each kind that the kernels
 * use, with all operands in registers, and sequential reading of memory. Benchmarks compare their
 * results with these limits.
 * Thread: one at a time; a meter starts its own helper threads.
 */
#include "base/cpu.h"
#include "base/error.h"

#include <stddef.h>

enum { CPU_PEAK_ROUNDS = 16 };

/* Totals of all threads, per second. */
struct cpu_speed {
	double f32_macs;
	double bf16_macs;	/* 0: the processor has no such instruction */
	/* Products of bytes, summed in 32 bits. AVX2 and scalar code sums in 16 bits first; this is
	 * their rate for 4-bit weights, where the most products fit into 16 bits. Weights of more
	 * bits are slower: they must be widened more often and, on AVX2, whole bytes are multiplied
	 * twice. */
	double int8_macs;
	double read_bytes;
};

/* A meter: threads, and a block of memory larger than most caches. */
struct cpu_meter;

/* SC_E_NOMEM: no memory for the block. SC_E_INTERNAL: a thread could not be started. SC_E_CONFIG:
 * the processor does not have this instruction set. */
must_check enum sc_status cpu_meter_create(enum cpu_isa isa, unsigned n_threads,
					   struct cpu_meter **meter_out, struct error *err);
/* Accepts NULL. */
void cpu_meter_destroy(struct cpu_meter *meter);

/* Returns the best of several measurements. Takes about a second. */
struct cpu_speed cpu_meter_best(const struct cpu_meter *meter);
/* Measures once how many bytes per second can be read now. The result varies where others use the
 * same memory. Takes some tens of milliseconds. */
double cpu_meter_read(const struct cpu_meter *meter);

/* Does n_rounds rounds of multiply-adds, a multiple of CPU_PEAK_ROUNDS. operands: 128 bytes, ones
 * of the operands' type. Writes a vector to sink[64]; each element is the sum of everything added
 * to it: n_rounds * macs / elements of the vector. */
typedef void cpu_peak_fn(size_t n_rounds, const void *operands, void *sink);

/* One table per instruction set, like kernels.h. */
struct cpu_peaks {
	cpu_peak_fn *f32, *bf16, *int8;		/* bf16 may be NULL, and needs CPU_AVX512_BF16 */
	unsigned f32_macs, bf16_macs, int8_macs;	/* multiply-adds per round */
	/* Reads n_bytes, a multiple of 1024, aligned to 64. */
	void (*read)(const void *memory, size_t n_bytes, void *sink);
};
extern const struct cpu_peaks cpu_peaks_scalar;
#ifdef HAVE_X86_SIMD
extern const struct cpu_peaks cpu_peaks_avx2;
extern const struct cpu_peaks cpu_peaks_avx512;
#endif

#endif
