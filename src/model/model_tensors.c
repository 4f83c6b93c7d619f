/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model_tensors.h"

#include "model/tensor_source.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_BYTES 64

/* The state of one search. */
struct finder {
	struct model *model;
	bool *is_used;		/* [gguf_n_tensors] */
	size_t n_used;
	struct error *err;
};

/* The slots of a layer, or the outer ones. */
struct place {
	char prefix[24];
	const struct slot *slots;
	const struct tensor **tensors;
	const struct layer_shape *shape;	/* NULL: the outer slots */
	uint64_t required;	/* bit i: slot i */
	uint64_t allowed;
};

static void full_name(const struct place *place, const char *name, char out[NAME_BYTES])
{
	snprintf(out, NAME_BYTES, "%s%s", place->prefix, name);
}

static const struct tensor *find(const struct finder *f, const struct place *place,
				 const char *name)
{
	char full[NAME_BYTES];

	full_name(place, name, full);
	return gguf_find_tensor(f->model->gguf, full);
}

static void use(struct finder *f, const struct tensor *tensor)
{
	bool *is_used = &f->is_used[gguf_tensor_number(f->model->gguf, tensor)];

	f->n_used += !*is_used;
	*is_used = true;
}

static void dims_of(const struct finder *f, const struct place *place, unsigned i,
		    uint64_t dims[2])
{
	slot_dims(&place->slots[i], f->model->arch, &f->model->hparams, place->shape, dims);
}

static enum sc_status check_tensor(const struct finder *f, const struct tensor *tensor,
				   enum slot_kind kind, const uint64_t dims[2])
{
	const char *path = gguf_path(f->model->gguf);

	if (kind == SLOT_VECTOR && tensor->type != TENSOR_F32)
		return error_set(f->err, SC_E_FORMAT,
				 "%s: tensor '%s': expected type F32, found %s", path,
				 tensor->name, tensor_type_info(tensor->type)->name);
	if (tensor->dims[0] == dims[0] && tensor->dims[1] == dims[1] && tensor->dims[2] == 1 &&
	    tensor->dims[3] == 1)
		return SC_OK;
	return error_set(f->err, SC_E_FORMAT,
			 "%s: tensor '%s': expected the shape [%" PRIu64 ", %" PRIu64 "], found [%"
			 PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 "]", path, tensor->name,
			 dims[0], dims[1], tensor->dims[0], tensor->dims[1], tensor->dims[2],
			 tensor->dims[3]);
}

/* Seed-OSS has another name for the norm before the feed-forward. */
static const char *slot_name(const struct finder *f, const struct place *place, unsigned i)
{
	const char *other = f->model->arch->ffn_norm_name;

	return other && place->shape && i == LAYER_FFN_NORM ? other : place->slots[i].gguf;
}

/* Fills a slot that is still empty with the tensor of its name. */
static enum sc_status fill_slot(struct finder *f, const struct place *place, unsigned i)
{
	const struct slot *slot = &place->slots[i];
	const char *gguf_name = slot_name(f, place, i);
	const uint64_t bit = UINT64_C(1) << i;
	const struct tensor *tensor;
	char name[NAME_BYTES];
	uint64_t dims[2];

	if (place->tensors[i] || !(place->allowed & bit))
		return SC_OK;
	tensor = find(f, place, gguf_name);
	if (!tensor && !(place->required & bit))
		return SC_OK;
	full_name(place, gguf_name, name);
	if (!tensor)
		return error_set(f->err, SC_E_FORMAT, "%s: expected a tensor '%s', found none",
				 gguf_path(f->model->gguf), name);
	dims_of(f, place, i, dims);
	place->tensors[i] = tensor;
	use(f, tensor);
	return check_tensor(f, tensor, slot->kind, dims);
}

/* A fused tensor is in place of its parts if the first part is not there. The other name may be
 * that of the last part (ffn_up): then the number of rows tells. */
static bool is_fused(const struct finder *f, const struct place *place,
		     const struct fused_slot *fused, const struct tensor *tensor, uint64_t n_all)
{
	const bool is_vector = place->slots[fused->parts[0]].kind == SLOT_VECTOR;
	const uint64_t n_found = !tensor ? 0 : is_vector ? tensor->dims[0] : tensor->dims[1];

	for (unsigned i = 0; i < fused->n_parts; i++)
		if (!(place->allowed & UINT64_C(1) << fused->parts[i]))
			return false;
	if (!tensor || find(f, place, place->slots[fused->parts[0]].gguf))
		return false;
	return n_found == n_all ||
	       !find(f, place, place->slots[fused->parts[fused->n_parts - 1]].gguf);
}

static enum sc_status split_fused(struct finder *f, const struct place *place,
				  const struct fused_slot *fused)
{
	const struct slot *first_slot = &place->slots[fused->parts[0]];
	const struct tensor *tensor = find(f, place, fused->gguf);
	uint64_t dims[2], sizes[FUSED_MAX_PARTS], n_all = 0, first = 0;
	enum sc_status status;

	for (unsigned i = 0; i < fused->n_parts; i++) {
		dims_of(f, place, fused->parts[i], dims);
		sizes[i] = first_slot->kind == SLOT_VECTOR ? dims[0] : dims[1];
		n_all += sizes[i];
	}
	if (!is_fused(f, place, fused, tensor, n_all))
		return SC_OK;
	dims[first_slot->kind == SLOT_VECTOR ? 0 : 1] = n_all;
	status = check_tensor(f, tensor, first_slot->kind, dims);
	use(f, tensor);
	for (unsigned i = 0; i < fused->n_parts && !status; i++) {
		struct tensor *view = &f->model->views[f->model->n_views++];

		*view = tensor_view(tensor, first, sizes[i]);
		place->tensors[fused->parts[i]] = view;
		first += sizes[i];
	}
	return status;
}

static enum sc_status find_layer(struct finder *f, uint32_t i)
{
	const struct arch *arch = f->model->arch;
	struct place place = {
		.slots = layer_slots, .tensors = f->model->layers[i].of,
		.shape = &f->model->shapes[i],
		.required = arch->layer_required,
		.allowed = arch->layer_required | arch->layer_optional,
	};
	enum sc_status status = SC_OK;

	snprintf(place.prefix, sizeof place.prefix, "blk.%" PRIu32 ".", i);
	for (unsigned s = 0; s < N_FUSED_SLOTS && !status; s++)
		status = split_fused(f, &place, &fused_slots[s]);
	for (unsigned s = 0; s < N_LAYER_SLOTS && !status; s++)
		status = fill_slot(f, &place, s);
	return status;
}

static enum sc_status find_outer(struct finder *f)
{
	const struct arch *arch = f->model->arch;
	const struct place place = {
		.slots = outer_slots, .tensors = f->model->outer,
		.required = arch->outer_required,
		.allowed = arch->outer_required | arch->outer_optional,
	};
	enum sc_status status = SC_OK;

	for (unsigned s = 0; s < N_OUTER_SLOTS && !status; s++)
		status = fill_slot(f, &place, s);
	if (!f->model->outer[OUTER_OUTPUT])
		f->model->outer[OUTER_OUTPUT] = f->model->outer[OUTER_TOKEN_EMBD];
	return status;
}

/* Rotation angles are divided by these factors, so each must be positive and finite. */
static enum sc_status check_rope_factors(const struct finder *f, const struct tensor *tensor)
{
	struct tensor_bytes bytes;
	enum sc_status status;
	const float *factors;

	if (!tensor)
		return SC_OK;
	status = tensor_bytes_get(tensor, &bytes, f->err);
	if (status) {
		error_prefix(f->err, "%s", gguf_path(f->model->gguf));
		return status;
	}
	factors = bytes.tensor.data;
	for (uint64_t i = 0; !status && i < tensor->dims[0]; i++)
		if (!isfinite(factors[i]) || factors[i] <= 0)
			status = error_set(f->err, SC_E_FORMAT,
					   "%s: tensor '%s': expected positive, finite factors, "
					   "found %g at %" PRIu64, gguf_path(f->model->gguf),
					   tensor->name, (double)factors[i], i);
	tensor_bytes_put(&bytes);
	return status;
}

/* Refuses tensors that no code reads, because they might change the result. */
static enum sc_status refuse_unused(const struct finder *f)
{
	const struct model *model = f->model;
	const size_t n = gguf_n_tensors(model->gguf);

	for (size_t i = 0; i < n && f->n_used < n; i++)
		if (!f->is_used[i])
			return error_set(f->err, SC_E_UNSUPPORTED,
					 "%s: tensor '%s' is not supported for architecture %s "
					 "with %" PRIu32 " layers: using the model without it "
					 "could give wrong answers", gguf_path(model->gguf),
					 gguf_tensor(model->gguf, i)->name, model->arch->name,
					 model->hparams.n_layers);
	return SC_OK;
}

static enum sc_status find_all(struct finder *f)
{
	enum sc_status status = find_outer(f);

	for (uint32_t i = 0; i < f->model->hparams.n_layers && !status; i++)
		status = find_layer(f, i);
	for (unsigned s = OUTER_ROPE_FACTORS; s <= OUTER_ROPE_FACTORS_SHORT && !status; s++)
		status = check_rope_factors(f, f->model->outer[s]);
	return status ? status : refuse_unused(f);
}

enum sc_status model_find_tensors(struct model *model, struct error *err)
{
	const size_t n_layers = model->hparams.n_layers;
	struct finder f = { .model = model, .err = err };
	enum sc_status status;

	model->layers = calloc(n_layers, sizeof *model->layers);
	model->views = calloc(n_layers * N_FUSED_SLOTS * FUSED_MAX_PARTS, sizeof *model->views);
	f.is_used = calloc(gguf_n_tensors(model->gguf), sizeof *f.is_used);
	if (model->layers && model->views && f.is_used)
		status = find_all(&f);
	else
		status = error_set(err, SC_E_NOMEM, "%s: no memory for %zu layers",
				   gguf_path(model->gguf), n_layers);
	free(f.is_used);
	return status;
}

size_t model_n_tensors(const struct model *model)
{
	return gguf_n_tensors(model->gguf) + model->n_views;
}

const struct tensor *model_tensor(const struct model *model, size_t i)
{
	const size_t n = gguf_n_tensors(model->gguf);

	return i < n ? gguf_tensor(model->gguf, i) : &model->views[i - n];
}

size_t model_tensor_number(const struct model *model, const struct tensor *tensor)
{
	const uintptr_t at = (uintptr_t)tensor, first = (uintptr_t)model->views;

	if (at >= first && at < (uintptr_t)(model->views + model->n_views))
		return gguf_n_tensors(model->gguf) + (at - first) / sizeof *tensor;
	return gguf_tensor_number(model->gguf, tensor);
}

uint64_t model_hash(const struct model *model, size_t i)
{
	return atomic_load(&model->hashes[i]);
}

void model_note_hash(const struct model *model, const struct tensor *tensor, uint64_t hash)
{
	atomic_store(&model->hashes[model_tensor_number(model, tensor)], hash);
}
