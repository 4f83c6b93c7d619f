/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <stdatomic.h>

/* About 10 microseconds of one processor: several times the cost of starting and joining a team. */
#define SERIAL_OPERATIONS 524288

unsigned cpu_threads_for(const struct cpu_backend *cpu, uint64_t n_operations)
{
	return n_operations < SERIAL_OPERATIONS ? 1 : cpu->n_threads;
}

/* Of an operation whose items are one by one. */
struct operation {
	atomic_size_t next;		/* for items in turn */
	size_t n;
	cpu_task_fn *run;
	void *arg;
};

static void run_items(void *arg, size_t first, size_t end, unsigned thread)
{
	const struct operation *operation = arg;

	for (size_t item = first; item < end; item++)
		operation->run(operation->arg, item, thread);
}

static void run_in_turn(void *arg, size_t first, size_t end, unsigned thread)
{
	struct operation *operation = arg;
	size_t item;

	(void)first;
	(void)end;
	while ((item = atomic_fetch_add(&operation->next, 1)) < operation->n)
		operation->run(operation->arg, item, thread);
}

void cpu_parallel_runs(const struct cpu_backend *cpu, unsigned n_threads, size_t n_items,
		       size_t max_run, team_task_fn *run, void *arg)
{
	if (n_threads == 1)
		team_run_here(n_items, max_run, run, arg);
	else
		team_run(cpu->team, n_items, max_run, run, arg);
}

void cpu_parallel_even(const struct cpu_backend *cpu, unsigned n_threads, size_t n_items,
		       cpu_task_fn *run, void *arg)
{
	struct operation operation = { .run = run, .arg = arg };

	cpu_parallel_runs(cpu, n_threads, n_items, 1, run_items, &operation);
}

void cpu_parallel_dynamic(const struct cpu_backend *cpu, unsigned n_threads, size_t n_items,
			  cpu_task_fn *run, void *arg)
{
	struct operation operation = { .n = n_items, .run = run, .arg = arg };

	if (n_threads == 1 || n_items == 1)
		run_items(&operation, 0, n_items, 0);
	else
		team_run(cpu->team, cpu->n_threads, 1, run_in_turn, &operation);
}
