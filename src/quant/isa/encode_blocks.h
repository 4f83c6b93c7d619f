/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_ENCODE_BLOCKS_H
#define STAGECOACH_QUANT_ISA_ENCODE_BLOCKS_H
/* encode_blocks - encoders of types with blocks of 32 elements and one scale each;
 * model/tensor_rows.c describes the layout. */
#include "quant/isa/portion.h"

enum { BLOCK = 32 };

/* Puts element i into the low nibble of byte i, and element i + 16 into the high nibble. */
static inline void pack_nibbles(const uint8_t *codes, uint8_t *out)
{
	for (unsigned i = 0; i < 16; i++)
		out[i] = (uint8_t)((codes[i] & 15) | codes[i + 16] << 4);
}

static inline uint32_t fifth_bits(const uint8_t *codes)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 32; i++)
		bits |= (uint32_t)(codes[i] >> 4) << i;
	return bits;
}

static const struct scaled_range q4_0_range = { BLOCK, SET_INTEGERS, -8, 7, 0.7f, 1.15f, 10 };
static const struct scaled_range q5_0_range = { BLOCK, SET_INTEGERS, -16, 15, 0.8f, 1.1f, 10 };
static const struct scaled_range iq4_nl_range = { BLOCK, SET_IQ4, -127, 113, 0.8f, 1.15f, 8 };
static const struct affine_range q4_1_range = { BLOCK, 15, true, -1.0f, 0.25f, 16 };
static const struct affine_range q5_1_range = { BLOCK, 31, true, -1.0f, 0.25f, 16 };

static void encode_q4_0(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	scaled_blocks(&s, &q4_0_range, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 18) {
		store_le16(out, f32_to_f16(s.scale[b]));
		pack_nibbles(s.codes + b * BLOCK, out + 2);
	}
}

static void encode_q4_1(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	affine_blocks(&s, &q4_1_range, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 20) {
		store_le16(out, f32_to_f16(s.scale[b]));
		store_le16(out + 2, f32_to_f16(s.least[b]));
		pack_nibbles(s.codes + b * BLOCK, out + 4);
	}
}

static void encode_q5_0(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	scaled_blocks(&s, &q5_0_range, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 22) {
		store_le16(out, f32_to_f16(s.scale[b]));
		store_le32(out + 2, fifth_bits(s.codes + b * BLOCK));
		pack_nibbles(s.codes + b * BLOCK, out + 6);
	}
}

static void encode_q5_1(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	affine_blocks(&s, &q5_1_range, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 24) {
		store_le16(out, f32_to_f16(s.scale[b]));
		store_le16(out + 2, f32_to_f16(s.least[b]));
		store_le32(out + 4, fifth_bits(s.codes + b * BLOCK));
		pack_nibbles(s.codes + b * BLOCK, out + 8);
	}
}

static void encode_iq4_nl(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	scaled_blocks(&s, &iq4_nl_range, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 18) {
		store_le16(out, f32_to_f16(s.scale[b]));
		pack_nibbles(s.codes + b * BLOCK, out + 2);
	}
}

/* The largest element becomes 127. With eight bits a search would gain nothing. */
static void encode_q8_0(const float *x, size_t n_blocks, uint8_t *out)
{
	for (; n_blocks > 0; n_blocks--, x += BLOCK, out += 34) {
		vec peaks = { 0 };
		float peak = 0.0f, scale;
		vec inverse;

		for (unsigned i = 0; i < BLOCK; i += LANES)
			peaks = vec_max(peaks, vec_abs(vec_load(x + i)));
		for (int lane = 0; lane < LANES; lane++)
			peak = peaks[lane] > peak ? peaks[lane] : peak;
		scale = rounded_f16(peak * (1.0f / 127.0f));
		inverse = vec_all(scale > 0.0f ? 1.0f / scale : 0.0f);
		store_le16(out, f32_to_f16(scale));
		for (unsigned i = 0; i < BLOCK; i += LANES) {
			const vec q = vec_round(vec_max(vec_min(vec_load(x + i) * inverse,
								vec_all(127)), vec_all(-127)));
			const vec_int whole = __builtin_convertvector(q, vec_int);
			const vec_byte bytes = __builtin_convertvector(whole, vec_byte);

			memcpy(out + 2 + i, &bytes, sizeof bytes);
		}
	}
}

/* Twice the E2M1 value that is nearest to a, which must not be negative. */
static inline vec e2m1_value(vec a)
{
	vec value = { 0 };

	for (int k = 1; k < 8; k++) {
		const float below = tensor_mxfp4_values[k - 1], above = tensor_mxfp4_values[k];

		value = vec_select(a > 0.5f * (below + above), vec_all(above), value);
	}
	return value;
}

static inline vec mxfp4_error(const struct group *g, vec half_scale)
{
	const vec inverse = vec_inverse(half_scale);
	vec error = { 0 };

	for (unsigned i = 0; i < BLOCK; i++) {
		const vec a = vec_abs(g->x[i]);
		const vec off = e2m1_value(a * inverse) * half_scale - a;

		error += g->w[i] * off * off;
	}
	return error;
}

/* The largest element becomes 4, 5, 6 or, rounded down, 7 times the scale; or half of that, if the
 * error is smaller. */
static inline vec mxfp4_half_scale(const struct group *g)
{
	const vec peak = vec_abs(scaled_peak(g, BLOCK));
	/* Half of the largest power of two below the peak, divided by 4: 2^(exponent - 3). */
	const vec tight = vec_max((vec)(vec_bits(peak) & 0x7f800000) * 0x1p-3f, vec_all(0x1p-59f));
	const vec wide = 2.0f * tight;

	return vec_select(mxfp4_error(g, wide) < mxfp4_error(g, tight), wide, tight);
}

static void encode_mxfp4(const float *x, size_t n_blocks, uint8_t *out)
{
	uint8_t codes[LANES * BLOCK];
	struct group g;

	for (size_t b = 0; b < n_blocks; b += LANES, x += LANES * BLOCK) {
		const size_t n = n_blocks - b;
		vec half_scale, inverse;

		group_load(&g, x, n, BLOCK);
		half_scale = mxfp4_half_scale(&g);
		inverse = vec_inverse(half_scale);
		for (unsigned i = 0; i < BLOCK; i++) {
			const vec value = e2m1_value(vec_abs(g.x[i]) * inverse);
			vec code = vec_select(g.x[i] < 0.0f, vec_all(8), (vec){ 0 });

			for (int k = 1; k < 8; k++)
				code += vec_select(value >= (float)tensor_mxfp4_values[k],
						   vec_all(1.0f), (vec){ 0 });
			store_codes(codes, code, i, n, BLOCK);
		}
		for (size_t lane = 0; lane < LANES && lane < n; lane++, out += 17) {
			/* The byte's bias is 127, and the scale is twice this. */
			out[0] = (uint8_t)((vec_bits(half_scale)[lane] >> 23) + 1);
			pack_nibbles(codes + lane * BLOCK, out + 1);
		}
	}
}

#endif
