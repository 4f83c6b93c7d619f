/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tensor_hash.h"

#include "base/integers.h"

#include <assert.h>
#include <xxhash.h>

static uint64_t library_hash(const void *data, size_t n_bytes)
{
	return XXH3_64bits(data, n_bytes);
}

uint64_t tensor_hash_bytes(const void *bytes, uint64_t row_bytes, uint64_t first_row,
			   uint64_t n_rows, tensor_hash_fn *hash)
{
	const uint64_t end = first_row + n_rows;
	const uint8_t *at = bytes;
	uint64_t sum = 0;

	assert(first_row % TENSOR_HASH_ROWS == 0);
	if (!hash)
		hash = library_hash;
	for (uint64_t row = first_row; row < end; row += TENSOR_HASH_ROWS) {
		const uint64_t n_bytes = min_of(end - row, TENSOR_HASH_ROWS) * row_bytes;
		const uint64_t unit[2] = { row / TENSOR_HASH_ROWS, hash(at, n_bytes) };

		sum += hash(unit, sizeof unit);
		at += n_bytes;
	}
	return sum;
}

uint64_t tensor_hash_rows(const struct tensor *tensor, uint64_t first_row, uint64_t n_rows,
			  tensor_hash_fn *hash)
{
	const uint64_t row_bytes = tensor_row_bytes(tensor);

	assert(tensor->data);
	return tensor_hash_bytes((const uint8_t *)tensor->data + first_row * row_bytes, row_bytes,
				 first_row, n_rows, hash);
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
