/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void what_a_worker_may_say_is_read(void **state)
{
	struct kernels kernels;
	struct error err;

	(void)state;
	assert_int_equal(kernels_read("cpu", "avx512-bf16", 7, 5, &kernels, &err), SC_OK);
	assert_string_equal(kernels.backend, "cpu");
	assert_int_equal(kernels.best_isa, CPU_AVX512_BF16);
	assert_int_equal(kernels.version, 7);
	assert_int_equal(kernels.libm_fingerprint, 5);
	assert_int_equal(kernels_read("cuda", "", UINT32_MAX, 5, &kernels, &err), SC_OK);
	assert_int_equal(kernels.best_isa, CPU_AUTO);
}

static void what_cannot_be_is_refused_with_its_reason(void **state)
{
	static const struct {
		const char *backend;
		const char *isa;
		uint32_t version;
		uint64_t libm_fingerprint;
		const char *text;
	} cases[] = {
		{ "", "avx2", 1, 5, "the backend \"\", expected a name of 1 to 31 bytes: install" },
		{ "a-name-of-more-bytes-than-any-backend-has", "", 1, 5,
		  "the backend \"a-name" },
		{ "cpu", "avx2", 0, 5, "no kernel version" },
		{ "cpu", "avx2", 1, 0, "no fingerprint of the C library" },
		{ "cpu", "", 1, 5, "no instruction set, which the backend \"cpu\" must name" },
		{ "cpu", "auto", 1, 5, "\"auto\", which this version does not know" },
		{ "cpu", "avx1024", 1, 5, "\"avx1024\", which this version does not know" },
		{ "cpu", "AVX2", 1, 5, "\"AVX2\", which" },
		{ "cuda", "avx2", 1, 5,
		  "\"avx2\", but the backend \"cuda\", expected \"cpu\": install" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct kernels kernels = { .version = 9 };
		struct error err = { .text = "" };

		assert_int_equal(kernels_read(cases[i].backend, cases[i].isa, cases[i].version,
					      cases[i].libm_fingerprint, &kernels, &err),
				 SC_E_PROTOCOL);
		if (!strstr(err.text, cases[i].text))
			fail_msg("not \"%s\": %s", cases[i].text, err.text);
		assert_int_equal(kernels.version, 9);
	}
}

static void only_the_same_backend_version_and_c_library_match(void **state)
{
	const struct kernels a = { "cpu", 2, CPU_AVX2, 5 };
	const struct kernels another_set = { "cpu", 2, CPU_SCALAR, 5 };
	const struct kernels newer = { "cpu", 3, CPU_AVX2, 5 }, gpu = { "cuda", 2, CPU_AUTO, 5 };
	const struct kernels another_libm = { "cpu", 2, CPU_AVX2, 6 };
	struct error err;

	(void)state;
	assert_int_equal(kernels_match(&a, "stage 1", &another_set, &err), SC_OK);
	assert_int_equal(kernels_match(&a, "stage 1", &newer, &err), SC_E_CONFIG);
	assert_non_null(strstr(err.text, "has version 3 of the kernels, but stage 1 version 2"));
	assert_int_equal(kernels_match(&a, "stage 1", &gpu, &err), SC_E_CONFIG);
	assert_non_null(strstr(err.text, "computes on cuda, but stage 1 on cpu"));
	assert_int_equal(kernels_match(&a, "stage 1", &another_libm, &err), SC_E_CONFIG);
	assert_non_null(strstr(err.text, "cos, sin or pow than that of stage 1"));
	assert_non_null(strstr(err.text, "--allow-mixed-backends"));
}

static void the_lowest_set_is_common_in_any_order(void **state)
{
	const struct kernels workers[] = {
		{ "cpu", 1, CPU_AVX512_BF16, 5 }, { "cuda", 1, CPU_AUTO, 5 },
		{ "cpu", 1, CPU_AVX2, 5 }, { "cpu", 1, CPU_AVX512, 5 },
	};
	enum cpu_isa forth = CPU_AUTO, back = CPU_AUTO;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		forth = kernels_common_isa(forth, &workers[i]);
		back = kernels_common_isa(back, &workers[3 - i]);
	}
	assert_int_equal(forth, CPU_AVX2);
	assert_int_equal(back, CPU_AVX2);
	assert_int_equal(kernels_common_isa(CPU_AUTO, &workers[1]), CPU_AUTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_worker_may_say_is_read),
		cmocka_unit_test(what_cannot_be_is_refused_with_its_reason),
		cmocka_unit_test(only_the_same_backend_version_and_c_library_match),
		cmocka_unit_test(the_lowest_set_is_common_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
