/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <assert.h>
#include <math.h>

/* Maxima and sums of logits: threads share runs of blocks of all rows. */

static_assert((int)CPU_LOGIT_BLOCK == (int)BACKEND_LOGIT_BLOCK, "kernels take whole blocks");

enum {
	RUN_BLOCKS = 32,		/* of an item */
	RUN = RUN_BLOCKS * BACKEND_LOGIT_BLOCK,
	/* An element's cost in multiply-adds of a product. */
	MAXIMUM_COST = 2,
	WEIGHT_COST = 16,
};

struct logit_work {
	const struct cpu_kernels *kernels;
	const float *logits;
	size_t n;			/* of a row */
	size_t n_blocks;		/* likewise */
	size_t n_runs;			/* likewise */
	float *maxima;
	const struct logit_sum *sums;
};

static struct logit_work work_on(const struct cpu_backend *cpu, const float *logits, size_t n)
{
	return (struct logit_work){
		.kernels = cpu->kernels, .logits = logits, .n = n,
		.n_blocks = div_up(n, BACKEND_LOGIT_BLOCK), .n_runs = div_up(n, RUN),
	};
}

static void find_maxima(void *arg, size_t item, unsigned thread)
{
	const struct logit_work *w = arg;
	size_t row = item / w->n_runs, run = item % w->n_runs, at = run * RUN;

	(void)thread;
	w->kernels->logit_maxima(w->logits + row * w->n + at, min_of(w->n - at, RUN),
				 w->maxima + row * w->n_blocks + run * RUN_BLOCKS);
}

void cpu_logit_maxima(struct backend *backend, const float *logits, unsigned n_rows, unsigned n,
		      float *maxima)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct logit_work work = work_on(cpu, logits, n);

	work.maxima = maxima;
	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)n_rows * n * MAXIMUM_COST),
			  n_rows * work.n_runs, find_maxima, &work);
}

/* The first n_least of the block's n logits are kept also where they equal `least`. */
static double sum_block(const struct cpu_kernels *kernels, const struct logit_sum *s,
			const float *x, size_t n, size_t n_least)
{
	struct cpu_logit_weights weights = { (double)s->largest, s->scale, (double)s->least };
	double sum = n_least ? kernels->logit_sum(x, n_least, &weights) : 0;

	if (n_least == n)
		return sum;
	weights.least = (double)nextafterf(s->least, INFINITY);
	return sum + kernels->logit_sum(x + n_least, n - n_least, &weights);
}

static void sum_weights(void *arg, size_t item, unsigned thread)
{
	const struct logit_work *w = arg;
	const struct logit_sum *s = &w->sums[item / w->n_runs];
	size_t first = item % w->n_runs * RUN_BLOCKS, end = min_of(first + RUN_BLOCKS, w->n_blocks);
	size_t end_least = (size_t)s->last + 1;

	(void)thread;
	for (size_t block = first; block < end; block++) {
		size_t at = block * BACKEND_LOGIT_BLOCK;
		size_t n = min_of(w->n - at, BACKEND_LOGIT_BLOCK);
		size_t n_least = end_least > at ? min_of(end_least - at, n) : 0;

		s->sums_out[block] = s->maxima[block] < s->least ? 0 :
				     sum_block(w->kernels, s, w->logits + s->row * w->n + at, n,
					       n_least);
	}
}

void cpu_logit_sums(struct backend *backend, const float *logits, unsigned n,
		    const struct logit_sum *sums, unsigned n_sums)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct logit_work work = work_on(cpu, logits, n);

	work.sums = sums;
	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)n_sums * n * WEIGHT_COST),
			  n_sums * work.n_runs, sum_weights, &work);
}

double cpu_weigh_block(const struct backend *backend, const float *logits, unsigned n,
		       float largest, double scale)
{
	const struct cpu_backend *cpu = (const struct cpu_backend *)backend;
	const struct cpu_logit_weights weights = { (double)largest, scale, -INFINITY };

	return cpu->kernels->logit_sum(logits, n, &weights);
}

struct host_work {
	backend_task_fn *run;
	void *arg;
};

static void run_host_item(void *arg, size_t item, unsigned thread)
{
	const struct host_work *work = arg;

	(void)thread;
	work->run(work->arg, (unsigned)item);
}

void cpu_share(struct backend *backend, unsigned n_items, backend_task_fn *run, void *arg)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct host_work work = { run, arg };

	cpu_parallel_dynamic(cpu, cpu->n_threads, n_items, run_host_item, &work);
}
