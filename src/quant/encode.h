/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ENCODE_H
#define STAGECOACH_QUANT_ENCODE_H
/*
 * encode - converts floats to the blocks of a tensor type. Scales are chosen to minimise the
 * weighted squared error: an element's weight is its own magnitude plus the root mean square of its
 * block. The same floats give the same bytes on every instruction set.
 * Thread: any.
 */
#include "base/cpu.h"
#include "model/tensor.h"

/* The functions of one instruction set, compiled from src/quant/isa once per set. */
struct quant_kernels {
	unsigned lanes;
	size_t portion;		/* the most elements per call of an encode function */
	/* By type: encodes n blocks (for F16 and BF16, n elements). NULL for F32. */
	void (*encode[TENSOR_MXFP4 + 1])(const float *x, size_t n_blocks, uint8_t *out);
	void (*decode_f16)(const uint8_t *from, size_t n, float *out);
	void (*decode_bf16)(const uint8_t *from, size_t n, float *out);
	float (*peak)(const float *x, size_t n);
};

extern const struct quant_kernels quant_kernels_scalar;
extern const struct quant_kernels quant_kernels_avx2;
extern const struct quant_kernels quant_kernels_avx512;

const struct quant_kernels *quant_kernels(enum cpu_isa isa);

/* Encodes n elements, a multiple of the type's block length. All must fit the type (quant_fits).
 * out needs n / block_length * block_bytes bytes. */
void quant_encode(const struct quant_kernels *kernels, enum tensor_type type, const float *x,
		  size_t n, uint8_t *out);

/* Decodes n elements of any supported type, a multiple of its block length, to float. */
void quant_decode(const struct quant_kernels *kernels, enum tensor_type type, const void *from,
		  size_t n, float *out);

#endif
