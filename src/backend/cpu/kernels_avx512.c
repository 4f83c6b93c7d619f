/* SPDX-License-Identifier: Apache-2.0 */
/* The tables for AVX-512 F, BW, DQ, VL and VNNI, without and with BF16. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/isa/vec_avx512.h"
#include "backend/cpu/isa/exp.h"
#include "backend/cpu/isa/activations.h"
#include "backend/cpu/isa/hash.h"
#include "backend/cpu/isa/rows.h"
#include "backend/cpu/isa/logits.h"
#include "backend/cpu/isa/words_avx512.h"
#include "backend/cpu/isa/relayout.h"
#include "backend/cpu/isa/attention.h"
#include "backend/cpu/isa/tiles.h"
#include "backend/cpu/isa/tiles_x86.h"
#include "backend/cpu/isa/finish.h"
#include "backend/cpu/isa/each_row.h"
#include "backend/cpu/isa/gemm_float.h"
#include "backend/cpu/isa/gemm_bf16_avx512.h"
#include "backend/cpu/isa/gemm_int_avx512.h"
#include "backend/cpu/isa/gemm_int.h"

#define GEMM_INT_ROWS(name, format, bytes) EACH_ROW_6(GEMM_INT, name, format)
#define UNPACK_ROWS(name, format, bytes) UNPACK_INT(name, format)
#define ROWS_OF_BYTES(name, format, bytes)						\
	static cpu_gemm_fn *const rows_of_##name[] = GEMM_ROWS_6(name);
#define INT_ROWS_OF(name) GEMM_ROWS_6(name)

EACH_ROW_24(GEMM_FLOAT, f32, CPU_F32)
EACH_ROW_24(GEMM_FLOAT, f16, CPU_F16)
EACH_ROW_12(GEMM_FLOAT, bf16, CPU_BF16)
EACH_ROW_12(GEMM_BF16_DOT, bf16_dot)
FOR_INT_FORMATS(GEMM_INT_ROWS)
FOR_INT_FORMATS(UNPACK_ROWS)
FOR_BYTES_FORMATS(GEMM_INT_ROWS)
FOR_BYTES_FORMATS(ROWS_OF_BYTES)

#define AVX512_TABLE(its_name, bf16_rows) {						\
	.name = its_name,								\
	.lanes = LANES,									\
	.panel = 2 * LANES,								\
	.tile_rows = { [CPU_TILE_FLOAT] = 24, [CPU_TILE_BF16] = 12, [CPU_TILE_INT] = 6 },	\
	.byte_flip = BYTE_FLIP,								\
	.hash = hash_bytes,								\
	.pack = pack,									\
	.gemm = {									\
		[CPU_F32] = GEMM_ROWS_24(f32),						\
		[CPU_F16] = GEMM_ROWS_24(f16),						\
		[CPU_BF16] = GEMM_ROWS_12(bf16_rows),					\
		FOR_INT_FORMATS(INT_ENTRY)						\
	},										\
	.max_packed_rows = 48,								\
	.unpack = { FOR_INT_FORMATS(UNPACK_ENTRY) },						\
	.gemm_unpacked = { FOR_INT_FORMATS(UNPACKED_ENTRY) },				\
	.quantise = quantise,								\
	.round_bf16 = round_bf16,							\
	.finish = finish,								\
	.finish_gated = finish_gated,							\
	.norm = { [NORM_RMS] = rms_norm, [NORM_LAYER] = layer_norm },			\
	.activate = activate,								\
	.add = add,									\
	.cap = cap_row,								\
	.rope_halves = rope_halves,							\
	.rope_interleaved = rope_interleaved,						\
	.logit_maxima = logit_maxima,							\
	.logit_sum = logit_sum,								\
	.attention = ATTENTION_KERNELS,							\
}

const struct cpu_kernels cpu_kernels_avx512 = AVX512_TABLE("avx512", bf16);
const struct cpu_kernels cpu_kernels_avx512_bf16 = AVX512_TABLE("avx512-bf16", bf16_dot);
