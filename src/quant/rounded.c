/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/rounded.h"

#include "base/integers.h"
#include "model/gguf_head.h"
#include "model/tensor_source.h"
#include "quant/range.h"

#include <math.h>
#include <stdlib.h>

/* Elements that are rounded at a time, if rows are shorter. */
enum { PIECE = 1 << 16 };

struct rounded;

struct rounded_tensor {
	struct tensor_source base;		/* first member */
	const struct rounded *rounded;
	const struct tensor *from;
	enum tensor_type type;
};

struct rounded {
	struct gguf *from;			/* owned */
	const struct quant_kernels *kernels;
	struct rounded_tensor *tensors;		/* [n], owned */
	const struct tensor_source **sources;	/* [n], owned */
	struct gguf_part *parts;		/* owned */
};

static const struct rounded_tensor *tensor_of(const struct tensor_source *source)
{
	return (const struct rounded_tensor *)source;
}

/* --- reading --- */

static enum sc_status refuse_value(const struct rounded_tensor *tensor, uint64_t element,
				   float value, struct error *err)
{
	const unsigned long long n_columns = tensor->from->dims[0];
	const unsigned long long row = element / n_columns, column = element % n_columns;

	if (!isfinite(value))
		return error_set(err, SC_E_FORMAT, "the value %g in row %llu, column %llu is no "
				 "finite number: the model is damaged", (double)value, row, column);
	return error_set(err, SC_E_FORMAT, "the value %g in row %llu, column %llu does not fit into "
			 "%s: choose a --weight-type that holds more, such as bf16", (double)value,
			 row, column, tensor_type_info(tensor->type)->name);
}

/* Rounds n elements, whole rows. stored and floats have room for them. */
static enum sc_status round_piece(const struct rounded_tensor *tensor, uint64_t first, uint64_t n,
				  void *stored, float *floats, uint8_t *out, struct error *err)
{
	const struct quant_kernels *kernels = tensor->rounded->kernels;
	enum sc_status status = tensor_read(tensor->from, first, n, stored, err);
	size_t misfit;

	if (status)
		return status;
	quant_decode(kernels, tensor->from->type, stored, n, floats);
	misfit = quant_find_misfit(kernels, tensor->type, floats, n);
	if (misfit < n)
		return refuse_value(tensor, first + misfit, floats[misfit], err);
	quant_encode(kernels, tensor->type, floats, n, out);
	return SC_OK;
}

static enum sc_status read_rounded(const struct rounded_tensor *tensor, uint64_t first, uint64_t n,
				   uint8_t *out, struct error *err)
{
	const uint64_t n_columns = tensor->from->dims[0];
	const uint64_t piece = max_of(PIECE / n_columns, 1) * n_columns;
	float *floats = malloc(piece * sizeof *floats);
	void *stored = malloc(tensor_type_bytes(tensor->from->type, piece));
	enum sc_status status = SC_OK;

	if (!floats || !stored)
		status = error_set(err, SC_E_NOMEM, "no memory for %llu numbers",
				   (unsigned long long)piece);
	for (uint64_t at = 0; !status && at < n; at += piece)
		status = round_piece(tensor, first + at, min_of(piece, n - at), stored, floats,
				     out + tensor_type_bytes(tensor->type, at), err);
	free(floats);
	free(stored);
	return status;
}

static enum sc_status read_tensor(const struct tensor_source *source, uint64_t first, uint64_t n,
				  void *out, struct error *err)
{
	const struct rounded_tensor *tensor = tensor_of(source);

	if (tensor->type == tensor->from->type)
		return tensor_read(tensor->from, first, n, out, err);
	return read_rounded(tensor, first, n, out, err);
}

static void expect(const struct tensor_source *source, uint64_t first, uint64_t n)
{
	const struct tensor *from = tensor_of(source)->from;

	tensor_expect(from, tensor_type_bytes(from->type, first), tensor_type_bytes(from->type, n));
}

static void release(const struct tensor_source *source, uint64_t first, uint64_t n)
{
	const struct tensor *from = tensor_of(source)->from;

	tensor_release(from, tensor_type_bytes(from->type, first),
		       tensor_type_bytes(from->type, n));
}

/* --- opening --- */

static void close_rounded(void *arg)
{
	struct rounded *rounded = arg;

	gguf_close(rounded->from);
	free(rounded->tensors);
	free(rounded->sources);
	free(rounded->parts);
	free(rounded);
}

static enum sc_status check_unchanged(const void *arg, struct error *err)
{
	const struct rounded *rounded = arg;

	return gguf_check_unchanged(rounded->from, err);
}

/* Takes from, also on failure. */
static enum sc_status create(struct gguf *from, const struct quant_kernels *kernels,
			     struct rounded **rounded_out, struct error *err)
{
	const size_t n = gguf_n_tensors(from), n_files = gguf_n_files(from);
	struct rounded *rounded = calloc(1, sizeof *rounded);

	if (!rounded) {
		gguf_close(from);
		return error_set(err, SC_E_NOMEM, "no memory for a model");
	}
	*rounded = (struct rounded){
		.from = from, .kernels = kernels,
		.tensors = calloc(n + 1, sizeof *rounded->tensors),
		.sources = calloc(n + 1, sizeof *rounded->sources),
		.parts = calloc(n_files, sizeof *rounded->parts),
	};
	if (!rounded->tensors || !rounded->sources || !rounded->parts) {
		close_rounded(rounded);
		return error_set(err, SC_E_NOMEM, "no memory for %zu tensors", n);
	}
	for (size_t i = 0; i < n_files; i++)
		rounded->parts[i] = gguf_part(from, i);
	*rounded_out = rounded;
	return SC_OK;
}

static enum sc_status add_tensor(struct rounded *rounded, const struct quant_mix *mix,
				 const struct quant_facts *facts, size_t i, struct gguf_head *head,
				 struct error *err)
{
	const struct tensor *from = gguf_tensor(rounded->from, i);
	struct rounded_tensor *tensor = &rounded->tensors[i];
	struct tensor to = *from;
	uint64_t offset;
	bool is_fallback;

	to.type = quant_mix_type(mix, facts, from, &is_fallback);
	if (to.type != from->type && tensor_type_info(from->type)->block_length > 1)
		return error_set(err, SC_E_UNSUPPORTED, "%s: tensor '%s' is %s already: "
				 "--weight-type rounds models in F32, F16, BF16 or FP8",
				 gguf_path(rounded->from), from->name,
				 tensor_type_info(from->type)->name);
	*tensor = (struct rounded_tensor){
		.base = { .read = read_tensor, .expect = expect, .release = release },
		.rounded = rounded, .from = from, .type = to.type,
	};
	rounded->sources[i] = &tensor->base;
	return gguf_head_add_tensor(head, &to, &offset);
}

static enum sc_status add_all(struct rounded *rounded, const struct quant_mix *mix,
			      struct gguf_head *head, struct error *err)
{
	const struct quant_facts facts = quant_facts_of(rounded->from);
	enum sc_status status = quant_mix_put_metadata(mix, rounded->from, head);

	for (size_t i = 0; !status && i < gguf_n_tensors(rounded->from); i++)
		status = add_tensor(rounded, mix, &facts, i, head, err);
	if (status == SC_E_NOMEM)
		(void)error_set(err, status, "no memory for the metadata");
	return status;
}

enum sc_status quant_round(struct gguf *from, const struct quant_mix *mix,
			   const struct quant_kernels *kernels, struct gguf **gguf_out,
			   struct error *err)
{
	struct rounded *rounded = NULL;
	struct gguf_head head;
	enum sc_status status = create(from, kernels, &rounded, err);

	if (status)
		return status;
	gguf_head_init(&head, from);
	status = add_all(rounded, mix, &head, err);
	if (status) {
		close_rounded(rounded);
	} else {
		const struct gguf_body body = {
			.sources = rounded->sources, .parts = rounded->parts,
			.n_parts = gguf_n_files(from), .check = check_unchanged,
			.release = close_rounded, .arg = rounded,
		};

		status = gguf_open_head(gguf_path(from), &head, &body, gguf_out, err);
	}
	gguf_head_deinit(&head);
	return status;
}
