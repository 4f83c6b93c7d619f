/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tensor.h"

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
	SUPPORTED(TENSOR_BF16, "BF16", 1, 2),
	SUPPORTED(TENSOR_Q4_0, "Q4_0", 32, 18),
	SUPPORTED(TENSOR_Q4_1, "Q4_1", 32, 20),
	SUPPORTED(TENSOR_Q5_0, "Q5_0", 32, 22),
	SUPPORTED(TENSOR_Q5_1, "Q5_1", 32, 24),
	SUPPORTED(TENSOR_Q8_0, "Q8_0", 32, 34),
	SUPPORTED(TENSOR_Q2_K, "Q2_K", 256, 84),
	SUPPORTED(TENSOR_Q3_K, "Q3_K", 256, 110),
	SUPPORTED(TENSOR_Q4_K, "Q4_K", 256, 144),
	SUPPORTED(TENSOR_Q5_K, "Q5_K", 256, 176),
	SUPPORTED(TENSOR_Q6_K, "Q6_K", 256, 210),
	SUPPORTED(TENSOR_IQ4_NL, "IQ4_NL", 32, 18),
	SUPPORTED(TENSOR_IQ4_XS, "IQ4_XS", 256, 136),
	SUPPORTED(TENSOR_MXFP4, "MXFP4", 32, 17),
	KNOWN(4, "Q4_2"), KNOWN(5, "Q4_3"), KNOWN(9, "Q8_1"), KNOWN(15, "Q8_K"),
	KNOWN(16, "IQ2_XXS"), KNOWN(17, "IQ2_XS"), KNOWN(18, "IQ3_XXS"), KNOWN(19, "IQ1_S"),
	KNOWN(21, "IQ3_S"), KNOWN(22, "IQ2_S"), KNOWN(24, "I8"), KNOWN(25, "I16"),
	KNOWN(26, "I32"), KNOWN(27, "I64"), KNOWN(28, "F64"), KNOWN(29, "IQ1_M"),
	KNOWN(31, "Q4_0_4_4"), KNOWN(32, "Q4_0_4_8"), KNOWN(33, "Q4_0_8_8"),
	KNOWN(34, "TQ1_0"), KNOWN(35, "TQ2_0"), KNOWN(36, "IQ4_NL_4_4"), KNOWN(37, "IQ4_NL_4_8"),
	KNOWN(38, "IQ4_NL_8_8"), KNOWN(40, "NVFP4"), KNOWN(41, "Q1_0"),
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

uint64_t tensor_type_bytes(enum tensor_type type, uint64_t n)
{
	const struct tensor_type_info *info = tensor_type_info(type);

	assert(info && info->is_supported);
	return (n + info->block_length - 1) / info->block_length * info->block_bytes;
}

size_t tensor_row_bytes(const struct tensor *tensor)
{
	const struct tensor_type_info *info = tensor_type_info(tensor->type);

	assert(info && info->is_supported);
	return tensor->dims[0] / info->block_length * info->block_bytes;
}
