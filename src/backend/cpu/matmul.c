/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include "backend/cpu/relayout.h"

#include <assert.h>
#include <string.h>

/*
 * The work of a call is cut into items: one panel of one product times a range of rows. If there
 * are fewer panels than the threads could share, rows are cut, too. No cut goes through the sum of
 * an output element.
 *
 * Few rows (at most one tile): packed weights are multiplied directly. Each weight is read once,
 * from memory, whose speed is the limit. A thread takes a run of neighbouring panels and sums them
 * one after the other, so that little work separates the last read of one panel from the first read
 * of the next. The panels of gates and of gated products are in different places, so these
 * alternate by runs.
 *
 * More rows: a stripe (some hundred inputs) of a panel stays in the L1 or L2 cache while it is
 * multiplied by one tile after the other; the tiles come from the L2 cache. Sums wait in the
 * thread's scratch memory until the next stripe. With many tiles it pays to unpack the stripe after
 * the first tile.
 */
struct multiplication {
	const struct cpu_backend *cpu;
	const struct matmul *products;
	unsigned n_products;
	const struct activation *gating;	/* the first product's outputs, activated, gate
						 * those of the second; or NULL */
	const float *x;
	unsigned n_in;
	unsigned n_rows;
	unsigned unit_rows;		/* rows per unit: whole tiles of every
					 * kind; ranges are made of units */
	unsigned n_row_units;
	unsigned n_row_ranges;
	unsigned tile_rows[CPU_N_TILE_KINDS];	/* 0: no product needs this kind */
};

/* Neighbouring panels of one product, and rows of x. */
struct run {
	const struct matmul *product;
	enum cpu_format format;
	enum cpu_tile_kind kind;
	unsigned tile_rows;
	size_t first_panel;
	size_t n_panels;
	unsigned first;			/* rows */
	unsigned end;
};

static const uint8_t *tile_at(const struct multiplication *m, const struct run *run, unsigned row)
{
	if (run->kind == CPU_TILE_FLOAT && m->n_rows == 1)
		return (const uint8_t *)m->x;
	return cpu_tile(&m->cpu->tiles, run->kind, row, m->n_in);
}

static size_t stripe_of(const struct run *run)
{
	static const size_t stripes[CPU_N_TILE_KINDS] = {
		[CPU_TILE_FLOAT] = CPU_FLOAT_STRIPE, [CPU_TILE_BF16] = CPU_BF16_STRIPE,
		[CPU_TILE_INT] = CPU_INT_STRIPE,
	};

	return stripes[run->kind];
}

/* The few-rows path. Loop-invariant work is hoisted: instructions between two panels delay the next
 * loads, and this loop is bound by memory. Integer kernels take any number of inputs, the others at
 * most a stripe. */
static void sum_as_they_lie(const struct multiplication *m, const struct run *run,
			    const uint8_t *panel, float *sums)
{
	const struct cpu_kernels *kernels = m->cpu->kernels;
	unsigned n_rows = run->end - run->first;
	cpu_gemm_fn *gemm = kernels->gemm[run->format][n_rows - 1];
	const uint8_t *tile = tile_at(m, run, run->first);
	const size_t n_in = m->n_in, panel_bytes = run->product->weight->panel_bytes;
	const size_t stripe = run->kind == CPU_TILE_INT ? n_in : stripe_of(run);
	const size_t stripe_bytes = cpu_panel_bytes(run->format, stripe, kernels->panel);
	const size_t stripe_tile = cpu_tile_bytes(run->kind, n_rows, stripe);
	const size_t n_sums = (size_t)n_rows * kernels->panel;
	float *end = sums + run->n_panels * n_sums;

	for (; sums < end; panel += panel_bytes, sums += n_sums) {
		const uint8_t *weights = panel, *x = tile;
		size_t left = n_in;

		for (; left > stripe; left -= stripe, weights += stripe_bytes, x += stripe_tile)
			gemm(weights, x, stripe, sums);
		gemm(weights, x, left, sums);
	}
}

/* If the kernels multiply packed weights fast, the first tile reads the packed stripe from memory,
 * at the speed of its own arithmetic, even if the other tiles use the unpacked stripe. */
static void sum_stripe(const struct multiplication *m, const struct run *run, const uint8_t *panel,
		      size_t k, uint8_t *unpacked, float *sum)
{
	const struct cpu_kernels *kernels = m->cpu->kernels;
	size_t n_k = min_of(m->n_in - k, stripe_of(run));
	const void *weights = panel + cpu_panel_bytes(run->format, k, kernels->panel);
	cpu_gemm_fn *const *gemm = kernels->gemm[run->format];
	cpu_unpack_fn *unpack = run->end - run->first > kernels->max_packed_rows ?
				kernels->unpack[run->format] : NULL;
	unsigned first_unpacked = run->first + (kernels->max_packed_rows ? run->tile_rows : 0);

	for (unsigned row = run->first; row < run->end; row += run->tile_rows) {
		unsigned r = (unsigned)min_of(run->end - row, run->tile_rows);

		if (unpack && row == first_unpacked) {
			unpack(weights, n_k, unpacked);
			weights = unpacked;
			gemm = kernels->gemm_unpacked[run->format];
		}
		gemm[r - 1](weights, tile_at(m, run, row) + cpu_tile_bytes(run->kind, r, k), n_k,
			    sum);
		sum += r * kernels->panel;
	}
}

/* sums[n_panels][rows][panel] */
static void sum_run(const struct multiplication *m, const struct run *run, uint8_t *unpacked,
		    float *sums)
{
	const struct weight *weight = run->product->weight;
	const uint8_t *panel = weight->panels + run->first_panel * weight->panel_bytes;
	unsigned n_rows = run->end - run->first;
	size_t n_sums = (size_t)n_rows * m->cpu->kernels->panel;

	memset(sums, 0, run->n_panels * n_sums * sizeof *sums);
	if (n_rows <= run->tile_rows) {
		sum_as_they_lie(m, run, panel, sums);
		return;
	}
	for (size_t i = 0; i < run->n_panels; i++, panel += weight->panel_bytes, sums += n_sums)
		for (size_t k = 0; k < m->n_in; k += stripe_of(run))
			sum_stripe(m, run, panel, k, unpacked, sums);
}

static const float *scales_of(const struct multiplication *m, const struct run *run)
{
	return run->kind == CPU_TILE_INT ? m->cpu->tiles.scales + run->first : NULL;
}

/* Panels and rows of one of the products. */
static struct run run_of(const struct multiplication *m, const struct matmul *product,
			 size_t first_panel, size_t n_panels, unsigned first, unsigned end)
{
	enum cpu_format format = product->weight->format;
	enum cpu_tile_kind kind = cpu_tile_kind(format);

	return (struct run){
		.product = product, .format = format, .kind = kind,
		.tile_rows = m->tile_rows[kind],
		.first_panel = first_panel, .n_panels = n_panels, .first = first, .end = end,
	};
}

static void finish_run(const struct multiplication *m, const struct run *run,
		       const struct run *gated, const struct cpu_scratch *scratch)
{
	const struct cpu_kernels *kernels = m->cpu->kernels;
	const struct matmul *product = run->product;
	unsigned n_rows = run->end - run->first;
	size_t n_out = product->weight->n_out, n_sums = (size_t)n_rows * kernels->panel;

	for (size_t i = 0; i < run->n_panels; i++) {
		size_t at = (run->first_panel + i) * kernels->panel;
		unsigned n = (unsigned)min_of(n_out - at, kernels->panel);
		const float *sum = scratch->sums[0] + i * n_sums;
		float *y = product->y + run->first * n_out + at;

		if (gated)
			kernels->finish_gated(m->gating, sum, scales_of(m, run),
					      scratch->sums[1] + i * n_sums, scales_of(m, gated),
					      n_rows, n, y, n_out);
		else
			kernels->finish(sum, n_rows, scales_of(m, run),
					product->bias ? product->bias + at : NULL,
					product->is_added, n, y, n_out);
	}
}

/* Multiplies at most as many panels and rows as the scratch memory has sums for. */
static void multiply_run(const struct multiplication *m, const struct run *run,
			 struct cpu_scratch *scratch)
{
	struct run gated;

	sum_run(m, run, scratch->unpacked, scratch->sums[0]);
	if (m->gating) {
		gated = run_of(m, run->product + 1, run->first_panel, run->n_panels, run->first,
			       run->end);
		sum_run(m, &gated, scratch->unpacked, scratch->sums[1]);
	}
	finish_run(m, run, m->gating ? &gated : NULL, scratch);
}

/* Items first .. end - 1 are neighbouring panels with all their rows. */
static void multiply_items(void *arg, size_t first, size_t end, unsigned thread)
{
	const struct multiplication *m = arg;
	const struct matmul *product = m->products;
	size_t panel = first / m->n_row_ranges;
	unsigned range = (unsigned)(first % m->n_row_ranges);
	uint64_t n_units = m->n_row_units;
	unsigned row = (unsigned)(n_units * range / m->n_row_ranges) * m->unit_rows;
	unsigned row_end = (unsigned)(n_units * (range + 1) / m->n_row_ranges) * m->unit_rows;

	assert(end - first == 1 || m->n_row_ranges == 1);
	row_end = (unsigned)min_of(row_end, m->n_rows);
	for (size_t n_left = end - first, n; n_left; n_left -= n, panel += n) {
		while (panel >= product->weight->n_panels)
			panel -= product++->weight->n_panels;
		n = min_of(n_left, product->weight->n_panels - panel);
		for (unsigned r = row; r < row_end; r += CPU_SCRATCH_ROWS) {
			unsigned stop = (unsigned)min_of(row_end, r + CPU_SCRATCH_ROWS);
			struct run run = run_of(m, product, panel, n, r, stop);

			multiply_run(m, &run, &m->cpu->scratch[thread]);
		}
	}
}

/* Inputs with at most this many rows use the few-rows path. It is one full tile of every kernel
 * except the longest, whose tile is twice as large. */
enum { FEW_ROWS = CPU_MAX_TILE_ROWS / 2 };

/* A short tile does less work per loaded weight. Few rows are therefore divided evenly instead of
 * into full tiles and a rest. Exception: formats of whole bytes use the longest tiles possible. */
static unsigned tile_rows_for(const struct multiplication *m, enum cpu_format format)
{
	unsigned most = m->cpu->kernels->tile_rows[cpu_tile_kind(format)];
	unsigned n_tiles = (m->n_rows + most - 1) / most;

	if (m->n_rows > FEW_ROWS || format == CPU_Q8_0)
		return most;
	return (m->n_rows + n_tiles - 1) / n_tiles;
}

static void prepare(struct multiplication *m)
{
	m->unit_rows = FEW_ROWS;
	for (unsigned i = 0; i < m->n_products; i++) {
		enum cpu_format format = m->products[i].weight->format;
		unsigned *tile_rows = &m->tile_rows[cpu_tile_kind(format)];
		unsigned wanted = tile_rows_for(m, format);

		assert(m->products[i].weight->n_in == m->n_in);
		*tile_rows = *tile_rows > wanted ? *tile_rows : wanted;
		if (*tile_rows > FEW_ROWS)
			m->unit_rows = CPU_MAX_TILE_ROWS;
	}
	for (unsigned kind = 0; kind < CPU_N_TILE_KINDS; kind++)
		/* A single row of floats is read in place. */
		if (m->tile_rows[kind] && (kind != CPU_TILE_FLOAT || m->n_rows > 1))
			cpu_tiles_prepare(m->cpu, (enum cpu_tile_kind)kind, m->tile_rows[kind],
					  m->x, m->n_rows, m->n_in);
}

/* The most panels that are summed in one run: their sums must fit into the scratch memory. */
static size_t max_run(const struct multiplication *m)
{
	return m->n_rows > m->unit_rows ? 1 :
	       min_of(CPU_SCRATCH_ROWS / m->n_rows, TEAM_MAX_RUN);
}

static void multiply(struct multiplication *m)
{
	uint64_t n_operations = 0;
	size_t n_panels = 0;
	unsigned n_threads;

	assert(m->n_rows <= m->cpu->max_rows);
	m->n_in = m->products[0].weight->n_in;
	for (unsigned i = 0; i < m->n_products; i++) {
		const struct weight *weight = m->products[i].weight;
		uint64_t n_macs = (uint64_t)m->n_rows * m->n_in * weight->n_out;

		if (!i || !m->gating)
			n_panels += weight->n_panels;
		n_operations += n_macs > weight->n_bytes ? n_macs : weight->n_bytes;
	}
	prepare(m);
	n_threads = cpu_threads_for(m->cpu, n_operations);
	m->n_row_ranges = (unsigned)((4 * n_threads + n_panels - 1) / n_panels);
	if (n_threads == 1)
		m->n_row_ranges = 1;
	m->n_row_units = (m->n_rows + m->unit_rows - 1) / m->unit_rows;
	if (m->n_row_ranges > m->n_row_units)
		m->n_row_ranges = m->n_row_units;
	cpu_parallel_runs(m->cpu, n_threads, n_panels * m->n_row_ranges, max_run(m),
			  multiply_items, m);
}

void cpu_matmul(struct backend *backend, const struct matmul *products, unsigned n_products,
		const float *x, unsigned n_rows)
{
	struct multiplication m = {
		.cpu = cpu_of(backend), .products = products, .n_products = n_products, .x = x,
		.n_rows = n_rows,
	};

	if (n_products && n_rows)
		multiply(&m);
}

void cpu_gated_matmul(struct backend *backend, const struct activation *activation,
		      const struct weight *gate, const struct weight *up, const float *x,
		      unsigned n_rows, float *out)
{
	const struct matmul products[] = { { .weight = gate, .y = out }, { .weight = up } };
	struct multiplication m = {
		.cpu = cpu_of(backend), .products = products, .n_products = 2, .gating = activation,
		.x = x, .n_rows = n_rows,
	};

	assert(gate->n_out == up->n_out);
	if (n_rows)
		multiply(&m);
}
