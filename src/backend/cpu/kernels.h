/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_KERNELS_H
#define STAGECOACH_BACKEND_CPU_KERNELS_H
/*
 * kernels - the inner loops of the CPU backend, one table per instruction set.
 *
 * Kernels are pure functions over the caller's memory. They do not allocate, use no threads and
 * call nothing outside of their own file. Files that fill a table are compiled with the flags of
 * their instruction set and export only the table. Everything they include is static, so that the
 * linker cannot pick a function with such instructions for another processor.
 *
 * Weights [n_out][n_in] are stored in panels of `panel` outputs, zero padded at the end; formats.h
 * describes a panel. Activations are converted once per product into tiles of up to tile_rows rows
 * (all tiles except the last have the same length), of one of three kinds:
 *   CPU_TILE_FLOAT  float[n_in][r]
 *   CPU_TILE_BF16   bfloat16[n_in / 2][r][2], nearest even, n_in padded with a zero
 *   CPU_TILE_INT    blocks of 32 inputs: int32 shift[r], sum[r], low[r], high[r], then
 *                   int8 q[8][r][4]. x = q * 2^shift * scale, with one scale for the whole row;
 *                   sum, low and high are -8 times the sum of all 32, the first 16, the last 16
 *                   integers.
 *
 * Order: an output element is the sum of its products in the order of inputs; integers are summed
 * exactly over the inputs that share a scale. The order is the same for every r, for packed and
 * unpacked weights, and wherever the inputs are cut into stripes.
 */
#include "backend/cpu/kernels_attention.h"

#include <stddef.h>
#include <stdint.h>

#include "backend/cpu/formats.h"
#include "backend/row_ops.h"
#include "model/tensor_hash.h"

enum {
	CPU_MAX_PANEL = 32,
	CPU_MAX_TILE_ROWS = 24,
	CPU_TILE_INT_BYTES = 48,	/* bytes per row and block of 32 */
	CPU_MAX_SHIFT = 11,		/* 32 * 128 * 127 * 2^11 < 2^31 */
	CPU_FLOAT_STRIPE = 128,		/* inputs summed in registers before the total: */
	CPU_BF16_STRIPE = 256,		/* this many of a panel fit into the L1 cache */
	CPU_INT_STRIPE = 512,
	CPU_LOGIT_BLOCK = 128,		/* BACKEND_LOGIT_BLOCK */
};

/* sum[r][panel] += tile x panel over n_k inputs, a whole number of the format's blocks; for float
 * and bfloat16 tiles at most a stripe. */
typedef void cpu_gemm_fn(const void *weights, const void *tile, size_t n_k, float *sum);

/* Unpacks n_k inputs of a panel, at most a stripe, into what gemm_unpacked reads. */
typedef void cpu_unpack_fn(const void *weights, size_t n_k, void *unpacked);

/* A logit's weight is e^((logit - largest) * scale), or 0 below `least`. */
struct cpu_logit_weights {
	double largest;
	double scale;
	double least;
};

struct cpu_kernels {
	const char *name;
	unsigned lanes;		/* floats in a vector; a panel is two vectors */
	unsigned panel;
	unsigned tile_rows[CPU_N_TILE_KINDS];
	uint8_t byte_flip;	/* whole bytes are xored with it when packed: 0x80
				 * if the multiply-add needs unsigned weights */

	tensor_hash_fn *hash;	/* XXH3_64bits */

	/* Packs `panel` stored rows, stride bytes apart, into a panel of n_in inputs. n_in must be
	 * a whole number of blocks, or a multiple of 32 for formats whose block is one input. */
	void (*pack)(enum cpu_format format, const uint8_t *rows, size_t stride, size_t n_in,
		     uint8_t *to);

	/* Indexed by format and rows - 1. */
	cpu_gemm_fn *gemm[CPU_N_FORMATS][CPU_MAX_TILE_ROWS];
	/* With more than max_packed_rows rows it is faster to unpack weights once, for all tiles
	 * except the first, whose product reads the weights from memory. 0: unpack for the first
	 * tile, too. An entry of NULL: never unpack. */
	unsigned max_packed_rows;
	cpu_unpack_fn *unpack[CPU_N_FORMATS];
	cpu_gemm_fn *const *gemm_unpacked[CPU_N_FORMATS];	/* [tile_rows] */

	/* Make a tile from r rows of x of n inputs; for integers n is a multiple of 32.
	 * scale_out[r]. */
	void (*quantise)(const float *x, size_t ldx, unsigned r, size_t n, void *tile,
			 float *scale_out);
	void (*round_bf16)(const float *x, size_t ldx, unsigned r, size_t n, void *tile);
	/* y[n_rows][ldy] = sum[n_rows][panel] * scale[row] + bias over n outputs of a panel, or
	 * added to y. scale NULL: 1. bias NULL: 0. */
	void (*finish)(const float *sum, unsigned n_rows, const float *scale, const float *bias,
		       bool is_added, unsigned n, float *y, size_t ldy);
	/* y = activation(gate * gate_scale) * (up * up_scale) */
	void (*finish_gated)(const struct activation *activation, const float *gate,
			     const float *gate_scale, const float *up, const float *up_scale,
			     unsigned n_rows, unsigned n, float *y, size_t ldy);

	/* One row, as in backend.h; by norm_kind. */
	void (*norm[2])(const struct norm *norm, const float *x, size_t n, float *y);
	/* These three as in backend.h. */
	void (*activate)(const struct activation *activation, const float *gate, const float *up,
			 size_t n, float *out);
	void (*add)(float *x, const float *y, float scale, size_t n);
	void (*cap)(float *x, float scale, float cap, size_t n);
	/* One head of dim elements; cosine and sine of dim / 2 angles. */
	void (*rope_halves)(float *x, const float *cosine, const float *sine, unsigned dim);
	void (*rope_interleaved)(float *x, const float *cosine, const float *sine, unsigned dim);

	/* The largest of each block of n logits; the last block may be shorter. NaN for a block
	 * with NaN or +infinity. */
	void (*logit_maxima)(const float *x, size_t n, float *maxima);
	/* The sum of the weights of up to one block. The same bits with every instruction set. */
	double (*logit_sum)(const float *x, size_t n, const struct cpu_logit_weights *weights);

	struct cpu_attention_kernels attention;
};

extern const struct cpu_kernels cpu_kernels_scalar;
#ifdef HAVE_X86_SIMD
extern const struct cpu_kernels cpu_kernels_avx2;
extern const struct cpu_kernels cpu_kernels_avx512;
extern const struct cpu_kernels cpu_kernels_avx512_bf16;
#endif

#endif
