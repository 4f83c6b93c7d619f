/* SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptors.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define NOBODY 65534

static struct rlimit before;
static int first_free;

static int remember(void **state)
{
	(void)state;
	first_free = dup(STDIN_FILENO);
	close(first_free);
	return first_free < 0 || getrlimit(RLIMIT_NOFILE, &before) ? -1 : 0;
}

/* The hard limit stays as it was: only root may raise it again. */
static int restore(void **state)
{
	(void)state;
	return setrlimit(RLIMIT_NOFILE, &before);
}

static void set_soft(rlim_t n)
{
	const struct rlimit limit = { n, before.rlim_max };

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void a_soft_limit_is_raised_as_far_as_it_must_be(void **state)
{
	struct rlimit limit;
	struct error err;

	(void)state;
	set_soft((rlim_t)first_free + 2);
	assert_int_equal(descriptors_check(2, &err), SC_OK);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, first_free + 2);
	assert_int_equal(descriptors_check(5, &err), SC_OK);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, first_free + 5);
	assert_int_equal(descriptors_raise(40), 40);
	assert_int_equal(descriptors_raise(30), 40);
	assert_int_equal(descriptors_raise(UINT64_MAX - 1), before.rlim_max);
}

/* In a child: once a hard limit is lower, only root may raise it again. */
static int check_under_a_hard_limit(void)
{
	const struct rlimit limit = { (rlim_t)first_free + 3, (rlim_t)first_free + 3 };
	struct error err;

	if (setrlimit(RLIMIT_NOFILE, &limit) || (!getuid() && setuid(NOBODY)))
		return 1;
	if (descriptors_check(3, &err) != SC_OK)
		return 2;
	if (descriptors_check(7, &err) != SC_E_CAPACITY)
		return 3;
	return strncmp(err.text, "3 more files and sockets can be opened, but 7 are needed", 56) ||
	       !strstr(err.text, "ulimit -n") ? 4 : 0;
}

static void too_few_are_an_error_that_says_how_many(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(check_under_a_hard_limit());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_soft_limit_is_raised_as_far_as_it_must_be,
						remember, restore),
		cmocka_unit_test_setup_teardown(too_few_are_an_error_that_says_how_many, remember,
						restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
