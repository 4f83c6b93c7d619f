/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_CONVERT_H
#define STAGECOACH_QUANT_ISA_CONVERT_H
/* convert - converts between float and the 16-bit floats, as model/float16.h does, and finds the
 * largest magnitude. */
#include "model/float16.h"
#include "quant/isa/lanes.h"

static inline vec_int load_shorts(const uint8_t *from)
{
	vec_short shorts;

	memcpy(&shorts, from, sizeof shorts);
	return __builtin_convertvector(shorts, vec_int);
}

static inline void store_shorts(uint8_t *to, vec_int values)
{
	const vec_short shorts = __builtin_convertvector(values, vec_short);

	memcpy(to, &shorts, sizeof shorts);
}

static void decode_f16(const uint8_t *from, size_t n, float *out)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		const vec_int half = load_shorts(from + 2 * i);
		const vec_int sign = (half & 0x8000) << 16, rest = (half & 0x7fff) << 13;
		/* The exponent's bias differs by 112; a multiplication adjusts it for subnormals,
		 * too. */
		const vec_int bits = vec_bits((vec)rest * 0x1p112f);
		const vec_int special = (half & 0x7c00) == 0x7c00;

		vec_store(out + i, (vec)(sign | (special & (rest | 0x7f800000)) |
					 (~special & bits)));
	}
	for (; i < n; i++)
		out[i] = f16_to_f32(load_le16(from + 2 * i));
}

static void decode_bf16(const uint8_t *from, size_t n, float *out)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		vec_store(out + i, (vec)(load_shorts(from + 2 * i) << 16));
	for (; i < n; i++)
		out[i] = bf16_to_f32(load_le16(from + 2 * i));
}

/* x must be finite and within f16's range. */
static void encode_f16(const float *x, size_t n, uint8_t *out)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		const vec_int bits = vec_bits(vec_load(x + i)), magnitude = bits & 0x7fffffff;
		const vec_int normal = (magnitude - (112 << 23) + 0xfff +
					((magnitude >> 13) & 1)) >> 13;
		const vec_int tiny = vec_bits((vec)magnitude + 0.5f) - 0x3f000000;
		const vec_int is_tiny = magnitude < 0x38800000;

		store_shorts(out + 2 * i, ((bits >> 16) & 0x8000) | (is_tiny & tiny) |
					  (~is_tiny & normal));
	}
	for (; i < n; i++)
		store_le16(out + 2 * i, f32_to_f16(x[i]));
}

/* x must be finite. */
static void encode_bf16(const float *x, size_t n, uint8_t *out)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		const vec_int bits = vec_bits(vec_load(x + i));

		store_shorts(out + 2 * i, ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) & 0xffff);
	}
	for (; i < n; i++)
		store_le16(out + 2 * i, f32_to_bf16(x[i]));
}

/* The largest magnitude. NaN counts as larger than infinity. */
static float peak(const float *x, size_t n)
{
	vec_int largest = { 0 };
	int32_t bits = 0;
	size_t i = 0;
	float result;

	for (; i + LANES <= n; i += LANES) {
		const vec_int magnitude = vec_bits(vec_load(x + i)) & 0x7fffffff;
		const vec_int is_larger = magnitude > largest;

		largest = (is_larger & magnitude) | (~is_larger & largest);
	}
	for (int lane = 0; lane < LANES; lane++)
		bits = largest[lane] > bits ? largest[lane] : bits;
	for (; i < n; i++) {
		const int32_t magnitude = (int32_t)(load_le32(x + i) & 0x7fffffff);

		bits = magnitude > bits ? magnitude : bits;
	}
	memcpy(&result, &bits, sizeof result);
	return result;
}

#endif
