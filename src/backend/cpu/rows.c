/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <assert.h>

/* Norms, activations and sums: threads take rows or pieces, and a kernel processes each. */

enum {
	PIECE = 4096,		/* elements of an item; a multiple of every vector */
	/* An element's cost in multiply-adds of a product. */
	NORM_COST = 8,
	ACTIVATE_COST = 32,
	ADD_COST = 8,
	CAP_COST = 32,
};

struct norm_rows {
	const struct cpu_kernels *kernels;
	const struct norm *norm;
	const float *x;
	unsigned n;
	float *y;
};

static void norm_row(void *arg, size_t row, unsigned thread)
{
	const struct norm_rows *r = arg;
	size_t first = row * r->norm->n_groups * r->n;

	(void)thread;
	r->kernels->norm[r->norm->kind](r->norm, r->x + first, r->n, r->y + first);
}

void cpu_norm(struct backend *backend, const struct norm *norm, const float *x, unsigned n_rows,
	      unsigned n, float *y)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct norm_rows rows = { cpu->kernels, norm, x, n, y };
	uint64_t cost = (uint64_t)n_rows * norm->n_groups * n * NORM_COST;

	assert(norm->n_groups);
	cpu_parallel_even(cpu, cpu_threads_for(cpu, cost), n_rows, norm_row, &rows);
}

/* Elements that are processed one by one, wherever they are. */
struct pieces {
	const struct cpu_kernels *kernels;
	const struct activation *activation;
	const float *a;
	const float *b;
	float scale;
	float cap;
	size_t n;
	float *out;
};

static size_t piece_length(const struct pieces *pieces, size_t piece)
{
	size_t left = pieces->n - piece * PIECE;

	return left < PIECE ? left : PIECE;
}

static void run_pieces(const struct cpu_backend *cpu, unsigned cost, cpu_task_fn *run,
		       struct pieces *pieces)
{
	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)pieces->n * cost),
			  (pieces->n + PIECE - 1) / PIECE, run, pieces);
}

static void activate_piece(void *arg, size_t piece, unsigned thread)
{
	const struct pieces *p = arg;
	size_t at = piece * PIECE;

	(void)thread;
	p->kernels->activate(p->activation, p->a + at, p->b ? p->b + at : NULL,
			     piece_length(p, piece), p->out + at);
}

void cpu_activate(struct backend *backend, const struct activation *activation, const float *gate,
		  const float *up, size_t n, float *out)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct pieces pieces = {
		.kernels = cpu->kernels, .activation = activation, .a = gate, .b = up, .n = n,
		.out = out,
	};

	run_pieces(cpu, ACTIVATE_COST, activate_piece, &pieces);
}

static void add_piece(void *arg, size_t piece, unsigned thread)
{
	const struct pieces *p = arg;
	size_t at = piece * PIECE;

	(void)thread;
	p->kernels->add(p->out + at, p->b + at, p->scale, piece_length(p, piece));
}

void cpu_add(struct backend *backend, float *x, const float *y, float scale, size_t n)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct pieces pieces = {
		.kernels = cpu->kernels, .b = y, .scale = scale, .n = n, .out = x,
	};

	run_pieces(cpu, ADD_COST, add_piece, &pieces);
}

static void cap_piece(void *arg, size_t piece, unsigned thread)
{
	const struct pieces *p = arg;

	(void)thread;
	p->kernels->cap(p->out + piece * PIECE, p->scale, p->cap, piece_length(p, piece));
}

void cpu_cap(struct backend *backend, float *x, float scale, float cap, size_t n)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct pieces pieces = {
		.kernels = cpu->kernels, .scale = scale, .cap = cap, .n = n, .out = x,
	};

	run_pieces(cpu, cap > 0 ? CAP_COST : ADD_COST, cap_piece, &pieces);
}

/* Needs no vectors: the result is one of three numbers, whatever computes it. */
static void clamp_piece(void *arg, size_t piece, unsigned thread)
{
	const struct pieces *p = arg;
	float *x = p->out + piece * PIECE;
	const size_t n = piece_length(p, piece);

	(void)thread;
	for (size_t i = 0; i < n; i++) {
		float above = x[i] < -p->cap ? -p->cap : x[i];

		x[i] = above > p->cap ? p->cap : above;
	}
}

void cpu_clamp(struct backend *backend, float *x, float limit, size_t n)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct pieces pieces = { .cap = limit, .n = n, .out = x };

	run_pieces(cpu, ADD_COST, clamp_piece, &pieces);
}
