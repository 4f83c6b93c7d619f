/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend's operations beside the CPU's. Without a GPU, or without CUDA in this build,
 * what remains is that it says so quietly. */
#include "oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N_ROWS = 33, N_HEADS = 3, HEAD_DIM = 80, WIDTH = N_HEADS * HEAD_DIM };
enum { N = N_ROWS * WIDTH };

struct pair {
	struct backend *cpu;
	struct backend *cuda;
	float *host[3];		/* [N] each: two inputs, the CPU's result */
	float *device[2];
	float *result;		/* [N] what the device gave */
};

static int open_pair(void **state)
{
	struct backend_config config = { .n_threads = 1, .max_rows = N_ROWS, .max_width = WIDTH };
	const struct backend_ops *ops = backend_find("cuda");
	struct random random = { 1 };
	struct pair *pair;
	struct error err;

	*state = NULL;
	if (!ops || !ops->count())
		return 0;
	pair = calloc(1, sizeof *pair);
	if (!pair || backend_cpu.open(0, &config, &pair->cpu, &err) ||
	    ops->open(0, &config, &pair->cuda, &err))
		return -1;
	for (unsigned i = 0; i < 3; i++) {
		pair->host[i] = floats_alloc(N);
		random_fill(&random, pair->host[i], N);
	}
	pair->result = floats_alloc(N);
	for (unsigned i = 0; i < 2; i++) {
		if (ops->alloc(pair->cuda, N * sizeof(float), (void **)&pair->device[i]))
			return -1;
		ops->upload(pair->cuda, pair->device[i], pair->host[i], N * sizeof(float));
	}
	*state = pair;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *pair = *state;

	if (!pair)
		return 0;
	for (unsigned i = 0; i < 3; i++)
		free(pair->host[i]);
	free(pair->result);
	for (unsigned i = 0; i < 2; i++)
		pair->cuda->ops->release(pair->cuda, pair->device[i]);
	pair->cuda->ops->close(pair->cuda);
	pair->cpu->ops->close(pair->cpu);
	free(pair);
	return 0;
}

static struct pair *needs_device(void **state)
{
	if (!*state) {
		print_message("no CUDA device\n");
		skip();
	}
	return *state;
}

/* The device's floats at `from` are the host's within tolerance. */
static void assert_result(struct pair *pair, const float *from, const float *expected,
			  float tolerance)
{
	pair->cuda->ops->download(pair->cuda, pair->result, from, N * sizeof(float));
	for (unsigned i = 0; i < N; i++)
		if (!(fabsf(pair->result[i] - expected[i]) <= tolerance))
			fail_msg("element %u: %.9g, the cpu has %.9g", i,
				 (double)pair->result[i], (double)expected[i]);
}

static void it_counts_devices_without_a_word(void **state)
{
	const struct backend_ops *ops = backend_find("cuda");

	(void)state;
	if (!ops)
		skip();
	assert_true(ops->count() < 1024);
	assert_false(backend_is_complete(ops));
}

static void a_device_that_is_not_there_is_refused(void **state)
{
	struct backend_config config = { .n_threads = 1, .max_rows = 1, .max_width = 1 };
	const struct backend_ops *ops = backend_find("cuda");
	struct backend *backend = NULL;
	struct error err;

	(void)state;
	if (!ops)
		skip();
	assert_int_equal(ops->open(1023, &config, &backend, &err), SC_E_DEVICE);
	assert_non_null(strstr(err.text, "cuda device 1023 does not exist: found"));
	assert_null(backend);
}

static void memory_is_zeroed_and_keeps_what_is_uploaded(void **state)
{
	struct pair *pair = needs_device(state);
	const struct backend_ops *ops = pair->cuda->ops;
	float *memory;

	assert_int_equal(ops->alloc(pair->cuda, N * sizeof(float), (void **)&memory), SC_OK);
	memset(pair->host[2], 0, N * sizeof(float));
	assert_result(pair, memory, pair->host[2], 0);
	ops->release(pair->cuda, memory);
	assert_result(pair, pair->device[0], pair->host[0], 0);
	assert_int_equal(ops->alloc(pair->cuda, SIZE_MAX / 2, (void **)&memory), SC_E_CAPACITY);
	assert_result(pair, pair->device[1], pair->host[1], 0);
}

static void norms_are_those_of_the_cpu(void **state)
{
	struct pair *pair = needs_device(state);

	struct norm norm = {
		.kind = NORM_LAYER, .eps = 1e-5f, .n_groups = N_HEADS, .is_per_group = true,
	};

	for (unsigned i = 0; i < 2; i++, norm.kind = NORM_RMS) {
		norm.gain = norm.bias = pair->host[1];
		backend_cpu.norm(pair->cpu, &norm, pair->host[0], N_ROWS, HEAD_DIM,
				 pair->host[2]);
		norm.gain = norm.bias = pair->device[1];
		pair->cuda->ops->norm(pair->cuda, &norm, pair->device[0], N_ROWS, HEAD_DIM,
				      pair->device[0]);
		assert_result(pair, pair->device[0], pair->host[2], 2e-6f);
		memcpy(pair->host[0], pair->host[2], N * sizeof(float));
	}
}

static void sums_are_those_of_the_cpu(void **state)
{
	struct pair *pair = needs_device(state);

	backend_cpu.add(pair->cpu, pair->host[0], pair->host[1], 0.75f, N - 1);
	pair->cuda->ops->add(pair->cuda, pair->device[0], pair->device[1], 0.75f, N - 1);
	assert_result(pair, pair->device[0], pair->host[0], 1e-7f);
	backend_cpu.cap(pair->cpu, pair->host[0], 3, 2, N - 1);
	pair->cuda->ops->cap(pair->cuda, pair->device[0], 3, 2, N - 1);
	assert_result(pair, pair->device[0], pair->host[0], 1e-6f);
	backend_cpu.clamp(pair->cpu, pair->host[0], 0.5f, N - 1);
	pair->cuda->ops->clamp(pair->cuda, pair->device[0], 0.5f, N - 1);
	assert_result(pair, pair->device[0], pair->host[0], 1e-6f);
}

static void gates_are_those_of_the_cpu(void **state)
{
	struct pair *pair = needs_device(state);

	struct activation activation = { .alpha_p = 0.8f, .alpha_n = 1.1f, .beta = 0.5f,
					 .eps = -1e-6f };

	for (unsigned kind = 0; kind <= ACTIVATION_XIELU; kind++) {
		activation.kind = (enum activation_kind)kind;
		backend_cpu.activate(pair->cpu, &activation, pair->host[0], pair->host[1], N,
				     pair->host[2]);
		pair->cuda->ops->activate(pair->cuda, &activation, pair->device[0],
					  pair->device[1], N, pair->device[0]);
		assert_result(pair, pair->device[0], pair->host[2], 1e-6f);
		memcpy(pair->host[0], pair->host[2], N * sizeof(float));
	}
}

static void rotations_are_those_of_the_cpu(void **state)
{
	struct pair *pair = needs_device(state);
	float frequency[HEAD_DIM / 2];
	uint32_t positions[N_ROWS];
	struct rope_table tables[] = {
		{ ROPE_HALVES, HEAD_DIM, frequency, 1 },
		{ ROPE_INTERLEAVED, HEAD_DIM - 16, frequency, 1.25f },
	};

	for (unsigned i = 0; i < HEAD_DIM / 2; i++)
		frequency[i] = powf(10000, -(float)i / (HEAD_DIM / 2));
	for (unsigned i = 0; i < N_ROWS; i++)
		positions[i] = i * i * 97;
	for (unsigned i = 0; i < 2; i++) {
		backend_cpu.rope(pair->cpu, &tables[i], pair->host[i], positions, N_ROWS, N_HEADS,
				 HEAD_DIM);
		pair->cuda->ops->rope(pair->cuda, &tables[i], pair->device[i], positions, N_ROWS,
				      N_HEADS, HEAD_DIM);
		assert_result(pair, pair->device[i], pair->host[i], 1e-6f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_counts_devices_without_a_word),
		cmocka_unit_test(a_device_that_is_not_there_is_refused),
		cmocka_unit_test_setup_teardown(memory_is_zeroed_and_keeps_what_is_uploaded,
						open_pair, close_pair),
		cmocka_unit_test_setup_teardown(norms_are_those_of_the_cpu, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(sums_are_those_of_the_cpu, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(gates_are_those_of_the_cpu, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(rotations_are_those_of_the_cpu, open_pair,
						close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
