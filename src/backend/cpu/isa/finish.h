/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_FINISH_H
#define STAGECOACH_BACKEND_CPU_ISA_FINISH_H
/* finish - sums of a panel become outputs; bfloat16 tiles. Include after vec_*.h. */
#include "backend/cpu/kernels.h"

#include <string.h>

static inline vec finish_vector(const float *sum, float scale, vec bias)
{
	return vec_add(vec_mul(vec_load(sum), vec_set1(scale)), bias);
}

static void finish(const float *sum, unsigned n_rows, const float *scale, const float *bias,
		   unsigned n, float *y, size_t ldy)
{
	for (unsigned row = 0; row < n_rows; row++) {
		float s = scale ? scale[row] : 1;
		unsigned i;

		for (i = 0; i + LANES <= n; i += LANES)
			vec_store(y + i, finish_vector(sum + i, s, bias ? vec_load(bias + i) :
						       vec_set1(0)));
		if (i < n)
			vec_store_part(y + i, finish_vector(sum + i, s, bias ?
							    vec_load_part(bias + i, n - i) :
							    vec_set1(0)), n - i);
		sum += 2 * LANES;
		y += ldy;
	}
}

/* To nearest even; what is not a number stays so. */
static inline uint16_t bf16_of(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void round_bf16(const float *x, size_t ldx, unsigned r, size_t n, void *tile)
{
	uint16_t *to = tile;

	for (unsigned row = 0; row < r; row++) {
		const float *from = x + row * ldx;

		for (size_t k = 0; k + 1 < n; k += 2) {
			uint16_t *pair = to + (k * r + row * 2);

			pair[0] = bf16_of(from[k]);
			pair[1] = bf16_of(from[k + 1]);
		}
		if (n % 2) {
			to[(n - 1) * r + row * 2] = bf16_of(from[n - 1]);
			to[(n - 1) * r + row * 2 + 1] = 0;
		}
	}
}

#endif
