/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_TENSOR_HASH_H
#define STAGECOACH_MODEL_TENSOR_HASH_H
/*
 * tensor_hash - a hash of all bytes of a tensor, for comparing files and as the key of caches. It
 * finds damage and other weights, not forgery: XXH3 is no cryptographic hash.
 *
 * Rows are hashed in units of TENSOR_HASH_ROWS with XXH3. Each unit's hash is mixed with the unit's
 * number, and the results are added. So threads may hash units in any order, while the bytes are in
 * their caches for another reason. The tensor must have data: of one with a source, hash what
 * tensor_bytes_get made.
 * Thread: any.
 */
#include "model/tensor.h"

enum { TENSOR_HASH_ROWS = 8 };

/* XXH3_64bits, compiled for some instruction set. All give the same hash. */
typedef uint64_t tensor_hash_fn(const void *data, size_t n_bytes);

/* A part of the sum: of n_rows rows from first_row on, which must be a multiple of
 * TENSOR_HASH_ROWS; so must n_rows, unless these are the last rows. hash NULL: the library's. */
uint64_t tensor_hash_rows(const struct tensor *tensor, uint64_t first_row, uint64_t n_rows,
			  tensor_hash_fn *hash);
/* The same for rows that lie at `bytes`. */
uint64_t tensor_hash_bytes(const void *bytes, uint64_t row_bytes, uint64_t first_row,
			   uint64_t n_rows, tensor_hash_fn *hash);
/* The hash from the sum over all rows. Never 0, which stands for an unknown hash. */
uint64_t tensor_hash_of_sum(uint64_t sum);
/* The whole tensor at once. */
uint64_t tensor_hash(const struct tensor *tensor);

#endif
