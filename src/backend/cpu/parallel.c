/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <stdatomic.h>

/* About ten microseconds of one processor: several times what a team needs to start and meet. */
#define SERIAL_OPERATIONS 524288

unsigned cpu_threads_for(const struct cpu_backend *cpu, uint64_t n_operations)
{
	return n_operations < SERIAL_OPERATIONS ? 1 : cpu->n_threads;
}

static void run_all(size_t n_items, cpu_task_fn *run, void *arg)
{
	for (size_t item = 0; item < n_items; item++)
		run(arg, item, 0);
}

void cpu_parallel_even(const struct cpu_backend *cpu, unsigned n_threads, size_t n_items,
		       cpu_task_fn *run, void *arg)
{
	if (n_threads == 1)
		run_all(n_items, run, arg);
	else
		team_run(cpu->team, n_items, run, arg);
}

struct in_turn {
	atomic_size_t next;
	size_t n_items;
	cpu_task_fn *run;
	void *arg;
};

static void run_in_turn(void *arg, size_t round, unsigned thread)
{
	struct in_turn *turns = arg;
	size_t item;

	(void)round;
	while ((item = atomic_fetch_add(&turns->next, 1)) < turns->n_items)
		turns->run(turns->arg, item, thread);
}

void cpu_parallel_dynamic(const struct cpu_backend *cpu, unsigned n_threads, size_t n_items,
			  cpu_task_fn *run, void *arg)
{
	struct in_turn turns = { .n_items = n_items, .run = run, .arg = arg };

	if (n_threads == 1 || n_items == 1)
		run_all(n_items, run, arg);
	else
		team_run(cpu->team, cpu->n_threads, run_in_turn, &turns);
}
