/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a step takes no memory. The program's own malloc and its kin count calls and pass them on
 * to glibc's; under a sanitizer, which has its own, the test is skipped.
 */
#include "tests/stage/chain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define N_STEPS 20

#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__

void *__libc_malloc(size_t n_bytes);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t n_bytes);
void *__libc_memalign(size_t alignment, size_t n_bytes);

static volatile unsigned n_calls;

void *malloc(size_t n_bytes)
{
	n_calls++;
	return __libc_malloc(n_bytes);
}

void *calloc(size_t n, size_t size)
{
	n_calls++;
	return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t n_bytes)
{
	n_calls++;
	return __libc_realloc(memory, n_bytes);
}

int posix_memalign(void **memory_out, size_t alignment, size_t n_bytes)
{
	n_calls++;
	*memory_out = __libc_memalign(alignment, n_bytes);
	return *memory_out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t n_bytes)
{
	n_calls++;
	return __libc_memalign(alignment, n_bytes);
}

static void run(const char *name)
{
	static const struct sampling sampling = { .temperature = 1, .top_p = 0.9f, .top_k = 50,
						 .flags = SAMPLING_LOGPROB,
						  .min_p = 0.01f, SAMPLING_OFF };
	static const struct sampling chained = {
		.temperature = 1, .dynatemp_range = 0.5f, .dynatemp_exponent = 1, .top_p = 0.9f,
		.typical_p = 0.9f, .top_n_sigma = 2, .xtc_probability = 0.5f,
		.repetition_penalty = 1.2f, .frequency_penalty = 0.1f, .dry_multiplier = 1,
		.dry_base = 1.75f, .flags = SAMPLING_LOGPROB, .n_tops = STEP_MAX_TOPS_EACH,
	};
	static const uint32_t tokens[24] = { 1, 2, 3 };
	struct model *model = chain_open_reference(name);
	const struct chain_config config = { .model = model, .n_stages = 2, .n_threads = 1,
					     .max_rows = 64, .max_context = 128 };
	struct chain *chain = chain_create(&config);
	struct chain_segment segments[] = {
		{ .sequence = 0, .sampling = &sampling, .tokens = tokens, .n_rows = 24,
		  .is_sampling = true },
		{ .sequence = 1, .sampling = &sampling, .tokens = tokens, .n_rows = 1,
		  .is_sampling = true },
		{ .sequence = 2, .sampling = &chained, .tokens = tokens, .n_rows = 5,
		  .is_sampling = true, .n_scored = 2 },
	};
	unsigned n_before = n_calls;
	uint32_t n_records;

	assert_true(n_before > 0);
	for (unsigned step = 0; step < N_STEPS; step++) {
		chain_step(chain, segments, 3, NULL, 0, &n_records);
		for (unsigned i = 0; i < 3; i++) {
			segments[i].sampling = NULL;
			segments[i].n_rows = 1;
			segments[i].n_scored = 0;
		}
	}
	chain_step(chain, NULL, 0, (uint32_t[]){ 0, 1, 2 }, 3, &n_records);
	assert_int_equal(n_calls - n_before, 0);
	chain_destroy(chain);
	model_close(model);
}

static void running_a_step_takes_no_memory(void **state)
{
	(void)state;
	run("llama-mha");
	run("llama-q8_0");
}

#else

static void running_a_step_takes_no_memory(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(running_a_step_takes_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
