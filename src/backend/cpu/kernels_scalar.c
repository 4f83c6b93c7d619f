/* SPDX-License-Identifier: Apache-2.0 */
/* The table for any processor. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/isa/vec_scalar.h"
#include "backend/cpu/isa/exp.h"
#include "backend/cpu/isa/rows.h"
#include "backend/cpu/isa/words_scalar.h"
#include "backend/cpu/isa/relayout.h"
#include "backend/cpu/isa/attention.h"
#include "backend/cpu/isa/tiles.h"
#include "backend/cpu/isa/quantise.h"
#include "backend/cpu/isa/finish.h"
#include "backend/cpu/isa/gemm_float.h"
#include "backend/cpu/isa/gemm_int_scalar.h"
#include "backend/cpu/isa/gemm_int.h"

#define GEMM_INT_ROWS(name, format, bytes) GEMM_INT_4(name, format)
#define INT_ROWS_OF(name) GEMM_ROWS_4(name)

GEMM_FLOAT_4(f32, CPU_F32)
GEMM_FLOAT_4(f16, CPU_F16)
GEMM_FLOAT_4(bf16, CPU_BF16)
FOR_INT_FORMATS(GEMM_INT_ROWS)
static cpu_gemm_fn *const rows_of_f32[] = GEMM_ROWS_4(f32);

const struct cpu_kernels cpu_kernels_scalar = {
	.name = "scalar",
	.lanes = LANES,
	.panel = 2 * LANES,
	.tile_rows = { [CPU_TILE_FLOAT] = 4, [CPU_TILE_BF16] = 4, [CPU_TILE_INT] = 4 },
	.byte_flip = BYTE_FLIP,
	.pack = pack,
	.gemm = {
		[CPU_F32] = GEMM_ROWS_4(f32),
		[CPU_F16] = GEMM_ROWS_4(f16),
		[CPU_BF16] = GEMM_ROWS_4(bf16),
		FOR_INT_FORMATS(INT_ENTRY)
	},
	.unpack = { [CPU_F16] = unpack_f16 },
	.gemm_unpacked = { [CPU_F16] = rows_of_f32 },
	.quantise = quantise,
	.round_bf16 = round_bf16,
	.finish = finish,
	.finish_gated = finish_gated,
	.rms_norm = rms_norm,
	.swiglu = swiglu,
	.add = add,
	.rope_halves = rope_halves,
	.rope_interleaved = rope_interleaved,
	.attention = ATTENTION_KERNELS,
};
