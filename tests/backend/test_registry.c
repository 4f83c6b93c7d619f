/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"
#include "base/cpu.h"

#include "oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void the_cpu_backend_is_always_there_and_complete(void **state)
{
	(void)state;
	assert_ptr_equal(backend_find("cpu"), &backend_cpu);
	assert_int_equal(backend_cpu.count(), 1);
	assert_true(backend_is_complete(&backend_cpu));
}

static void an_unknown_name_is_not_found(void **state)
{
	(void)state;
	assert_null(backend_find("abacus"));
}

static void every_backend_has_a_name_a_count_and_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; backends[i]; i++) {
		assert_non_null(backends[i]->count);
		assert_ptr_equal(backend_find(backends[i]->name), backends[i]);
	}
}

static void a_backend_without_an_operation_is_incomplete(void **state)
{
	struct backend_ops ops = backend_cpu;

	(void)state;
	ops.attention = NULL;
	assert_false(backend_is_complete(&ops));
}

static void only_device_zero_of_the_cpu_opens(void **state)
{
	struct backend_config config = { .n_threads = 1, .max_rows = 1, .max_width = 32 };
	struct backend *backend = NULL;
	struct error err;

	(void)state;
	assert_int_equal(backend_cpu.open(1, &config, &backend, &err), SC_E_DEVICE);
	config.max_rows = 0;
	assert_int_equal(backend_cpu.open(0, &config, &backend, &err), SC_E_INVALID);
	assert_null(backend);
}

static void an_instruction_set_that_is_not_there_is_refused(void **state)
{
	struct backend_config config = { .n_threads = 1, .max_rows = 1, .max_width = 32 };
	struct backend *backend = NULL;
	struct error err;

	(void)state;
	config.isa = (enum cpu_isa)(cpu_isa_best() + 1);
	if (config.isa == CPU_N_ISAS)
		skip();
	assert_int_equal(backend_cpu.open(0, &config, &backend, &err), SC_E_CONFIG);
	assert_non_null(strstr(err.text, cpu_isa_name(config.isa)));
	assert_null(backend);
}

/* Nothing if there is no such set here. */
static const struct cpu_kernels *kernels_for(const char *choice)
{
	struct backend *backend = open_cpu(choice, 1, 1, 32);
	const struct cpu_kernels *kernels = backend ? cpu_of(backend)->kernels : NULL;

	if (backend)
		backend->ops->close(backend);
	return kernels;
}

static void each_set_of_kernels_can_be_chosen(void **state)
{
	(void)state;
	assert_ptr_equal(kernels_for("scalar"), &cpu_kernels_scalar);
#ifdef HAVE_X86_SIMD
	if (kernels_for("avx2"))
		assert_ptr_equal(kernels_for("avx2"), &cpu_kernels_avx2);
	if (kernels_for("avx512"))
		assert_ptr_equal(kernels_for("avx512"), &cpu_kernels_avx512);
	if (kernels_for("avx512-bf16"))
		assert_ptr_equal(kernels_for("avx512-bf16"), &cpu_kernels_avx512_bf16);
#endif
}

static void memory_is_aligned_and_zeroed(void **state)
{
	struct backend_config config = { .n_threads = 1, .max_rows = 1, .max_width = 32 };
	struct backend *backend;
	unsigned char *p;
	char text[8] = "coach";

	(void)state;
	assert_int_equal(backend_cpu.open(0, &config, &backend, NULL), SC_OK);
	for (size_t n = 0; n < 4u << 20; n = n * 3 + 1) {
		assert_int_equal(backend_cpu.alloc(backend, n, (void **)&p), SC_OK);
		assert_int_equal((uintptr_t)p % 64, 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		backend_cpu.release(backend, p);
	}
	assert_int_equal(backend_cpu.alloc(backend, SIZE_MAX, (void **)&p), SC_E_CAPACITY);
	assert_int_equal(backend_cpu.alloc(backend, 8, (void **)&p), SC_OK);
	backend_cpu.upload(backend, p, text, sizeof text);
	memset(text, 0, sizeof text);
	backend_cpu.download(backend, text, p, sizeof text);
	assert_string_equal(text, "coach");
	backend_cpu.release(backend, p);
	backend_cpu.close(backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cpu_backend_is_always_there_and_complete),
		cmocka_unit_test(an_unknown_name_is_not_found),
		cmocka_unit_test(every_backend_has_a_name_a_count_and_is_found),
		cmocka_unit_test(a_backend_without_an_operation_is_incomplete),
		cmocka_unit_test(only_device_zero_of_the_cpu_opens),
		cmocka_unit_test(an_instruction_set_that_is_not_there_is_refused),
		cmocka_unit_test(each_set_of_kernels_can_be_chosen),
		cmocka_unit_test(memory_is_aligned_and_zeroed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
