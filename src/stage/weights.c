/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/weights.h"

#include <stdlib.h>

#define MIB(n_bytes) ((double)(n_bytes) / (1 << 20))

/* What one call of weights_init carries along. Progress counts the file's bytes. */
struct loader {
	struct weights *weights;
	struct backend *backend;
	const struct weights_config *config;
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

/* One copy of a tied embedding serves both ends of a stage that is first and last. */
static bool shares_embedding(const struct weights_config *config)
{
	return holds_embedding(config) && holds_head(config) &&
	       config->model->output == config->model->token_embd;
}

static uint64_t file_bytes(const struct weights_config *config)
{
	uint64_t n_bytes = 0;

	for (uint32_t i = 0; i < config->n_layers; i++)
		n_bytes += model_layer_bytes(config->model, config->first_layer + i);
	if (holds_embedding(config))
		n_bytes += model_embedding_bytes(config->model);
	if (holds_head(config))
		n_bytes += model_head_bytes(config->model);
	if (shares_embedding(config))
		n_bytes -= config->model->token_embd->n_bytes;
	return n_bytes;
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

static enum sc_status load_matrix(struct loader *l, const struct tensor *tensor,
				  struct weight **weight_out)
{
	struct error why = { .text = "" };
	enum sc_status status = l->backend->ops->weight_create(l->backend, tensor, weight_out,
							       &why);

	if (status)
		return report_failure(l, tensor, status, &why);
	l->weights->n_bytes += l->backend->ops->weight_bytes(*weight_out);
	/* The copy is all that is needed: never hold more than one matrix twice. */
	gguf_release(l->config->model->gguf, tensor);
	return SC_OK;
}

/* Norms and biases: used as float whatever the file stores. NULL stays NULL. */
static enum sc_status load_vector(struct loader *l, const struct tensor *tensor, float **vector_out)
{
	enum sc_status status = SC_E_NOMEM;
	float *host = NULL;
	void *device;
	size_t n_bytes;

	if (!tensor)
		return SC_OK;
	n_bytes = tensor->dims[0] * sizeof *host;
	host = malloc(n_bytes);
	if (!host)
		goto out;
	tensor_row_f32(tensor, 0, host);
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

static void report_progress(struct loader *l, uint64_t n_bytes)
{
	l->done_bytes += n_bytes;
	if (l->config->on_progress)
		l->config->on_progress(l->config->arg, l->done_bytes, l->total_bytes);
}

static enum sc_status load_layer(struct loader *l, uint32_t index)
{
	uint32_t number = l->config->first_layer + index;
	const struct layer_tensors *from = &l->config->model->layers[number];
	struct layer_weights *to = &l->weights->layers[index];
	const struct {
		const struct tensor *tensor;
		struct weight **weight;
	} matrices[] = {
		{ from->attn_q, &to->q }, { from->attn_k, &to->k }, { from->attn_v, &to->v },
		{ from->attn_output, &to->attn_output }, { from->ffn_gate, &to->gate },
		{ from->ffn_up, &to->up }, { from->ffn_down, &to->down },
	};
	const struct {
		const struct tensor *tensor;
		float **vector;
	} vectors[] = {
		{ from->attn_norm, &to->attn_norm }, { from->ffn_norm, &to->ffn_norm },
		{ from->attn_q_bias, &to->q_bias }, { from->attn_k_bias, &to->k_bias },
		{ from->attn_v_bias, &to->v_bias },
	};
	enum sc_status status = SC_OK;

	for (size_t i = 0; !status && i < sizeof vectors / sizeof vectors[0]; i++)
		status = load_vector(l, vectors[i].tensor, vectors[i].vector);
	for (size_t i = 0; !status && i < sizeof matrices / sizeof matrices[0]; i++)
		status = load_matrix(l, matrices[i].tensor, matrices[i].weight);
	if (!status)
		report_progress(l, model_layer_bytes(l->config->model, number));
	return status;
}

static enum sc_status load_ends(struct loader *l)
{
	const struct model *model = l->config->model;
	enum sc_status status = SC_OK;

	if (holds_embedding(l->config))
		status = load_matrix(l, model->token_embd, &l->weights->embedding);
	if (status || !holds_head(l->config))
		return status;
	status = load_vector(l, model->output_norm, &l->weights->output_norm);
	if (status)
		return status;
	if (!shares_embedding(l->config))
		return load_matrix(l, model->output, &l->weights->head);
	l->weights->head = l->weights->embedding;
	return SC_OK;
}

enum sc_status weights_init(struct weights *weights, struct backend *backend,
			    const struct weights_config *config, struct error *err)
{
	struct loader loader = {
		.weights = weights,
		.backend = backend,
		.config = config,
		.total_bytes = file_bytes(config),
		.err = err,
	};
	enum sc_status status;

	*weights = (struct weights){ .backend = backend, .n_layers = config->n_layers };
	weights->layers = calloc(config->n_layers, sizeof *weights->layers);
	if (!weights->layers)
		return error_set(err, SC_E_NOMEM, "no memory for %u layers", config->n_layers);
	for (uint32_t i = 0; i < config->n_layers; i++) {
		status = load_layer(&loader, i);
		if (status)
			return status;
	}
	status = load_ends(&loader);
	if (!status)
		report_progress(&loader, loader.total_bytes - loader.done_bytes);
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
