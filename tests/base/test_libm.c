/* SPDX-License-Identifier: Apache-2.0 */
/* The program runs itself with other variants of glibc's functions, and compares fingerprints. */
#include "base/libm.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *program;

static uint64_t fingerprint_with(const char *tunables)
{
	char command[512];
	uint64_t fingerprint;
	FILE *answer;

	snprintf(command, sizeof command, "GLIBC_TUNABLES='%s' '%s' print", tunables, program);
	answer = popen(command, "r");
	assert_non_null(answer);
	assert_int_equal(fscanf(answer, "%" SCNu64, &fingerprint), 1);
	assert_int_equal(pclose(answer), 0);
	return fingerprint;
}

static void every_process_finds_the_same_fingerprint(void **state)
{
	(void)state;
	assert_true(libm_fingerprint() == libm_fingerprint());
	assert_true(libm_fingerprint() == fingerprint_with(""));
}

static void functions_without_fused_multiply_add_have_another_fingerprint(void **state)
{
	(void)state;
#if defined __GLIBC__ && defined __x86_64__
	if (!__builtin_cpu_supports("fma") || !__builtin_cpu_supports("avx2"))
		skip();
	/* glibc has renamed them. */
	assert_true(libm_fingerprint() !=
		    fingerprint_with("glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-FMA,-FMA_Usable"));
#else
	skip();
#endif
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_process_finds_the_same_fingerprint),
		cmocka_unit_test(functions_without_fused_multiply_add_have_another_fingerprint),
	};

	if (argc == 2 && !strcmp(argv[1], "print")) {
		printf("%" PRIu64 "\n", libm_fingerprint());
		return 0;
	}
	program = argv[0];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
