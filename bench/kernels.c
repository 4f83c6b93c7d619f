/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels - measures the CPU backend's products, by instruction set and format.
 * Usage: kernels [threads [n_in [n_out]]]
 * Products are timed with one row, which is bound by memory (compare GB/s), and with many rows,
 * which are bound by arithmetic (compare GMAC/s). For one row the matrix should be larger than the
 * caches. A single thread is timed by its CPU time, so that other programs disturb less.
 */
#include "bench/operands.h"
#include "bench/timer.h"

#include <stdio.h>
#include <stdlib.h>

enum { MANY_ROWS = 256 };

static const enum tensor_type types[] = {
	TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1, TENSOR_Q5_0,
	TENSOR_Q5_1, TENSOR_IQ4_NL, TENSOR_MXFP4, TENSOR_Q2_K, TENSOR_Q3_K, TENSOR_Q4_K,
	TENSOR_Q5_K, TENSOR_Q6_K, TENSOR_IQ4_XS,
};

static unsigned n_threads;

struct product {
	struct backend *backend;
	struct matmul matmul;
	const float *x;
	unsigned n_rows;
};

static void run_product(void *arg)
{
	struct product *p = arg;

	p->backend->ops->matmul(p->backend, &p->matmul, 1, p->x, p->n_rows);
}

static void time_type(struct backend *backend, const char *isa, enum tensor_type type,
		      size_t n_in, size_t n_out)
{
	double n_bytes = (double)matrix_bytes(type, n_in, n_out);
	struct weight *weight = weight_of_zeros(backend, type, n_in, n_out);
	float *x = ones(MANY_ROWS * n_in), *y = ones(MANY_ROWS * n_out);
	struct product p = { .backend = backend, .x = x, .matmul = { weight, .y = y } };
	double one, many;

	p.n_rows = 1;
	one = timer_least(n_threads, 1, 0.25, run_product, &p);
	p.n_rows = MANY_ROWS;
	many = timer_least(n_threads, 1, 0.25, run_product, &p);
	printf("%-7s %-6s %10.1f %10.1f %10.1f\n", isa,
	       tensor_type_info(type)->name,
	       (double)(n_in * n_out) / one * 1e-9, n_bytes / one * 1e-9,
	       (double)(n_in * n_out) * MANY_ROWS / many * 1e-9);
	backend->ops->weight_destroy(backend, weight);
	free(x);
	free(y);
}

static unsigned argument(int argc, char **argv, int i, unsigned otherwise)
{
	return argc > i ? (unsigned)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	static const char *const isas[] = { "scalar", "avx2", "avx512", "avx512-bf16" };
	unsigned n_in = argument(argc, argv, 2, 4096), n_out = argument(argc, argv, 3, 4096);
	struct backend_config config = { .max_rows = MANY_ROWS, .max_width = n_in };

	n_threads = config.n_threads = argument(argc, argv, 1, 1);
	printf("%u threads, %u inputs, %u outputs\n", config.n_threads, n_in, n_out);
	printf("%-7s %-5s %10s %10s %10s\n", "", "", "1 row", "", "256 rows");
	printf("%-7s %-5s %10s %10s %10s\n", "isa", "type", "GMAC/s", "GB/s", "GMAC/s");
	for (unsigned i = 0; i < sizeof isas / sizeof *isas; i++) {
		struct backend *backend;
		struct error err;

		if (!cpu_isa_find(isas[i], &config.isa))
			return 2;
		if (backend_cpu.open(0, &config, &backend, &err)) {
			printf("%s\n", err.text);
			continue;
		}
		for (unsigned t = 0; t < sizeof types / sizeof *types; t++)
			time_type(backend, isas[i], types[t], n_in, n_out);
		backend->ops->close(backend);
	}
	return 0;
}
