/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks blocks for NaN and infinity. Float types are checked element by element. For the other
 * types the scales are enough: codes are integers, and a finite scale times any code is finite.
 */
#include "model/tensor.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

enum { CHUNK = 64 };	/* elements per loop that compilers vectorise */

/* The bits of infinity. NaN has the same exponent and a fraction that is not 0. */
#define F32_INFINITY UINT32_C(0x7f800000)
#define F16_INFINITY 0x7c00
#define BF16_INFINITY 0x7f80

/* The scale is 2^(e - 127), and the largest code means 6: from this e on the product overflows. */
#define MXFP4_FIRST_INFINITE 253

/* Finds the offsets of a block's float16 scales. If there is only one scale, both are equal. */
static bool find_scales(enum tensor_type type, unsigned at_out[2])
{
	static const struct {
		enum tensor_type type;
		unsigned at[2];
	} rows[] = {
		{ TENSOR_Q4_0, { 0, 0 } },	{ TENSOR_Q4_1, { 0, 2 } },
		{ TENSOR_Q5_0, { 0, 0 } },	{ TENSOR_Q5_1, { 0, 2 } },
		{ TENSOR_Q8_0, { 0, 0 } },	{ TENSOR_Q2_K, { 80, 82 } },
		{ TENSOR_Q3_K, { 108, 108 } },	{ TENSOR_Q4_K, { 0, 2 } },
		{ TENSOR_Q5_K, { 0, 2 } },	{ TENSOR_Q6_K, { 208, 208 } },
		{ TENSOR_IQ4_NL, { 0, 0 } },	{ TENSOR_IQ4_XS, { 0, 0 } },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].type != type)
			continue;
		at_out[0] = rows[i].at[0];
		at_out[1] = rows[i].at[1];
		return true;
	}
	return false;
}

/* NaN and infinity have an exponent of all ones: adding one to it carries into the sign bit. */
static bool words_are_finite(const uint8_t *at, size_t n)
{
	const uint32_t exponent = F32_INFINITY, one = exponent & -exponent;
	uint32_t x[CHUNK] = { 0 }, sums = 0;

	for (; n; n -= n < CHUNK ? n : CHUNK, at += sizeof x) {
		memcpy(x, at, n < CHUNK ? n * sizeof x[0] : sizeof x);
		for (unsigned i = 0; i < CHUNK; i++)
			sums |= (x[i] & exponent) + one;
	}
	return !(sums >> 31);
}

static bool halves_are_finite(const uint8_t *at, size_t n, uint16_t exponent)
{
	const uint16_t one = exponent & -exponent;
	uint16_t x[CHUNK] = { 0 }, sums = 0;

	for (; n; n -= n < CHUNK ? n : CHUNK, at += sizeof x) {
		memcpy(x, at, n < CHUNK ? n * sizeof x[0] : sizeof x);
		for (unsigned i = 0; i < CHUNK; i++)
			sums |= (uint16_t)((x[i] & exponent) + one);
	}
	return !(sums >> 15);
}

static bool is_finite_half(const uint8_t *at)
{
	return (load_le16(at) & F16_INFINITY) != F16_INFINITY;
}

static bool scales_are_finite(const uint8_t *at, const uint8_t *end, size_t block_bytes,
			      const unsigned scales[2])
{
	unsigned n_odd = 0;

	for (; at < end; at += block_bytes)
		n_odd += !is_finite_half(at + scales[0]) || !is_finite_half(at + scales[1]);
	return !n_odd;
}

static bool mxfp4_is_finite(const uint8_t *at, const uint8_t *end, size_t block_bytes)
{
	unsigned n_odd = 0;

	for (; at < end; at += block_bytes)
		n_odd += *at >= MXFP4_FIRST_INFINITE;
	return !n_odd;
}

bool tensor_blocks_are_finite(enum tensor_type type, const void *blocks, size_t n_bytes)
{
	const struct tensor_type_info *info = tensor_type_info(type);
	const uint8_t *at = blocks, *end = at + n_bytes;
	unsigned scales[2];

	assert(info && info->is_supported && n_bytes % info->block_bytes == 0);
	switch (type) {
	case TENSOR_F32:
		return words_are_finite(at, n_bytes / 4);
	case TENSOR_F16:
		return halves_are_finite(at, n_bytes / 2, F16_INFINITY);
	case TENSOR_BF16:
		return halves_are_finite(at, n_bytes / 2, BF16_INFINITY);
	case TENSOR_MXFP4:
		return mxfp4_is_finite(at, end, info->block_bytes);
	default:
		break;
	}
	return find_scales(type, scales) &&
	       scales_are_finite(at, end, info->block_bytes, scales);
}
