/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise of backend_ops.kernel_version: results of a version never change, whatever compiler
 * built them. Each instruction set has a hash of the bits that its kernels give, and each set's
 * hash belongs to the version that is written beside it.
 * The promise leaves out the C library's cos and sin, which rope calls (base/libm.h). Rope rounds
 * them from double to float, which hides almost every difference between releases. If one does
 * show, the test fails and says that the library is another.
 */
#include "base/libm.h"

#include "oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <cmocka.h>

enum { N_IN = 512, N_OUT = 80, MAX_ROWS = 70, N_HEADS = 8, N_KV_HEADS = 2, HEAD_DIM = 64 };

/* After a change of results: raise kernel_version in src/backend/cpu/backend.c, and write the new
 * version here with the hashes that this test prints. */
static const uint32_t version = 2;
static const uint64_t libm = UINT64_C(0x7e7bd1b78ea1b666);	/* when they were made */
static const uint64_t hashes[CPU_N_ISAS] = {
	[CPU_SCALAR] = UINT64_C(0xfb8bbec8b7854272),
	[CPU_AVX2] = UINT64_C(0xfdc0d4ce00a2377d),
	[CPU_AVX512] = UINT64_C(0xbc3e5c3a1c27d297),
	[CPU_AVX512_BF16] = UINT64_C(0x188adb51da1c5e75),
};
/* Of operations that version 2 did not have at first; join them with the others when the version is
 * raised. */
static const uint64_t later_hashes[CPU_N_ISAS] = {
	[CPU_SCALAR] = UINT64_C(0xd43143d9a48853a7),
	[CPU_AVX2] = UINT64_C(0x7d5f03a53d62c14b),
	[CPU_AVX512] = UINT64_C(0x608ebf49c8491eef),
	[CPU_AVX512_BF16] = UINT64_C(0x608ebf49c8491eef),
};

/* What attention may have. */
struct sight {
	unsigned window;
	float cap;
	bool has_slopes;
};

static const enum tensor_type kv_types[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0 };
enum { N_KV_TYPES = sizeof kv_types / sizeof *kv_types };

static const struct activation silu = { .kind = ACTIVATION_SILU };

struct run {
	struct backend *backend;
	struct random random;
	float *x;	/* [MAX_ROWS][N_IN] */
	float *y;	/* likewise */
	XXH3_state_t *hash;
};

static void note(struct run *run, size_t n)
{
	XXH3_64bits_update(run->hash, run->y, n * sizeof *run->y);
}

/* Few rows and many go different ways. */
static void run_products(struct run *run, enum tensor_type type)
{
	static const unsigned n_rows[] = { 1, 7, MAX_ROWS };
	struct weight *weights[2];
	struct matrix m[2];
	struct error err;

	for (unsigned i = 0; i < 2; i++) {
		matrix_init(&m[i], type, N_IN, N_OUT, type + 100 * i);
		if (run->backend->ops->weight_create(run->backend, &m[i].tensor, &weights[i], &err))
			fail_msg("%s", err.text);
	}
	for (unsigned i = 0; i < 3; i++) {
		const struct matmul product = { .weight = weights[0], .y = run->y };

		run->backend->ops->matmul(run->backend, &product, 1, run->x, n_rows[i]);
		note(run, (size_t)n_rows[i] * N_OUT);
		run->backend->ops->gated_matmul(run->backend, &silu, weights[0], weights[1],
						run->x, n_rows[i], run->y);
		note(run, (size_t)n_rows[i] * N_OUT);
	}
	run->backend->ops->embed(run->backend, weights[0], &(uint32_t){ 5 }, 1, run->y);
	note(run, N_IN);
	for (unsigned i = 0; i < 2; i++) {
		run->backend->ops->weight_destroy(run->backend, weights[i]);
		matrix_deinit(&m[i]);
	}
}

/* More positions than a part has: some steps of many rows, and one of one. */
static void run_attention(struct run *run, enum tensor_type type, const struct sight *sight)
{
	static const uint32_t blocks[20] = { 3, 1, 0, 2, 4, 5, 6, 7, 9, 8, 10, 11, 12, 13, 14, 15,
					     16, 17, 18, 19 };
	const struct kv_cache_config config = {
		.n_layers = 1, .n_blocks = 20, .block_length = 32, .n_kv_heads = N_KV_HEADS,
		.head_dim = HEAD_DIM, .value_dim = HEAD_DIM, .type = type,
		.window = sight->window,
	};
	static const float slopes[N_HEADS] = { 0.5f, 0.25f, 0.125f, 0.0625f, 1, 2, 3, 0.1f };
	const struct attention_shape shape = {
		.n_heads = N_HEADS, .scale = 0.25f, .cap = sight->cap,
		.slopes = sight->has_slopes ? slopes : NULL,
	};
	struct attention_span span = { 0, MAX_ROWS, 0, blocks };
	struct kv_cache *cache;
	struct error err;

	if (run->backend->ops->kv_create(run->backend, &config, &cache, &err))
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < 9; i++) {
		span.first_position = i * MAX_ROWS;
		span.n_rows = i == 8 ? 1 : MAX_ROWS;
		run->backend->ops->kv_write(run->backend, cache, 0, &span, 1, run->x, run->x + i);
		run->backend->ops->attention(run->backend, cache, 0, &span, 1, run->x + 2 * i,
					     &shape, run->y);
		note(run, (size_t)span.n_rows * N_HEADS * HEAD_DIM);
	}
	run->backend->ops->kv_destroy(run->backend, cache);
}

static void run_rows(struct run *run)
{
	static const enum arch_rope layouts[] = { ROPE_INTERLEAVED, ROPE_HALVES };
	const struct norm norm = {
		.kind = NORM_RMS, .gain = run->x + 3, .eps = 1e-5f, .n_groups = 1,
	};
	float frequencies[HEAD_DIM / 2] = { 1 };
	uint32_t positions[MAX_ROWS];
	size_t n = (size_t)MAX_ROWS * N_IN;

	for (unsigned i = 1; i < HEAD_DIM / 2; i++)
		frequencies[i] = frequencies[i - 1] * 0.75f;
	for (unsigned i = 0; i < MAX_ROWS; i++)
		positions[i] = i * 37;
	run->backend->ops->norm(run->backend, &norm, run->x, MAX_ROWS - 1, N_IN - 3, run->y);
	note(run, (size_t)(MAX_ROWS - 1) * (N_IN - 3));
	for (unsigned i = 0; i < 2; i++) {
		const struct rope_table table = { layouts[i], HEAD_DIM, frequencies, 1 };

		memcpy(run->y, run->x, n * sizeof *run->y);
		run->backend->ops->rope(run->backend, &table, run->y, positions, MAX_ROWS, N_HEADS,
					HEAD_DIM);
		note(run, n);
	}
	run->backend->ops->activate(run->backend, &silu, run->x, run->x + 1, n - 1, run->y);
	run->backend->ops->add(run->backend, run->y, run->x, 1, n - 1);
	note(run, n - 1);
}

/* Blocks of x as logits, the last one short. */
static void run_logits(struct run *run)
{
	enum {
		N = MAX_ROWS * N_IN - 5,
		N_BLOCKS = (N + BACKEND_LOGIT_BLOCK - 1) / BACKEND_LOGIT_BLOCK,
	};
	float maxima[N_BLOCKS];
	double sums[N_BLOCKS];
	const struct logit_sum sum = {
		.largest = 1, .scale = 7.5, .least = -0.5f, .last = N / 2, .maxima = maxima,
		.sums_out = sums,
	};

	run->backend->ops->logit_maxima(run->backend, run->x, 1, N, maxima);
	run->backend->ops->logit_sums(run->backend, run->x, N, &sum, 1);
	XXH3_64bits_update(run->hash, maxima, sizeof maxima);
	XXH3_64bits_update(run->hash, sums, sizeof sums);
}

/* Both norms with all that they may have. */
static void run_norms(struct run *run)
{
	enum { WIDTH = HEAD_DIM - 5 };

	for (unsigned kind = 0; kind < 2; kind++) {
		const struct norm norm = {
			.kind = (enum norm_kind)kind, .gain = run->x + 3, .bias = run->x + 900,
			.eps = 1e-5f, .n_groups = N_HEADS, .is_per_group = kind,
		};

		run->backend->ops->norm(run->backend, &norm, run->x, MAX_ROWS, WIDTH, run->y);
		note(run, (size_t)MAX_ROWS * N_HEADS * WIDTH);
	}
}

static void run_activations(struct run *run)
{
	const size_t n = (size_t)MAX_ROWS * N_IN - 5;

	for (unsigned kind = ACTIVATION_GELU_TANH; kind <= ACTIVATION_XIELU; kind++) {
		const struct activation activation = {
			.kind = (enum activation_kind)kind, .alpha_p = 0.8f, .alpha_n = 1.1f,
			.beta = 0.5f, .eps = -1e-6f,
		};

		memcpy(run->y, run->x, n * sizeof *run->y);
		run->backend->ops->cap(run->backend, run->y, 9, 0, n);
		run->backend->ops->activate(run->backend, &activation, run->y, NULL, n, run->y);
		note(run, n);
	}
	run->backend->ops->cap(run->backend, run->y, 3, 2, n);
	run->backend->ops->add(run->backend, run->y, run->x, 0.3f, n);
	note(run, n);
}

static void later_operations(struct run *run)
{
	static const struct sight windowed = { .window = 200, .cap = 1.5f, .has_slopes = true };

	for (unsigned i = 0; i < N_KV_TYPES; i++)
		run_attention(run, kv_types[i], &windowed);
	run_norms(run);
	run_activations(run);
}

static void first_operations(struct run *run)
{
	static const struct sight everything = { .window = 0 };

	for (unsigned i = 0; i < oracle_n_types; i++)
		run_products(run, oracle_types[i]);
	for (unsigned i = 0; i < N_KV_TYPES; i++)
		run_attention(run, kv_types[i], &everything);
	run_rows(run);
	run_logits(run);
}

static uint64_t hash_of(struct backend *backend, void (*operations)(struct run *run))
{
	size_t n = (size_t)(MAX_ROWS + 1) * N_IN;
	struct run run = {
		.backend = backend, .random = { 1 }, .x = floats_alloc(n), .y = floats_alloc(n),
		.hash = XXH3_createState(),
	};
	uint64_t hash;

	XXH3_64bits_reset(run.hash);
	random_fill(&run.random, run.x, n);
	operations(&run);
	hash = XXH3_64bits_digest(run.hash);
	XXH3_freeState(run.hash);
	free(run.x);
	free(run.y);
	return hash;
}

static unsigned count_wrong(void (*operations)(struct run *run), const uint64_t *expected)
{
	unsigned n_wrong = 0;

	for (enum cpu_isa isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++) {
		struct backend *backend = open_cpu(cpu_isa_name(isa), 2, MAX_ROWS, N_IN);
		uint64_t hash = hash_of(backend, operations);

		backend->ops->close(backend);
		if (hash == expected[isa])
			continue;
		print_message("%s: 0x%016llx, expected 0x%016llx\n", cpu_isa_name(isa),
			      (unsigned long long)hash, (unsigned long long)expected[isa]);
		n_wrong++;
	}
	if (n_wrong && libm_fingerprint() != libm)
		print_message("the C library is another: it may be the cause\n");
	return n_wrong;
}

static void other_bits_have_another_version(void **state)
{
	(void)state;
	assert_int_equal(backend_cpu.kernel_version, version);
	assert_int_equal(count_wrong(first_operations, hashes), 0);
	assert_int_equal(count_wrong(later_operations, later_hashes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_bits_have_another_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
