/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/output.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX_SYNCS = 8 };

/* What fsync was called for, in order: 'f' a file, 'd' a directory in which the name exists,
 * '-' one in which it does not yet. */
static char syncs[MAX_SYNCS + 1];
static unsigned n_syncs;
static int directory_errno;	/* what syncing one fails with */

static const char name[] = "model.gguf";

/* Instead of the C library's. */
int fsync(int fd)
{
	struct stat st;
	bool is_directory = !fstat(fd, &st) && S_ISDIR(st.st_mode);

	assert_true(n_syncs < MAX_SYNCS);
	syncs[n_syncs++] = !is_directory ? 'f' : faccessat(fd, name, F_OK, 0) ? '-' : 'd';
	if (is_directory && directory_errno) {
		errno = directory_errno;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static enum sc_status write_to(const char *path, struct error *err)
{
	struct output *output;

	n_syncs = 0;
	for (unsigned i = 0; i <= MAX_SYNCS; i++)
		syncs[i] = '\0';
	assert_int_equal(output_create(path, 5, &output, err), SC_OK);
	assert_int_equal(output_write(output, 0, "bytes", 5, err), SC_OK);
	return output_commit(output, err);
}

static void expect_file(void)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 5);
}

static void the_file_is_on_the_disk_before_its_name_and_both_in_the_end(void **state)
{
	char cwd[64], path[128];
	struct error err;

	(void)state;
	assert_int_equal(write_to(name, &err), SC_OK);
	assert_string_equal(syncs, "fd");
	expect_file();
	assert_non_null(getcwd(cwd, sizeof cwd));
	snprintf(path, sizeof path, "%s/%s", cwd, name);
	assert_int_equal(write_to(path, &err), SC_OK);
	assert_string_equal(syncs, "fd");
}

static void a_directory_that_cannot_be_synced_is_no_failure(void **state)
{
	struct error err;

	(void)state;
	directory_errno = EINVAL;
	assert_int_equal(write_to(name, &err), SC_OK);
	assert_string_equal(syncs, "fd");
	expect_file();
}

static void a_directory_that_the_disk_does_not_take_is_one(void **state)
{
	struct error err;

	(void)state;
	directory_errno = EIO;
	assert_int_equal(write_to(name, &err), SC_E_IO);
	assert_string_equal(err.text, "model.gguf: cannot write its directory: Input/output error");
	expect_file();
}

static int enter_directory(void **state)
{
	static char directory[32];

	snprintf(directory, sizeof directory, "/tmp/stagecoach-test-XXXXXX");
	directory_errno = 0;
	*state = directory;
	return !mkdtemp(directory) || chdir(directory) ? -1 : 0;
}

static int remove_directory(void **state)
{
	unlink(name);
	return chdir("/") || rmdir(*state) ? -1 : 0;
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(the_file_is_on_the_disk_before_its_name_and_both_in_the_end),
		IN_DIRECTORY(a_directory_that_cannot_be_synced_is_no_failure),
		IN_DIRECTORY(a_directory_that_the_disk_does_not_take_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
