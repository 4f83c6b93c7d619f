/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_KERNELS_H
#define STAGECOACH_BACKEND_CPU_KERNELS_H
/*
 * kernels - the inner loops of the CPU backend, one table per instruction set.
 *
 * Tables are pure functions over the caller's memory: they neither allocate, nor use threads, nor
 * call anything outside their own file. Files that fill a table are compiled with flags of their
 * instruction set and export nothing else; what they include is static, so that no function with
 * such instructions can be picked by the linker for another processor.
 *
 * Layout of a weight matrix [n_out][n_in]: panels of `panel` outputs, zero padded at the end.
 * A panel of a float type is [n_in][panel] elements. A panel of a quantised type is a sequence of
 * blocks of 32 inputs: scale[panel] as float16, then
 *   Q8_0: byte[8 groups][panel][4], inputs 4 * group ..+3, each xor q8_flip;
 *   Q4_0: byte[4 groups][panel][4], low nibbles inputs 4 * group ..+3, high ones 16 further on.
 *
 * Layout of activations: tiles of up to tile_rows rows; all but the last are full. A float tile of r
 * rows is [n_in][r] floats (a single row is used where it lies); a quantised one is a sequence of
 * blocks of 32 inputs: scale[r] floats, -8 * (sum of the 32 integers) [r] int32, and
 * int8[8 groups][r][4].
 *
 * Order: an output element is the sum, in input order, of its products; the same for every r.
 */
#include <stddef.h>
#include <stdint.h>

enum {
	CPU_MAX_PANEL = 32,
	CPU_MAX_LANES = 16,
	CPU_MAX_TILE_ROWS = 12,
	CPU_QUERY_GROUP = 8,		/* queries that share loads of keys and values */
	CPU_QUANT_BLOCK = 32,		/* inputs that share a scale */
	CPU_QUANT_BYTES = 40,		/* of a row's block: scale, sum, 32 integers */
	CPU_FLOAT_CHUNK = 512,		/* inputs summed in registers before they join the total */
};

/* How weights are stored on the device. */
enum cpu_format {
	CPU_F32,
	CPU_F16,
	CPU_BF16,
	CPU_Q8_0,
	CPU_Q4_0,
	CPU_N_FORMATS,
};

/* y[r][panel] = init[panel] + tile x panel over n_k inputs; init NULL: y is added to.
 * ldy: floats from one row of y to the next. */
typedef void cpu_gemm_fn(const void *weights, const void *tile, size_t n_k, const float *init,
			 float *y, size_t ldy);

/* Values of consecutive positions: values[n][ldv], their weights at probability[first ..]. */
struct cpu_value_run {
	const float *values;
	unsigned n;
	unsigned first;
};

struct cpu_kernels {
	const char *name;
	unsigned lanes;		/* floats in a vector; a panel is two vectors */
	unsigned panel;
	unsigned tile_rows_float;
	unsigned tile_rows_quant;
	uint8_t q8_flip;	/* 0x80 where the multiply-add wants unsigned weights */

	/* By format and rows - 1. */
	cpu_gemm_fn *gemm[CPU_N_FORMATS][CPU_MAX_TILE_ROWS];

	/* A quantised tile from r rows of x: scale = max |x| / 127, nearest even. */
	void (*quantise)(const float *x, size_t ldx, unsigned r, size_t n_blocks, void *tile);

	/* One row each. */
	void (*rms_norm)(const float *x, const float *gain, float eps, size_t n, float *y);
	void (*swiglu)(const float *gate, const float *up, size_t n, float *out);
	void (*add)(float *x, const float *y, size_t n);
	/* One head of dim elements; cosine and sine of dim / 2 angles. */
	void (*rope_halves)(float *x, const float *cosine, const float *sine, unsigned dim);
	void (*rope_interleaved)(float *x, const float *cosine, const float *sine, unsigned dim);

	/* s[q][v * lanes + lane] = sum over d of query[d * ldq + q] * keys[v][d * ldk + lane], for
	 * n_q <= CPU_QUERY_GROUP queries and n_vectors vectors of positions. */
	void (*scores)(unsigned n_q, const float *query, size_t ldq, const float *const *keys,
		       unsigned n_vectors, size_t ldk, unsigned head_dim, float *s, size_t lds);
	/* One query's next n scores (a multiple of lanes) become probabilities relative to the new
	 * maximum; returns what earlier sums shrink by. Starts from max -INFINITY, sum 0. */
	float (*softmax)(float *s, unsigned n, float *max, float *sum);
	/* out[q][n_vectors * lanes] = out * shrink[q] + probabilities x values, in run order. */
	void (*values)(unsigned n_q, const float *probability, size_t ldp,
		       const struct cpu_value_run *runs, unsigned n_runs, size_t ldv,
		       unsigned n_vectors, const float *shrink, float *out, size_t ldo);
};

extern const struct cpu_kernels cpu_kernels_scalar;
#ifdef HAVE_X86_SIMD
extern const struct cpu_kernels cpu_kernels_avx2;
extern const struct cpu_kernels cpu_kernels_avx512;
#endif

#endif
