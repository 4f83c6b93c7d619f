/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_ENCODE_SUPER_BLOCKS_H
#define STAGECOACH_QUANT_ISA_ENCODE_SUPER_BLOCKS_H
/* encode_super_blocks - encoders of the K types and IQ4_XS; model/tensor_rows.c describes the
 * layout. */
#include "quant/isa/encode_blocks.h"

static const struct affine_range q2_k_range = { 16, 3, false, -0.5f, 0.1f, 16 };
static const struct affine_range q4_k_range = { 32, 15, false, -1.0f, 0.1f, 20 };
static const struct affine_range q5_k_range = { 32, 31, false, -0.5f, 0.1f, 16 };
static const struct scaled_range q3_k_range = { 16, SET_INTEGERS, -4, 3, 0.6f, 1.2f, 12 };
static const struct scaled_range q6_k_range = { 16, SET_INTEGERS, -32, 31, 0.9f, 1.05f, 10 };
static const struct scaled_range iq4_xs_range = { 32, SET_IQ4, -127, 113, 0.8f, 1.15f, 8 };

/* Packs n groups of `stride` elements: byte i holds element i of each group, `bits` wide, the first
 * group in the lowest bits. */
static inline void pack_fields(const uint8_t *codes, unsigned n, unsigned stride, unsigned bits,
			       unsigned shift, uint8_t *out)
{
	for (unsigned i = 0; i < stride; i++) {
		unsigned byte = 0;

		for (unsigned k = 0; k < n; k++)
			byte |= (codes[k * stride + i] >> shift & ((1u << bits) - 1)) << k * bits;
		out[i] = (uint8_t)byte;
	}
}

/* Packs bits from `shift` on of 256 elements as the fields of tensor_rows.c. */
static inline void pack_field1(const uint8_t *codes, unsigned shift, uint8_t *out)
{
	pack_fields(codes, 8, 32, 1, shift, out);
}

static inline void pack_field2(const uint8_t *codes, unsigned shift, uint8_t *out)
{
	pack_fields(codes, 4, 32, 2, shift, out);
	pack_fields(codes + 128, 4, 32, 2, shift, out + 32);
}

static inline void pack_field4(const uint8_t *codes, uint8_t *out)
{
	for (unsigned c = 0; c < 4; c++)
		pack_fields(codes + 64 * c, 2, 32, 4, 0, out + 32 * c);
}

static void encode_q2_k(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	affine_super_blocks(&s, &q2_k_range, 15, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 84) {
		for (unsigned i = 0; i < 16; i++)
			out[i] = (uint8_t)((unsigned)s.scale[16 * b + i] |
					   (unsigned)s.least[16 * b + i] << 4);
		pack_field2(s.codes + b * SUPER_BLOCK, 0, out + 16);
		store_le16(out + 80, f32_to_f16(s.unit[16 * b]));
		store_le16(out + 82, f32_to_f16(s.below[16 * b]));
	}
}

static inline void pack_q3_k_scales(const float *scale, uint8_t *out)
{
	unsigned q[16];

	for (unsigned i = 0; i < 16; i++)
		q[i] = (unsigned)((int)scale[i] + 32);
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)((q[i] & 15) | (q[i + 8] & 15) << 4);
	for (unsigned i = 0; i < 4; i++)
		out[8 + i] = (uint8_t)(q[i] >> 4 | q[i + 4] >> 4 << 2 | q[i + 8] >> 4 << 4 |
				       q[i + 12] >> 4 << 6);
}

static void encode_q3_k(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	scaled_super_blocks(&s, &q3_k_range, -32, 31, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 110) {
		pack_field1(s.codes + b * SUPER_BLOCK, 2, out);
		pack_field2(s.codes + b * SUPER_BLOCK, 0, out + 32);
		pack_q3_k_scales(s.scale + 16 * b, out + 96);
		store_le16(out + 108, f32_to_f16(s.unit[16 * b]));
	}
}

static inline void pack_scales_and_leasts(const float *scale, const float *least, uint8_t *out)
{
	for (unsigned i = 0; i < 4; i++) {
		const unsigned scale_high = (unsigned)scale[i + 4];
		const unsigned least_high = (unsigned)least[i + 4];

		out[i] = (uint8_t)((unsigned)scale[i] | scale_high >> 4 << 6);
		out[i + 4] = (uint8_t)((unsigned)least[i] | least_high >> 4 << 6);
		out[i + 8] = (uint8_t)((scale_high & 15) | (least_high & 15) << 4);
	}
}

static void encode_q4_k(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	affine_super_blocks(&s, &q4_k_range, 63, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 144) {
		store_le16(out, f32_to_f16(s.unit[8 * b]));
		store_le16(out + 2, f32_to_f16(s.below[8 * b]));
		pack_scales_and_leasts(s.scale + 8 * b, s.least + 8 * b, out + 4);
		pack_field4(s.codes + b * SUPER_BLOCK, out + 16);
	}
}

static void encode_q5_k(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	affine_super_blocks(&s, &q5_k_range, 63, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 176) {
		store_le16(out, f32_to_f16(s.unit[8 * b]));
		store_le16(out + 2, f32_to_f16(s.below[8 * b]));
		pack_scales_and_leasts(s.scale + 8 * b, s.least + 8 * b, out + 4);
		pack_field1(s.codes + b * SUPER_BLOCK, 4, out + 16);
		pack_field4(s.codes + b * SUPER_BLOCK, out + 48);
	}
}

static void encode_q6_k(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	scaled_super_blocks(&s, &q6_k_range, -128, 127, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 210) {
		const uint8_t *codes = s.codes + b * SUPER_BLOCK;

		pack_fields(codes, 2, 64, 4, 0, out);
		pack_fields(codes + 128, 2, 64, 4, 0, out + 64);
		pack_field2(codes, 4, out + 128);
		for (unsigned i = 0; i < 16; i++)
			out[192 + i] = (uint8_t)(int8_t)s.scale[16 * b + i];
		store_le16(out + 208, f32_to_f16(s.unit[16 * b]));
	}
}

static void encode_iq4_xs(const float *x, size_t n_blocks, uint8_t *out)
{
	struct portion s;

	scaled_super_blocks(&s, &iq4_xs_range, -32, 31, x, n_blocks);
	for (size_t b = 0; b < n_blocks; b++, out += 136) {
		unsigned high = 0, q[8];

		for (unsigned i = 0; i < 8; i++) {
			q[i] = (unsigned)((int)s.scale[8 * b + i] + 32);
			high |= q[i] >> 4 << 2 * i;
		}
		store_le16(out, f32_to_f16(s.unit[8 * b]));
		store_le16(out + 2, (uint16_t)high);
		for (unsigned i = 0; i < 4; i++)
			out[4 + i] = (uint8_t)((q[2 * i] & 15) | (q[2 * i + 1] & 15) << 4);
		for (unsigned i = 0; i < 8; i++)
			pack_nibbles(s.codes + b * SUPER_BLOCK + 32 * i, out + 8 + 16 * i);
	}
}

#endif
