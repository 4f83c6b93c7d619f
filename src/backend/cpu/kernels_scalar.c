/* SPDX-License-Identifier: Apache-2.0 */
/* The table for any processor. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/isa/vec_scalar.h"
#include "backend/cpu/isa/exp.h"
#include "backend/cpu/isa/activations.h"
#include "backend/cpu/isa/hash.h"
#include "backend/cpu/isa/rows.h"
#include "backend/cpu/isa/logits.h"
#include "backend/cpu/isa/words_scalar.h"
#include "backend/cpu/isa/relayout.h"
#include "backend/cpu/isa/attention.h"
#include "backend/cpu/isa/tiles.h"
#include "backend/cpu/isa/quantise.h"
#include "backend/cpu/isa/finish.h"
#include "backend/cpu/isa/each_row.h"
#include "backend/cpu/isa/gemm_float.h"
#include "backend/cpu/isa/gemm_int_scalar.h"
#include "backend/cpu/isa/gemm_int.h"

/* The forms, and functions of formats that are multiplied as one of them. */
#define GEMM_FORM(form, r)								\
	static void form##_##r(const void *weights, const void *tile, size_t n_k, float *sum)	\
	{										\
		multiply(CPU_##form, r, weights, tile, n_k, sum);			\
	}
#define GEMM_FORM_4(form)								\
	EACH_ROW_4(GEMM_FORM, form)							\
	static cpu_gemm_fn *const rows_of_##form[] = GEMM_ROWS_4(form);
#define GEMM_PACKED(name, format, form, r)						\
	static void name##_##r(const void *weights, const void *tile, size_t n_k, float *sum)	\
	{										\
		multiply_packed(format, unpack_##name, form##_##r, r, weights, tile, n_k, sum); \
	}
#define GEMM_PACKED_4(name, format, form)						\
	UNPACK_INT(name, format)							\
	EACH_ROW_4(GEMM_PACKED, name, format, form)
#define FOR_FORMATS(DO)									\
	DO(q8_0, CPU_Q8_0, Q8_0)							\
	DO(iq4_nl, CPU_IQ4_NL, Q8_0)							\
	DO(iq4_xs, CPU_IQ4_XS, Q8_0)							\
	DO(q4_0, CPU_Q4_0, Q4_0)							\
	DO(q5_0, CPU_Q5_0, Q4_0)							\
	DO(mxfp4, CPU_MXFP4, Q4_0)							\
	DO(q4_1, CPU_Q4_1, Q5_1)							\
	DO(q5_1, CPU_Q5_1, Q5_1)							\
	DO(q4_k, CPU_Q4_K, Q5_1)							\
	DO(q5_k, CPU_Q5_K, Q5_1)							\
	DO(q3_k, CPU_Q3_K, Q6_K)							\
	DO(q6_k, CPU_Q6_K, Q6_K)							\
	DO(q2_k, CPU_Q2_K, Q2_K)
#define INT_ROWS_OF(name) GEMM_ROWS_4(name)

static void unpack_f16(const void *weights, size_t n_k, void *unpacked)
{
	for (size_t i = 0; i < n_k * 2; i++)
		vec_store((float *)unpacked + i * LANES,
			  vec_load_f16((const uint16_t *)weights + i * LANES));
}

EACH_ROW_4(GEMM_FLOAT, f32, CPU_F32)
EACH_ROW_4(GEMM_FLOAT, f16, CPU_F16)
EACH_ROW_4(GEMM_FLOAT, bf16, CPU_BF16)
GEMM_FORM_4(Q8_0)
GEMM_FORM_4(Q4_0)
GEMM_FORM_4(Q5_1)
GEMM_FORM_4(Q6_K)
GEMM_FORM_4(Q2_K)
FOR_FORMATS(GEMM_PACKED_4)
static cpu_gemm_fn *const rows_of_f32[] = GEMM_ROWS_4(f32);

const struct cpu_kernels cpu_kernels_scalar = {
	.name = "scalar",
	.lanes = LANES,
	.panel = 2 * LANES,
	.tile_rows = { [CPU_TILE_FLOAT] = 4, [CPU_TILE_BF16] = 4, [CPU_TILE_INT] = 4 },
	.byte_flip = BYTE_FLIP,
	.hash = hash_bytes,
	.pack = pack,
	.gemm = {
		[CPU_F32] = GEMM_ROWS_4(f32),
		[CPU_F16] = GEMM_ROWS_4(f16),
		[CPU_BF16] = GEMM_ROWS_4(bf16),
		FOR_FORMATS(INT_ENTRY)
	},
	.max_packed_rows = 0,
	.unpack = { [CPU_F16] = unpack_f16, FOR_FORMATS(UNPACK_ENTRY) },
	.gemm_unpacked = { [CPU_F16] = rows_of_f32, FOR_FORMATS(UNPACKED_ENTRY) },
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
