/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include "backend/cpu/relayout.h"

#include <assert.h>
#include <string.h>

/*
 * The work of a call is cut into items: one panel of one product times a range of rows. With
 * fewer panels than threads could share, rows are cut as well. No cut goes through the sum of an
 * output element.
 *
 * Up to a tile of rows, weights are multiplied as they lie: each is read once, from memory. For more,
 * a chunk of a panel is unpacked into the first cache and multiplied by one tile after the other,
 * which come from the second cache; sums wait in the thread's scratch until the next chunk.
 */
struct multiplication {
	const struct cpu_backend *cpu;
	const struct matmul *products;
	unsigned n_products;
	bool is_gated;			/* the first product's outputs gate the second one's */
	const float *x;
	unsigned n_in;
	unsigned n_rows;
	unsigned n_row_ranges;
};

/* A panel of one product, and rows of x. */
struct panel_item {
	const struct matmul *product;
	enum cpu_format format;
	enum cpu_tile_kind kind;
	unsigned tile_rows;
	const uint8_t *panel;
	unsigned first_out;
	unsigned n_out;
};

static const uint8_t *tile_at(const struct multiplication *m, const struct panel_item *item,
			      unsigned row)
{
	if (item->kind == CPU_TILE_FLOAT && m->n_rows == 1)
		return (const uint8_t *)m->x;
	return cpu_tile(&m->cpu->tiles, item->kind, row, m->n_in);
}

static size_t chunk_of(const struct panel_item *item)
{
	static const size_t chunks[CPU_N_TILE_KINDS] = {
		[CPU_TILE_FLOAT] = CPU_FLOAT_CHUNK, [CPU_TILE_BF16] = CPU_BF16_CHUNK,
		[CPU_TILE_INT] = CPU_INT_CHUNK,
	};

	return chunks[item->kind];
}

/* Integer kernels take any number of inputs at once, the others a chunk. */
static void sum_tile(const struct multiplication *m, const struct panel_item *item, unsigned row,
		     unsigned r, float *sum)
{
	cpu_gemm_fn *gemm = m->cpu->kernels->gemm[item->format][r - 1];
	size_t chunk = item->kind == CPU_TILE_INT ? m->n_in : chunk_of(item);

	for (size_t k = 0; k < m->n_in; k += chunk)
		gemm(item->panel + cpu_panel_bytes(item->format, k, m->cpu->kernels->panel),
		     tile_at(m, item, row) + cpu_tile_bytes(item->kind, r, k),
		     m->n_in - k < chunk ? m->n_in - k : chunk, sum);
}

/* The weights that follow are asked for a little with every tile: on their own, prefetchers would
 * begin anew with every chunk. */
static void prefetch_part(const uint8_t *weights, size_t n_bytes, unsigned part, unsigned n_parts)
{
	size_t end = n_bytes * (part + 1) / n_parts;

	for (size_t at = n_bytes * part / n_parts; at < end; at += 64)
		__builtin_prefetch(weights + at, 0, 2);
}

static void sum_chunk(const struct multiplication *m, const struct panel_item *item, unsigned first,
		      unsigned end, size_t k, uint8_t *unpacked, float *sum)
{
	const struct cpu_kernels *kernels = m->cpu->kernels;
	size_t n_k = m->n_in - k < chunk_of(item) ? m->n_in - k : chunk_of(item);
	const void *weights = item->panel + cpu_panel_bytes(item->format, k, kernels->panel);
	cpu_gemm_fn *const *gemm = kernels->gemm[item->format];
	const uint8_t *next = item->panel + cpu_panel_bytes(item->format, k + n_k, kernels->panel);
	size_t n_bytes = cpu_panel_bytes(item->format, n_k, kernels->panel);
	unsigned n_tiles = (end - first + item->tile_rows - 1) / item->tile_rows, tile = 0;

	if (kernels->unpack[item->format]) {
		kernels->unpack[item->format](weights, n_k, unpacked);
		weights = unpacked;
		gemm = kernels->gemm_unpacked[item->format];
	}
	for (unsigned row = first; row < end; row += item->tile_rows) {
		unsigned r = end - row < item->tile_rows ? end - row : item->tile_rows;

		prefetch_part(next, n_bytes, tile++, n_tiles);
		gemm[r - 1](weights, tile_at(m, item, row) + cpu_tile_bytes(item->kind, r, k), n_k,
			    sum);
		sum += r * kernels->panel;
	}
}

/* sum[end - first][panel] of rows first .. end. */
static void sum_rows(const struct multiplication *m, const struct panel_item *item, unsigned first,
		     unsigned end, uint8_t *unpacked, float *sum)
{
	memset(sum, 0, (size_t)(end - first) * m->cpu->kernels->panel * sizeof *sum);
	if (end - first <= item->tile_rows)
		sum_tile(m, item, first, end - first, sum);
	else
		for (size_t k = 0; k < m->n_in; k += chunk_of(item))
			sum_chunk(m, item, first, end, k, unpacked, sum);
}

static const float *scales_of(const struct multiplication *m, const struct panel_item *item,
			      unsigned row)
{
	return item->kind == CPU_TILE_INT ? m->cpu->tiles.scales + row : NULL;
}

static struct panel_item panel_of(const struct multiplication *m, const struct matmul *product,
				  size_t panel)
{
	const struct cpu_kernels *kernels = m->cpu->kernels;
	struct panel_item item;

	item.product = product;
	item.format = product->weight->format;
	item.kind = cpu_tile_kind(item.format);
	item.tile_rows = kernels->tile_rows[item.kind];
	item.panel = product->weight->panels + panel * product->weight->panel_bytes;
	item.first_out = (unsigned)panel * kernels->panel;
	item.n_out = product->weight->n_out - item.first_out;
	if (item.n_out > kernels->panel)
		item.n_out = kernels->panel;
	return item;
}

/* Rows first .. end of a panel, at most as many as the scratch has sums for. */
static void multiply_rows(const struct multiplication *m, const struct matmul *product,
			  size_t panel, unsigned first, unsigned end, struct cpu_scratch *scratch)
{
	const struct panel_item item = panel_of(m, product, panel);
	size_t n_out = product->weight->n_out;
	float *y = product->y + first * n_out + item.first_out;

	sum_rows(m, &item, first, end, scratch->unpacked, scratch->sums[0]);
	if (m->is_gated) {
		const struct panel_item other = panel_of(m, product + 1, panel);

		sum_rows(m, &other, first, end, scratch->unpacked, scratch->sums[1]);
		m->cpu->kernels->finish_gated(scratch->sums[0], scales_of(m, &item, first),
					      scratch->sums[1], scales_of(m, &other, first),
					      end - first, item.n_out, y, n_out);
		return;
	}
	m->cpu->kernels->finish(scratch->sums[0], end - first, scales_of(m, &item, first),
				product->bias ? product->bias + item.first_out : NULL,
				product->is_added, item.n_out, y, n_out);
}

static void multiply_item(void *arg, size_t index, unsigned thread)
{
	const struct multiplication *m = arg;
	const struct matmul *product = m->products;
	size_t panel = index / m->n_row_ranges;
	unsigned range = (unsigned)(index % m->n_row_ranges);
	/* Whole tiles of any kind. */
	uint64_t n_units = (m->n_rows + CPU_MAX_TILE_ROWS - 1) / CPU_MAX_TILE_ROWS;
	unsigned row = (unsigned)(n_units * range / m->n_row_ranges) * CPU_MAX_TILE_ROWS;
	unsigned end = (unsigned)(n_units * (range + 1) / m->n_row_ranges) * CPU_MAX_TILE_ROWS;

	while (panel >= product->weight->n_panels)
		panel -= product++->weight->n_panels;
	for (end = end < m->n_rows ? end : m->n_rows; row < end; row += CPU_SCRATCH_ROWS)
		multiply_rows(m, product, panel, row, end - row < CPU_SCRATCH_ROWS ? end :
			      row + CPU_SCRATCH_ROWS, &m->cpu->scratch[thread]);
}

static void prepare(const struct multiplication *m)
{
	bool is_wanted[CPU_N_TILE_KINDS] = { false };

	for (unsigned i = 0; i < m->n_products; i++) {
		assert(m->products[i].weight->n_in == m->n_in);
		is_wanted[cpu_tile_kind(m->products[i].weight->format)] = true;
	}
	/* A single row of floats is read where it is. */
	if (m->n_rows == 1)
		is_wanted[CPU_TILE_FLOAT] = false;
	for (unsigned kind = 0; kind < CPU_N_TILE_KINDS; kind++)
		if (is_wanted[kind])
			cpu_tiles_prepare(m->cpu, (enum cpu_tile_kind)kind, m->x, m->n_rows,
					  m->n_in);
}

static void multiply(struct multiplication *m)
{
	uint64_t n_operations = 0;
	size_t n_panels = 0;
	unsigned n_threads, n_units = (m->n_rows + CPU_MAX_TILE_ROWS - 1) / CPU_MAX_TILE_ROWS;

	assert(m->n_rows <= m->cpu->max_rows);
	m->n_in = m->products[0].weight->n_in;
	for (unsigned i = 0; i < m->n_products; i++) {
		const struct weight *weight = m->products[i].weight;
		uint64_t n_macs = (uint64_t)m->n_rows * m->n_in * weight->n_out;

		if (!i || !m->is_gated)
			n_panels += weight->n_panels;
		n_operations += n_macs > weight->n_bytes ? n_macs : weight->n_bytes;
	}
	prepare(m);
	n_threads = cpu_threads_for(m->cpu, n_operations);
	m->n_row_ranges = (unsigned)((4 * n_threads + n_panels - 1) / n_panels);
	if (n_threads == 1)
		m->n_row_ranges = 1;
	if (m->n_row_ranges > n_units)
		m->n_row_ranges = n_units;
	cpu_parallel_even(m->cpu, n_threads, n_panels * m->n_row_ranges, multiply_item, m);
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

void cpu_gated_matmul(struct backend *backend, const struct weight *gate, const struct weight *up,
		      const float *x, unsigned n_rows, float *out)
{
	const struct matmul products[] = { { .weight = gate, .y = out }, { .weight = up } };
	struct multiplication m = {
		.cpu = cpu_of(backend), .products = products, .n_products = 2, .is_gated = true,
		.x = x, .n_rows = n_rows,
	};

	assert(gate->n_out == up->n_out);
	if (n_rows)
		multiply(&m);
}
