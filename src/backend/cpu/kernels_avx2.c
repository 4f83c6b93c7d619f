/* SPDX-License-Identifier: Apache-2.0 */
/* The table for AVX2, FMA and F16C. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/isa/vec_avx2.h"
#include "backend/cpu/isa/exp.h"
#include "backend/cpu/isa/activations.h"
#include "backend/cpu/isa/hash.h"
#include "backend/cpu/isa/rows.h"
#include "backend/cpu/isa/logits.h"
#include "backend/cpu/isa/words_avx2.h"
#include "backend/cpu/isa/relayout.h"
#include "backend/cpu/isa/attention.h"
#include "backend/cpu/isa/tiles.h"
#include "backend/cpu/isa/tiles_x86.h"
#include "backend/cpu/isa/finish.h"
#include "backend/cpu/isa/each_row.h"
#include "backend/cpu/isa/gemm_float.h"
#include "backend/cpu/isa/gemm_int_avx2.h"
#include "backend/cpu/isa/gemm_int.h"

#define GEMM_INT_ROWS(name, format, bytes) EACH_ROW_4(GEMM_INT, name, format)
#define UNPACK_ROWS(name, format, bytes) UNPACK_INT(name, format)
#define GEMM_UNPACKED(name)								\
	EACH_ROW_4(GEMM_INT, unpacked_##name, UNPACKED + CPU_##name)			\
	static cpu_gemm_fn *const rows_of_##name[] = GEMM_ROWS_4(unpacked_##name);
#define INT_ROWS_OF(name) GEMM_ROWS_4(name)

EACH_ROW_6(GEMM_FLOAT, f32, CPU_F32)
EACH_ROW_6(GEMM_FLOAT, f16, CPU_F16)
EACH_ROW_6(GEMM_FLOAT, bf16, CPU_BF16)
FOR_INT_FORMATS(GEMM_INT_ROWS)
FOR_INT_FORMATS(UNPACK_ROWS)
GEMM_UNPACKED(Q8_0)
GEMM_UNPACKED(Q4_0)
GEMM_UNPACKED(Q4_1)
GEMM_UNPACKED(Q5_0)
GEMM_UNPACKED(Q5_1)
GEMM_UNPACKED(MXFP4)
GEMM_UNPACKED(Q2_K)
GEMM_UNPACKED(Q3_K)
GEMM_UNPACKED(Q6_K)

const struct cpu_kernels cpu_kernels_avx2 = {
	.name = "avx2",
	.lanes = LANES,
	.panel = 2 * LANES,
	.tile_rows = { [CPU_TILE_FLOAT] = 6, [CPU_TILE_BF16] = 6, [CPU_TILE_INT] = 4 },
	.byte_flip = BYTE_FLIP,
	.hash = hash_bytes,
	.pack = pack,
	.gemm = {
		[CPU_F32] = GEMM_ROWS_6(f32),
		[CPU_F16] = GEMM_ROWS_6(f16),
		[CPU_BF16] = GEMM_ROWS_6(bf16),
		FOR_INT_FORMATS(INT_ENTRY)
	},
	.max_packed_rows = 48,
	.unpack = { FOR_INT_FORMATS(UNPACK_ENTRY) },
	.gemm_unpacked = {
		[CPU_Q8_0] = rows_of_Q8_0, [CPU_IQ4_NL] = rows_of_Q8_0, [CPU_IQ4_XS] = rows_of_Q8_0,
		[CPU_Q4_0] = rows_of_Q4_0,
		[CPU_Q4_1] = rows_of_Q4_1, [CPU_Q4_K] = rows_of_Q4_1,
		[CPU_Q5_0] = rows_of_Q5_0,
		[CPU_Q5_1] = rows_of_Q5_1, [CPU_Q5_K] = rows_of_Q5_1,
		[CPU_MXFP4] = rows_of_MXFP4,
		[CPU_Q2_K] = rows_of_Q2_K,
		[CPU_Q3_K] = rows_of_Q3_K,
		[CPU_Q6_K] = rows_of_Q6_K,
	},
	.quantise = quantise,
	.round_bf16 = round_bf16,
	.finish = finish,
	.finish_gated = finish_gated,
	.norm = { [NORM_RMS] = rms_norm, [NORM_LAYER] = layer_norm },
	.activate = activate,
	.add = add,
	.cap = cap_row,
	.rope_halves = rope_halves,
	.rope_interleaved = rope_interleaved,
	.logit_maxima = logit_maxima,
	.logit_sum = logit_sum,
	.attention = ATTENTION_KERNELS,
};
