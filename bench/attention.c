/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention - measures the CPU backend's attention, by instruction set, type of the cache and
 * shape.
 * Usage: attention [threads [isa [type [context [block length]]]]]
 * A single row at the end of a long context is bound by reading the cache: compare its GB/s (of
 * stored bytes). Many rows are bound by arithmetic: compare their GMAC/s. The limits of both are
 * printed first.
 */
#include "backend/cpu/peaks.h"
#include "bench/operands.h"
#include "bench/timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 512, N_TRIALS = 5 };

static const struct {
	const char *name;
	enum tensor_type type;
} types[] = {
	{ "f32", TENSOR_F32 },
	{ "f16", TENSOR_F16 },
	{ "bf16", TENSOR_BF16 },
	{ "q8_0", TENSOR_Q8_0 },
};

static unsigned n_threads, only_context, block_length = 32;

static void time_limits(enum cpu_isa isa)
{
	struct cpu_meter *meter;
	struct cpu_speed speed;
	struct error err;

	if (cpu_meter_create(isa, n_threads, &meter, &err)) {
		fprintf(stderr, "attention: %s\n", err.text);
		exit(1);
	}
	speed = cpu_meter_best(meter);
	cpu_meter_destroy(meter);
	printf("%u threads; memory: %.1f GB/s; float32: %.1f GMAC/s\n", n_threads,
	       speed.read_bytes * 1e-9, speed.f32_macs * 1e-9);
}

struct attend {
	struct backend *backend;
	struct kv_cache *cache;
	struct attention_span span;
	float *q;
	unsigned n_heads;
	float *out;
};

static void run_attend(void *arg)
{
	struct attend *a = arg;

	const struct attention_shape shape = { .n_heads = a->n_heads, .scale = 0.1f };

	a->backend->ops->attention(a->backend, a->cache, 0, &a->span, 1, a->q, &shape, a->out);
}

static float *noise(size_t n)
{
	float *x = floats(n);
	uint32_t state = 1;

	for (size_t i = 0; i < n; i++) {
		state = state * 1664525 + 1013904223;
		x[i] = (float)(state >> 8) * 0x1p-23f - 1;
	}
	return x;
}

/* Fills all positions of the context, as a prompt would. */
static void fill(struct attend *a, const struct kv_cache_config *config)
{
	unsigned n_positions = config->n_blocks * config->block_length;
	size_t n = (size_t)MAX_ROWS * config->n_kv_heads * config->head_dim;
	float *x = noise(n);

	for (unsigned first = 0; first < n_positions; first += MAX_ROWS) {
		struct attention_span span = { 0, MAX_ROWS, first, a->span.blocks };

		if (n_positions - first < MAX_ROWS)
			span.n_rows = n_positions - first;
		a->backend->ops->kv_write(a->backend, a->cache, 0, &span, 1, x, x);
	}
	free(x);
}

/* n_rows rows that end a context of n_positions. */
static void time_attention(struct backend *backend, const char *isa, unsigned type,
			   unsigned head_dim, unsigned n_heads, unsigned n_kv_heads,
			   unsigned n_rows, unsigned n_positions)
{
	struct kv_cache_config config = {
		.n_layers = 1, .n_blocks = (n_positions + block_length - 1) / block_length,
		.block_length = block_length, .n_kv_heads = n_kv_heads, .head_dim = head_dim,
		.value_dim = head_dim, .type = types[type].type,
	};
	const struct tensor_type_info *info = tensor_type_info(types[type].type);
	uint32_t *blocks = must(calloc(config.n_blocks, sizeof *blocks));
	size_t n = (size_t)n_rows * n_heads * head_dim;
	struct attend a = {
		.backend = backend, .q = noise(n), .n_heads = n_heads, .out = noise(n),
		.span = { 0, n_rows, n_positions - n_rows, blocks },
	};
	double seconds, positions = (double)n_rows * (n_positions - n_rows / 2.0);
	double n_bytes = (double)n_positions * n_kv_heads * 2 * head_dim / info->block_length *
			 info->block_bytes;
	struct error err;

	for (unsigned i = 0; i < config.n_blocks; i++)
		blocks[i] = i;
	if (backend->ops->kv_create(backend, &config, &a.cache, &err)) {
		fprintf(stderr, "attention: %s\n", err.text);
		exit(1);
	}
	fill(&a, &config);
	seconds = timer_least(n_threads, N_TRIALS, 0.05, run_attend, &a);
	printf("%-7s %-5s %4u %3u/%-3u %5u %6u %10.1f %8.1f %8.1f\n", isa, types[type].name,
	       head_dim, n_heads, n_kv_heads, n_rows, n_positions, seconds * 1e6,
	       n_bytes / seconds * 1e-9, positions * n_heads * 2 * head_dim / seconds * 1e-9);
	fflush(stdout);
	backend->ops->kv_destroy(backend, a.cache);
	free(blocks);
	free(a.q);
	free(a.out);
}

static void time_type(struct backend *backend, const char *isa, unsigned type)
{
	static const unsigned shapes[][3] = { { 64, 32, 8 }, { 128, 32, 8 }, { 128, 8, 8 } };
	static const unsigned contexts[] = { 2048, 8192, 32768 };

	for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++)
		for (unsigned c = 0; c < sizeof contexts / sizeof *contexts; c++) {
			const unsigned *shape = shapes[s];

			if (only_context && contexts[c] != only_context)
				continue;
			time_attention(backend, isa, type, shape[0], shape[1], shape[2], 1,
				       contexts[c]);
			time_attention(backend, isa, type, shape[0], shape[1], shape[2],
				       contexts[c] > 8192 ? 256 : MAX_ROWS, contexts[c]);
		}
}

int main(int argc, char **argv)
{
	static const char *const isas[] = { "avx512-bf16", "avx512", "avx2", "scalar" };
	struct backend_config config = { .max_rows = MAX_ROWS, .max_width = 4096 };
	bool is_first = true;

	n_threads = config.n_threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
	only_context = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
	if (argc > 5)
		block_length = (unsigned)strtoul(argv[5], NULL, 10);
	if (!n_threads || !block_length)
		return 2;
	for (unsigned i = 0; i < sizeof isas / sizeof *isas; i++) {
		struct backend *backend;
		struct error err;

		if (argc > 2 && strcmp(argv[2], isas[i]))
			continue;
		if (!cpu_isa_find(isas[i], &config.isa))
			return 2;
		if (backend_cpu.open(0, &config, &backend, &err)) {
			printf("%s\n", err.text);
			continue;
		}
		time_limits(config.isa);
		if (is_first)
			printf("%-7s %-5s %4s %7s %5s %6s %10s %8s %8s\n", "isa", "type", "dim",
			       "heads", "rows", "at", "us", "GB/s", "GMAC/s");
		is_first = false;
		for (unsigned t = 0; t < sizeof types / sizeof *types; t++)
			if (argc <= 3 || !strcmp(argv[3], types[t].name))
				time_type(backend, isas[i], t);
		backend->ops->close(backend);
	}
	return 0;
}
