/* SPDX-License-Identifier: Apache-2.0 */
/* Which groups bound this process, on machines that are trees of files. */
#include "base/cgroup.h"

#include "tests/base/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *root;
static char seen[16384];	/* "1:/a 1:/ " */

static int set_up(void **state)
{
	(void)state;
	root = file_tree_create();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	file_tree_remove();
	return 0;
}

static void note(void *arg, const struct cgroup *group)
{
	size_t n = strlen(seen);

	(void)arg;
	assert_memory_equal(group->directory, root, strlen(root));
	snprintf(seen + n, sizeof seen - n, "%d:%s ", group->version,
		 group->directory + strlen(root));
}

static void expect(const char *own, const char *mounts, const char *controller,
		   const char *expected)
{
	file_tree_write("/proc/self/cgroup", own);
	file_tree_write("/proc/self/mountinfo", mounts);
	*seen = '\0';
	cgroup_visit(root, controller, note, NULL);
	assert_string_equal(seen, expected);
}

#define V1_MEMORY "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define V1_CPU "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup none rw,cpuacct,cpu\n"
#define V2 "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:4 master:1 - " \
	   "cgroup2 cgroup2 rw,nsdelegate\n"

static void the_own_group_comes_first_and_the_top_last(void **state)
{
	(void)state;
	expect("0::/user.slice/a.scope\n", V2, "memory",
	       "2:/sys/fs/cgroup/user.slice/a.scope 2:/sys/fs/cgroup/user.slice "
	       "2:/sys/fs/cgroup ");
	expect("4:memory:/a/b\n3:cpuacct,cpu:/c\n", V1_MEMORY V1_CPU, "memory",
	       "1:/sys/fs/cgroup/memory/a/b 1:/sys/fs/cgroup/memory/a 1:/sys/fs/cgroup/memory ");
	expect("4:memory:/a/b\n3:cpuacct,cpu:/c\n", V1_MEMORY V1_CPU, "cpu",
	       "1:/sys/fs/cgroup/cpu,cpuacct/c 1:/sys/fs/cgroup/cpu,cpuacct ");
	expect("0::/\n", V2, "memory", "2:/sys/fs/cgroup ");
}

static void both_versions_count_where_both_are_mounted(void **state)
{
	(void)state;
	expect("4:memory:/a\n0::/b\n",
	       V1_MEMORY "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "memory",
	       "1:/sys/fs/cgroup/memory/a 1:/sys/fs/cgroup/memory "
	       "2:/sys/fs/cgroup/unified/b 2:/sys/fs/cgroup/unified ");
}

static void a_container_sees_its_own_part_of_the_tree(void **state)
{
	(void)state;
	/* The path is the machine's, the mount begins at the container's group. */
	expect("4:memory:/docker/id/job\n",
	       "35 31 0:32 /docker/id /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
	       "memory", "1:/sys/fs/cgroup/memory/job 1:/sys/fs/cgroup/memory ");
	/* A namespace that was entered from a group further down, or beside. */
	expect("0::/../../other\n",
	       "41 31 0:38 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "memory",
	       "2:/sys/fs/cgroup/other 2:/sys/fs/cgroup ");
	/* What cannot be placed is bounded by what is there to be seen. */
	expect("0::/../other\n", V2, "memory", "2:/sys/fs/cgroup ");
	expect("0::/docker/id\n",
	       "41 31 0:38 /docker/idle /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", "memory",
	       "2:/sys/fs/cgroup ");
	/* A mount that fits is believed before any that does not. */
	expect("0::/mine\n", V2 "42 31 0:38 /theirs /mnt rw - cgroup2 cgroup2 rw\n", "memory",
	       "2:/sys/fs/cgroup/mine 2:/sys/fs/cgroup ");
}

static void blanks_in_paths_are_understood(void **state)
{
	(void)state;
	expect("0::/a b/c\n", "41 31 0:38 /a\\040b /sys/fs/my\\040group\\134 rw - cgroup2 x rw\n",
	       "memory", "2:/sys/fs/my group\\/c 2:/sys/fs/my group\\ ");
}

static void nothing_comes_of_files_that_say_nothing(void **state)
{
	char *longest = malloc(100000);

	(void)state;
	cgroup_visit("/nowhere/at/all", "memory", note, NULL);
	expect("", "", "memory", "");
	expect("0::/a\n", "", "memory", "");
	expect("", V2, "memory", "");
	expect("0::a\n0:\n::\n:::\n0::\n\n", V2, "memory", "");
	expect("0::/a\n", "41 31\n\n - \n1 2 3 4 5 - cgroup2\n41 31 0:38 / /x rw - cgroup2\n",
	       "memory", "2:/x/a 2:/x ");
	expect("4:memory:/a\n", "1 2 3 / /x rw - cgroup\n1 2 3 / /x rw - cgroup y\n"
	       "1 2 3 / /x rw - cgroup y rw,memoryless\n1 2 3 x /x rw - cgroup y memory\n",
	       "memory", "");
	/* A line beyond reason hides no other. */
	assert_non_null(longest);
	memset(longest, 'x', 99000);
	strcpy(longest + 99000, "\n" V2);
	expect("0::/a\n", longest, "memory", "2:/sys/fs/cgroup/a 2:/sys/fs/cgroup ");
	free(longest);
}

static bool read_number(const char *text, uint64_t *value_out)
{
	char directory[8192];
	struct cgroup group = { directory, 2 };

	snprintf(directory, sizeof directory, "%s/group", root);
	file_tree_write("/group/file", text);
	return cgroup_read(&group, "file", value_out);
}

static void numbers_are_read_and_all_else_is_none(void **state)
{
	static const char *const bad[] = { "", "\n", "max\n", "-1\n", "+1\n", "12x\n", "0x10\n",
					   "18446744073709551616\n", "\n5\n",
					   "99999999999999999999999999999999999999\n" };
	uint64_t value = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(read_number(bad[i], &value));
	assert_int_equal(value, 7);
	assert_true(read_number("0\n", &value));
	assert_int_equal(value, 0);
	assert_true(read_number("18446744073709551615", &value));
	assert_true(value == UINT64_MAX);
	assert_true(read_number("  42 17\n", &value));
	assert_int_equal(value, 42);
}

static void fields_and_pairs_are_found(void **state)
{
	char directory[8192];
	struct cgroup group = { directory, 2 };
	uint64_t value = 7, pair[2] = { 8, 9 };

	(void)state;
	snprintf(directory, sizeof directory, "%s/group", root);
	file_tree_write("/group/memory.stat", "anon 1\ninactive_filet 2\ninactive_file 3\nfile\n");
	assert_true(cgroup_read_field(&group, "memory.stat", "inactive_file", &value));
	assert_int_equal(value, 3);
	assert_false(cgroup_read_field(&group, "memory.stat", "file", &value));
	assert_false(cgroup_read_field(&group, "memory.stat", "active_file", &value));
	assert_false(cgroup_read_field(&group, "no.such.file", "file", &value));
	file_tree_write("/group/cpu.max", "50000 100000\n");
	assert_true(cgroup_read_pair(&group, "cpu.max", pair));
	assert_int_equal(pair[0], 50000);
	assert_int_equal(pair[1], 100000);
	file_tree_write("/group/cpu.max", "max 100000\n");
	assert_false(cgroup_read_pair(&group, "cpu.max", pair));
	file_tree_write("/group/cpu.max", "1\n");
	assert_false(cgroup_read_pair(&group, "cpu.max", pair));
	assert_int_equal(pair[0], 50000);
}

/* A fixed series of bytes, most of them such as these files have. */
static void fill_with_noise(char *text, size_t n, uint64_t *seed)
{
	static const char letters[] = "0123456789 :/,-.\\\nmemorycgroup2ax";

	for (size_t i = 0; i < n; i++) {
		*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		text[i] = letters[(*seed >> 33) % (sizeof letters - 1)];
	}
	text[n] = '\0';
}

static void noise_in_any_file_does_no_harm(void **state)
{
	char text[400], mounts[800];
	uint64_t seed = 1, value;

	(void)state;
	for (int i = 0; i < 300; i++) {
		fill_with_noise(text, 100 + (size_t)i, &seed);
		(void)read_number(text, &value);
		file_tree_write("/proc/self/cgroup", i % 2 ? text : "0::/a/b\n4:memory:/a\n");
		snprintf(mounts, sizeof mounts, "%s\n%s%s", V2, i % 3 ? V1_MEMORY : "1 2 3 ", text);
		file_tree_write("/proc/self/mountinfo", mounts);
		*seen = '\0';
		cgroup_visit(root, "memory", note, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_own_group_comes_first_and_the_top_last),
		cmocka_unit_test(both_versions_count_where_both_are_mounted),
		cmocka_unit_test(a_container_sees_its_own_part_of_the_tree),
		cmocka_unit_test(blanks_in_paths_are_understood),
		cmocka_unit_test(nothing_comes_of_files_that_say_nothing),
		cmocka_unit_test(numbers_are_read_and_all_else_is_none),
		cmocka_unit_test(fields_and_pairs_are_found),
		cmocka_unit_test(noise_in_any_file_does_no_harm),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
