/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/encode.h"

#include <assert.h>
#include <string.h>

const struct quant_kernels *quant_kernels(enum cpu_isa isa)
{
#ifdef HAVE_X86_SIMD
	if (isa >= CPU_AVX512)
		return &quant_kernels_avx512;
	if (isa == CPU_AVX2)
		return &quant_kernels_avx2;
#endif
	(void)isa;
	return &quant_kernels_scalar;
}

void quant_encode(const struct quant_kernels *kernels, enum tensor_type type, const float *x,
		  size_t n, uint8_t *out)
{
	const struct tensor_type_info *info = tensor_type_info(type);

	assert(n % info->block_length == 0);
	if (type == TENSOR_F32) {
		memcpy(out, x, n * sizeof *x);
		return;
	}
	for (size_t i = 0; i < n; i += kernels->portion) {
		const size_t n_here = n - i < kernels->portion ? n - i : kernels->portion;

		kernels->encode[type](x + i, n_here / info->block_length,
				      out + i / info->block_length * info->block_bytes);
	}
}

void quant_decode(const struct quant_kernels *kernels, enum tensor_type type, const void *from,
		  size_t n, float *out)
{
	const struct tensor_type_info *info = tensor_type_info(type);
	const struct tensor row = {
		.type = type, .n_dims = 1, .dims = { n, 1, 1, 1 }, .data = from,
		.n_bytes = n / info->block_length * info->block_bytes,
	};

	assert(n % info->block_length == 0);
	if (type == TENSOR_F16)
		kernels->decode_f16(from, n, out);
	else if (type == TENSOR_BF16)
		kernels->decode_bf16(from, n, out);
	else
		tensor_row_f32(&row, 0, out);
}
