/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <assert.h>
#include <string.h>

/*
 * The work of a call is cut into items: one panel of one product times a range of tiles. With
 * fewer panels than threads could share, rows are cut as well. No cut goes through the sum of an
 * output element.
 */
struct multiplication {
	const struct cpu_backend *cpu;
	const struct matmul *products;
	unsigned n_products;
	const float *x;
	unsigned n_in;
	unsigned n_rows;
	unsigned n_row_ranges;
};

static bool is_quantised(const struct weight *weight)
{
	return weight->format == CPU_Q8_0 || weight->format == CPU_Q4_0;
}

/* Rows of a tile, the same input side by side. */
static void pack_tile(const float *x, size_t n_in, unsigned n_rows, float *tile)
{
	for (unsigned row = 0; row < n_rows; row++)
		for (size_t k = 0; k < n_in; k++)
			tile[k * n_rows + row] = x[row * n_in + k];
}

static unsigned tile_rows_at(unsigned first, unsigned n_rows, unsigned tile_rows)
{
	return n_rows - first < tile_rows ? n_rows - first : tile_rows;
}

static void prepare_float(void *arg, size_t tile, unsigned thread)
{
	const struct multiplication *m = arg;
	unsigned tile_rows = m->cpu->kernels->tile_rows_float;
	unsigned first = (unsigned)tile * tile_rows;
	unsigned r = tile_rows_at(first, m->n_rows, tile_rows);

	(void)thread;
	if (r > 1)
		pack_tile(m->x + (size_t)first * m->n_in, m->n_in, r,
			  m->cpu->tiles + (size_t)first * m->n_in);
}

static uint8_t *quant_tile(const struct multiplication *m, unsigned first_row)
{
	return m->cpu->quant_tiles + (size_t)first_row * (m->n_in / CPU_QUANT_BLOCK) *
	       CPU_QUANT_BYTES;
}

static void prepare_quant(void *arg, size_t tile, unsigned thread)
{
	const struct multiplication *m = arg;
	unsigned tile_rows = m->cpu->kernels->tile_rows_quant;
	unsigned first = (unsigned)tile * tile_rows;

	(void)thread;
	m->cpu->kernels->quantise(m->x + (size_t)first * m->n_in, m->n_in,
				  tile_rows_at(first, m->n_rows, tile_rows),
				  m->n_in / CPU_QUANT_BLOCK, quant_tile(m, first));
}

static void prepare(struct multiplication *m)
{
	const struct cpu_kernels *kernels = m->cpu->kernels;
	unsigned n_threads = cpu_threads_for(m->cpu, (uint64_t)m->n_rows * m->n_in * 16);
	bool has_float = false, has_quant = false;

	for (unsigned i = 0; i < m->n_products; i++) {
		assert(m->products[i].weight->n_in == m->n_in);
		if (is_quantised(m->products[i].weight))
			has_quant = true;
		else
			has_float = true;
	}
	if (has_float && m->n_rows > 1)
		cpu_parallel_even(m->cpu, n_threads, (m->n_rows + kernels->tile_rows_float - 1) /
				  kernels->tile_rows_float, prepare_float, m);
	if (has_quant)
		cpu_parallel_even(m->cpu, n_threads, (m->n_rows + kernels->tile_rows_quant - 1) /
				  kernels->tile_rows_quant, prepare_quant, m);
}

static const void *prepared_tile(const struct multiplication *m, const struct weight *weight,
				 unsigned first, unsigned r)
{
	if (is_quantised(weight))
		return quant_tile(m, first);
	return (r > 1 ? m->cpu->tiles : m->x) + (size_t)first * m->n_in;
}

/* Inputs that a kernel sums before it adds to y: all of them when it keeps integer blocks. */
static size_t chunk_inputs(const struct weight *weight)
{
	return is_quantised(weight) ? weight->n_in : CPU_FLOAT_CHUNK;
}

/* One tile times one panel, y[r][ldy]. */
static void multiply_tile(const struct multiplication *m, const struct weight *weight,
			  const uint8_t *panel, const uint8_t *tile, unsigned r, const float *init,
			  float *y, size_t ldy)
{
	cpu_gemm_fn *gemm = m->cpu->kernels->gemm[weight->format][r - 1];
	size_t chunk = chunk_inputs(weight);

	for (size_t k = 0; k < weight->n_in; k += chunk) {
		size_t n_k = weight->n_in - k < chunk ? weight->n_in - k : chunk;

		gemm(panel + k * (weight->panel_bytes / weight->n_in), tile + k * r * sizeof(float),
		     n_k, k ? NULL : init, y, ldy);
	}
}

static void multiply_panel(const struct multiplication *m, const struct matmul *product,
			   unsigned panel, unsigned first_row, unsigned end_row)
{
	const struct weight *weight = product->weight;
	const struct cpu_kernels *kernels = m->cpu->kernels;
	unsigned tile_rows = is_quantised(weight) ? kernels->tile_rows_quant :
						    kernels->tile_rows_float;
	unsigned first_out = panel * kernels->panel;
	unsigned n_out = weight->n_out - first_out < kernels->panel ? weight->n_out - first_out :
								     kernels->panel;
	float init[CPU_MAX_PANEL] = { 0 };
	float edge[CPU_MAX_TILE_ROWS * CPU_MAX_PANEL];

	if (product->bias)
		memcpy(init, product->bias + first_out, n_out * sizeof *init);
	for (unsigned row = first_row; row < end_row; row += tile_rows) {
		unsigned r = tile_rows_at(row, end_row, tile_rows);
		float *y = product->y + (size_t)row * weight->n_out + first_out;
		bool is_edge = n_out < kernels->panel;

		multiply_tile(m, weight, weight->panels + panel * weight->panel_bytes,
			      prepared_tile(m, weight, row, r), r, init, is_edge ? edge : y,
			      is_edge ? kernels->panel : weight->n_out);
		for (unsigned i = 0; is_edge && i < r; i++)
			memcpy(y + (size_t)i * weight->n_out, edge + i * kernels->panel,
			       n_out * sizeof *y);
	}
}

static void multiply_item(void *arg, size_t item, unsigned thread)
{
	const struct multiplication *m = arg;
	unsigned range = (unsigned)(item % m->n_row_ranges);
	size_t panel = item / m->n_row_ranges;
	const struct matmul *product = m->products;
	/* Whole tiles of either kind. */
	unsigned unit = CPU_MAX_TILE_ROWS;
	uint64_t n_units = (m->n_rows + unit - 1) / unit;
	unsigned first_row = (unsigned)(n_units * range / m->n_row_ranges) * unit;
	unsigned end_row = (unsigned)(n_units * (range + 1) / m->n_row_ranges) * unit;

	(void)thread;
	while (panel >= product->weight->n_panels)
		panel -= product++->weight->n_panels;
	multiply_panel(m, product, (unsigned)panel, first_row,
		       end_row < m->n_rows ? end_row : m->n_rows);
}

void cpu_matmul(struct backend *backend, const struct matmul *products, unsigned n_products,
		const float *x, unsigned n_rows)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct multiplication m = {
		.cpu = cpu, .products = products, .n_products = n_products, .x = x,
		.n_rows = n_rows,
	};
	uint64_t n_operations = 0;
	size_t n_panels = 0;
	unsigned n_threads, n_units = (n_rows + CPU_MAX_TILE_ROWS - 1) / CPU_MAX_TILE_ROWS;

	if (!n_products || !n_rows)
		return;
	assert(n_rows <= cpu->max_rows);
	m.n_in = products[0].weight->n_in;
	for (unsigned i = 0; i < n_products; i++) {
		const struct weight *weight = products[i].weight;
		uint64_t n_macs = (uint64_t)n_rows * m.n_in * weight->n_out;

		n_panels += weight->n_panels;
		n_operations += n_macs > weight->n_bytes ? n_macs : weight->n_bytes;
	}
	prepare(&m);
	n_threads = cpu_threads_for(cpu, n_operations);
	m.n_row_ranges = (unsigned)((4 * n_threads + n_panels - 1) / n_panels);
	if (n_threads == 1)
		m.n_row_ranges = 1;
	if (m.n_row_ranges > n_units)
		m.n_row_ranges = n_units;
	cpu_parallel_even(cpu, n_threads, n_panels * m.n_row_ranges, multiply_item, &m);
}
