/* SPDX-License-Identifier: Apache-2.0 */
/* What is free by the limits of machines that are trees of files, and how many share it. */
#include "base/resources.h"

#include "base/cpu.h"
#include "tests/base/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define V2 "/sys/fs/cgroup"
#define V1 "/sys/fs/cgroup/memory"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER true
#else
#define HAS_SANITIZER false
#endif

static const char *root;

/* A machine with 1000 MiB free and no limits but those that a test adds. */
static int set_up(void **state)
{
	(void)state;
	root = file_tree_create();
	file_tree_write("/proc/sys/kernel/random/boot_id", "0b2f\n");
	file_tree_write("/proc/meminfo",
			"MemTotal: 4096000 kB\nMemFree: 9 kB\nMemAvailable:    1024000 kB\n");
	file_tree_write("/proc/self/cgroup", "4:memory:/job/task\n5:cpu:/c\n0::/job/task\n");
	file_tree_write("/proc/self/mountinfo",
			"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
			"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
			"36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	file_tree_remove();
	return 0;
}

static uint64_t free_bytes(void)
{
	struct resources own;
	const struct resources *users[] = { &own };

	resources_read(root, &own);
	return resources_memory(&own, users, 1, NULL, 0);
}

static void write_mib(const char *path, uint64_t mib)
{
	char text[64];

	snprintf(text, sizeof text, "%llu\n", (unsigned long long)(mib * MIB));
	file_tree_write(path, text);
}

static void without_limits_the_machine_counts(void **state)
{
	(void)state;
	assert_int_equal(free_bytes(), 1000 * MIB);
	file_tree_write("/proc/meminfo", "MemAvailable: lots\n");
	assert_true(free_bytes() == RESOURCES_UNLIMITED);
	file_tree_write("/proc/meminfo", "MemAvailable: 18446744073709551615 kB\n");
	assert_true(free_bytes() == RESOURCES_UNLIMITED);
}

static void a_limit_of_version_2_counts_less_what_is_used(void **state)
{
	(void)state;
	write_mib(V2 "/job/task/memory.max", 150);
	write_mib(V2 "/job/task/memory.current", 50);
	assert_int_equal(free_bytes(), 100 * MIB);
	/* Pages of files go before anybody is killed. */
	file_tree_write(V2 "/job/task/memory.stat",
			"anon 1\nactive_file 10485760\ninactive_file 20971520\nfile 99999999\n");
	assert_int_equal(free_bytes(), 130 * MIB);
	write_mib(V2 "/job/task/memory.high", 120);
	assert_int_equal(free_bytes(), 100 * MIB);
	file_tree_write(V2 "/job/task/memory.high", "max\n");
	assert_int_equal(free_bytes(), 130 * MIB);
	/* More used than allowed, as after a limit was lowered. */
	write_mib(V2 "/job/task/memory.current", 5000);
	assert_int_equal(free_bytes(), 0);
	/* No more pages than are used at all. */
	write_mib(V2 "/job/task/memory.current", 1);
	assert_int_equal(free_bytes(), 150 * MIB);
}

static void the_tightest_group_counts_however_far_above(void **state)
{
	(void)state;
	write_mib(V2 "/job/task/memory.max", 600);
	write_mib(V2 "/job/memory.max", 400);
	write_mib(V2 "/job/memory.current", 350);
	assert_int_equal(free_bytes(), 50 * MIB);
	file_tree_write(V2 "/job/memory.max", "max\n");
	assert_int_equal(free_bytes(), 600 * MIB);
	write_mib(V2 "/memory.max", 30);
	assert_int_equal(free_bytes(), 30 * MIB);
}

static void a_limit_of_version_1_counts_likewise(void **state)
{
	(void)state;
	file_tree_write(V1 "/memory.limit_in_bytes", "9223372036854771712\n");
	write_mib(V1 "/memory.usage_in_bytes", 700);
	write_mib(V1 "/job/task/memory.limit_in_bytes", 200);
	write_mib(V1 "/job/task/memory.usage_in_bytes", 80);
	assert_int_equal(free_bytes(), 120 * MIB);
	file_tree_write(V1 "/job/task/memory.stat",
			"active_file 1048576\ninactive_file 1048576\n"
			"total_active_file 4194304\ntotal_inactive_file 4194304\n");
	assert_int_equal(free_bytes(), 128 * MIB);
	/* Memory and swap together. */
	write_mib(V1 "/job/task/memory.memsw.limit_in_bytes", 210);
	write_mib(V1 "/job/task/memory.memsw.usage_in_bytes", 110);
	assert_int_equal(free_bytes(), 108 * MIB);
}

static void files_that_make_no_sense_limit_nothing(void **state)
{
	static const char *const texts[] = { "", "max", "-5\n", "a lot\n", "1e3\n",
					     "340282366920938463463374607431768211456\n" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		file_tree_write(V2 "/job/memory.max", texts[i]);
		file_tree_write(V2 "/job/memory.high", texts[i]);
		file_tree_write(V1 "/job/memory.limit_in_bytes", texts[i]);
		assert_int_equal(free_bytes(), 1000 * MIB);
	}
	/* A limit whose usage is unknown still is one. */
	write_mib(V2 "/job/memory.max", 70);
	assert_int_equal(free_bytes(), 70 * MIB);
	file_tree_write(V2 "/job/memory.stat", "active_file 18446744073709551615\n"
			"inactive_file 18446744073709551615\n");
	assert_int_equal(free_bytes(), 70 * MIB);
}

static unsigned processors(unsigned n_users)
{
	struct resources own;
	const struct resources *users[] = { &own, &own, &own, &own };

	resources_read(root, &own);
	return resources_processors(&own, users, n_users);
}

static void a_part_of_a_processor_counts_as_one(void **state)
{
	(void)state;
	assert_int_equal(processors(1), cpu_count());
	file_tree_write(V2 "/job/cpu.max", "10000 100000\n");
	assert_int_equal(processors(1), 1);
	file_tree_write(V2 "/job/cpu.max", "100001 100000\n");
	assert_int_equal(processors(1), cpu_count() < 2 ? cpu_count() : 2);
	assert_int_equal(processors(2), 1);
	assert_int_equal(processors(4), 1);
	file_tree_write(V2 "/job/cpu.max", "max 100000\n");
	assert_int_equal(processors(1), cpu_count());
	for (const char *const *text = (const char *const[]){ "0 100000", "5 0", "", "x y",
			"18446744073709551615 1", NULL }; *text; text++) {
		file_tree_write(V2 "/job/cpu.max", *text);
		assert_int_equal(processors(1), cpu_count());
	}
	file_tree_write("/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n");
	file_tree_write("/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n");
	assert_int_equal(processors(1), cpu_count());
	file_tree_write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
	file_tree_write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(processors(1), 1);
}

/* --- shares, of limits written down here --- */

static struct resources with_memory(uint32_t n, const struct resource_limit *limits)
{
	struct resources out = { .n_memory = n };

	memcpy(out.memory, limits, n * sizeof limits[0]);
	return out;
}

static void each_limit_is_divided_by_those_who_share_it(void **state)
{
	/* A machine, a group of two of the three workers, a group of each. */
	const struct resource_limit a_limits[] = { { 1, 900 }, { 2, 500 }, { 3, 400 } };
	const struct resource_limit b_limits[] = { { 1, 900 }, { 2, 500 }, { 4, 200 } };
	const struct resource_limit c_limits[] = { { 1, 900 }, { 5, 800 }, { 0, 850 } };
	const struct resource_limit d_limits[] = { { 6, 40 } };
	struct resources a = with_memory(3, a_limits), b = with_memory(3, b_limits);
	struct resources c = with_memory(3, c_limits), d = with_memory(1, d_limits);
	const struct resources *all[] = { &a, &b, &c, &d };

	(void)state;
	assert_int_equal(resources_memory(&a, all, 4, NULL, 0), 250);
	assert_int_equal(resources_memory(&b, all, 4, NULL, 0), 200);
	assert_int_equal(resources_memory(&c, all, 4, NULL, 0), 300);
	/* On another machine. */
	assert_int_equal(resources_memory(&d, all, 4, NULL, 0), 40);
}

static void what_another_takes_first_is_taken_where_it_shares(void **state)
{
	const struct resource_limit machine[] = { { 1, 900 }, { 2, 300 }, { 0, 1000 } };
	const struct resource_limit other_limits[] = { { 1, 900 }, { 0, 1000 } };
	struct resources a = with_memory(3, machine), b = a;
	struct resources other = with_memory(2, other_limits), inside = with_memory(2, machine);
	const struct resources *both[] = { &a, &b };

	(void)state;
	assert_int_equal(resources_memory(&a, both, 2, &other, 100), 150);
	assert_int_equal(resources_memory(&a, both, 2, &other, 700), 100);
	assert_int_equal(resources_memory(&a, both, 2, &other, 901), 0);
	assert_int_equal(resources_memory(&a, both, 2, &inside, 100), 100);
	/* In this very process. */
	assert_int_equal(resources_memory(&a, both, 1, &a, 250), 50);
}

static void two_readers_of_one_machine_see_the_same_ids(void **state)
{
	struct resources a, b, c;

	(void)state;
	write_mib(V2 "/job/memory.max", 300);
	write_mib(V2 "/job/task/memory.max", 100);
	resources_read(root, &a);
	file_tree_write("/proc/self/cgroup", "0::/job/task2\n");
	write_mib(V2 "/job/task2/memory.max", 100);
	resources_read(root, &b);
	assert_int_equal(resources_memory(&a, (const struct resources *const[]){ &a, &b }, 2,
					  NULL, 0), 100 * MIB);
	write_mib(V2 "/job/memory.max", 180);
	file_tree_write("/proc/self/cgroup", "0::/job/task\n");
	resources_read(root, &a);
	assert_int_equal(resources_memory(&a, (const struct resources *const[]){ &a, &b }, 2,
					  NULL, 0), 90 * MIB);
	file_tree_write("/proc/sys/kernel/random/boot_id", "another machine\n");
	resources_read(root, &c);
	assert_int_equal(resources_memory(&a, (const struct resources *const[]){ &a, &c }, 2,
					  NULL, 0), 100 * MIB);
}

static void rlimits_of_the_process_count(void **state)
{
	static const int which[] = { RLIMIT_AS, RLIMIT_DATA };

	(void)state;
	if (HAS_SANITIZER)
		skip();	/* it takes more addresses than any limit */
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			struct rlimit limit = { 400 * MIB, 400 * MIB };
			uint64_t n_bytes;

			setrlimit((__rlimit_resource_t)which[i], &limit);
			n_bytes = free_bytes();
			_exit(n_bytes > 0 && n_bytes < 400 * MIB ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_limits_the_machine_counts, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_limit_of_version_2_counts_less_what_is_used,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_tightest_group_counts_however_far_above,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_limit_of_version_1_counts_likewise, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(files_that_make_no_sense_limit_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_part_of_a_processor_counts_as_one, set_up,
						tear_down),
		cmocka_unit_test(each_limit_is_divided_by_those_who_share_it),
		cmocka_unit_test(what_another_takes_first_is_taken_where_it_shares),
		cmocka_unit_test_setup_teardown(two_readers_of_one_machine_see_the_same_ids,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(rlimits_of_the_process_count, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
