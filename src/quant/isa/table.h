/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_TABLE_H
#define STAGECOACH_QUANT_ISA_TABLE_H
/* table - collects all functions of an instruction set in a struct quant_kernels. Include it
 * last. */
#include "quant/encode.h"
#include "quant/isa/convert.h"
#include "quant/isa/encode_super_blocks.h"

#define QUANT_KERNELS { \
	.lanes = LANES, \
	.portion = PORTION, \
	.encode = { \
		[TENSOR_F16] = encode_f16, [TENSOR_BF16] = encode_bf16, \
		[TENSOR_Q4_0] = encode_q4_0, [TENSOR_Q4_1] = encode_q4_1, \
		[TENSOR_Q5_0] = encode_q5_0, [TENSOR_Q5_1] = encode_q5_1, \
		[TENSOR_Q8_0] = encode_q8_0, [TENSOR_Q2_K] = encode_q2_k, \
		[TENSOR_Q3_K] = encode_q3_k, [TENSOR_Q4_K] = encode_q4_k, \
		[TENSOR_Q5_K] = encode_q5_k, [TENSOR_Q6_K] = encode_q6_k, \
		[TENSOR_IQ4_NL] = encode_iq4_nl, [TENSOR_IQ4_XS] = encode_iq4_xs, \
		[TENSOR_MXFP4] = encode_mxfp4, \
	}, \
	.decode_f16 = decode_f16, \
	.decode_bf16 = decode_bf16, \
	.peak = peak, \
}

#endif
