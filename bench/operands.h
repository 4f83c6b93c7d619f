/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BENCH_OPERANDS_H
#define STAGECOACH_BENCH_OPERANDS_H
/* operands - weights and rows for the measuring programs. They end when they cannot go on. */
#include "backend/backend.h"
#include "model/tensor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static inline void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
		exit(1);
	}
	return p;
}

/* n floats, aligned as operations want them. */
static inline float *floats(size_t n)
{
	return must(aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64));
}

static inline float *ones(size_t n)
{
	float *x = floats(n);

	for (size_t i = 0; i < n; i++)
		x[i] = 1;
	return x;
}

/* As they lie in a file. */
static inline size_t matrix_bytes(enum tensor_type type, size_t n_in, size_t n_out)
{
	return n_out * tensor_type_bytes(type, n_in);
}

static inline struct weight *weight_of_zeros(struct backend *backend, enum tensor_type type,
					     size_t n_in, size_t n_out)
{
	size_t n_bytes = matrix_bytes(type, n_in, n_out);
	void *zeros = must(calloc(1, n_bytes));
	const struct tensor tensor = {
		.name = tensor_type_info(type)->name, .type = type, .n_dims = 2,
		.dims = { n_in, n_out, 1, 1 }, .n_bytes = n_bytes, .data = zeros,
	};
	struct weight *weight;
	struct error err;

	if (backend->ops->weight_create(backend, &tensor, &weight, &err)) {
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, err.text);
		exit(1);
	}
	free(zeros);
	return weight;
}

#endif
