/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_PEAKS_H
#define STAGECOACH_BACKEND_CPU_PEAKS_H
/*
 * peaks - what the processor can do at the very most, measured: multiply-adds of each kind that the
 * kernels use, with all operands in registers, and reading memory in order. It is what benchmarks
 * compare with, under an instruction set of the backend.
 * Thread: one at a time; a meter starts as many as are asked for.
 */
#include "base/cpu.h"
#include "base/error.h"

#include <stddef.h>

enum { CPU_PEAK_ROUNDS = 16 };

/* Of all threads together, per second. */
struct cpu_speed {
	double f32_macs;
	double bf16_macs;	/* 0: no such instruction */
	/* Sums of products of bytes, in 32 bits. AVX2 and scalar sum in 16 first, and this is their
	 * rate for weights of four bits, of which the most products fit there. Weights of more bits
	 * must be widened more often, on AVX2 whole bytes also multiplied twice: they cannot reach
	 * it. */
	double int8_macs;
	double read_bytes;
};

/* Threads, and memory that is larger than most caches. */
struct cpu_meter;

/* SC_E_NOMEM: no memory to read. SC_E_INTERNAL: no threads. SC_E_CONFIG: there is no such set.
 */
must_check enum sc_status cpu_meter_create(enum cpu_isa isa, unsigned n_threads,
					   struct cpu_meter **meter_out, struct error *err);
/* Accepts NULL. */
void cpu_meter_destroy(struct cpu_meter *meter);

/* The best of several tries. Takes about a second. */
struct cpu_speed cpu_meter_best(const struct cpu_meter *meter);
/* Bytes a second as reading goes just now, which where others use the same memory changes from one
 * moment to the next. Takes some tens of milliseconds. */
double cpu_meter_read(const struct cpu_meter *meter);

/* Does n_rounds of multiply-adds, a multiple of CPU_PEAK_ROUNDS. operands: 128 bytes, ones of the
 * kind. Leaves a vector in sink[64], each element the sum of all that were added to it:
 * n_rounds * macs / elements of the vector. */
typedef void cpu_peak_fn(size_t n_rounds, const void *operands, void *sink);

/* One table per instruction set, as kernels.h has them. */
struct cpu_peaks {
	cpu_peak_fn *f32, *bf16, *int8;		/* bf16 may be NULL, and needs CPU_AVX512_BF16 */
	unsigned f32_macs, bf16_macs, int8_macs;	/* of a round */
	/* Reads n_bytes, a multiple of 1024, aligned to 64. */
	void (*read)(const void *memory, size_t n_bytes, void *sink);
};
extern const struct cpu_peaks cpu_peaks_scalar;
#ifdef HAVE_X86_SIMD
extern const struct cpu_peaks cpu_peaks_avx2;
extern const struct cpu_peaks cpu_peaks_avx512;
#endif

#endif
