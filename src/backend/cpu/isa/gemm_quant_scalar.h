/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_SCALAR_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_SCALAR_H
/* gemm_quant_scalar - products with Q8_0 and Q4_0 weights, in plain C. */
#include "backend/cpu/half.h"
#include "backend/cpu/kernels.h"

enum { SCALAR_PANEL = 8 };

/* The integer dot product of one output and one row over a block. */
static inline int32_t dot_q8(const int8_t *weights, const int8_t *x, unsigned r, unsigned lane)
{
	int32_t sum = 0;

	for (unsigned i = 0; i < CPU_QUANT_BLOCK; i++)
		sum += weights[(i / 4 * SCALAR_PANEL + lane) * 4 + i % 4] * x[i / 4 * r * 4 + i % 4];
	return sum;
}

static inline int32_t dot_q4(const uint8_t *weights, const int8_t *x, unsigned r, unsigned lane)
{
	int32_t sum = 0;

	for (unsigned i = 0; i < CPU_QUANT_BLOCK / 2; i++) {
		int byte = weights[(i / 4 * SCALAR_PANEL + lane) * 4 + i % 4];

		sum += ((byte & 15) - 8) * x[i / 4 * r * 4 + i % 4];
		sum += ((byte >> 4) - 8) * x[(i / 4 + 4) * r * 4 + i % 4];
	}
	return sum;
}

static inline __attribute__((always_inline)) void
gemm_quant(enum cpu_format format, unsigned r, const uint8_t *weights, const uint8_t *tile,
	   size_t n_k, const float *init, float *y, size_t ldy)
{
	const size_t quants = SCALAR_PANEL * CPU_QUANT_BLOCK / (format == CPU_Q4_0 ? 2 : 1);
	float sum[4][SCALAR_PANEL] = { { 0 } };

	for (size_t block = 0; block < n_k / CPU_QUANT_BLOCK; block++) {
		const uint16_t *weight_scale = (const uint16_t *)weights;
		const uint8_t *q = weights + SCALAR_PANEL * sizeof *weight_scale;
		const float *row_scale = (const float *)tile;
		const int8_t *x = (const int8_t *)tile + 8 * r;

		for (unsigned lane = 0; lane < SCALAR_PANEL; lane++) {
			float scale = half_to_float(weight_scale[lane]);

			for (unsigned row = 0; row < r; row++) {
				const int8_t *xr = x + row * 4;
				int32_t dot = format == CPU_Q4_0 ? dot_q4(q, xr, r, lane) :
					      dot_q8((const int8_t *)q, xr, r, lane);

				sum[row][lane] += (float)dot * (scale * row_scale[row]);
			}
		}
		weights = q + quants;
		tile += r * CPU_QUANT_BYTES;
	}
	for (unsigned row = 0; row < r; row++)
		for (unsigned lane = 0; lane < SCALAR_PANEL; lane++)
			y[row * ldy + lane] = (init ? init[lane] : y[row * ldy + lane]) +
					      sum[row][lane];
}

#endif
