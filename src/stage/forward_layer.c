/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/forward_layer.h"

#include <math.h>

/* What the parts of a layer work on. */
struct layer_run {
	struct forward *f;
	const struct backend_ops *ops;
	const struct layer_weights *w;
	const struct layer_shape *shape;
	const struct step *step;
	float *x;
};

struct norm forward_norm(const struct model *model, const float *gain, const float *bias)
{
	static const enum norm_kind kinds[] = {
		[ARCH_NORM_RMS] = NORM_RMS, [ARCH_NORM_LAYER] = NORM_LAYER,
	};

	return (struct norm){
		.kind = kinds[model->arch->norm], .gain = gain, .bias = bias,
		.eps = model->hparams.norm_eps, .n_groups = 1,
	};
}

static bool has(const struct model *model, enum layer_slot slot)
{
	for (uint32_t i = 0; i < model->hparams.n_layers; i++)
		if (model->layers[i].of[slot])
			return true;
	return false;
}

bool forward_needs_branch(const struct model *model)
{
	return model->hparams.residual_scale != 1 || has(model, LAYER_POST_ATTN_NORM) ||
	       has(model, LAYER_POST_FFN_NORM);
}

bool forward_needs_normed2(const struct model *model)
{
	return model->hparams.is_parallel &&
	       (has(model, LAYER_FFN_NORM) || has(model, LAYER_ATTN_NORM_2));
}

bool forward_needs_up(const struct model *model)
{
	return model->arch->is_gated &&
	       (has(model, LAYER_FFN_GATE_BIAS) || has(model, LAYER_FFN_UP_BIAS));
}

/* A product with a layer's matrix and, if it has one, its bias: the slot after the matrix. */
static struct matmul product(const struct layer_run *r, enum layer_slot slot, float *y)
{
	return (struct matmul){
		.weight = r->w->of[slot].matrix, .bias = r->w->of[slot + 1].vector, .y = y,
	};
}

/* Normalises from x into y and returns y; returns x if the layer does not have the norm. */
static const float *normalise(const struct layer_run *r, enum layer_slot slot, const float *x,
			      float *y)
{
	const struct model *model = r->f->model;
	const struct norm norm = forward_norm(model, r->w->of[slot].vector,
					      r->w->of[slot + 1].vector);

	if (!norm.gain)
		return x;
	r->ops->norm(r->f->backend, &norm, x, r->step->n_rows, model->hparams.dim, y);
	return y;
}

/* Adds the output of a block to the residual stream: a product with `in`, its norm if there is one,
 * times the model's residual scale. */
static void add_block(const struct layer_run *r, enum layer_slot matrix,
		      enum layer_slot post_norm, const float *in)
{
	const struct hparams *h = &r->f->model->hparams;
	const bool is_plain = !r->w->of[post_norm].vector && h->residual_scale == 1;
	struct matmul output = product(r, matrix, is_plain ? r->x : r->f->branch);
	const unsigned n_rows = r->step->n_rows;

	output.is_added = is_plain;
	r->ops->matmul(r->f->backend, &output, 1, in, n_rows);
	if (is_plain)
		return;
	(void)normalise(r, post_norm, r->f->branch, r->f->branch);
	r->ops->add(r->f->backend, r->x, r->f->branch, h->residual_scale,
		    (size_t)n_rows * h->dim);
}

/* The norm of queries or keys, if the layer has it. */
static void normalise_heads(const struct layer_run *r, enum layer_slot slot, float *x,
			    unsigned n_heads)
{
	const struct model *model = r->f->model;
	const enum arch_qk_norm kind = model->arch->qk_norm;
	const unsigned head_dim = r->shape->head_dim;
	struct norm norm = forward_norm(model, r->w->of[slot].vector, r->w->of[slot + 1].vector);

	if (!norm.gain)
		return;
	norm.n_groups = kind == QK_NORM_ROW ? 1 : n_heads;
	norm.is_per_group = kind == QK_NORM_PER_HEAD_OWN;
	r->ops->norm(r->f->backend, &norm, x, r->step->n_rows,
		     kind == QK_NORM_ROW ? n_heads * head_dim : head_dim, x);
}

static void normalise_qk(const struct layer_run *r)
{
	normalise_heads(r, LAYER_ATTN_Q_NORM, r->f->q, r->shape->n_heads);
	normalise_heads(r, LAYER_ATTN_K_NORM, r->f->k, r->shape->n_kv_heads);
}

/* Short and long sequences have tables of their own: one call per run of rows of a kind. */
static void rotate(const struct layer_run *r)
{
	const struct forward *f = r->f;
	const unsigned head_dim = r->shape->head_dim;
	const unsigned q_width = r->shape->n_heads * head_dim;
	const unsigned k_width = r->shape->n_kv_heads * head_dim;

	for (uint32_t i = 0; i < f->n_rope_runs && r->shape->has_rope; i++) {
		const struct rope_run *run = &f->rope_runs[i];
		const struct rope_table *table = &f->ropes.tables[r->shape->rope][run->is_long];
		const uint32_t *positions = f->positions + run->first_row;
		const size_t first = run->first_row;

		r->ops->rope(f->backend, table, f->q + first * q_width, positions, run->n_rows,
			     r->shape->n_heads, head_dim);
		r->ops->rope(f->backend, table, f->k + first * k_width, positions, run->n_rows,
			     r->shape->n_kv_heads, head_dim);
	}
}

/* MPT cuts queries, keys and values to a range. */
static void clamp_qkv(const struct layer_run *r)
{
	const struct forward *f = r->f;
	const float limit = f->model->hparams.qkv_limit;
	const size_t n_rows = r->step->n_rows;

	if (limit == 0)
		return;
	r->ops->clamp(f->backend, f->q, limit, n_rows * r->shape->n_heads * r->shape->head_dim);
	r->ops->clamp(f->backend, f->k, limit,
		      n_rows * r->shape->n_kv_heads * r->shape->head_dim);
	r->ops->clamp(f->backend, f->v, limit,
		      n_rows * r->shape->n_kv_heads * r->shape->value_dim);
}

/* Writes what the rows attend to into f->attended. */
static void attend(const struct layer_run *r, uint32_t cached, const float *in)
{
	struct forward *f = r->f;
	const struct model *model = f->model;
	const struct matmul qkv[] = {
		product(r, LAYER_ATTN_Q, f->q), product(r, LAYER_ATTN_K, f->k),
		product(r, LAYER_ATTN_V, f->v),
	};
	const struct attention_shape attention = {
		.n_heads = r->shape->n_heads, .scale = model->hparams.attention_scale,
		.cap = model->hparams.attention_cap, .slopes = f->slopes,
	};
	struct kv_cache *cache = f->caches[r->shape->group];
	const struct attention_span *spans = f->spans[r->shape->group];
	const unsigned n_spans = r->step->n_segments;

	r->ops->matmul(f->backend, qkv, 3, in, r->step->n_rows);
	clamp_qkv(r);
	if (!model->arch->is_qk_norm_after_rope)
		normalise_qk(r);
	rotate(r);
	if (model->arch->is_qk_norm_after_rope)
		normalise_qk(r);
	r->ops->kv_write(f->backend, cache, cached, spans, n_spans, f->k, f->v);
	r->ops->attention(f->backend, cache, cached, spans, n_spans, f->q, &attention,
			  f->attended);
}

static float softplus(float x)
{
	return x > 20 ? x : (float)log1p(exp((double)x));
}

static struct activation activation_of(const struct layer_run *r)
{
	static const enum activation_kind kinds[] = {
		[ARCH_SILU] = ACTIVATION_SILU, [ARCH_GELU_TANH] = ACTIVATION_GELU_TANH,
		[ARCH_GELU_ERF] = ACTIVATION_GELU_ERF, [ARCH_RELU2] = ACTIVATION_RELU2,
		[ARCH_XIELU] = ACTIVATION_XIELU,
	};
	const struct xielu *xielu = &r->shape->xielu;
	const enum activation_kind kind = kinds[r->f->model->arch->activation];

	if (kind != ACTIVATION_XIELU)
		return (struct activation){ .kind = kind };
	return (struct activation){
		.kind = kind, .alpha_p = softplus(xielu->alpha_p),
		.alpha_n = xielu->beta + softplus(xielu->alpha_n),
		.beta = xielu->beta, .eps = xielu->eps,
	};
}

/* Writes activation(gate) * up, or activation(up), to f->gated. */
static void activate(const struct layer_run *r, const float *in)
{
	struct forward *f = r->f;
	const struct activation activation = activation_of(r);
	const unsigned n_rows = r->step->n_rows;
	const size_t n = (size_t)n_rows * r->shape->ffn_dim;
	struct matmul products[] = {
		product(r, LAYER_FFN_GATE, f->gated), product(r, LAYER_FFN_UP, f->up),
	};

	if (!f->model->arch->is_gated) {
		products[1].y = f->gated;
		r->ops->matmul(f->backend, &products[1], 1, in, n_rows);
		r->ops->activate(f->backend, &activation, f->gated, NULL, n, f->gated);
	} else if (products[0].bias || products[1].bias) {
		r->ops->matmul(f->backend, products, 2, in, n_rows);
		r->ops->activate(f->backend, &activation, f->gated, f->up, n, f->gated);
	} else {
		r->ops->gated_matmul(f->backend, &activation, products[0].weight,
				     products[1].weight, in, n_rows, f->gated);
	}
}

/* Attention and feed-forward both read x as it enters. If both have the same norm, it is computed
 * once. */
static void run_parallel(const struct layer_run *r, uint32_t cached)
{
	struct forward *f = r->f;
	const bool has_second = r->w->of[LAYER_ATTN_NORM_2].vector;
	const bool has_own = r->w->of[LAYER_FFN_NORM].vector;
	const float *attention_in = normalise(r, has_second ? LAYER_ATTN_NORM_2 : LAYER_ATTN_NORM,
					      r->x, f->normed);
	const float *ffn_in = attention_in;

	if (has_second || has_own)
		ffn_in = normalise(r, has_own ? LAYER_FFN_NORM : LAYER_ATTN_NORM, r->x,
				   f->normed2);
	attend(r, cached, attention_in);
	activate(r, ffn_in);
	add_block(r, LAYER_ATTN_OUTPUT, LAYER_POST_ATTN_NORM, f->attended);
	add_block(r, LAYER_FFN_DOWN, LAYER_POST_FFN_NORM, f->gated);
}

void forward_layer(struct forward *f, const struct step *step, uint32_t index, uint32_t cached,
		   float *x)
{
	const struct layer_run r = {
		.f = f, .ops = f->backend->ops, .w = &f->weights->layers[index],
		.shape = &f->model->shapes[f->first_layer + index], .step = step, .x = x,
	};

	if (f->model->hparams.is_parallel) {
		run_parallel(&r, cached);
		return;
	}
	attend(&r, cached, normalise(&r, LAYER_ATTN_NORM, x, f->normed));
	add_block(&r, LAYER_ATTN_OUTPUT, LAYER_POST_ATTN_NORM, f->attended);
	activate(&r, normalise(&r, LAYER_FFN_NORM, x, f->normed));
	add_block(&r, LAYER_FFN_DOWN, LAYER_POST_FFN_NORM, f->gated);
}
