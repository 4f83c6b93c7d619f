/* SPDX-License-Identifier: Apache-2.0 */
/* The table for AVX2 with FMA and F16C. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/isa/vec_avx2.h"
#include "backend/cpu/isa/exp.h"
#include "backend/cpu/isa/rows.h"
#include "backend/cpu/isa/attention.h"
#include "backend/cpu/isa/gemm_float.h"
#include "backend/cpu/isa/gemm_quant_avx2.h"
#include "backend/cpu/isa/gemm_quant.h"

GEMM_FLOAT_6(f32, CPU_F32)
GEMM_FLOAT_6(f16, CPU_F16)
GEMM_FLOAT_6(bf16, CPU_BF16)
GEMM_QUANT_4(q8_0, CPU_Q8_0)
GEMM_QUANT_4(q4_0, CPU_Q4_0)

const struct cpu_kernels cpu_kernels_avx2 = {
	.name = "avx2",
	.lanes = LANES,
	.panel = 2 * LANES,
	.tile_rows_float = 6,
	.tile_rows_quant = 4,
	.q8_flip = 0,
	.gemm = {
		[CPU_F32] = GEMM_ROWS_6(f32),
		[CPU_F16] = GEMM_ROWS_6(f16),
		[CPU_BF16] = GEMM_ROWS_6(bf16),
		[CPU_Q8_0] = GEMM_ROWS_4(q8_0),
		[CPU_Q4_0] = GEMM_ROWS_4(q4_0),
	},
	.quantise = quantise,
	.rms_norm = rms_norm,
	.swiglu = swiglu,
	.add = add,
	.rope_halves = rope_halves,
	.rope_interleaved = rope_interleaved,
	.scores = scores,
	.softmax = softmax,
	.values = values,
};
