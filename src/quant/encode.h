/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ENCODE_H
#define STAGECOACH_QUANT_ENCODE_H
/*
 * encode - floats into the blocks of a tensor type, with the scales that make the weighted squared
 * error small: an element counts by its own magnitude plus the root mean square of its block. The
 * same floats give the same bytes on every instruction set.
 * Thread: any.
 */
#include "base/cpu.h"
#include "model/tensor.h"

/* What one instruction set has; compiled once per set, from src/quant/isa. */
struct quant_kernels {
	unsigned lanes;
	size_t segment;		/* elements that an encode function takes at most at a time */
	/* n blocks (elements of F16 and BF16) by type; NULL for F32. */
	void (*encode[TENSOR_MXFP4 + 1])(const float *x, size_t n_blocks, uint8_t *out);
	void (*decode_f16)(const uint8_t *from, size_t n, float *out);
	void (*decode_bf16)(const uint8_t *from, size_t n, float *out);
	float (*peak)(const float *x, size_t n);
};

extern const struct quant_kernels quant_kernels_scalar;
extern const struct quant_kernels quant_kernels_avx2;
extern const struct quant_kernels quant_kernels_avx512;

const struct quant_kernels *quant_kernels(enum cpu_isa isa);

/* n elements, a multiple of the type's block length, that it can hold (range.h); out has room for
 * n / block_length * block_bytes. */
void quant_encode(const struct quant_kernels *kernels, enum tensor_type type, const float *x,
		  size_t n, uint8_t *out);

/* n elements of any supported type, a multiple of its block length, as float. */
void quant_decode(const struct quant_kernels *kernels, enum tensor_type type, const void *from,
		  size_t n, float *out);

#endif
