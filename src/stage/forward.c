/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/forward.h"

#include "base/integers.h"
#include "model/stage_sizes.h"
#include "stage/forward_layer.h"
#include "stage/sequences.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIB(n_bytes) ((double)(n_bytes) / (1 << 20))
#define ALIGNMENT 64

/* ALiBi: head h of 2^k heads has the slope 2^(-bias * (h + 1) / 2^k). Heads beyond a power of two
 * have slopes between those. Source: "Train Short, Test Long", arXiv 2108.12409. */
static enum sc_status init_slopes(struct forward *f, struct error *err)
{
	const struct hparams *h = &f->model->hparams;
	uint32_t n_even = 1;

	if (h->alibi_bias == 0)
		return SC_OK;
	f->slopes = calloc(h->n_heads, sizeof *f->slopes);
	if (!f->slopes)
		return error_set(err, SC_E_NOMEM, "no memory for %u heads", h->n_heads);
	while (n_even * 2 <= h->n_heads)
		n_even *= 2;
	for (uint32_t i = 0; i < h->n_heads; i++) {
		const double step = (double)h->alibi_bias / n_even;
		const double exponent = i < n_even ? i + 1 : (2 * (i - n_even) + 1) / 2.0;

		f->slopes[i] = (float)exp2(-step * exponent);
	}
	return SC_OK;
}

struct kv_cache_config forward_cache_config(const struct model *model,
					    const struct step_limits *limits,
					    enum tensor_type kv_type, uint32_t group)
{
	const struct kv_group *of = &model->groups[group];
	uint32_t n_table_blocks = limits->table_blocks[group];
	/* A table for the whole context never comes round, and the window may be longer than it.
	 * Without a table only sizes are asked for. */
	bool is_ring = n_table_blocks &&
		       n_table_blocks < step_blocks_for(limits, limits->max_context);

	return (struct kv_cache_config){
		.n_blocks = limits->max_blocks[group],
		.block_length = limits->block_length,
		.n_kv_heads = of->n_kv_heads,
		.head_dim = of->head_dim,
		.value_dim = of->value_dim,
		.window = of->window,
		.table_blocks = is_ring ? n_table_blocks : 0,
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

enum { N_ARRAYS = 11 };	/* in device memory */

/* Floats of each array in the order of struct forward, padded so that the next one is aligned. */
static uint64_t array_floats(const struct model *model, const struct step_limits *limits,
			     bool has_head, uint64_t n_out[N_ARRAYS])
{
	const struct hparams *h = &model->hparams;
	const uint64_t n_rows = limits->max_rows;
	const uint64_t n_floats[N_ARRAYS] = {
		n_rows * h->dim,
		n_rows * h->dim,
		n_rows * h->n_heads * h->head_dim,
		n_rows * h->n_kv_heads * h->head_dim,
		n_rows * h->n_kv_heads * h->value_dim,
		n_rows * h->n_heads * h->value_dim,
		n_rows * h->ffn_dim,
		forward_needs_normed2(model) ? n_rows * h->dim : 0,
		forward_needs_branch(model) ? n_rows * h->dim : 0,
		forward_needs_up(model) ? n_rows * h->ffn_dim : 0,
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

	return array_floats(model, limits, has_head, n_floats) * sizeof(float) +
	       limits->max_rows * (sizeof *f->positions + sizeof *f->tokens) +
	       limits->max_sequences * (sizeof *f->spans[0] * model->n_groups +
					sizeof *f->rope_runs) +
	       model->hparams.n_heads * sizeof *f->slopes + ropes_bytes(model);
}

static enum sc_status init_memory(struct forward *f, const struct step_limits *limits,
				  struct error *err)
{
	float **const arrays[N_ARRAYS] = {
		&f->x, &f->normed, &f->q, &f->k, &f->v, &f->attended, &f->gated, &f->normed2,
		&f->branch, &f->up, &f->logits,
	};
	uint64_t n_floats[N_ARRAYS];
	uint64_t n = array_floats(f->model, limits, f->weights->head, n_floats);

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
	f->rope_runs = calloc(limits->max_sequences, sizeof *f->rope_runs);
	if (!f->positions || !f->tokens || !f->rope_runs || !alloc_spans(f, limits))
		return error_set(err, SC_E_NOMEM, "no memory for steps of %u rows",
				 limits->max_rows);
	status = ropes_init(&f->ropes, f->model, err);
	if (!status)
		status = init_slopes(f, err);
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
	ropes_deinit(&f->ropes);
	free(f->slopes);
	free(f->rope_runs);
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

/* Appends rows to the last run, if they use the same table. */
static void add_rope_run(struct forward *f, uint32_t first_row, uint32_t n_rows, bool is_long)
{
	const uint32_t n = f->n_rope_runs;

	if (n && f->rope_runs[n - 1].is_long == is_long) {
		f->rope_runs[n - 1].n_rows += n_rows;
		return;
	}
	f->rope_runs[f->n_rope_runs++] = (struct rope_run){
		.first_row = first_row, .n_rows = n_rows, .is_long = is_long,
	};
}

/* Computes positions, spans and runs of the step's rows, for rope and attention. */
static void locate_rows(struct forward *f, const struct step *step,
			const struct sequences *sequences)
{
	uint32_t row = 0;

	f->n_rope_runs = 0;
	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];
		const struct cached_sequence *sequence = sequences_get(sequences,
								       segment->sequence);

		add_rope_run(f, row, segment->n_rows, sequence->is_long);
		for (uint32_t g = 0; g < f->model->n_groups; g++)
			f->spans[g][i] = (struct attention_span){
				.first_row = row,
				.n_rows = segment->n_rows,
				.first_position = segment->first_position,
				.blocks = sequence->tables[g],
			};
		for (uint32_t j = 0; j < segment->n_rows; j++)
			f->positions[row++] = segment->first_position + j;
	}
}

/* Chooses where this step's residual stream is stored: in the outgoing frame if operations can work
 * there, so that nothing is copied; else in f->x. */
static float *choose_stream(struct forward *f, float *activations_out)
{
	bool is_usable = activations_out && f->backend->ops->is_host_memory &&
			 (uintptr_t)activations_out % ALIGNMENT == 0;

	return is_usable ? activations_out : f->x;
}

/* Learned positions are added to the embeddings. Uses f->normed. */
static void add_positions(struct forward *f, uint32_t n_rows, float *x)
{
	const struct weight *positions = f->weights->outer[OUTER_POSITION_EMBD].matrix;

	if (!positions)
		return;
	f->backend->ops->embed(f->backend, positions, f->positions, n_rows, f->normed);
	f->backend->ops->add(f->backend, x, f->normed, 1,
			     (size_t)n_rows * f->model->hparams.dim);
}

static void embed(struct forward *f, const struct step *step, float *x)
{
	const struct hparams *h = &f->model->hparams;
	const union loaded *outer = f->weights->outer;
	const struct norm norm = forward_norm(f->model, outer[OUTER_TOKEN_EMBD_NORM].vector,
					      outer[OUTER_TOKEN_EMBD_NORM_BIAS].vector);

	for (uint32_t i = 0; i < step->n_rows; i++)
		f->tokens[i] = step_token(step->tokens[i]);
	f->backend->ops->embed(f->backend, f->weights->embedding, f->tokens, step->n_rows, x);
	if (h->embedding_scale != 1)
		f->backend->ops->cap(f->backend, x, h->embedding_scale, 0,
				     (size_t)step->n_rows * h->dim);
	add_positions(f, step->n_rows, x);
	if (norm.gain)
		f->backend->ops->norm(f->backend, &norm, x, step->n_rows, h->dim, x);
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

		forward_layer(f, step, i, n_cached[group]++, x);
	}
	if (activations_out && activations_out != x)
		f->backend->ops->download(f->backend, activations_out, x, n_bytes);
}

const float *forward_logits(struct forward *f, const uint32_t *rows, uint32_t n_rows)
{
	const struct hparams *h = &f->model->hparams;
	const union loaded *outer = f->weights->outer;
	const struct matmul head = {
		.weight = f->weights->head, .bias = outer[OUTER_OUTPUT_BIAS].vector,
		.y = f->logits,
	};
	const struct norm norm = forward_norm(f->model, outer[OUTER_OUTPUT_NORM].vector,
					      outer[OUTER_OUTPUT_NORM_BIAS].vector);
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
	if (h->logit_scale != 1 || h->logit_cap != 0)
		f->backend->ops->cap(f->backend, f->logits, h->logit_scale, h->logit_cap,
				     (size_t)n_rows * h->n_vocab);
	return f->logits;
}
