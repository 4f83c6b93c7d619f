/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/fabrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Starts from an environment without any launcher; this program may itself run under one. */
static bool is_launched_with(const char *const *pairs, unsigned *rank_out, unsigned *size_out)
{
	static const char *const names[] = {
		"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMIX_SIZE",
		"PMI_RANK", "PMI_SIZE", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
	for (; pairs[0]; pairs += 2)
		setenv(pairs[0], pairs[1], 1);
	return mpi_world_is_launched(rank_out, size_out);
}

#define launched(rank, size, ...) \
	is_launched_with((const char *const[]){ __VA_ARGS__, NULL }, rank, size)

static void ranks_of_each_launcher_are_known(void **state)
{
	unsigned rank, size;

	(void)state;
	assert_true(launched(&rank, &size, "OMPI_COMM_WORLD_RANK", "2",
			     "OMPI_COMM_WORLD_SIZE", "3"));
	assert_int_equal(rank, 2);
	assert_int_equal(size, 3);
	assert_true(launched(&rank, &size, "PMIX_RANK", "0", "SLURM_NTASKS", "4"));
	assert_int_equal(rank, 0);
	assert_int_equal(size, 4);
	assert_true(launched(&rank, &size, "PMIX_RANK", "1", "SLURM_NTASKS", "9",
			     "SLURM_STEP_NUM_TASKS", "2"));
	assert_int_equal(size, 2);
	assert_true(launched(&rank, &size, "PMI_RANK", "1", "PMI_SIZE", "2"));
	assert_int_equal(rank, 1);
}

static void batch_script_and_plain_shell_are_no_launchers(void **state)
{
	unsigned rank = 77, size = 77;

	(void)state;
	assert_false(launched(&rank, &size, NULL, NULL));
	assert_false(launched(&rank, &size, "SLURM_PROCID", "0", "SLURM_NTASKS", "8"));
	assert_int_equal(rank, 77);
	assert_int_equal(size, 77);
}

static void broken_variables_are_no_rank(void **state)
{
	unsigned rank, size;

	(void)state;
	assert_false(launched(&rank, &size, "OMPI_COMM_WORLD_RANK", "3",
			      "OMPI_COMM_WORLD_SIZE", "3"));
	assert_false(launched(&rank, &size, "OMPI_COMM_WORLD_RANK", "-1",
			      "OMPI_COMM_WORLD_SIZE", "3"));
	assert_false(launched(&rank, &size, "OMPI_COMM_WORLD_RANK", "one",
			      "OMPI_COMM_WORLD_SIZE", "3"));
	assert_false(launched(&rank, &size, "OMPI_COMM_WORLD_RANK", "0",
			      "OMPI_COMM_WORLD_SIZE", "99999999999"));
	assert_false(launched(&rank, &size, "OMPI_COMM_WORLD_RANK", "0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranks_of_each_launcher_are_known),
		cmocka_unit_test(batch_script_and_plain_shell_are_no_launchers),
		cmocka_unit_test(broken_variables_are_no_rank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
