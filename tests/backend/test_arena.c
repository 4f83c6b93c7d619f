/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/arena.h"

#include "tests/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { N = 64 };

/* From 1 byte to some MB, in no order. */
static size_t size_of(unsigned i)
{
	return i % 5 ? 1 + i * 1777 : 1 + (size_t)i * 77777;
}

static bool holds(const uint8_t *memory, size_t n_bytes, unsigned value)
{
	for (size_t i = 0; i < n_bytes; i++)
		if (memory[i] != value)
			return false;
	return true;
}

static void nobody_writes_to_another(void **state)
{
	struct cpu_arena arena = { 0 };
	uint8_t *memory[N];
	size_t n_bytes = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		memory[i] = cpu_arena_alloc(&arena, size_of(i));
		assert_non_null(memory[i]);
		assert_int_equal((uintptr_t)memory[i] % 64, 0);
		memset(memory[i], (int)i, size_of(i));
		n_bytes += size_of(i);
	}
	assert_true(arena.n_bytes >= n_bytes);
	for (unsigned i = 1; i < N; i += 2)
		cpu_arena_free(&arena, memory[i]);
	/* What is left stays while others come. */
	for (unsigned i = 1; i < N; i += 2) {
		memory[i] = cpu_arena_alloc(&arena, size_of(i));
		assert_non_null(memory[i]);
		memset(memory[i], (int)i, size_of(i));
	}
	for (unsigned i = 0; i < N; i++)
		assert_true(holds(memory[i], size_of(i), i));
	for (unsigned i = 0; i < N; i++)
		cpu_arena_free(&arena, memory[i]);
	assert_null(arena.chunks);
	assert_int_equal(arena.n_bytes, 0);
}

static size_t memory_in_use(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long n_all, n_resident = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", &n_all, &n_resident), 2);
	fclose(file);
	return n_resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Every second group of blocks is freed, while the chunks stay in use. */
static void freed_space_returns_to_the_system_and_is_used_again(void **state)
{
	enum { GROUP = 8, BLOCK = 3 << 20 };
	struct cpu_arena arena = { 0 };
	uint8_t *memory[N];
	size_t in_use;

	(void)state;
	if (HAS_ASAN || HAS_TSAN)
		skip();	/* it has a chunk for each block, or memory of its own */
	for (unsigned i = 0; i < N; i++) {
		memory[i] = cpu_arena_alloc(&arena, BLOCK);
		assert_non_null(memory[i]);
		memset(memory[i], (int)i, BLOCK);
	}
	in_use = memory_in_use();
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < N; i++)
			if (i / GROUP % 2)
				cpu_arena_free(&arena, memory[i]);
		/* Of each group of 24 MiB, at most two parts of huge pages stay. */
		assert_true(memory_in_use() <= in_use - (size_t)(N / GROUP / 2) * (20 << 20));
		for (unsigned i = 0; i < N; i++) {
			if (i / GROUP % 2) {
				memory[i] = cpu_arena_alloc(&arena, BLOCK);
				assert_non_null(memory[i]);
				memset(memory[i], (int)i, BLOCK);
			}
		}
		assert_true(memory_in_use() <= in_use + (8 << 20));
	}
	for (unsigned i = 0; i < N; i++) {
		assert_true(holds(memory[i], BLOCK, i));
		cpu_arena_free(&arena, memory[i]);
	}
	assert_null(arena.chunks);
}

static void what_is_not_there_changes_nothing(void **state)
{
	struct cpu_arena arena = { 0 };
	uint8_t *memory;

	(void)state;
	assert_null(cpu_arena_alloc(&arena, SIZE_MAX));
	assert_int_equal(arena.n_bytes, 0);
	memory = cpu_arena_alloc(&arena, 100);
	assert_non_null(memory);
	assert_null(cpu_arena_alloc(&arena, SIZE_MAX));
	memset(memory, 1, 100);
	cpu_arena_free(&arena, NULL);
	cpu_arena_free(&arena, memory);
	assert_null(arena.chunks);
}

static size_t address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long n_pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &n_pages), 1);
	fclose(file);
	return n_pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Chunks grow with what there is: here there is no room for another one as large. */
static void a_weight_may_take_what_is_left(void **state)
{
	struct cpu_arena arena = { 0 };
	struct rlimit before, limit;
	void *large, *small;

	(void)state;
	large = cpu_arena_alloc(&arena, (size_t)100 << 20);
	assert_non_null(large);
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	limit = before;
	limit.rlim_cur = address_space() + ((size_t)40 << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	small = cpu_arena_alloc(&arena, (size_t)20 << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_non_null(small);
	assert_int_equal(arena.n_bytes, (size_t)120 << 20);
	cpu_arena_free(&arena, large);
	cpu_arena_free(&arena, small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_writes_to_another),
		cmocka_unit_test(a_weight_may_take_what_is_left),
		cmocka_unit_test(freed_space_returns_to_the_system_and_is_used_again),
		cmocka_unit_test(what_is_not_there_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
