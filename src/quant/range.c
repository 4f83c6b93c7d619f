/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/range.h"

#include <float.h>
#include <math.h>

#define SCALE 65504.0f		/* the largest scale of a block */

/* Two kinds of types: in a block of the first kind an element is scale * q, and q may have either
 * sign. In a block of the second kind it is least + scale * q, and q is 0 or more. */
static const struct range {
	float peak;		/* first kind: the largest magnitude; else 0 */
	unsigned length;	/* second kind: elements with one scale */
	float lowest, highest;	/* of least */
	float span;		/* the largest scale * q */
} ranges[] = {
	[TENSOR_F32] = { .peak = FLT_MAX },
	/* The last floats that are rounded down to a finite number. */
	[TENSOR_F16] = { .peak = 0x1.ffdffep15f },
	[TENSOR_BF16] = { .peak = 0x1.fefffep127f },
	[TENSOR_Q4_0] = { .peak = 8 * SCALE },
	[TENSOR_Q5_0] = { .peak = 16 * SCALE },
	[TENSOR_Q8_0] = { .peak = 127 * SCALE },
	[TENSOR_IQ4_NL] = { .peak = 127 * SCALE },
	[TENSOR_Q3_K] = { .peak = 4 * 32 * SCALE },
	[TENSOR_Q6_K] = { .peak = 32 * 128 * SCALE },
	[TENSOR_IQ4_XS] = { .peak = 127 * 32 * SCALE },
	[TENSOR_MXFP4] = { .peak = FLT_MAX },
	[TENSOR_Q4_1] = { 0, 32, -SCALE, SCALE, 15 * SCALE },
	[TENSOR_Q5_1] = { 0, 32, -SCALE, SCALE, 31 * SCALE },
	[TENSOR_Q2_K] = { 0, 16, -15 * SCALE, 0, 3 * 15 * SCALE },
	[TENSOR_Q4_K] = { 0, 32, -63 * SCALE, 0, 15 * 63 * SCALE },
	[TENSOR_Q5_K] = { 0, 32, -63 * SCALE, 0, 31 * 63 * SCALE },
};

static size_t find_beyond(const float *x, size_t n, float peak)
{
	size_t i = 0;

	while (i < n && fabsf(x[i]) <= peak)	/* false for NaN */
		i++;
	return i;
}

/* The element of a block of the second kind that does not fit; length: all do. */
static size_t find_in_block(const float *x, size_t length, const struct range *range)
{
	size_t low = 0, high = 0;
	float least;

	for (size_t i = 1; i < length; i++) {
		low = x[i] < x[low] ? i : low;
		high = x[i] > x[high] ? i : high;
	}
	if (x[low] < range->lowest)
		return low;
	least = x[low] < range->highest ? x[low] : range->highest;
	return x[high] - least <= range->span ? length : high;
}

size_t quant_find_misfit(const struct quant_kernels *kernels, enum tensor_type type, const float *x,
			 size_t n)
{
	const struct range *range = &ranges[type];
	size_t i = 0;

	/* Fast, and true for nearly all tensors: every type holds what f16 holds. */
	if (kernels->peak(x, n) <= SCALE)
		return n;
	if (range->peak > 0.0f)
		return find_beyond(x, n, range->peak);
	i = find_beyond(x, n, FLT_MAX);
	if (i < n)
		return i;
	for (i = 0; i < n; i += range->length) {
		const size_t at = find_in_block(x + i, range->length, range);

		if (at < range->length)
			return i + at;
	}
	return n;
}
