/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_QUANTISE_H
#define STAGECOACH_BACKEND_CPU_ISA_QUANTISE_H
/* quantise - makes integer and bfloat16 tiles in plain C (tiles_x86.h does it for x86); include
 * after vec_scalar.h and tiles.h. */
#include "backend/cpu/kernels.h"

static inline float largest_magnitude(const float *x, size_t n)
{
	vec most = vec_set1(0);

	for (size_t i = 0; i < n; i += LANES)
		most = vec_max(vec_abs(vec_load(x + i)), most);
	return vec_max_lane(most);
}

static inline bool is_finite_row(const float *x, size_t n)
{
	vec product = vec_set1(0);

	for (size_t i = 0; i < n; i += LANES)
		product = vec_fma(vec_load(x + i), vec_set1(0), product);
	return vec_sum(product) == 0;
}

/* The smallest k with most * per_most <= 2^k, 0 .. CPU_MAX_SHIFT. */
static inline int32_t shift_for(float most, float per_most)
{
	float ratio = most * per_most;
	int32_t bits, k;

	memcpy(&bits, &ratio, sizeof bits);
	k = ((bits + 0x7fffff) >> 23) - 127;
	return k < 0 ? 0 : k > CPU_MAX_SHIFT ? CPU_MAX_SHIFT : k;
}

static inline float two_to_minus(int32_t k)
{
	int32_t bits = (127 - k) << 23;
	float power;

	memcpy(&power, &bits, sizeof power);
	return power;
}

static inline struct row_steps steps_of(const float *x, size_t n)
{
	if (!is_finite_row(x, n))
		return (struct row_steps){ .scale = NAN };
	return steps_for(largest_magnitude(x, n));
}

static inline void quantise_block(const float *x, const struct row_steps *steps, unsigned r,
				  unsigned row, uint8_t *block)
{
	int32_t *head = (int32_t *)block + row;
	int8_t *bytes = (int8_t *)(block + 16 * r);
	int32_t shift = shift_for(largest_magnitude(x, CPU_QUANT_BLOCK), steps->per_most);
	vec inverse = vec_set1(steps->inverse * two_to_minus(shift));
	int32_t q[CPU_QUANT_BLOCK], low = 0, high = 0;

	for (unsigned i = 0; i < CPU_QUANT_BLOCK; i += LANES)
		vec_store_int(q + i, vec_round(vec_mul(vec_load(x + i), inverse)));
	for (unsigned i = 0; i < CPU_QUANT_BLOCK / 2; i++) {
		low += q[i];
		high += q[i + CPU_QUANT_BLOCK / 2];
	}
	for (unsigned i = 0; i < CPU_QUANT_BLOCK; i++)
		bytes[(i / 4 * r + row) * 4 + i % 4] = (int8_t)q[i];
	head[0] = shift;
	head[r] = -8 * (low + high);
	head[2 * r] = -8 * low;
	head[3 * r] = -8 * high;
}

static void quantise(const float *x, size_t ldx, unsigned r, size_t n, void *tile,
		     float *scale_out)
{
	const size_t block_bytes = (size_t)r * CPU_TILE_INT_BYTES;

	for (unsigned row = 0; row < r; row++) {
		const float *from = x + row * ldx;
		struct row_steps steps = steps_of(from, n);

		scale_out[row] = steps.scale;
		if (!(steps.scale > 0)) {
			static const float zeros[CPU_QUANT_BLOCK];

			for (size_t i = 0; i < n; i += CPU_QUANT_BLOCK)
				quantise_block(zeros, &(struct row_steps){ 0 }, r, row,
					       (uint8_t *)tile + i / CPU_QUANT_BLOCK * block_bytes);
			continue;
		}
		for (size_t i = 0; i < n; i += CPU_QUANT_BLOCK)
			quantise_block(from + i, &steps, r, row,
				       (uint8_t *)tile + i / CPU_QUANT_BLOCK * block_bytes);
	}
}

static void round_bf16(const float *x, size_t ldx, unsigned r, size_t n, void *tile)
{
	uint16_t *to = tile;

	for (unsigned row = 0; row < r; row++) {
		const float *from = x + row * ldx;

		for (size_t k = 0; k + 1 < n; k += 2) {
			uint16_t *pair = to + (k * r + row * 2);

			pair[0] = f32_to_bf16(from[k]);
			pair[1] = f32_to_bf16(from[k + 1]);
		}
		if (n % 2) {
			to[(n - 1) * r + row * 2] = f32_to_bf16(from[n - 1]);
			to[(n - 1) * r + row * 2 + 1] = 0;
		}
	}
}

#endif
