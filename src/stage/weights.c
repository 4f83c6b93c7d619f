/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/weights.h"

#include "base/integers.h"
#include "model/tensor_hash.h"
#include "model/tensor_source.h"

#include <stdlib.h>
#include <string.h>

#define MIB(n_bytes) ((double)(n_bytes) / (1 << 20))

enum {
	AHEAD_BYTES = 8 << 20,	/* bytes of the next tensors that are read in advance */
};

/* A tensor and its destination. */
struct item {
	const struct tensor *tensor;
	bool is_vector;
	union loaded *loaded;
	struct weights_sum *sum;
};

/* The state of one call of weights_change. Progress counts the file's bytes. */
struct loader {
	struct weights *weights;
	struct backend *backend;
	const struct weights_range *range;
	struct item *items;	/* in the order of the file */
	size_t n_items;
	size_t n_expected;	/* items whose beginning is being read */
	uint64_t kept_bytes;
	uint64_t done_bytes;
	uint64_t total_bytes;
	struct error *err;
};

/* What the backend needs beside the tensors that the model has in these slots. */
static uint64_t bytes_beside(const struct slot *slots, const struct tensor *const *tensors,
			     unsigned n_slots, const struct backend_sizes *sizes)
{
	uint64_t n = 0;

	for (unsigned s = 0; s < n_slots; s++)
		if (tensors[s] && slots[s].place != PLACE_NONE)
			n += slots[s].kind == SLOT_VECTOR ? sizes->vector_bytes :
							    sizes->matrix_bytes;
	return n;
}

uint64_t weights_fixed_bytes(const struct model *model, const struct backend_sizes *sizes)
{
	const struct weights *w = NULL;		/* for the sizes of its arrays' elements */
	uint64_t n_layers = model->hparams.n_layers;

	return n_layers * sizeof *w->held + (n_layers + N_OUTER_SLOTS) * sizeof *w->sums +
	       bytes_beside(outer_slots, model->outer, N_OUTER_SLOTS, sizes);
}

uint64_t weights_layer_bytes(const struct model *model, const struct backend_sizes *sizes)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < model->hparams.n_layers; i++)
		most = max_of(most, bytes_beside(layer_slots, model->layers[i].of, N_LAYER_SLOTS,
						 sizes));
	return most;
}

static bool is_tied(const struct weights *weights)
{
	const struct tensor *const *outer = weights->model->outer;

	return outer[OUTER_OUTPUT] == outer[OUTER_TOKEN_EMBD];
}

static bool holds_embedding(const struct weights_range *range)
{
	return range->n_layers && range->first_layer == 0;
}

static bool holds_head(const struct weights *weights, const struct weights_range *range)
{
	return range->n_layers &&
	       range->first_layer + range->n_layers == weights->model->hparams.n_layers;
}

/* One copy of a tied embedding serves both ends. */
static bool needs_outer(const struct weights *weights, const struct weights_range *range,
			unsigned s)
{
	const bool is_shared = is_tied(weights) && holds_head(weights, range);

	if (!weights->model->outer[s])
		return false;
	if (s == OUTER_TOKEN_EMBD && is_shared)
		return true;
	if (outer_slots[s].place == PLACE_FIRST)
		return holds_embedding(range);
	return outer_slots[s].place == PLACE_LAST && holds_head(weights, range) &&
	       !(s == OUTER_OUTPUT && is_shared);
}

static struct item outer_item(struct weights *weights, unsigned s)
{
	return (struct item){
		.tensor = weights->model->outer[s],
		.is_vector = outer_slots[s].kind == SLOT_VECTOR,
		.loaded = &weights->outer[s],
		.sum = &weights->sums[weights->model->hparams.n_layers + s],
	};
}

/* Calls visit for each tensor of the layer that the model has. */
typedef void visit_fn(void *arg, const struct item *item);

static void visit_layer(const struct weights *weights, uint32_t layer, visit_fn *visit, void *arg)
{
	const struct layer_tensors *from = &weights->model->layers[layer];

	for (unsigned s = 0; s < N_LAYER_SLOTS; s++)
		if (from->of[s])
			visit(arg, &(struct item){
				.tensor = from->of[s],
				.is_vector = layer_slots[s].kind == SLOT_VECTOR,
				.loaded = &weights->held[layer].of[s],
				.sum = &weights->sums[layer],
			});
}

static bool is_loaded(const struct item *item)
{
	return item->is_vector ? item->loaded->vector != NULL : item->loaded->matrix != NULL;
}

/* A visit_fn: the tensor must be loaded unless it is there. */
static void want(void *arg, const struct item *item)
{
	struct loader *l = arg;

	if (is_loaded(item))
		return;
	l->items[l->n_items++] = *item;
	l->total_bytes += item->tensor->n_bytes;
}

static int by_place(const void *a, const void *b)
{
	return tensor_compare_places(((const struct item *)a)->tensor,
				     ((const struct item *)b)->tensor);
}

static void want_all(struct loader *l)
{
	struct weights *weights = l->weights;
	const struct weights_range *range = l->range;

	for (uint32_t i = 0; i < range->n_layers; i++)
		visit_layer(weights, range->first_layer + i, want, l);
	for (unsigned s = 0; s < N_OUTER_SLOTS; s++) {
		const struct item item = outer_item(weights, s);

		if (needs_outer(weights, range, s))
			want(l, &item);
	}
	qsort(l->items, l->n_items, sizeof *l->items, by_place);
}

static enum sc_status report_failure(struct loader *l, const struct tensor *tensor,
				     enum sc_status status, const struct error *why)
{
	/* Elements that cannot be made name their tensor. */
	if (status != SC_E_NOMEM && status != SC_E_CAPACITY && strstr(why->text, tensor->name))
		return error_set(l->err, status, "%s", why->text);
	if (status != SC_E_NOMEM && status != SC_E_CAPACITY)
		return error_set(l->err, status, "%s: %s", tensor->name, why->text);
	return error_set(l->err, SC_E_CAPACITY,
			 "%s: no memory for its %.1f MiB: %.1f MiB of this stage's %.1f MiB of "
			 "weights are loaded", tensor->name, MIB(tensor->n_bytes),
			 MIB(l->weights->n_bytes), MIB(l->kept_bytes + l->total_bytes));
}

/* Counts a loaded tensor. Tensors are loaded in the order of the file, but a layer may already hold
 * some of its tensors. */
static void count(struct weights *weights, const struct item *item, size_t n_bytes, bool is_finite,
		  uint64_t hash)
{
	struct weights_sum *sum = item->sum;

	model_note_hash(weights->model, item->tensor, hash);
	weights->n_bytes += n_bytes;
	sum->n_bytes += n_bytes;
	if (is_finite)
		return;
	sum->n_not_finite++;
	if (!sum->not_finite || tensor_compare_places(item->tensor, sum->not_finite) < 0)
		sum->not_finite = item->tensor;
}

static enum sc_status load_matrix(struct loader *l, const struct item *item)
{
	const struct tensor *tensor = item->tensor;
	struct error why = { .text = "" };
	enum sc_status status = l->backend->ops->weight_create(l->backend, tensor,
							       &item->loaded->matrix, &why);

	if (status)
		return report_failure(l, tensor, status, &why);
	count(l->weights, item, l->backend->ops->weight_bytes(item->loaded->matrix),
	      l->backend->ops->weight_is_finite(item->loaded->matrix),
	      l->backend->ops->weight_hash(item->loaded->matrix));
	/* Releases the file's pages, so that never more than one matrix is in memory twice. */
	tensor_release(tensor, 0, tensor->n_bytes);
	return SC_OK;
}

/* Norms and biases are used as float, whatever type the file has. NULL stays NULL. */
static enum sc_status load_vector(struct loader *l, const struct item *item)
{
	const struct tensor *tensor = item->tensor;
	const size_t n_bytes = tensor->dims[0] * tensor->dims[1] * sizeof(float);
	struct error why = { .text = "" };
	struct tensor_bytes bytes = { .owned = NULL };
	float *host = malloc(n_bytes);
	enum sc_status status = SC_E_NOMEM;
	void *device;

	if (!host)
		goto out;
	status = tensor_bytes_get(tensor, &bytes, &why);
	if (status)
		goto out;
	for (uint64_t i = 0; i < tensor->dims[1]; i++)
		tensor_row_f32(&bytes.tensor, i, host + i * tensor->dims[0]);
	status = l->backend->ops->alloc(l->backend, n_bytes, &device);
	if (status)
		goto out;
	l->backend->ops->upload(l->backend, device, host, n_bytes);
	count(l->weights, item, n_bytes, tensor_blocks_are_finite(TENSOR_F32, host, n_bytes),
	      tensor_hash(&bytes.tensor));
	item->loaded->vector = device;
out:
	tensor_bytes_put(&bytes);
	free(host);
	return status ? report_failure(l, tensor, status, &why) : SC_OK;
}

static enum sc_status load_item(struct loader *l, const struct item *item)
{
	const struct weights_range *range = l->range;
	enum sc_status status = item->is_vector ? load_vector(l, item) : load_matrix(l, item);

	if (status)
		return status;
	l->done_bytes += item->tensor->n_bytes;
	if (range->on_progress && !range->on_progress(range->arg, l->done_bytes, l->total_bytes))
		return error_set(l->err, SC_E_CANCELLED, "cancelled with %.1f MiB of %.1f MiB of "
				 "weights loaded", MIB(l->done_bytes), MIB(l->total_bytes));
	return SC_OK;
}

/* Starts to read AHEAD_BYTES beyond item i, which may be many small tensors. */
static void expect_after(struct loader *l, size_t i)
{
	size_t n_bytes = 0;

	for (size_t k = i + 1; k < l->n_items && n_bytes < AHEAD_BYTES; k++) {
		if (k >= l->n_expected) {
			tensor_expect(l->items[k].tensor, 0, AHEAD_BYTES);
			l->n_expected = k + 1;
		}
		n_bytes += l->items[k].tensor->n_bytes;
	}
}

static enum sc_status load_items(struct loader *l)
{
	enum sc_status status = SC_OK;

	if (l->n_items)
		status = gguf_check_unchanged(l->weights->model->gguf, l->err);
	for (size_t i = 0; !status && i < l->n_items; i++) {
		expect_after(l, i);
		status = load_item(l, &l->items[i]);
	}
	return status;
}

static void discount(struct weights *weights, struct weights_sum *sum)
{
	weights->n_bytes -= sum->n_bytes;
	*sum = (struct weights_sum){ 0 };
}

/* A visit_fn. */
static void drop(void *arg, const struct item *item)
{
	const struct weights *weights = arg;

	if (!is_loaded(item))
		return;
	if (item->is_vector)
		weights->backend->ops->release(weights->backend, item->loaded->vector);
	else
		weights->backend->ops->weight_destroy(weights->backend, item->loaded->matrix);
	*item->loaded = (union loaded){ .matrix = NULL };
}

static void drop_outer(struct weights *weights, const struct weights_range *range)
{
	for (unsigned s = 0; s < N_OUTER_SLOTS; s++) {
		const struct item item = outer_item(weights, s);

		if (needs_outer(weights, range, s))
			continue;
		drop(weights, &item);
		discount(weights, item.sum);
	}
}

/* Frees what is outside of the range. */
static void drop_surplus(struct weights *weights, const struct weights_range *range)
{
	for (uint32_t i = 0; i < weights->model->hparams.n_layers; i++) {
		if (i >= range->first_layer && i - range->first_layer < range->n_layers)
			continue;
		visit_layer(weights, i, drop, weights);
		discount(weights, &weights->sums[i]);
	}
	drop_outer(weights, range);
}

enum sc_status weights_init(struct weights *weights, struct backend *backend,
			    const struct model *model, struct error *err)
{
	uint32_t n_layers = model->hparams.n_layers;

	*weights = (struct weights){ .backend = backend, .model = model };
	weights->held = calloc(n_layers, sizeof *weights->held);
	weights->sums = calloc((size_t)n_layers + N_OUTER_SLOTS, sizeof *weights->sums);
	if (weights->held && weights->sums)
		return SC_OK;
	weights_deinit(weights);
	return error_set(err, SC_E_NOMEM, "no memory for %u layers", n_layers);
}

/* The members for users. */
static void show_range(struct weights *weights, const struct weights_range *range)
{
	weights->n_layers = range->n_layers;
	weights->layers = weights->held + range->first_layer;
	weights->embedding = NULL;
	weights->head = NULL;
	if (holds_embedding(range))
		weights->embedding = weights->outer[OUTER_TOKEN_EMBD].matrix;
	if (holds_head(weights, range))
		weights->head = weights->outer[is_tied(weights) ? OUTER_TOKEN_EMBD :
						OUTER_OUTPUT].matrix;
}

enum sc_status weights_change(struct weights *weights, const struct weights_range *range,
			      struct error *err)
{
	struct loader loader = {
		.weights = weights,
		.backend = weights->backend,
		.range = range,
		.err = err,
	};
	enum sc_status status;

	drop_surplus(weights, range);
	loader.kept_bytes = weights->n_bytes;
	loader.items = calloc((size_t)range->n_layers * N_LAYER_SLOTS + N_OUTER_SLOTS,
			      sizeof *loader.items);
	if (loader.items) {
		want_all(&loader);
		status = load_items(&loader);
	} else {
		status = error_set(err, SC_E_NOMEM, "no memory for %u layers", range->n_layers);
	}
	show_range(weights, range);
	free(loader.items);
	return status;
}

/* A visit_fn. */
static void note_missing(void *arg, const struct item *item)
{
	bool *is_missing = arg;

	*is_missing = *is_missing || !is_loaded(item);
}

void weights_held(const struct weights *weights, uint32_t *first_out, uint32_t *n_out)
{
	uint32_t n_layers = weights->held ? weights->model->hparams.n_layers : 0, n = 0;

	*first_out = 0;
	*n_out = 0;
	for (uint32_t i = 0; i < n_layers; i++) {
		bool is_missing = false;

		visit_layer(weights, i, note_missing, &is_missing);
		n = is_missing ? 0 : n + 1;
		if (n > *n_out) {
			*first_out = i + 1 - n;
			*n_out = n;
		}
	}
}

const struct tensor *weights_not_finite(const struct weights *weights, uint32_t *n_out)
{
	const size_t n_sums = (size_t)weights->model->hparams.n_layers + N_OUTER_SLOTS;
	const struct tensor *first = NULL;

	*n_out = 0;
	for (size_t i = 0; i < n_sums; i++) {
		const struct weights_sum *sum = &weights->sums[i];

		*n_out += sum->n_not_finite;
		if (sum->not_finite &&
		    (!first || tensor_compare_places(sum->not_finite, first) < 0))
			first = sum->not_finite;
	}
	return first;
}

void weights_deinit(struct weights *weights)
{
	if (weights->held && weights->sums)
		drop_surplus(weights, &(struct weights_range){ .n_layers = 0 });
	free(weights->held);
	free(weights->sums);
	*weights = (struct weights){ 0 };
}
