/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_TENSOR_H
#define STAGECOACH_MODEL_TENSOR_H
/*
 * tensor - the element types of model files, and a view of one stored tensor.
 * Type numbers are GGUF's (ggml_type): they appear in files and never change.
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tensor_type {
	TENSOR_F32 = 0,
	TENSOR_F16 = 1,
	TENSOR_Q4_0 = 2,
	TENSOR_Q4_1 = 3,
	TENSOR_Q5_0 = 6,
	TENSOR_Q5_1 = 7,
	TENSOR_Q8_0 = 8,
	TENSOR_Q2_K = 10,
	TENSOR_Q3_K = 11,
	TENSOR_Q4_K = 12,
	TENSOR_Q5_K = 13,
	TENSOR_Q6_K = 14,
	TENSOR_IQ4_NL = 20,
	TENSOR_IQ4_XS = 23,
	TENSOR_BF16 = 30,
	TENSOR_MXFP4 = 39,
};

struct tensor_type_info {
	const char *name;	/* "Q4_0"; set for unsupported types, too */
	uint32_t block_length;	/* elements per block */
	uint32_t block_bytes;
	bool is_supported;
};

/* Returns NULL if the number is unknown. For known but unsupported types is_supported is false. */
const struct tensor_type_info *tensor_type_info(uint32_t type);

#define TENSOR_MAX_DIMS 4

/* Borrows name and data from the file. */
struct tensor {
	const char *name;
	enum tensor_type type;
	unsigned n_dims;
	uint64_t dims[TENSOR_MAX_DIMS];	/* dims[0] varies fastest; 1 beyond n_dims. A matrix that
					 * maps n_in to n_out has dims {n_in, n_out}, a row per
					 * output */
	const void *data;		/* in the mapped file, aligned to the GGUF file's alignment, or
					 * in a folder's files to the size of an element; NULL: the
					 * elements are made when they are read */
	const struct tensor_source *source;	/* if data is NULL; see tensor_source.h */
	uint64_t source_first;		/* the tensor's first element among the source's */
	size_t n_bytes;
	bool is_mapped;			/* data is a mapping of a file that nobody writes to */
};

/* Bytes of one row (dims[0] elements). */
size_t tensor_row_bytes(const struct tensor *tensor);

/* Bytes of n elements of a supported type; a partial last block counts as a whole block. */
uint64_t tensor_type_bytes(enum tensor_type type, uint64_t n);

/* Converts one row to float: out[dims[0]]. For tests, references and small tensors; backends have
 * faster ways. The type must be supported, and the tensor must have data. tensor_rows.c describes
 * the block layout of each type. */
void tensor_row_f32(const struct tensor *tensor, uint64_t row, float *out);

/* Returns true if n_bytes of whole blocks of a supported type hold neither NaN nor infinity. */
bool tensor_blocks_are_finite(enum tensor_type type, const void *blocks, size_t n_bytes);

/*
 * Paging of mapped tensors. Both functions do nothing for tensors in the caller's memory. Thread:
 * any.
 */

/* Starts to read up to n_bytes from `first` on into the page cache, because they will be used
 * soon. */
void tensor_expect(const struct tensor *tensor, size_t first, size_t n_bytes);
/* Unmaps the pages of these bytes from this process, so that a model is not in memory twice while
 * it is copied into another layout. The pages stay in the kernel's cache and return by themselves
 * when they are read again. Other data on the same pages is unmapped, too. */
void tensor_release(const struct tensor *tensor, size_t first, size_t n_bytes);

/* The values of the 4-bit codes, before multiplication with the scale. */
extern const int8_t tensor_iq4_values[16];	/* IQ4_NL and IQ4_XS: ascending */
extern const int8_t tensor_mxfp4_values[16];	/* twice E2M1: bit 3 is the sign, then ascending */

#endif
