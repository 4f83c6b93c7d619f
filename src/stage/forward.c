/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/forward.h"

#include "base/integers.h"
#include "model/stage_sizes.h"
#include "model/tensor_source.h"
#include "stage/sequences.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIB(n_bytes) ((double)(n_bytes) / (1 << 20))
#define ALIGNMENT 64

/* Rotation i has the angle position * base^(-2i / rope_dim), divided by the factor of linear
 * scaling and by the model's own factors (llama3). */
static enum sc_status init_rope(struct forward *f, struct error *err)
{
	const struct hparams *h = &f->model->hparams;
	const struct tensor *factors = f->model->outer[OUTER_ROPE_FACTORS];
	uint32_t n = h->rope_dim / 2;

	f->rope.layout = f->model->arch->rope;
	f->rope.dim = h->rope_dim;
	f->rope.scale = 1;
	f->inverse_frequency = calloc(n ? n : 1, sizeof *f->inverse_frequency);
	if (!f->inverse_frequency)
		return error_set(err, SC_E_NOMEM, "no memory for %u rotations", n);
	f->rope.inverse_frequency = f->inverse_frequency;
	if (factors) {
		struct tensor_bytes bytes;
		enum sc_status status = tensor_bytes_get(factors, &bytes, err);

		if (status)
			return status;
		tensor_row_f32(&bytes.tensor, 0, f->inverse_frequency);
		tensor_bytes_put(&bytes);
	}
	for (uint32_t i = 0; i < n; i++) {
		double slowdown = factors ? (double)f->inverse_frequency[i] : 1.0;

		if (h->rope[ROPE_KIND_FULL].scaling == ROPE_SCALING_LINEAR)
			slowdown *= (double)h->rope[ROPE_KIND_FULL].factor;
		f->inverse_frequency[i] = (float)(pow((double)h->rope[ROPE_KIND_FULL].base,
						      -2.0 * i / h->rope_dim) / slowdown);
	}
	f->is_rope_finite = tensor_blocks_are_finite(TENSOR_F32, f->inverse_frequency,
						     n * sizeof *f->inverse_frequency);
	return SC_OK;
}

struct kv_cache_config forward_cache_config(const struct model *model,
					    const struct step_limits *limits,
					    enum tensor_type kv_type, uint32_t group)
{
	const struct kv_group *of = &model->groups[group];

	return (struct kv_cache_config){
		.n_blocks = limits->max_blocks[group],
		.block_length = limits->block_length,
		.n_kv_heads = of->n_kv_heads,
		.head_dim = of->head_dim,
		.value_dim = of->value_dim,
		.window = of->window,
		.table_blocks = of->window ? limits->table_blocks[group] : 0,
		.type = kv_type,
	};
}

/* Progress of making several caches: each has its share of the bytes. */
struct cache_progress {
	const struct forward_config *config;
	uint64_t before_bytes;		/* of the caches that are there */
	uint64_t last_bytes;		/* done of the current one */
};

static bool on_cache_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct cache_progress *progress = arg;
	const struct forward_config *config = progress->config;
	uint64_t all = config->kv_bytes;

	(void)total_bytes;
	progress->last_bytes = done_bytes;
	return !config->on_progress ||
	       config->on_progress(config->arg,
				   min_of(progress->before_bytes + done_bytes, all), all);
}

static enum sc_status init_cache(struct forward *f, const struct forward_config *config,
				 uint32_t group, uint32_t n_layers,
				 struct cache_progress *progress, struct error *err)
{
	struct kv_cache_config cache = forward_cache_config(f->model, config->limits,
							    config->kv_type, group);
	struct error why = { .text = "" };
	enum sc_status status = SC_E_CAPACITY;

	cache.n_layers = n_layers;
	cache.on_progress = on_cache_progress;
	cache.arg = progress;
	if (f->caches[group] || !n_layers)
		return SC_OK;
	if (config->kv_bytes < UINT64_MAX)
		status = f->backend->ops->kv_create(f->backend, &cache, &f->caches[group], &why);
	progress->before_bytes += progress->last_bytes;
	progress->last_bytes = 0;
	if (status == SC_E_NOMEM || status == SC_E_CAPACITY)
		return error_set(err, SC_E_CAPACITY,
				 "KV cache: no memory for %.1f MiB: %u blocks of %u positions of "
				 "%u layers", MIB(config->kv_bytes), cache.n_blocks,
				 cache.block_length, cache.n_layers);
	if (status)
		return error_set(err, status, "KV cache: %s", why.text);
	return SC_OK;
}

static enum sc_status init_caches(struct forward *f, const struct forward_config *config,
				  struct error *err)
{
	struct cache_progress progress = { .config = config };
	uint32_t n_layers[MODEL_MAX_GROUPS];
	enum sc_status status = SC_OK;

	stage_count_layers(f->model, f->first_layer, f->weights->n_layers, n_layers);
	for (uint32_t g = 0; !status && g < f->model->n_groups; g++)
		status = init_cache(f, config, g, n_layers[g], &progress, err);
	return status;
}

enum { N_ARRAYS = 8 };	/* in device memory */

/* Floats of each array in the order of struct forward, padded so that the next one is aligned. */
static uint64_t array_floats(const struct hparams *h, const struct step_limits *limits,
			     bool has_head, uint64_t n_out[N_ARRAYS])
{
	const uint64_t n_rows = limits->max_rows;
	const uint64_t n_floats[N_ARRAYS] = {
		n_rows * h->dim,
		n_rows * h->dim,
		n_rows * h->n_heads * h->head_dim,
		n_rows * h->n_kv_heads * h->head_dim,
		n_rows * h->n_kv_heads * h->value_dim,
		n_rows * h->n_heads * h->value_dim,
		n_rows * h->ffn_dim,
		has_head ? min_of(n_rows, FORWARD_MAX_LOGIT_ROWS) * h->n_vocab : 0,
	};
	uint64_t n = 0;

	for (size_t i = 0; i < N_ARRAYS; i++) {
		n_out[i] = round_up(n_floats[i], ALIGNMENT / sizeof(float));
		n += n_out[i];
	}
	return n;
}

uint64_t forward_bytes(const struct model *model, const struct step_limits *limits, bool has_head)
{
	const struct forward *f = NULL;	/* for the sizes of its arrays' elements */
	uint64_t n_floats[N_ARRAYS];

	return array_floats(&model->hparams, limits, has_head, n_floats) * sizeof(float) +
	       limits->max_rows * (sizeof *f->positions + sizeof *f->tokens) +
	       limits->max_sequences * sizeof *f->spans[0] * model->n_groups +
	       model->hparams.rope_dim / 2 * sizeof *f->inverse_frequency;
}

static enum sc_status init_memory(struct forward *f, const struct step_limits *limits,
				  struct error *err)
{
	float **const arrays[N_ARRAYS] = {
		&f->x, &f->normed, &f->q, &f->k, &f->v, &f->attended, &f->gated, &f->logits,
	};
	uint64_t n_floats[N_ARRAYS];
	uint64_t n = array_floats(&f->model->hparams, limits, f->weights->head, n_floats);

	if (f->backend->ops->alloc(f->backend, n * sizeof(float), &f->memory))
		return error_set(err, SC_E_CAPACITY,
				 "activations: no memory for %.1f MiB: steps of %u rows",
				 MIB(n * sizeof(float)), limits->max_rows);
	n = 0;
	for (size_t i = 0; i < N_ARRAYS; i++) {
		*arrays[i] = (float *)f->memory + n;
		n += n_floats[i];
	}
	return SC_OK;
}

static bool alloc_spans(struct forward *f, const struct step_limits *limits)
{
	for (uint32_t g = 0; g < f->model->n_groups; g++) {
		f->spans[g] = calloc(limits->max_sequences, sizeof *f->spans[g]);
		if (!f->spans[g])
			return false;
	}
	return true;
}

enum sc_status forward_init(struct forward *f, const struct forward_config *config,
			    struct error *err)
{
	const struct step_limits *limits = config->limits;
	enum sc_status status;

	*f = (struct forward){
		.backend = config->backend, .model = config->model, .weights = config->weights,
		.first_layer = config->first_layer,
	};
	memcpy(f->caches, config->caches, sizeof f->caches);
	f->positions = calloc(limits->max_rows, sizeof *f->positions);
	f->tokens = calloc(limits->max_rows, sizeof *f->tokens);
	if (!f->positions || !f->tokens || !alloc_spans(f, limits))
		return error_set(err, SC_E_NOMEM, "no memory for steps of %u rows",
				 limits->max_rows);
	status = init_rope(f, err);
	if (!status)
		status = init_caches(f, config, err);
	if (!status)
		status = init_memory(f, limits, err);
	return status;
}

void forward_take_caches(struct forward *f, struct kv_cache *caches_out[MODEL_MAX_GROUPS])
{
	for (uint32_t g = 0; g < MODEL_MAX_GROUPS; g++) {
		caches_out[g] = f->caches[g];
		f->caches[g] = NULL;
	}
}

/* The model's layer that is layer `index` of the group's cache. */
static uint32_t find_layer(const struct forward *f, uint32_t group, uint32_t index)
{
	uint32_t layer = f->first_layer;

	while (f->model->shapes[layer].group != group || index--)
		layer++;
	return layer;
}

uint64_t forward_kv_saturated(const struct forward *f, uint32_t *layer_out)
{
	uint64_t n = 0;

	*layer_out = f->first_layer;
	for (uint32_t g = 0; g < f->model->n_groups; g++) {
		unsigned index = 0;
		uint64_t n_here = f->caches[g] ?
				  f->backend->ops->kv_saturated(f->caches[g], &index) : 0;

		if (n_here && !n)
			*layer_out = find_layer(f, g, index);
		n += n_here;
	}
	return n;
}

void forward_deinit(struct forward *f)
{
	if (f->memory)
		f->backend->ops->release(f->backend, f->memory);
	for (uint32_t g = 0; g < MODEL_MAX_GROUPS; g++) {
		if (f->caches[g])
			f->backend->ops->kv_destroy(f->backend, f->caches[g]);
		free(f->spans[g]);
	}
	free(f->inverse_frequency);
	free(f->positions);
	free(f->tokens);
	*f = (struct forward){ 0 };
}

unsigned forward_max_width(const struct model *model)
{
	const struct hparams *h = &model->hparams;
	const uint32_t widths[] = { h->ffn_dim, h->n_heads * h->head_dim,
				    h->n_heads * h->value_dim };
	uint32_t max = h->dim;

	for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
		if (widths[i] > max)
			max = widths[i];
	return max;
}

/* Computes positions and spans of the step's rows, for rope and attention. */
static void locate_rows(struct forward *f, const struct step *step,
			const struct sequences *sequences)
{
	uint32_t row = 0;

	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];

		for (uint32_t g = 0; g < f->model->n_groups; g++)
			f->spans[g][i] = (struct attention_span){
				.first_row = row,
				.n_rows = segment->n_rows,
				.first_position = segment->first_position,
				.blocks = sequences_get(sequences, segment->sequence)->tables[g],
			};
		for (uint32_t j = 0; j < segment->n_rows; j++)
			f->positions[row++] = segment->first_position + j;
	}
}

/* A product with a layer's matrix and, if it has one, its bias: the slot after the matrix. */
static struct matmul product(const struct layer_weights *w, enum layer_slot slot, float *y)
{
	return (struct matmul){
		.weight = w->of[slot].matrix, .bias = w->of[slot + 1].vector, .y = y,
	};
}

static struct matmul added_product(const struct layer_weights *w, enum layer_slot slot, float *y)
{
	struct matmul product_of_slot = product(w, slot, y);

	product_of_slot.is_added = true;
	return product_of_slot;
}

static struct norm norm_of(const struct forward *f, const float *gain)
{
	return (struct norm){
		.kind = NORM_RMS, .gain = gain, .eps = f->model->hparams.norm_eps, .n_groups = 1,
	};
}

/* x += attention(norm(x)). cached: the layer's index in its group's cache. */
static void attention_block(struct forward *f, const struct step *step, uint32_t index,
			    uint32_t cached, float *x)
{
	uint32_t group = f->model->shapes[f->first_layer + index].group;
	const struct attention_span *spans = f->spans[group];
	const struct backend_ops *ops = f->backend->ops;
	const struct hparams *h = &f->model->hparams;
	const struct layer_weights *w = &f->weights->layers[index];
	const struct matmul qkv[] = {
		product(w, LAYER_ATTN_Q, f->q), product(w, LAYER_ATTN_K, f->k),
		product(w, LAYER_ATTN_V, f->v),
	};
	const struct matmul output = added_product(w, LAYER_ATTN_OUTPUT, x);
	const struct norm norm = norm_of(f, w->of[LAYER_ATTN_NORM].vector);
	const struct attention_shape shape = {
		.n_heads = h->n_heads, .scale = (float)(1.0 / sqrt((double)h->head_dim)),
	};
	unsigned n_rows = step->n_rows;

	ops->norm(f->backend, &norm, x, n_rows, h->dim, f->normed);
	ops->matmul(f->backend, qkv, 3, f->normed, n_rows);
	if (f->rope.layout != ROPE_NONE) {
		ops->rope(f->backend, &f->rope, f->q, f->positions, n_rows, h->n_heads,
			  h->head_dim);
		ops->rope(f->backend, &f->rope, f->k, f->positions, n_rows, h->n_kv_heads,
			  h->head_dim);
	}
	ops->kv_write(f->backend, f->caches[group], cached, spans, step->n_segments, f->k, f->v);
	ops->attention(f->backend, f->caches[group], cached, spans, step->n_segments, f->q, &shape,
		       f->attended);
	ops->matmul(f->backend, &output, 1, f->attended, n_rows);
}

/* x += down(silu(gate(norm(x))) * up(norm(x))) */
static void feed_forward_block(struct forward *f, const struct step *step, uint32_t index,
			       float *x)
{
	const struct backend_ops *ops = f->backend->ops;
	const struct hparams *h = &f->model->hparams;
	const struct layer_weights *w = &f->weights->layers[index];
	const struct matmul down = added_product(w, LAYER_FFN_DOWN, x);
	const struct activation activation = { .kind = ACTIVATION_SILU };
	const struct norm norm = norm_of(f, w->of[LAYER_FFN_NORM].vector);
	unsigned n_rows = step->n_rows;

	ops->norm(f->backend, &norm, x, n_rows, h->dim, f->normed);
	ops->gated_matmul(f->backend, &activation, w->of[LAYER_FFN_GATE].matrix,
			  w->of[LAYER_FFN_UP].matrix, f->normed, n_rows, f->gated);
	ops->matmul(f->backend, &down, 1, f->gated, n_rows);
}

/* Chooses where this step's residual stream is stored: in the outgoing frame if operations can work
 * there, so that nothing is copied; else in f->x. */
static float *choose_stream(struct forward *f, float *activations_out)
{
	bool is_usable = activations_out && f->backend->ops->is_host_memory &&
			 (uintptr_t)activations_out % ALIGNMENT == 0;

	return is_usable ? activations_out : f->x;
}

static void embed(struct forward *f, const struct step *step, float *x)
{
	for (uint32_t i = 0; i < step->n_rows; i++)
		f->tokens[i] = step_token(step->tokens[i]);
	f->backend->ops->embed(f->backend, f->weights->embedding, f->tokens, step->n_rows, x);
}

static void enter(struct forward *f, const struct step *step, float *x)
{
	if (f->weights->embedding)
		embed(f, step, x);
	else if (x != step->activations)
		f->backend->ops->upload(f->backend, x, step->activations,
					(size_t)step->n_rows * step->dim * sizeof *x);
}

void forward_run(struct forward *f, const struct step *step, const struct sequences *sequences,
		 float *activations_out)
{
	size_t n_bytes = (size_t)step->n_rows * f->model->hparams.dim * sizeof(float);
	float *x = choose_stream(f, activations_out);
	uint32_t n_cached[MODEL_MAX_GROUPS] = { 0 };

	locate_rows(f, step, sequences);
	enter(f, step, x);
	for (uint32_t i = 0; i < f->weights->n_layers; i++) {
		uint32_t group = f->model->shapes[f->first_layer + i].group;

		attention_block(f, step, i, n_cached[group]++, x);
		feed_forward_block(f, step, i, x);
	}
	if (activations_out && activations_out != x)
		f->backend->ops->download(f->backend, activations_out, x, n_bytes);
}

const float *forward_logits(struct forward *f, const uint32_t *rows, uint32_t n_rows)
{
	const struct hparams *h = &f->model->hparams;
	const struct matmul head = { .weight = f->weights->head, .y = f->logits };
	const struct norm norm = norm_of(f, f->weights->outer[OUTER_OUTPUT_NORM].vector);
	uint32_t first = 0;

	/* The norm gathers the rows: one call per run of neighbouring rows. */
	for (uint32_t end = 1; end <= n_rows; end++) {
		if (end < n_rows && rows[end] == rows[end - 1] + 1)
			continue;
		f->backend->ops->norm(f->backend, &norm, f->x + (size_t)rows[first] * h->dim,
				      end - first, h->dim, f->normed + (size_t)first * h->dim);
		first = end;
	}
	f->backend->ops->matmul(f->backend, &head, 1, f->normed, n_rows);
	return f->logits;
}
