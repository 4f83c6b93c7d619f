/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_QUANTISE_H
#define STAGECOACH_BACKEND_CPU_ISA_QUANTISE_H
/* quantise - integer tiles with the vectors of any instruction set; include after tiles.h. */

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

#endif
