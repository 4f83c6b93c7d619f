/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int forget_choice(void **state)
{
	(void)state;
	return unsetenv("STAGECOACH_CPU");
}

static void the_environment_forces_a_set_that_is_there(void **state)
{
	enum cpu_isa best, isa;
	struct error err;

	(void)state;
	assert_int_equal(cpu_isa_select(&best, &err), SC_OK);
	for (enum cpu_isa forced = CPU_SCALAR; forced <= CPU_AVX512; forced++) {
		setenv("STAGECOACH_CPU", cpu_isa_name(forced), 1);
		if (forced <= best) {
			assert_int_equal(cpu_isa_select(&isa, &err), SC_OK);
			assert_int_equal(isa, forced);
			continue;
		}
		assert_int_equal(cpu_isa_select(&isa, &err), SC_E_CONFIG);
		assert_non_null(strstr(err.text, "this processor has only"));
	}
	setenv("STAGECOACH_CPU", "", 1);
	assert_int_equal(cpu_isa_select(&isa, &err), SC_OK);
	assert_int_equal(isa, best);
}

static void avx512_can_be_had_without_bf16(void **state)
{
	enum cpu_isa best, isa;
	struct error err;

	(void)state;
	assert_int_equal(cpu_isa_select(&best, &err), SC_OK);
	setenv("STAGECOACH_CPU", "avx512-vnni", 1);
	assert_false(cpu_has_bf16_dot());
	if (best != CPU_AVX512) {
		assert_int_equal(cpu_isa_select(&isa, &err), SC_E_CONFIG);
		skip();
	}
	assert_int_equal(cpu_isa_select(&isa, &err), SC_OK);
	assert_int_equal(isa, CPU_AVX512);
}

static void another_word_is_refused(void **state)
{
	enum cpu_isa isa;
	struct error err;

	(void)state;
	setenv("STAGECOACH_CPU", "sse", 1);
	assert_int_equal(cpu_isa_select(&isa, &err), SC_E_CONFIG);
	assert_string_equal(err.text, "STAGECOACH_CPU=sse: expected scalar, avx2, avx512 or "
			    "avx512-vnni");
}

static void processors_are_those_of_the_affinity_mask(void **state)
{
	cpu_set_t before, one;
	int first = 0;

	(void)state;
	if (sched_getaffinity(0, sizeof before, &before))
		skip();
	assert_int_equal(cpu_count(), CPU_COUNT(&before));
	while (!CPU_ISSET(first, &before))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	assert_int_equal(cpu_count(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_environment_forces_a_set_that_is_there,
					  forget_choice),
		cmocka_unit_test_teardown(avx512_can_be_had_without_bf16, forget_choice),
		cmocka_unit_test_teardown(another_word_is_refused, forget_choice),
		cmocka_unit_test(processors_are_those_of_the_affinity_mask),
	};

	forget_choice(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
