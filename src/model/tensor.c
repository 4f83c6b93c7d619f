/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tensor.h"

#include "base/bytes.h"

#include <assert.h>

struct type_row {
	uint32_t type;
	struct tensor_type_info info;
};

#define SUPPORTED(number, text, length, bytes) \
	{ number, { .name = text, .block_length = length, .block_bytes = bytes, \
		    .is_supported = true } }
#define KNOWN(number, text) { number, { .name = text } }

/* Numbers and names as ggml gives them, and from 97 on as ik_llama.cpp gives them to types of its
 * own. Numbers that ggml has withdrawn stay known: old files still carry them. */
static const struct type_row type_rows[] = {
	SUPPORTED(TENSOR_F32, "F32", 1, 4),
	SUPPORTED(TENSOR_F16, "F16", 1, 2),
	SUPPORTED(TENSOR_Q4_0, "Q4_0", 32, 18),
	SUPPORTED(TENSOR_Q8_0, "Q8_0", 32, 34),
	SUPPORTED(TENSOR_BF16, "BF16", 1, 2),
	KNOWN(3, "Q4_1"), KNOWN(4, "Q4_2"), KNOWN(5, "Q4_3"), KNOWN(6, "Q5_0"), KNOWN(7, "Q5_1"),
	KNOWN(9, "Q8_1"), KNOWN(10, "Q2_K"), KNOWN(11, "Q3_K"), KNOWN(12, "Q4_K"),
	KNOWN(13, "Q5_K"), KNOWN(14, "Q6_K"), KNOWN(15, "Q8_K"), KNOWN(16, "IQ2_XXS"),
	KNOWN(17, "IQ2_XS"), KNOWN(18, "IQ3_XXS"), KNOWN(19, "IQ1_S"), KNOWN(20, "IQ4_NL"),
	KNOWN(21, "IQ3_S"), KNOWN(22, "IQ2_S"), KNOWN(23, "IQ4_XS"), KNOWN(24, "I8"),
	KNOWN(25, "I16"), KNOWN(26, "I32"), KNOWN(27, "I64"), KNOWN(28, "F64"),
	KNOWN(29, "IQ1_M"), KNOWN(31, "Q4_0_4_4"), KNOWN(32, "Q4_0_4_8"), KNOWN(33, "Q4_0_8_8"),
	KNOWN(34, "TQ1_0"), KNOWN(35, "TQ2_0"), KNOWN(36, "IQ4_NL_4_4"), KNOWN(37, "IQ4_NL_4_8"),
	KNOWN(38, "IQ4_NL_8_8"), KNOWN(39, "MXFP4"), KNOWN(40, "NVFP4"), KNOWN(41, "Q1_0"),
	KNOWN(97, "Q8_0_X4"), KNOWN(98, "Q8_1_X4"), KNOWN(99, "Q8_2_X4"), KNOWN(133, "Q6_0"),
	KNOWN(134, "IQ1_BN"), KNOWN(135, "IQ2_BN"), KNOWN(136, "Q8_K64"), KNOWN(137, "IQ2_K"),
	KNOWN(138, "IQ3_K"), KNOWN(139, "IQ4_K"), KNOWN(140, "IQ5_K"), KNOWN(141, "IQ6_K"),
	KNOWN(144, "IQ4_KS"), KNOWN(145, "IQ2_KS"), KNOWN(146, "IQ4_KSS"), KNOWN(147, "Q8_K16"),
	KNOWN(148, "Q8_K32"), KNOWN(149, "Q8_KR8"), KNOWN(150, "Q8_K128"), KNOWN(151, "Q8_KV"),
	KNOWN(152, "IQ5_KS"), KNOWN(153, "IQ2_KT"), KNOWN(154, "IQ3_KT"), KNOWN(155, "IQ4_KT"),
	KNOWN(156, "IQ3_KS"), KNOWN(157, "IQ2_KL"), KNOWN(158, "IQ1_KT"), KNOWN(202, "Q4_0_R8"),
	KNOWN(206, "Q5_0_R4"), KNOWN(208, "Q8_0_R8"), KNOWN(210, "Q2_K_R4"), KNOWN(211, "Q3_K_R4"),
	KNOWN(212, "Q4_K_R4"), KNOWN(213, "Q5_K_R4"), KNOWN(214, "Q6_K_R4"),
	KNOWN(216, "IQ2_XXS_R4"), KNOWN(217, "IQ2_XS_R4"), KNOWN(218, "IQ3_XXS_R4"),
	KNOWN(219, "IQ1_S_R4"), KNOWN(220, "IQ4_NL_R4"), KNOWN(221, "IQ3_S_R4"),
	KNOWN(222, "IQ2_S_R4"), KNOWN(223, "IQ4_XS_R8"), KNOWN(229, "IQ1_M_R4"),
	KNOWN(230, "BF16_R16"), KNOWN(233, "Q6_0_R4"), KNOWN(335, "IQ2_BN_R4"),
	KNOWN(337, "IQ2_K_R4"), KNOWN(338, "IQ3_K_R4"), KNOWN(339, "IQ4_K_R4"),
	KNOWN(340, "IQ5_K_R4"), KNOWN(344, "IQ4_KS_R4"), KNOWN(352, "IQ5_KS_R4"),
	KNOWN(398, "Q8_KV_R8"), KNOWN(399, "Q8_K_R8"),
};

const struct tensor_type_info *tensor_type_info(uint32_t type)
{
	for (size_t i = 0; i < sizeof type_rows / sizeof type_rows[0]; i++)
		if (type_rows[i].type == type)
			return &type_rows[i].info;
	return NULL;
}

size_t tensor_row_bytes(const struct tensor *tensor)
{
	const struct tensor_type_info *info = tensor_type_info(tensor->type);

	assert(info && info->is_supported);
	return tensor->dims[0] / info->block_length * info->block_bytes;
}

/* IEEE 754 half precision: 1 sign, 5 exponent (bias 15), 10 mantissa bits. */
static float f16_to_f32(uint16_t half)
{
	const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	const uint32_t exponent = (half >> 10) & 0x1f;
	const uint32_t mantissa = half & 0x3ff;
	uint32_t bits;

	if (exponent == 0) {
		const float magnitude = (float)mantissa * 0x1p-24f;

		return sign ? -magnitude : magnitude;
	}
	bits = sign | (exponent == 31 ? 0xffu : exponent + 127 - 15) << 23 | mantissa << 13;
	return load_lef32(&bits);
}

static float bf16_to_f32(uint16_t brain)
{
	const uint32_t bits = (uint32_t)brain << 16;

	return load_lef32(&bits);
}

/* A block: the scale as f16, then 32 signed bytes. */
static void q8_0_to_f32(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block));

	for (unsigned i = 0; i < 32; i++)
		out[i] = scale * (float)(int8_t)block[2 + i];
}

/* A block: the scale as f16, then 16 bytes; byte i holds element i in its low nibble and element
 * i + 16 in its high one, each with 8 added. */
static void q4_0_to_f32(const uint8_t *block, float *out)
{
	const float scale = f16_to_f32(load_le16(block));

	for (unsigned i = 0; i < 16; i++) {
		out[i] = scale * (float)((block[2 + i] & 15) - 8);
		out[i + 16] = scale * (float)((block[2 + i] >> 4) - 8);
	}
}

void tensor_row_f32(const struct tensor *tensor, uint64_t row, float *out)
{
	const uint8_t *in = (const uint8_t *)tensor->data + row * tensor_row_bytes(tensor);
	const uint64_t n = tensor->dims[0];

	assert((row + 1) * tensor_row_bytes(tensor) <= tensor->n_bytes);
	switch (tensor->type) {
	case TENSOR_F32:
		memcpy(out, in, n * sizeof *out);
		return;
	case TENSOR_F16:
		for (uint64_t i = 0; i < n; i++)
			out[i] = f16_to_f32(load_le16(in + 2 * i));
		return;
	case TENSOR_BF16:
		for (uint64_t i = 0; i < n; i++)
			out[i] = bf16_to_f32(load_le16(in + 2 * i));
		return;
	case TENSOR_Q8_0:
		for (uint64_t i = 0; i < n / 32; i++)
			q8_0_to_f32(in + 34 * i, out + 32 * i);
		return;
	case TENSOR_Q4_0:
		for (uint64_t i = 0; i < n / 32; i++)
			q4_0_to_f32(in + 18 * i, out + 32 * i);
		return;
	}
}
