/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include "backend/cpu/half.h"
#include "base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { EMBED_COST = 64 };	/* of an element, in multiply-adds of a product */

struct format {
	enum tensor_type type;
	unsigned block_length;	/* elements */
	unsigned block_bytes;	/* as stored, and per output in a panel */
};

static const struct format formats[CPU_N_FORMATS] = {
	[CPU_F32] = { TENSOR_F32, 1, 4 },
	[CPU_F16] = { TENSOR_F16, 1, 2 },
	[CPU_BF16] = { TENSOR_BF16, 1, 2 },
	[CPU_Q8_0] = { TENSOR_Q8_0, CPU_QUANT_BLOCK, 34 },
	[CPU_Q4_0] = { TENSOR_Q4_0, CPU_QUANT_BLOCK, 18 },
};

struct relayout {
	const struct weight *weight;
	const uint8_t *stored;
	unsigned panel;
	uint8_t q8_flip;
};

static void pack_floats(const struct relayout *r, uint8_t *to, size_t first, size_t n_outputs)
{
	size_t size = formats[r->weight->format].block_bytes;
	size_t n_in = r->weight->n_in;

	for (size_t lane = 0; lane < n_outputs; lane++) {
		const uint8_t *from = r->stored + (first + lane) * n_in * size;

		for (size_t k = 0; k < n_in; k++)
			memcpy(to + (k * r->panel + lane) * size, from + k * size, size);
	}
}

/* A stored block is a float16 scale and then the quants: Q8_0 a byte each, Q4_0 input i and
 * i + 16 in byte i. Either way four bytes at a time move. */
static void pack_quants(const struct relayout *r, uint8_t *to, size_t first, size_t n_outputs)
{
	const struct format *format = &formats[r->weight->format];
	size_t n_blocks = r->weight->n_in / CPU_QUANT_BLOCK;
	size_t n_groups = (format->block_bytes - 2) / 4;
	uint32_t flip = r->weight->format == CPU_Q8_0 ? r->q8_flip * 0x01010101u : 0;

	for (size_t block = 0; block < n_blocks; block++) {
		uint8_t *quants = to + r->panel * 2;

		for (size_t lane = 0; lane < n_outputs; lane++) {
			const uint8_t *from = r->stored +
				((first + lane) * n_blocks + block) * format->block_bytes;

			memcpy(to + lane * 2, from, 2);
			for (size_t g = 0; g < n_groups; g++)
				store_le32(quants + (g * r->panel + lane) * 4,
					   load_le32(from + 2 + g * 4) ^ flip);
		}
		to += (size_t)r->panel * format->block_bytes;
	}
}

static void pack_panel(void *arg, size_t panel, unsigned thread)
{
	const struct relayout *r = arg;
	uint8_t *to = r->weight->panels + panel * r->weight->panel_bytes;
	size_t first = panel * r->panel;
	size_t n_outputs = r->weight->n_out - first < r->panel ? r->weight->n_out - first : r->panel;

	(void)thread;
	if (formats[r->weight->format].block_length == 1)
		pack_floats(r, to, first, n_outputs);
	else
		pack_quants(r, to, first, n_outputs);
}

/* CPU_N_FORMATS: none. */
static enum cpu_format find_format(enum tensor_type type)
{
	enum cpu_format format = 0;

	while (format < CPU_N_FORMATS && formats[format].type != type)
		format++;
	return format;
}

static enum sc_status check_shape(const struct cpu_backend *cpu, const struct tensor *tensor,
				  const struct format *format, struct error *err)
{
	uint64_t n_in = tensor->dims[0], n_out = tensor->n_dims > 1 ? tensor->dims[1] : 1;
	uint64_t expected;

	for (unsigned i = 2; i < tensor->n_dims; i++)
		if (tensor->dims[i] != 1)
			return error_set(err, SC_E_UNSUPPORTED, "tensor %s: expected a matrix, "
					 "found %u dimensions", tensor->name, tensor->n_dims);
	if (!n_in || !n_out || n_in > cpu->max_width || n_out > UINT32_MAX / 2 ||
	    n_in % format->block_length)
		return error_set(err, SC_E_INVALID, "tensor %s: %llu x %llu: rows of 1 to %u in "
				 "blocks of %u were expected", tensor->name,
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
	const struct cpu_backend *cpu = cpu_of(backend);
	unsigned panel = cpu->kernels->panel;
	struct relayout relayout;
	enum cpu_format format = find_format(tensor->type);
	struct weight *weight;
	enum sc_status status;

	if (format == CPU_N_FORMATS)
		return error_set(err, SC_E_UNSUPPORTED, "tensor %s: type %d is not one that the cpu "
				 "backend multiplies by", tensor->name, (int)tensor->type);
	status = check_shape(cpu, tensor, &formats[format], err);
	if (status)
		return status;
	weight = calloc(1, sizeof *weight);
	if (!weight)
		goto fail;
	weight->format = format;
	weight->n_in = (unsigned)tensor->dims[0];
	weight->n_out = tensor->n_dims > 1 ? (unsigned)tensor->dims[1] : 1;
	weight->n_panels = (weight->n_out + panel - 1) / panel;
	weight->panel_bytes = (size_t)weight->n_in / formats[format].block_length *
			      formats[format].block_bytes * panel;
	weight->n_bytes = weight->panel_bytes * weight->n_panels;
	weight->panels = cpu_memory(weight->n_bytes);
	if (!weight->panels)
		goto fail;
	relayout = (struct relayout){ weight, tensor->data, panel, cpu->kernels->q8_flip };
	cpu_parallel_even(cpu, cpu_threads_for(cpu, weight->n_bytes), weight->n_panels, pack_panel,
			  &relayout);
	*weight_out = weight;
	return SC_OK;
fail:
	cpu_weight_destroy(backend, weight);
	return error_set(err, SC_E_CAPACITY, "tensor %s: no memory for its %zu bytes", tensor->name,
			 tensor->n_bytes);
}

void cpu_weight_destroy(struct backend *backend, struct weight *weight)
{
	(void)backend;
	if (!weight)
		return;
	free(weight->panels);
	free(weight);
}

size_t cpu_weight_bytes(const struct weight *weight)
{
	return weight->n_bytes;
}

/* Element k of one output, from the start of its panel. */
static float element(const struct weight *weight, const struct cpu_kernels *kernels,
		     const uint8_t *panel, size_t lane, size_t k)
{
	size_t n = kernels->panel, i = k % CPU_QUANT_BLOCK;
	const uint8_t *block = panel + k / CPU_QUANT_BLOCK * n * formats[weight->format].block_bytes;
	const uint8_t *quants = block + n * 2;
	float scale;
	uint8_t byte;

	switch (weight->format) {
	case CPU_F32:
		return load_lef32(panel + (k * n + lane) * 4);
	case CPU_F16:
		return half_to_float(load_le16(panel + (k * n + lane) * 2));
	case CPU_BF16:
		return bfloat_to_float(load_le16(panel + (k * n + lane) * 2));
	case CPU_Q8_0:
		scale = half_to_float(load_le16(block + lane * 2));
		byte = quants[(i / 4 * n + lane) * 4 + i % 4] ^ kernels->q8_flip;
		return scale * (float)(int8_t)byte;
	default:
		scale = half_to_float(load_le16(block + lane * 2));
		byte = quants[(i / 4 % 4 * n + lane) * 4 + i % 4];
		return scale * (float)((i < 16 ? byte & 15 : byte >> 4) - 8);
	}
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
	const uint8_t *panel = e->weight->panels +
			       token / e->kernels->panel * e->weight->panel_bytes;
	float *out = e->out + row * e->weight->n_in;

	(void)thread;
	assert(token < e->weight->n_out);
	for (size_t k = 0; k < e->weight->n_in; k++)
		out[k] = element(e->weight, e->kernels, panel, token % e->kernels->panel, k);
}

void cpu_embed(struct backend *backend, const struct weight *embedding, const uint32_t *tokens,
	       unsigned n_rows, float *out)
{
	const struct cpu_backend *cpu = cpu_of(backend);
	struct embedding e = { cpu->kernels, embedding, tokens, out };

	cpu_parallel_even(cpu, cpu_threads_for(cpu, (uint64_t)n_rows * embedding->n_in *
						     EMBED_COST), n_rows, embed_row, &e);
}
