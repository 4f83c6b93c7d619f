/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* About ten microseconds of one processor: several times what a team needs to start and meet. */
#define SERIAL_OPERATIONS 524288

unsigned cpu_threads_for(const struct cpu_backend *cpu, uint64_t n_operations)
{
	return n_operations < SERIAL_OPERATIONS ? 1 : cpu->n_threads;
}

static void run_range(size_t begin, size_t end, cpu_task_fn *run, void *arg, unsigned thread)
{
	for (size_t item = begin; item < end; item++)
		run(arg, item, thread);
}

void cpu_parallel_even(unsigned n_threads, size_t n_items, cpu_task_fn *run, void *arg)
{
#ifdef _OPENMP
	if (n_threads > 1 && n_items > 1) {
		#pragma omp parallel num_threads(n_threads)
		{
			size_t n = (size_t)omp_get_num_threads();
			size_t thread = (size_t)omp_get_thread_num();

			run_range(n_items * thread / n, n_items * (thread + 1) / n, run, arg,
				  (unsigned)thread);
		}
		return;
	}
#endif
	(void)n_threads;
	run_range(0, n_items, run, arg, 0);
}

void cpu_parallel_dynamic(unsigned n_threads, size_t n_items, cpu_task_fn *run, void *arg)
{
#ifdef _OPENMP
	if (n_threads > 1 && n_items > 1) {
		#pragma omp parallel for num_threads(n_threads) schedule(dynamic, 1)
		for (size_t item = 0; item < n_items; item++)
			run(arg, item, (unsigned)omp_get_thread_num());
		return;
	}
#endif
	(void)n_threads;
	run_range(0, n_items, run, arg, 0);
}
