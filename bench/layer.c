/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer - measures the products of a layer as a step runs them, with few and many rows.
 * Usage: layer [threads]
 * The seven matrices of a llama of dimension 2048 (8 of 32 heads, feed-forward 8192), for as many
 * layers as exceed the caches, one after the other. In turns with them, the same number of threads
 * reads memory sequentially. Medians are printed. For one row compare "of reading": 1.00 is the
 * speed of the memory.
 */
#include "backend/cpu/peaks.h"
#include "base/clock.h"
#include "bench/operands.h"
#include "measure/statistics.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_LAYERS = 8, N_MATRICES = 7, DIM = 2048, KV_DIM = 512, FFN_DIM = 8192, MAX_ROWS = 64 };
enum { N_SAMPLES = 32 };

static const unsigned shapes[N_MATRICES][2] = {	/* n_in, n_out */
	{ DIM, DIM }, { DIM, KV_DIM }, { DIM, KV_DIM }, { DIM, DIM },
	{ DIM, FFN_DIM }, { DIM, FFN_DIM }, { FFN_DIM, DIM },
};
static const unsigned row_counts[] = { 1, 2, 4, 6, 8, 12, 16, 32, 64 };
enum { N_COUNTS = sizeof row_counts / sizeof *row_counts };

struct bench {
	struct backend *backend;
	struct weight *weights[N_LAYERS][N_MATRICES];
	size_t layer_bytes;
	struct cpu_meter *meter;
	float *x;
	float *y[4];
};

static void create_weights(struct bench *b, enum tensor_type type)
{
	b->layer_bytes = 0;
	for (unsigned i = 0; i < N_MATRICES; i++) {
		for (unsigned layer = 0; layer < N_LAYERS; layer++)
			b->weights[layer][i] = weight_of_zeros(b->backend, type, shapes[i][0],
							       shapes[i][1]);
		b->layer_bytes += matrix_bytes(type, shapes[i][0], shapes[i][1]);
	}
}

static void destroy_weights(struct bench *b)
{
	for (unsigned i = 0; i < N_LAYERS * N_MATRICES; i++)
		b->backend->ops->weight_destroy(b->backend,
						b->weights[i / N_MATRICES][i % N_MATRICES]);
}

static void run_layer(struct bench *b, unsigned layer, unsigned n_rows)
{
	const struct backend_ops *ops = b->backend->ops;
	struct weight *const *w = b->weights[layer];
	const struct matmul qkv[] = {
		{ .weight = w[0], .y = b->y[0] }, { .weight = w[1], .y = b->y[1] },
		{ .weight = w[2], .y = b->y[2] },
	};
	const struct matmul out = { .weight = w[3], .y = b->y[0] };
	const struct matmul down = { .weight = w[6], .y = b->y[0] };
	const struct activation activation = { .kind = ACTIVATION_SILU };

	ops->matmul(b->backend, qkv, 3, b->x, n_rows);
	ops->matmul(b->backend, &out, 1, b->x, n_rows);
	ops->gated_matmul(b->backend, &activation, w[4], w[5], b->x, n_rows, b->y[3]);
	ops->matmul(b->backend, &down, 1, b->x, n_rows);
}

static void time_type(struct bench *b, enum tensor_type type)
{
	static double seconds[N_COUNTS][N_SAMPLES], readings[N_SAMPLES];
	double n_weights = 0, bytes_a_second;

	create_weights(b, type);
	for (unsigned i = 0; i < N_MATRICES; i++)
		n_weights += (double)shapes[i][0] * shapes[i][1];
	for (unsigned n = 0; n < N_SAMPLES; n++) {
		readings[n] = cpu_meter_read(b->meter);
		for (unsigned k = 0; k < N_COUNTS; k++) {
			/* Each call uses another layer, so that no weights are in a cache. */
			unsigned layer = (n + k * 3) % N_LAYERS;
			uint64_t started_ns = clock_ns();

			run_layer(b, layer, row_counts[k]);
			seconds[k][n] = clock_seconds(clock_ns() - started_ns);
		}
	}
	bytes_a_second = spread_of(readings, N_SAMPLES).median;
	for (unsigned k = 0; k < N_COUNTS; k++) {
		double took = spread_of(seconds[k], N_SAMPLES).median;
		double rate = (double)b->layer_bytes / took;

		printf("%-7s %5u %10.1f %10.1f %12.2f\n", tensor_type_info(type)->name,
		       row_counts[k], n_weights * row_counts[k] / took * 1e-9, rate * 1e-9,
		       rate / bytes_a_second);
	}
	destroy_weights(b);
}

static void open_all(struct bench *b, const struct backend_config *config)
{
	struct error err;

	if (backend_cpu.open(0, config, &b->backend, &err) ||
	    cpu_meter_create(CPU_AUTO, config->n_threads, &b->meter, &err)) {
		fprintf(stderr, "layer: %s\n", err.text);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	static const enum tensor_type usual[] = {
		TENSOR_Q4_0, TENSOR_IQ4_XS, TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K, TENSOR_Q8_0,
		TENSOR_BF16, TENSOR_F16,
	};
	struct backend_config config = {
		.n_threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1,
		.max_rows = MAX_ROWS, .max_width = FFN_DIM,
	};
	struct bench b = { .x = ones((size_t)MAX_ROWS * FFN_DIM) };

	open_all(&b, &config);
	for (unsigned i = 0; i < 4; i++)
		b.y[i] = floats((size_t)MAX_ROWS * FFN_DIM);
	printf("%-7s %5s %10s %10s %12s\n", "type", "rows", "GMAC/s", "GB/s", "of reading");
	for (unsigned i = 0; i < sizeof usual / sizeof *usual; i++)
		time_type(&b, usual[i]);
	cpu_meter_destroy(b.meter);
	b.backend->ops->close(b.backend);
	free(b.x);
	for (unsigned i = 0; i < 4; i++)
		free(b.y[i]);
	return 0;
}
