/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/output.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void expect_link(const char *path, const char *target)
{
	char found[64];
	const ssize_t n = readlink(path, found, sizeof found - 1);

	assert_true(n > 0);
	found[n] = '\0';
	assert_string_equal(found, target);
}

static void a_link_stays_and_the_file_that_it_points_to_is_replaced(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(mkdir("big", 0700), 0);
	assert_int_equal(symlink("two.gguf", "one.gguf"), 0);
	assert_int_equal(symlink("big/there.gguf", "two.gguf"), 0);
	assert_int_equal(symlink("../model.gguf", "big/there.gguf"), 0);
	for (int i = 0; i < 2; i++) {	/* the file is new, then it is there */
		assert_int_equal(write_to("one.gguf", &err), SC_OK);
		assert_string_equal(syncs, "fd");
		expect_file();
		expect_link("one.gguf", "two.gguf");
		expect_link("two.gguf", "big/there.gguf");
		expect_link("big/there.gguf", "../model.gguf");
	}
	unlink("big/there.gguf");
	unlink("two.gguf");
	unlink("one.gguf");
	assert_int_equal(rmdir("big"), 0);	/* nothing else is there */
}

static void a_new_file_has_the_mode_of_the_one_it_replaces(void **state)
{
	const mode_t mask = umask(022);
	struct error err;
	struct stat st;

	(void)state;
	assert_int_equal(write_to(name, &err), SC_OK);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(chmod(name, 0660), 0);
	assert_int_equal(write_to(name, &err), SC_OK);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	umask(mask);
}

static void expect_refused(const char *path, const char *why)
{
	struct output *output;
	struct error err;

	assert_int_equal(output_create(path, 5, &output, &err), SC_E_IO);
	if (!strstr(err.text, why))
		fail_msg("expected '%s', found '%s'", why, err.text);
}

static void what_is_no_file_is_refused(void **state)
{
	const int before = dup(STDOUT_FILENO);
	int fd;

	(void)state;
	assert_int_equal(mkfifo(name, 0600), 0);
	expect_refused(name, "found a pipe");
	unlink(name);
	expect_refused(".", "found a directory");
	expect_refused("/dev/null", "found a device");
	assert_int_equal(symlink("/dev/null", name), 0);
	expect_refused(name, "found a device");
	unlink(name);
	assert_int_equal(symlink(name, name), 0);
	expect_refused(name, "Too many levels of symbolic links");
	unlink(name);
	assert_int_equal(symlink("missing/x", name), 0);
	expect_refused(name, "missing/x: cannot create it");
	unlink(name);
	/* Also where standard output is a file. */
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	dup2(fd, STDOUT_FILENO);
	expect_refused("/dev/stdout", "standard output");
	expect_refused(name, "standard output");
	dup2(before, STDOUT_FILENO);
	close(before);
	close(fd);
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
		IN_DIRECTORY(a_link_stays_and_the_file_that_it_points_to_is_replaced),
		IN_DIRECTORY(a_new_file_has_the_mode_of_the_one_it_replaces),
		IN_DIRECTORY(what_is_no_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
