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

static void a_set_up_to_the_best_can_be_had(void **state)
{
	enum cpu_isa best = cpu_isa_best(), isa;
	struct error err;

	(void)state;
	assert_in_range(best, CPU_SCALAR, CPU_N_ISAS - 1);
	for (enum cpu_isa wanted = CPU_SCALAR; wanted < CPU_N_ISAS; wanted++) {
		if (wanted <= best) {
			assert_int_equal(cpu_isa_select(wanted, &isa, &err), SC_OK);
			assert_int_equal(isa, wanted);
			continue;
		}
		assert_int_equal(cpu_isa_select(wanted, &isa, &err), SC_E_CONFIG);
		assert_non_null(strstr(err.text, "this processor supports"));
		assert_non_null(strstr(err.text, cpu_isa_name(wanted)));
	}
	assert_int_equal(cpu_isa_select(CPU_AUTO, &isa, &err), SC_OK);
	assert_int_equal(isa, best);
}

static void each_set_is_found_by_its_name(void **state)
{
	enum cpu_isa found = CPU_N_ISAS;

	(void)state;
	for (enum cpu_isa isa = CPU_AUTO; isa < CPU_N_ISAS; isa++) {
		assert_true(cpu_isa_find(cpu_isa_name(isa), &found));
		assert_int_equal(found, isa);
	}
	assert_false(cpu_isa_find("sse", &found));
	assert_false(cpu_isa_find("", &found));
	assert_false(cpu_isa_find("avx512-vnni", &found));
}

static void processors_are_those_of_the_affinity_mask(void **state)
{
	cpu_set_t before, one;
	uint64_t all_caches;
	int first = 0;

	(void)state;
	if (sched_getaffinity(0, sizeof before, &before))
		skip();
	assert_int_equal(cpu_count(), CPU_COUNT(&before));
	all_caches = cpu_cache_bytes();
	while (!CPU_ISSET(first, &before))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	assert_int_equal(cpu_count(), 1);
	/* Shared caches are counted once; a processor has no more than all have. */
	assert_int_equal(!cpu_cache_bytes(), !all_caches);
	assert_true(cpu_cache_bytes() <= all_caches);
	assert_true(all_caches <= cpu_cache_bytes() * (uint64_t)CPU_COUNT(&before));
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_up_to_the_best_can_be_had),
		cmocka_unit_test(each_set_is_found_by_its_name),
		cmocka_unit_test(processors_are_those_of_the_affinity_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
