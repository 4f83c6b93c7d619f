/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/weights.h"

#include <stdlib.h>

#define MIB(n_bytes) ((double)(n_bytes) / (1 << 20))

enum {
	TENSORS_OF_LAYER = sizeof(struct layer_weights) / sizeof(void *),
	TENSORS_OF_ENDS = 3,
	AHEAD_BYTES = 8 << 20,	/* bytes of the next tensors that are read in advance */
};

/* A tensor and its destination. */
struct item {
	const struct tensor *tensor;
	struct weight **matrix;
	float **vector;
};

/* The state of one call of weights_init. Progress counts the file's bytes. */
struct loader {
	struct weights *weights;
	struct backend *backend;
	const struct weights_config *config;
	struct item *items;	/* in the order of the file */
	size_t n_items;
	size_t n_expected;	/* items whose beginning is being read */
	uint64_t done_bytes;
	uint64_t total_bytes;
	struct error *err;
};

static bool holds_embedding(const struct weights_config *config)
{
	return config->first_layer == 0;
}

static bool holds_head(const struct weights_config *config)
{
	return config->first_layer + config->n_layers == config->model->hparams.n_layers;
}

/* A stage that is both first and last uses one copy of a tied embedding for both ends. */
static bool shares_embedding(const struct weights_config *config)
{
	return holds_embedding(config) && holds_head(config) &&
	       config->model->output == config->model->token_embd;
}

static void want(struct loader *l, const struct tensor *tensor, struct weight **matrix,
		 float **vector)
{
	if (!tensor)
		return;
	l->items[l->n_items++] = (struct item){ tensor, matrix, vector };
	l->total_bytes += tensor->n_bytes;
}

static void want_layer(struct loader *l, uint32_t index)
{
	const struct layer_tensors *from =
		&l->config->model->layers[l->config->first_layer + index];
	struct layer_weights *to = &l->weights->layers[index];

	want(l, from->attn_norm, NULL, &to->attn_norm);
	want(l, from->attn_q, &to->q, NULL);
	want(l, from->attn_k, &to->k, NULL);
	want(l, from->attn_v, &to->v, NULL);
	want(l, from->attn_q_bias, NULL, &to->q_bias);
	want(l, from->attn_k_bias, NULL, &to->k_bias);
	want(l, from->attn_v_bias, NULL, &to->v_bias);
	want(l, from->attn_output, &to->attn_output, NULL);
	want(l, from->ffn_norm, NULL, &to->ffn_norm);
	want(l, from->ffn_gate, &to->gate, NULL);
	want(l, from->ffn_up, &to->up, NULL);
	want(l, from->ffn_down, &to->down, NULL);
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct item *)a)->tensor->data;
	uintptr_t y = (uintptr_t)((const struct item *)b)->tensor->data;

	return (x > y) - (x < y);
}

static void want_all(struct loader *l)
{
	const struct model *model = l->config->model;

	for (uint32_t i = 0; i < l->config->n_layers; i++)
		want_layer(l, i);
	if (holds_embedding(l->config))
		want(l, model->token_embd, &l->weights->embedding, NULL);
	if (holds_head(l->config))
		want(l, model->output_norm, NULL, &l->weights->output_norm);
	if (holds_head(l->config) && !shares_embedding(l->config))
		want(l, model->output, &l->weights->head, NULL);
	qsort(l->items, l->n_items, sizeof *l->items, by_address);
}

static enum sc_status report_failure(struct loader *l, const struct tensor *tensor,
				     enum sc_status status, const struct error *why)
{
	if (status != SC_E_NOMEM && status != SC_E_CAPACITY)
		return error_set(l->err, status, "%s: %s", tensor->name, why->text);
	return error_set(l->err, SC_E_CAPACITY,
			 "%s: no memory for its %.1f MiB: %.1f MiB of this stage's %.1f MiB of "
			 "weights are loaded", tensor->name, MIB(tensor->n_bytes),
			 MIB(l->weights->n_bytes), MIB(l->total_bytes));
}

void weights_note_not_finite(struct weights *weights, const struct tensor *tensor)
{
	if (!weights->n_not_finite++)
		weights->not_finite = tensor;
}

static enum sc_status load_matrix(struct loader *l, const struct tensor *tensor,
				  struct weight **weight_out)
{
	struct error why = { .text = "" };
	enum sc_status status = l->backend->ops->weight_create(l->backend, tensor, weight_out,
							       &why);

	if (status)
		return report_failure(l, tensor, status, &why);
	l->weights->n_bytes += l->backend->ops->weight_bytes(*weight_out);
	if (!l->backend->ops->weight_is_finite(*weight_out))
		weights_note_not_finite(l->weights, tensor);
	/* Releases the file's pages, so that never more than one matrix is in memory twice. */
	tensor_release(tensor, 0, tensor->n_bytes);
	return SC_OK;
}

/* Norms and biases are used as float, whatever type the file has. NULL stays NULL. */
static enum sc_status load_vector(struct loader *l, const struct tensor *tensor, float **vector_out)
{
	enum sc_status status = SC_E_NOMEM;
	float *host = NULL;
	void *device;
	size_t n_bytes;

	n_bytes = tensor->dims[0] * sizeof *host;
	host = malloc(n_bytes);
	if (!host)
		goto out;
	tensor_row_f32(tensor, 0, host);
	if (!tensor_blocks_are_finite(TENSOR_F32, host, n_bytes))
		weights_note_not_finite(l->weights, tensor);
	status = l->backend->ops->alloc(l->backend, n_bytes, &device);
	if (status)
		goto out;
	l->backend->ops->upload(l->backend, device, host, n_bytes);
	l->weights->n_bytes += n_bytes;
	*vector_out = device;
out:
	free(host);
	return status ? report_failure(l, tensor, status, &(struct error){ .text = "" }) : SC_OK;
}

static enum sc_status load_item(struct loader *l, const struct item *item)
{
	const struct weights_config *config = l->config;
	enum sc_status status;

	status = item->matrix ? load_matrix(l, item->tensor, item->matrix) :
		 load_vector(l, item->tensor, item->vector);
	if (status)
		return status;
	l->done_bytes += item->tensor->n_bytes;
	if (config->on_progress && !config->on_progress(config->arg, l->done_bytes, l->total_bytes))
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

	for (size_t i = 0; !status && i < l->n_items; i++) {
		expect_after(l, i);
		status = load_item(l, &l->items[i]);
	}
	if (!status && shares_embedding(l->config))
		l->weights->head = l->weights->embedding;
	return status;
}

enum sc_status weights_init(struct weights *weights, struct backend *backend,
			    const struct weights_config *config, struct error *err)
{
	struct loader loader = {
		.weights = weights,
		.backend = backend,
		.config = config,
		.err = err,
	};
	enum sc_status status;

	*weights = (struct weights){ .backend = backend, .n_layers = config->n_layers };
	weights->layers = calloc(config->n_layers, sizeof *weights->layers);
	loader.items = calloc((size_t)config->n_layers * TENSORS_OF_LAYER + TENSORS_OF_ENDS,
			      sizeof *loader.items);
	if (weights->layers && loader.items) {
		want_all(&loader);
		status = load_items(&loader);
	} else {
		status = error_set(err, SC_E_NOMEM, "no memory for %u layers", config->n_layers);
	}
	free(loader.items);
	return status;
}

static void drop_matrix(struct backend *backend, struct weight *weight)
{
	if (weight)
		backend->ops->weight_destroy(backend, weight);
}

static void drop_vector(struct backend *backend, float *vector)
{
	if (vector)
		backend->ops->release(backend, vector);
}

static void drop_layer(struct backend *backend, struct layer_weights *layer)
{
	drop_vector(backend, layer->attn_norm);
	drop_matrix(backend, layer->q);
	drop_matrix(backend, layer->k);
	drop_matrix(backend, layer->v);
	drop_vector(backend, layer->q_bias);
	drop_vector(backend, layer->k_bias);
	drop_vector(backend, layer->v_bias);
	drop_matrix(backend, layer->attn_output);
	drop_vector(backend, layer->ffn_norm);
	drop_matrix(backend, layer->gate);
	drop_matrix(backend, layer->up);
	drop_matrix(backend, layer->down);
}

void weights_deinit(struct weights *weights)
{
	for (uint32_t i = 0; weights->layers && i < weights->n_layers; i++)
		drop_layer(weights->backend, &weights->layers[i]);
	free(weights->layers);
	if (weights->head != weights->embedding)
		drop_matrix(weights->backend, weights->head);
	drop_matrix(weights->backend, weights->embedding);
	drop_vector(weights->backend, weights->output_norm);
	*weights = (struct weights){ 0 };
}
