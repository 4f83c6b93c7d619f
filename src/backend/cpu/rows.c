/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

/* Norms, gates and sums: threads take rows or pieces, and a kernel processes each. */

enum {
	PIECE = 4096,		/* elements of an item; a multiple of every vector */
	/* An element's cost in multiply-adds of a product. */
	NORM_COST = 8,
	GATE_COST = 32,
	ADD_COST = 8,
};

struct norm {
	const struct cpu_kernels *kernels;
	const float *x;
	const float *gain;
	float eps;
	unsigned n;
	float *y;
};

static void norm_row(void *arg, size_t row, unsigned thread)
{
	const struct norm *norm = arg;

	(void)thread;
	norm->kernels->rms_norm(norm->x + row * norm->n, norm->gain, norm->eps, norm->n,
				norm->y + row * norm->n);
}

void cpu_rms_norm(struct backend *backend, const float *x, const float *gain, float eps,
		  unsigned n_rows, unsigned n, float *y)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct norm norm = { cpu->kernels, x, gain, eps, n, y };

	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)n_rows * n * NORM_COST), n_rows,
			  norm_row, &norm);
}

struct pieces {
	const struct cpu_kernels *kernels;
	const float *a;
	const float *b;
	size_t n;
	float *out;
};

static size_t piece_length(const struct pieces *pieces, size_t piece)
{
	size_t left = pieces->n - piece * PIECE;

	return left < PIECE ? left : PIECE;
}

static void swiglu_piece(void *arg, size_t piece, unsigned thread)
{
	const struct pieces *p = arg;
	size_t at = piece * PIECE;

	(void)thread;
	p->kernels->swiglu(p->a + at, p->b + at, piece_length(p, piece), p->out + at);
}

void cpu_swiglu(struct backend *backend, const float *gate, const float *up, size_t n, float *out)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct pieces pieces = { cpu->kernels, gate, up, n, out };

	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)n * GATE_COST),
			  (n + PIECE - 1) / PIECE, swiglu_piece, &pieces);
}

static void add_piece(void *arg, size_t piece, unsigned thread)
{
	const struct pieces *p = arg;
	size_t at = piece * PIECE;

	(void)thread;
	p->kernels->add(p->out + at, p->b + at, piece_length(p, piece));
}

void cpu_add(struct backend *backend, float *x, const float *y, size_t n)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct pieces pieces = { cpu->kernels, NULL, y, n, x };

	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)n * ADD_COST),
			  (n + PIECE - 1) / PIECE, add_piece, &pieces);
}
