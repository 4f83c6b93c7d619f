/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include "backend/cpu/relayout.h"
#include "model/tensor_source.h"

#include <assert.h>
#include <stdlib.h>

enum {
	EMBED_COST = 64,		/* of an element, in multiply-adds of a product */
	SLAB_BYTES = 1 << 20,		/* bytes of the file that a thread processes at a time */
	AHEAD_BYTES = 8 << 20,		/* bytes of the file that are read in advance */
};

/* The first failure of a thread. */
struct failure {
	atomic_bool is_taken;
	enum sc_status status;
	struct error err;
};

/* A thread packs a slab of panels and then releases the file's pages. The same thread makes the
 * elements that must be made, so that all processors share the work. */
struct packing {
	const struct cpu_backend *cpu;
	const struct cpu_kernels *kernels;
	struct weight *weight;
	const struct tensor *tensor;
	size_t row_bytes;
	size_t slab_rows;
	size_t n_slabs;
	struct failure *failure;
};

/* Packs a panel, and checks and hashes its values while they are in the cache. stored: its first
 * row. Returns the hash. */
static uint64_t pack_panel(const struct packing *p, const uint8_t *stored, size_t row,
			   size_t n_rows)
{
	struct weight *weight = p->weight;

	cpu_pack_panel(p->kernels, weight->format, weight->n_in, stored, 0, n_rows,
		       weight->panels + row / p->kernels->panel * weight->panel_bytes);
	if (!tensor_blocks_are_finite(p->tensor->type, stored, n_rows * p->row_bytes))
		atomic_store(&weight->has_odd, true);
	return tensor_hash_bytes(stored, p->row_bytes, row, n_rows, p->kernels->hash);
}

/* The thread that writes panels takes their pages, so they are on its own memory node. */
static void take_panels(const struct packing *p, size_t first_row, size_t end_row)
{
	const struct weight *weight = p->weight;
	size_t first = first_row / p->kernels->panel, end = div_up(end_row, p->kernels->panel);

	cpu_arena_take(&p->cpu->weights, p->cpu->pages, weight->panels + first * weight->panel_bytes,
		       (end - first) * weight->panel_bytes);
}

static void note_failure(struct failure *failure, enum sc_status status, const struct error *err)
{
	if (atomic_exchange(&failure->is_taken, true))
		return;
	failure->status = status;
	failure->err = *err;
}

static void pack_rows(const struct packing *p, const uint8_t *stored, size_t first, size_t end)
{
	size_t panel = p->kernels->panel;
	uint64_t hash_sum = 0;

	take_panels(p, first, end);
	for (size_t row = first; row < end; row += panel)
		hash_sum += pack_panel(p, stored + (row - first) * p->row_bytes, row,
				       end - row < panel ? end - row : panel);
	atomic_fetch_add(&p->weight->hash_sum, hash_sum);
}

/* Packs rows whose elements must be made. */
static void make_and_pack(const struct packing *p, size_t first, size_t end)
{
	uint8_t *made = malloc((end - first) * p->row_bytes);
	enum sc_status status;
	struct error err;

	if (made)
		status = tensor_read_rows(p->tensor, first, end - first, made, &err);
	else
		status = error_set(&err, SC_E_NOMEM, "tensor %s: no memory for %zu rows",
				   p->tensor->name, end - first);
	if (status)
		note_failure(p->failure, status, &err);
	else
		pack_rows(p, made, first, end);
	free(made);
}

static void pack_slab(void *arg, size_t slab, unsigned thread)
{
	const struct packing *p = arg;
	size_t first = slab * p->slab_rows, slab_bytes = p->slab_rows * p->row_bytes;
	size_t end = min_of(first + p->slab_rows, p->weight->n_out);

	(void)thread;
	if (atomic_load(&p->failure->is_taken))
		return;
	tensor_expect(p->tensor, slab * slab_bytes + AHEAD_BYTES, slab_bytes);
	if (p->tensor->data)
		pack_rows(p, (const uint8_t *)p->tensor->data + slab * slab_bytes, first, end);
	else
		make_and_pack(p, first, end);
	tensor_release(p->tensor, slab * slab_bytes, slab_bytes);
}

static enum sc_status pack(const struct cpu_backend *cpu, struct weight *weight,
			   const struct tensor *tensor, struct error *err)
{
	unsigned n_threads = cpu_threads_for(cpu, weight->n_bytes), panel = cpu->kernels->panel;
	struct failure failure = { .status = SC_OK };
	struct packing p = {
		cpu, cpu->kernels, weight, tensor, .row_bytes = tensor_row_bytes(tensor),
		.failure = &failure,
	};
	size_t n_panels = SLAB_BYTES / (panel * p.row_bytes);

	if (n_panels > (weight->n_panels + n_threads - 1) / n_threads)
		n_panels = (weight->n_panels + n_threads - 1) / n_threads;
	p.slab_rows = panel * (n_panels + !n_panels);
	p.n_slabs = (weight->n_out + p.slab_rows - 1) / p.slab_rows;
	/* Starts reading where each thread begins. */
	for (unsigned i = 0; i < n_threads; i++)
		tensor_expect(tensor, p.n_slabs * i / n_threads * p.slab_rows * p.row_bytes,
			      AHEAD_BYTES);
	cpu_parallel_even(cpu, n_threads, p.n_slabs, pack_slab, &p);
	if (failure.status && err)
		*err = failure.err;
	return failure.status;
}

static enum sc_status check_shape(const struct cpu_backend *cpu, const struct tensor *tensor,
				  const struct cpu_stored_format *format, struct error *err)
{
	uint64_t n_in = tensor->dims[0], n_out = tensor->n_dims > 1 ? tensor->dims[1] : 1;
	uint64_t expected;

	for (unsigned i = 2; i < tensor->n_dims; i++)
		if (tensor->dims[i] != 1)
			return error_set(err, SC_E_UNSUPPORTED, "tensor %s: expected a matrix, "
					 "found %u dimensions", tensor->name, tensor->n_dims);
	if (!n_in || !n_out || n_in > cpu->max_width || n_out > UINT32_MAX / 2 ||
	    n_in % format->block_length)
		return error_set(err, SC_E_INVALID, "tensor %s: %llu x %llu: expected rows of 1 to "
				 "%u elements in blocks of %u", tensor->name,
				 (unsigned long long)n_out, (unsigned long long)n_in,
				 cpu->max_width, format->block_length);
	expected = n_out * (n_in / format->block_length * format->block_bytes);
	if (tensor->n_bytes != expected)
		return error_set(err, SC_E_INVALID, "tensor %s: expected %llu bytes, found %zu",
				 tensor->name, (unsigned long long)expected, tensor->n_bytes);
	return SC_OK;
}

enum sc_status cpu_weight_create(struct backend *backend, const struct tensor *tensor,
				 struct weight **weight_out, struct error *err)
{
	struct cpu_backend *cpu = cpu_of(backend);
	unsigned panel = cpu->kernels->panel;
	const struct cpu_stored_format *stored;
	enum cpu_format format;
	struct weight *weight;
	enum sc_status status;

	stored = cpu_stored_format(tensor->type, &format);
	if (!stored)
		return error_set(err, SC_E_UNSUPPORTED, "tensor %s: the cpu backend does not "
				 "support matrices of type %d", tensor->name, (int)tensor->type);
	status = check_shape(cpu, tensor, stored, err);
	if (status)
		return status;
	weight = calloc(1, sizeof *weight);
	if (!weight)
		goto fail;
	weight->format = format;
	weight->n_in = (unsigned)tensor->dims[0];
	weight->n_out = tensor->n_dims > 1 ? (unsigned)tensor->dims[1] : 1;
	weight->n_panels = (weight->n_out + panel - 1) / panel;
	weight->panel_bytes = cpu_panel_bytes(format, weight->n_in, panel);
	weight->n_bytes = weight->panel_bytes * weight->n_panels;
	weight->panels = cpu_arena_alloc(&cpu->weights, weight->n_bytes);
	if (!weight->panels)
		goto fail;
	status = pack(cpu, weight, tensor, err);
	if (status) {
		cpu_weight_destroy(backend, weight);
		return status;
	}
	*weight_out = weight;
	return SC_OK;
fail:
	cpu_weight_destroy(backend, weight);
	return error_set(err, SC_E_CAPACITY, "tensor %s: no memory for its %zu bytes", tensor->name,
			 tensor->n_bytes);
}

void cpu_weight_destroy(struct backend *backend, struct weight *weight)
{
	if (!weight)
		return;
	pages_leave(cpu_of(backend)->pages);
	cpu_arena_free(&cpu_of(backend)->weights, weight->panels);
	free(weight);
}

size_t cpu_weight_bytes(const struct weight *weight)
{
	return weight->n_bytes;
}

bool cpu_weight_is_finite(const struct weight *weight)
{
	return !atomic_load(&weight->has_odd);
}

uint64_t cpu_weight_hash(const struct weight *weight)
{
	return tensor_hash_of_sum(atomic_load(&weight->hash_sum));
}

struct embedding {
	const struct cpu_kernels *kernels;
	const struct weight *weight;
	const uint32_t *tokens;
	float *out;
};

static void embed_row(void *arg, size_t row, unsigned thread)
{
	const struct embedding *e = arg;
	uint32_t token = e->tokens[row];
	unsigned panel = e->kernels->panel;

	(void)thread;
	assert(token < e->weight->n_out);
	cpu_panel_row(e->kernels, e->weight->format, e->weight->n_in,
		      e->weight->panels + token / panel * e->weight->panel_bytes, token % panel,
		      e->out + row * e->weight->n_in);
}

void cpu_embed(struct backend *backend, const struct weight *embedding, const uint32_t *tokens,
	       unsigned n_rows, float *out)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct embedding e = { cpu->kernels, embedding, tokens, out };

	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)n_rows * embedding->n_in *
						     EMBED_COST), n_rows, embed_row, &e);
}
