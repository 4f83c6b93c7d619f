/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is taken: every page is there, progress is told, a stop and a lack end it. */
#include "backend/cpu/cpu.h"
#include "tests/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

enum { POPULATE_WRITE = 23, SKIPPED = 77 };

static struct backend *backend;

static int open_backend(void **state)
{
	const struct backend_config config = { .n_threads = 2, .max_rows = 4, .max_width = 64 };

	(void)state;
	return (int)backend_cpu.open(0, &config, &backend, NULL);
}

static int close_backend(void **state)
{
	(void)state;
	backend_cpu.close(backend);
	return 0;
}

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Pages of a large block that the kernel has given. */
static size_t count_pages(void *memory, size_t n_bytes)
{
	size_t n = div_up(n_bytes, page_bytes()), n_there = 0;
	unsigned char *there = malloc(n);

	assert_non_null(there);
	assert_int_equal(mincore(memory, n_bytes, there), 0);
	for (size_t i = 0; i < n; i++)
		n_there += there[i] & 1;
	free(there);
	return n_there;
}

static bool is_mapped(const void *memory)
{
	return (uintptr_t)memory % (2 * MIB) == 0;
}

static void a_block_is_aligned_and_zero(void **state)
{
	const size_t sizes[] = { 0, 1, 64, 4097, 2 * MIB - 1, 2 * MIB, 5 * MIB + 3 };
	void *blocks[2];

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		blocks[0] = cpu_memory(cpu_of(backend), sizes[i]);
		blocks[1] = cpu_memory_untouched(sizes[i]);
		for (unsigned b = 0; b < 2; b++) {
			const uint8_t *at = blocks[b];

			assert_non_null(at);
			assert_int_equal((uintptr_t)at % 64, 0);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(at[k], 0);
			/* What the next block must not see. */
			memset(blocks[b], 0x55, sizes[i]);
			cpu_memory_free(blocks[b]);
		}
	}
	cpu_memory_free(NULL);
}

static void more_than_there_can_be_is_refused(void **state)
{
	(void)state;
	if (HAS_ASAN)
		skip();	/* its malloc ends the program */
	assert_null(cpu_memory_untouched(SIZE_MAX));
	assert_null(cpu_memory_untouched(SIZE_MAX - 4096));
	assert_null(cpu_memory(cpu_of(backend), SIZE_MAX / 2));
}

static void every_page_is_taken_and_keeps_its_bytes(void **state)
{
	const size_t n_bytes = 40 * MIB + 5;
	uint8_t *memory = cpu_memory_untouched(n_bytes);

	(void)state;
	assert_non_null(memory);
	memory[0] = 1;
	memory[20 * MIB] = 2;
	memory[n_bytes - 1] = 3;
	if (is_mapped(memory))
		assert_true(count_pages(memory, n_bytes) < div_up(n_bytes, page_bytes()));
	assert_int_equal(cpu_memory_take(cpu_of(backend), memory, n_bytes, NULL, NULL), SC_OK);
	if (is_mapped(memory))
		assert_int_equal(count_pages(memory, n_bytes), div_up(n_bytes, page_bytes()));
	assert_int_equal(memory[0], 1);
	assert_int_equal(memory[20 * MIB], 2);
	assert_int_equal(memory[n_bytes - 1], 3);
	cpu_memory_free(memory);
}

struct progress {
	uint64_t done;
	uint64_t total;
	unsigned n_calls;
	unsigned n_wanted;	/* stops at this call */
};

static bool note(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct progress *progress = arg;

	assert_true(done_bytes > progress->done);
	assert_true(done_bytes <= total_bytes);
	progress->done = done_bytes;
	progress->total = total_bytes;
	return ++progress->n_calls != progress->n_wanted;
}

static void progress_grows_to_the_total(void **state)
{
	const size_t n_bytes = CPU_MEMORY_PORTION + 3 * MIB;
	struct progress progress = { 0 };
	void *memory = cpu_memory_untouched(n_bytes);

	(void)state;
	assert_non_null(memory);
	assert_int_equal(cpu_memory_take(cpu_of(backend), memory, n_bytes, note, &progress), SC_OK);
	assert_int_equal(progress.n_calls, 2);
	assert_int_equal(progress.done, n_bytes);
	assert_int_equal(progress.total, n_bytes);
	cpu_memory_free(memory);
}

static void a_stop_takes_no_more(void **state)
{
	const size_t n_bytes = CPU_MEMORY_PORTION + 64 * MIB;
	struct progress progress = { .n_wanted = 1 };
	uint8_t *memory = cpu_memory_untouched(n_bytes);

	(void)state;
	assert_non_null(memory);
	assert_int_equal(cpu_memory_take(cpu_of(backend), memory, n_bytes, note, &progress),
			 SC_E_CANCELLED);
	assert_int_equal(progress.n_calls, 1);
	if (is_mapped(memory))
		assert_int_equal(count_pages(memory + CPU_MEMORY_PORTION, 64 * MIB), 0);
	cpu_memory_free(memory);
}

/* Whether the kernel takes pages when it is asked to. */
static bool can_populate(void)
{
	void *page = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	bool can = !madvise(page, page_bytes(), POPULATE_WRITE);

	munmap(page, page_bytes());
	return can;
}

/* The kernel cannot give the pages of a mapping that reaches beyond its file. */
static void a_lack_of_memory_is_an_error(void **state)
{
	const size_t n_bytes = 16 * page_bytes();
	struct progress progress = { 0 };
	void *memory;
	int fd;

	(void)state;
	if (!can_populate())
		skip();
	fd = memfd_create("short", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)page_bytes()), 0);
	memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(memory != MAP_FAILED);
	assert_int_equal(cpu_memory_take(cpu_of(backend), memory, n_bytes, note, &progress),
			 SC_E_CAPACITY);
	assert_int_equal(progress.n_calls, 0);
	munmap(memory, n_bytes);
	close(fd);
}

/* From here on the kernel does not know how to take pages, like those before Linux 5.14. */
static bool forget_populate(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, POPULATE_WRITE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) && !can_populate();
}

static int take_on_an_old_kernel(void)
{
	const size_t n_bytes = 20 * MIB + 1;
	uint8_t *memory;

	if (!forget_populate())
		return SKIPPED;
	memory = cpu_memory(NULL, n_bytes);
	if (!memory)
		return 1;
	return is_mapped(memory) && count_pages(memory, n_bytes) != div_up(n_bytes, page_bytes());
}

static void an_old_kernel_gives_pages_too(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(take_on_an_old_kernel());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_is_aligned_and_zero),
		cmocka_unit_test(more_than_there_can_be_is_refused),
		cmocka_unit_test(every_page_is_taken_and_keeps_its_bytes),
		cmocka_unit_test(progress_grows_to_the_total),
		cmocka_unit_test(a_stop_takes_no_more),
		cmocka_unit_test(a_lack_of_memory_is_an_error),
		cmocka_unit_test(an_old_kernel_gives_pages_too),
	};

	return cmocka_run_group_tests(tests, open_backend, close_backend);
}
