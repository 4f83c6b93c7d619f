/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block layout of each type.
 *
 * Legacy types have blocks of 32 elements: scales as f16, then 16 bytes of low bits. Byte i holds
 * element i in its low nibble and element i + 16 in its high nibble. The K types and IQ4_XS have
 * super-blocks of 256 elements. Their scales, one per sub-block of 16 or 32 elements, are multiples
 * of one or two f16 units. Element e is stored in:
 *	2-bit field:	byte 32 (e / 128) + e % 32, bits 2 (e / 32 % 4) and up
 *	4-bit field:	byte 32 (e / 64) + e % 32, bits 4 (e / 32 % 2) and up
 *	1-bit field:	byte e % 32, bit e / 32
 * Q6_K and IQ4_XS differ as noted there. All products before the last addition are exact in float,
 * so that the compiler's choices do not change a bit of a value.
 */
#include "model/tensor.h"

#include "model/float16.h"

#include <assert.h>
#include <math.h>

const int8_t tensor_iq4_values[16] = {
	-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
};

const int8_t tensor_mxfp4_values[16] = {
	0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12,
};

/* Element i of 32 in 16 bytes. */
static unsigned nibble(const uint8_t *bytes, unsigned i)
{
	return i < 16 ? bytes[i] & 15u : bytes[i - 16] >> 4;
}

static void f32_block(const uint8_t *block, float *out)
{
	*out = load_lef32(block);
}

static void f16_block(const uint8_t *block, float *out)
{
	*out = f16_to_f32(load_le16(block));
}

static void bf16_block(const uint8_t *block, float *out)
{
	*out = bf16_to_f32(load_le16(block));
}

/* The scale, then 32 signed bytes. */
static void q8_0_block(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block));

	for (unsigned i = 0; i < 32; i++)
		out[i] = scale * (float)(int8_t)block[2 + i];
}

/* The scale; nibbles with 8 added. */
static void q4_0_block(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block));

	for (unsigned i = 0; i < 32; i++)
		out[i] = scale * (float)((int)nibble(block + 2, i) - 8);
}

/* The scale, what is added; nibbles. */
static void q4_1_block(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block)), least = f16_to_f32(load_le16(block + 2));

	for (unsigned i = 0; i < 32; i++)
		out[i] = scale * (float)nibble(block + 4, i) + least;
}

/* The scale; 32 fifth bits, element 0's lowest; nibbles. 16 was added. */
static void q5_0_block(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block));
	const uint32_t high = load_le32(block + 2);

	for (unsigned i = 0; i < 32; i++) {
		const unsigned q = nibble(block + 6, i) | (high >> i & 1) << 4;

		out[i] = scale * (float)((int)q - 16);
	}
}

/* The scale, what is added; fifth bits; nibbles. */
static void q5_1_block(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block)), least = f16_to_f32(load_le16(block + 2));
	const uint32_t high = load_le32(block + 4);

	for (unsigned i = 0; i < 32; i++)
		out[i] = scale * (float)(nibble(block + 8, i) | (high >> i & 1) << 4) + least;
}

/* The scale; nibbles that choose from a table. */
static void iq4_nl_block(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block));

	for (unsigned i = 0; i < 32; i++)
		out[i] = scale * (float)tensor_iq4_values[nibble(block + 2, i)];
}

/* A byte e, the scale is 2^(e - 127); nibbles that are E2M1 floats, of which the table has the
 * doubles. */
static void mxfp4_block(const uint8_t *block, float *out)
{
	const float half_scale = ldexpf(1.0f, block[0] - 128);

	for (unsigned i = 0; i < 32; i++)
		out[i] = half_scale * (float)tensor_mxfp4_values[nibble(block + 1, i)];
}

static unsigned field1(const uint8_t *bytes, unsigned e)
{
	return bytes[e % 32] >> e / 32 & 1;
}

static unsigned field2(const uint8_t *bytes, unsigned e)
{
	return bytes[e / 128 * 32 + e % 32] >> e / 32 % 4 * 2 & 3;
}

static unsigned field4(const uint8_t *bytes, unsigned e)
{
	return bytes[e / 64 * 32 + e % 32] >> e / 32 % 2 * 4 & 15;
}

/* 16 bytes, each the scale (low) and the minimum (high) of 16 elements; 64 bytes of 2-bit fields;
 * the units of scales and of minima. */
static void q2_k_block(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block + 80));
	const float least = f16_to_f32(load_le16(block + 82));

	for (unsigned e = 0; e < 256; e++) {
		const uint8_t sub = block[e / 16];

		out[e] = scale * (float)(sub & 15) * (float)field2(block + 16, e) -
			 least * (float)(sub >> 4);
	}
}

/* 32 bytes of 1-bit fields that are 0 where 4 is to be subtracted; 64 bytes of 2-bit fields; 16
 * scales of 6 bits with 32 added: nibbles in 8 bytes, their upper two bits in 4 more; the unit. */
static void q3_k_block(const uint8_t *block, float *out)
{
	const float unit = f16_to_f32(load_le16(block + 108));
	const uint8_t *scales = block + 96;

	for (unsigned e = 0; e < 256; e++) {
		const unsigned sub = e / 16;
		const unsigned low = sub < 8 ? scales[sub] & 15u : scales[sub - 8] >> 4;
		const unsigned high = scales[8 + sub % 4] >> sub / 4 * 2 & 3;
		const int q = (int)(field2(block + 32, e) + 4 * field1(block, e)) - 4;

		out[e] = unit * (float)((int)(low | high << 4) - 32) * (float)q;
	}
}

/* Of 8 scales and 8 minima of 6 bits in 12 bytes: the first four of each in the low bits of bytes
 * 0-3 and 4-7; the others have their nibbles in bytes 8-11 (minima high), and their upper two bits
 * above those of the first four. */
static void scale_and_least(const uint8_t *packed, unsigned sub, float *scale_out, float *least_out)
{
	unsigned scale, least;

	if (sub < 4) {
		scale = packed[sub] & 63;
		least = packed[sub + 4] & 63;
	} else {
		scale = (packed[sub + 4] & 15) | packed[sub - 4] >> 6 << 4;
		least = packed[sub + 4] >> 4 | packed[sub] >> 6 << 4;
	}
	*scale_out = (float)scale;
	*least_out = (float)least;
}

/* The units of scales and of minima; these; 128 bytes of 4-bit fields. */
static void q4_k_block(const uint8_t *block, float *out)
{
	const float unit = f16_to_f32(load_le16(block)), below = f16_to_f32(load_le16(block + 2));
	float scale, least;

	for (unsigned e = 0; e < 256; e++) {
		scale_and_least(block + 4, e / 32, &scale, &least);
		out[e] = unit * scale * (float)field4(block + 16, e) - below * least;
	}
}

/* As Q4_K, with 32 bytes of 1-bit fields, the fifth bits, before the nibbles. */
static void q5_k_block(const uint8_t *block, float *out)
{
	const float unit = f16_to_f32(load_le16(block)), below = f16_to_f32(load_le16(block + 2));
	float scale, least;

	for (unsigned e = 0; e < 256; e++) {
		const unsigned q = field4(block + 48, e) | field1(block + 16, e) << 4;

		scale_and_least(block + 4, e / 32, &scale, &least);
		out[e] = unit * scale * (float)q - below * least;
	}
}

/* 128 bytes of nibbles, of which each 64 hold 64 elements low and the next 64 high; 64 bytes of
 * 2-bit fields, the upper bits; 16 signed scales; the unit. 32 was added to the elements. */
static void q6_k_block(const uint8_t *block, float *out)
{
	const float unit = f16_to_f32(load_le16(block + 208));

	for (unsigned e = 0; e < 256; e++) {
		const unsigned low = block[e / 128 * 64 + e % 64] >> e / 64 % 2 * 4 & 15;
		const int q = (int)(low | field2(block + 128, e) << 4) - 32;

		out[e] = unit * (float)(int8_t)block[192 + e / 16] * (float)q;
	}
}

/* The unit; 8 scales of 6 bits with 32 added: their upper two bits in 2 bytes, then their nibbles
 * in 4; 8 times 16 bytes of nibbles as in IQ4_NL. */
static void iq4_xs_block(const uint8_t *block, float *out)
{
	const float unit = f16_to_f32(load_le16(block));
	const uint16_t high = load_le16(block + 2);

	for (unsigned e = 0; e < 256; e++) {
		const unsigned sub = e / 32;
		const unsigned low = block[4 + sub / 2] >> sub % 2 * 4 & 15;
		const int scale = (int)(low | (high >> 2 * sub & 3) << 4) - 32;

		out[e] = unit * (float)scale *
			 (float)tensor_iq4_values[nibble(block + 8 + 16 * sub, e % 32)];
	}
}

static void (*const decoders[])(const uint8_t *block, float *out) = {
	[TENSOR_F32] = f32_block, [TENSOR_F16] = f16_block, [TENSOR_BF16] = bf16_block,
	[TENSOR_Q4_0] = q4_0_block, [TENSOR_Q4_1] = q4_1_block, [TENSOR_Q5_0] = q5_0_block,
	[TENSOR_Q5_1] = q5_1_block, [TENSOR_Q8_0] = q8_0_block, [TENSOR_Q2_K] = q2_k_block,
	[TENSOR_Q3_K] = q3_k_block, [TENSOR_Q4_K] = q4_k_block, [TENSOR_Q5_K] = q5_k_block,
	[TENSOR_Q6_K] = q6_k_block, [TENSOR_IQ4_NL] = iq4_nl_block,
	[TENSOR_IQ4_XS] = iq4_xs_block, [TENSOR_MXFP4] = mxfp4_block,
};

void tensor_row_f32(const struct tensor *tensor, uint64_t row, float *out)
{
	const struct tensor_type_info *info = tensor_type_info(tensor->type);
	const size_t row_bytes = tensor_row_bytes(tensor);
	const uint8_t *block = (const uint8_t *)tensor->data + row * row_bytes;

	assert(tensor->data && (row + 1) * row_bytes <= tensor->n_bytes);
	for (uint64_t i = 0; i < tensor->dims[0]; i += info->block_length) {
		decoders[tensor->type](block, out + i);
		block += info->block_bytes;
	}
}
