/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_SCALAR_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_SCALAR_H
/*
 * gemm_quant_scalar - products with Q8_0 and Q4_0 weights in the compiler's portable vectors.
 * Sixteen bytes are four outputs' next four inputs. As eight 16-bit numbers they are split into
 * even and odd bytes; the sum of an even and an odd product fits: 2 * 128 * 127 = 32512. Q4_0
 * nibbles stay unsigned, so that the sums of a whole block fit, 8 * 2 * 15 * 127 = 30480, and -8
 * times the activations' sum is added at the end.
 */
#include "backend/cpu/kernels.h"

#include <string.h>

enum { SCALAR_PANEL = 8, SCALAR_ROWS = 4 };

typedef int16_t vec_short __attribute__((vector_size(16)));
typedef uint16_t vec_ushort __attribute__((vector_size(16)));

/* The even and odd bytes of eight pairs, with their signs. */
struct split {
	vec_short even;
	vec_short odd;
};

static inline struct split split_signed(vec_ushort pairs)
{
	return (struct split){ (vec_short)(pairs << 8) >> 8, (vec_short)pairs >> 8 };
}

static inline struct split split_unsigned(vec_ushort pairs)
{
	return (struct split){ (vec_short)(pairs & 0xff), (vec_short)(pairs >> 8) };
}

/* A row's four integers of a group, for each output. */
static inline struct split load_group(const int8_t *x)
{
	int32_t four;

	memcpy(&four, x, sizeof four);
	return split_signed((vec_ushort)(vec_int){ four, four, four, four });
}

static inline vec_short multiply_pairs(struct split w, struct split x)
{
	return w.even * x.even + w.odd * x.odd;
}

/* Neighbours added as 32 bits: one sum per output. */
static inline vec_int widen(vec_short pairs)
{
	vec_int both = (vec_int)pairs;

	return (both >> 16) + ((both << 16) >> 16);
}

static inline __attribute__((always_inline)) void
dot_q8(unsigned r, const uint8_t *weights, const int8_t *x, vec_int dot[SCALAR_ROWS][2])
{
#pragma GCC unroll 1
	for (unsigned g = 0; g < 8; g++) {
		vec_ushort w[2];

		memcpy(w, weights + g * SCALAR_PANEL * 4, sizeof w);
#pragma GCC unroll 4
		for (unsigned row = 0; row < r; row++) {
			struct split x4 = load_group(x + (g * r + row) * 4);

			dot[row][0] += widen(multiply_pairs(split_signed(w[0]), x4));
			dot[row][1] += widen(multiply_pairs(split_signed(w[1]), x4));
		}
	}
}

static inline __attribute__((always_inline)) void
dot_q4(unsigned r, const uint8_t *weights, const int8_t *x, vec_int dot[SCALAR_ROWS][2])
{
	vec_short sum[SCALAR_ROWS][2] = { { { 0 } } };

#pragma GCC unroll 1
	for (unsigned g = 0; g < 4; g++) {
		vec_ushort w[2];

		memcpy(w, weights + g * SCALAR_PANEL * 4, sizeof w);
#pragma GCC unroll 2
		for (unsigned half = 0; half < 2; half++) {
			struct split low = split_unsigned(w[half] & 0x0f0f);
			struct split high = split_unsigned((w[half] >> 4) & 0x0f0f);

#pragma GCC unroll 4
			for (unsigned row = 0; row < r; row++) {
				struct split x_low = load_group(x + (g * r + row) * 4);
				struct split x_high = load_group(x + ((g + 4) * r + row) * 4);

				sum[row][half] += multiply_pairs(low, x_low);
				sum[row][half] += multiply_pairs(high, x_high);
			}
		}
	}
#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++) {
		dot[row][0] += widen(sum[row][0]);
		dot[row][1] += widen(sum[row][1]);
	}
}

static inline vec scales_of(const uint8_t *weights, unsigned half)
{
	return vec_load_f16((const uint16_t *)weights + half * LANES);
}

static inline __attribute__((always_inline)) void
gemm_quant(enum cpu_format format, unsigned r, const uint8_t *weights, const uint8_t *tile,
	   size_t n_k, const float *init, float *y, size_t ldy)
{
	const size_t quants = SCALAR_PANEL * CPU_QUANT_BLOCK / (format == CPU_Q4_0 ? 2 : 1);
	vec sum[SCALAR_ROWS][2] = { { { 0 } } };

	for (size_t block = 0; block < n_k / CPU_QUANT_BLOCK; block++) {
		const float *scale = (const float *)tile;
		const int32_t *sum8 = (const int32_t *)tile + r;
		const int8_t *x = (const int8_t *)tile + 8 * r;
		vec scale0 = scales_of(weights, 0), scale1 = scales_of(weights, 1);
		vec_int dot[SCALAR_ROWS][2];

#pragma GCC unroll 4
		for (unsigned row = 0; row < r; row++)
			dot[row][0] = dot[row][1] = (vec_int){ 0 } +
						    (format == CPU_Q4_0 ? sum8[row] : 0);
		if (format == CPU_Q4_0)
			dot_q4(r, weights + SCALAR_PANEL * 2, x, dot);
		else
			dot_q8(r, weights + SCALAR_PANEL * 2, x, dot);
#pragma GCC unroll 4
		for (unsigned row = 0; row < r; row++) {
			vec s = vec_set1(scale[row]);

			sum[row][0] += __builtin_convertvector(dot[row][0], vec) * (scale0 * s);
			sum[row][1] += __builtin_convertvector(dot[row][1], vec) * (scale1 * s);
		}
		weights += SCALAR_PANEL * 2 + quants;
		tile += r * CPU_QUANT_BYTES;
	}
#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++) {
		float *to = y + row * ldy;
		const float *from = init ? init : to;

		vec_store(to, vec_load(from) + sum[row][0]);
		vec_store(to + LANES, vec_load(from + LANES) + sum[row][1]);
	}
}

#endif
