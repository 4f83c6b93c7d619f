/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/quant/encode_blocks.h"

#include "quant/encode.h"

#include <stdlib.h>

void encode_blocks(enum tensor_type type, const float *x, size_t n, struct buf *out)
{
	const struct tensor_type_info *info = tensor_type_info(type);
	const size_t n_bytes = n / info->block_length * info->block_bytes;
	uint8_t *blocks = malloc(n_bytes);

	if (!blocks)
		abort();
	quant_encode(&quant_kernels_scalar, type, x, n, blocks);
	if (buf_add(out, blocks, n_bytes))
		abort();
	free(blocks);
}
