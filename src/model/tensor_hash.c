/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tensor_hash.h"

#include "base/integers.h"

#include <assert.h>
#include <xxhash.h>

static uint64_t library_hash(const void *data, size_t n_bytes)
{
	return XXH3_64bits(data, n_bytes);
}

uint64_t tensor_hash_rows(const struct tensor *tensor, uint64_t first_row, uint64_t n_rows,
			  tensor_hash_fn *hash)
{
	const uint64_t row_bytes = tensor_row_bytes(tensor), end = first_row + n_rows;
	uint64_t sum = 0;

	assert(tensor->data);
	assert(first_row % TENSOR_HASH_ROWS == 0);
	if (!hash)
		hash = library_hash;
	for (uint64_t row = first_row; row < end; row += TENSOR_HASH_ROWS) {
		uint64_t n_bytes = min_of(end - row, TENSOR_HASH_ROWS) * row_bytes;
		uint64_t unit[2] = { row / TENSOR_HASH_ROWS };

		unit[1] = hash((const uint8_t *)tensor->data + row * row_bytes, n_bytes);
		sum += hash(unit, sizeof unit);
	}
	return sum;
}

uint64_t tensor_hash_of_sum(uint64_t sum)
{
	return sum ? sum : 1;
}

uint64_t tensor_hash(const struct tensor *tensor)
{
	const uint64_t row_bytes = tensor_row_bytes(tensor);

	return tensor_hash_of_sum(tensor_hash_rows(tensor, 0, tensor->n_bytes / row_bytes, NULL));
}
