/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/stage/oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BLOCK 32
#define MAX_STEP 2048.0f

/* One run. Rows are positions. */
struct run {
	const struct model *model;
	uint32_t n;
	double *x;		/* [n][dim] */
	double *normed;		/* [n][dim] */
	double *q, *k, *v;	/* [n][heads][head_dim], .. */
	double *attended;	/* [n][n_heads][value_dim] */
	double *gate, *up;	/* [n][ffn_dim] */
	double *added;		/* [n][dim] */
};

static double *take(size_t n)
{
	double *memory = calloc(n, sizeof *memory);

	assert_non_null(memory);
	return memory;
}

static float *read_row(const struct tensor *tensor, uint64_t row)
{
	float *values = calloc(tensor->dims[0], sizeof *values);

	assert_non_null(values);
	tensor_row_f32(tensor, row, values);
	return values;
}

/* As the kernels round the inputs of integer products: steps of a power of two times the row's own
 * least step. */
static void round_to_integers(const double *x, size_t n, double *rounded)
{
	float most = 0, least;

	for (size_t i = 0; i < n; i++)
		most = fmaxf(most, fabsf((float)x[i]));
	least = most * (1.0f / 127 / MAX_STEP);
	for (size_t block = 0; most > 0 && block < n; block += BLOCK) {
		float most_here = 0, step = 1;

		for (size_t i = 0; i < BLOCK; i++)
			most_here = fmaxf(most_here, fabsf((float)x[block + i]));
		while (step < MAX_STEP && most_here * (MAX_STEP / most) > step)
			step *= 2;
		for (size_t i = 0; i < BLOCK; i++)
			rounded[block + i] = (double)least * (double)step *
				(double)rintf((float)x[block + i] *
					      (127 * MAX_STEP / most * (1 / step)));
	}
}

static void round_to_bfloat16(const double *x, size_t n, double *rounded)
{
	for (size_t i = 0; i < n; i++) {
		float value = (float)x[i];
		uint32_t bits;

		memcpy(&bits, &value, sizeof bits);
		bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
		memcpy(&value, &bits, sizeof bits);
		rounded[i] = (double)value;
	}
}

static void round_row(enum tensor_type type, const double *x, size_t n, double *rounded)
{
	if (type == TENSOR_BF16)
		round_to_bfloat16(x, n, rounded);
	else if (type != TENSOR_F32 && type != TENSOR_F16)
		round_to_integers(x, n, rounded);
}

/* y[n][dims[1]] = x[n][dims[0]] w^T + bias */
static void multiply(const struct run *r, const struct tensor *w, const struct tensor *bias,
		     const double *x, double *y)
{
	const size_t n_in = w->dims[0], n_out = w->dims[1];
	float *offset = bias ? read_row(bias, 0) : NULL;
	double *inputs = take(r->n * n_in);

	memcpy(inputs, x, r->n * n_in * sizeof *x);
	for (uint32_t i = 0; i < r->n; i++)
		round_row(w->type, x + i * n_in, n_in, inputs + i * n_in);
	for (size_t out = 0; out < n_out; out++) {
		float *row = read_row(w, out);

		for (uint32_t i = 0; i < r->n; i++) {
			double sum = offset ? (double)offset[out] : 0;

			for (size_t in = 0; in < n_in; in++)
				sum += (double)row[in] * inputs[i * n_in + in];
			y[i * n_out + out] = sum;
		}
		free(row);
	}
	free(inputs);
	free(offset);
}

static void norm(const struct run *r, const struct tensor *gain, double *y)
{
	const size_t dim = r->model->hparams.dim;
	float *gains = read_row(gain, 0);

	for (uint32_t i = 0; i < r->n; i++) {
		const double *x = r->x + i * dim;
		double sum = 0;

		for (size_t d = 0; d < dim; d++)
			sum += x[d] * x[d];
		sum = sqrt(sum / (double)dim + (double)r->model->hparams.norm_eps);
		for (size_t d = 0; d < dim; d++)
			y[i * dim + d] = x[d] / sum * (double)gains[d];
	}
	free(gains);
}

static double angle_of(const struct model *model, uint32_t pair, uint32_t position)
{
	const struct hparams *h = &model->hparams;
	double angle = position * pow((double)h->rope[ROPE_KIND_FULL].base, -2.0 * pair / h->rope_dim);

	if (h->rope[ROPE_KIND_FULL].scaling == ROPE_SCALING_LINEAR)
		angle /= (double)h->rope[ROPE_KIND_FULL].factor;
	if (model->outer[OUTER_ROPE_FACTORS])
		angle /= (double)((const float *)model->outer[OUTER_ROPE_FACTORS]->data)[pair];
	return angle;
}

static void rotate(const struct run *r, uint32_t n_heads, double *x)
{
	const struct hparams *h = &r->model->hparams;
	const bool is_halves = r->model->arch->rope == ROPE_HALVES;
	const uint32_t half = h->rope_dim / 2;

	for (uint32_t i = 0; i < r->n * n_heads; i++, x += h->head_dim) {
		for (uint32_t pair = 0; pair < half; pair++) {
			double angle = angle_of(r->model, pair, i / n_heads);
			double *a = &x[is_halves ? pair : 2 * pair];
			double *b = &x[is_halves ? pair + half : 2 * pair + 1];
			double turned = *a * cos(angle) - *b * sin(angle);

			*b = *b * cos(angle) + *a * sin(angle);
			*a = turned;
		}
	}
}

/* One query over the positions up to its own. */
static void attend(const struct run *r, uint32_t position, uint32_t head, double *out)
{
	const struct hparams *h = &r->model->hparams;
	const uint32_t kv_head = head / (h->n_heads / h->n_kv_heads);
	const double *q = r->q + ((size_t)position * h->n_heads + head) * h->head_dim;
	double *weights = take(position + 1), total = 0;

	for (uint32_t p = 0; p <= position; p++) {
		const double *k = r->k + ((size_t)p * h->n_kv_heads + kv_head) * h->head_dim;

		for (uint32_t d = 0; d < h->head_dim; d++)
			weights[p] += q[d] * k[d];
		/* Scores of these models are small: no need to subtract the largest. */
		weights[p] = exp(weights[p] / sqrt((double)h->head_dim));
		total += weights[p];
	}
	for (uint32_t d = 0; d < h->value_dim; d++)
		out[d] = 0;
	for (uint32_t p = 0; p <= position; p++)
		for (uint32_t d = 0; d < h->value_dim; d++)
			out[d] += weights[p] / total *
				  r->v[((size_t)p * h->n_kv_heads + kv_head) * h->value_dim + d];
	free(weights);
}

static void add(const struct run *r)
{
	for (size_t i = 0; i < (size_t)r->n * r->model->hparams.dim; i++)
		r->x[i] += r->added[i];
}

static void run_layer(const struct run *r, const struct layer_tensors *l)
{
	const struct hparams *h = &r->model->hparams;

	norm(r, l->of[LAYER_ATTN_NORM], r->normed);
	multiply(r, l->of[LAYER_ATTN_Q], l->of[LAYER_ATTN_Q_BIAS], r->normed, r->q);
	multiply(r, l->of[LAYER_ATTN_K], l->of[LAYER_ATTN_K_BIAS], r->normed, r->k);
	multiply(r, l->of[LAYER_ATTN_V], l->of[LAYER_ATTN_V_BIAS], r->normed, r->v);
	rotate(r, h->n_heads, r->q);
	rotate(r, h->n_kv_heads, r->k);
	for (uint32_t i = 0; i < r->n; i++)
		for (uint32_t head = 0; head < h->n_heads; head++)
			attend(r, i, head, r->attended +
			       ((size_t)i * h->n_heads + head) * h->value_dim);
	multiply(r, l->of[LAYER_ATTN_OUTPUT], NULL, r->attended, r->added);
	add(r);
	norm(r, l->of[LAYER_FFN_NORM], r->normed);
	multiply(r, l->of[LAYER_FFN_GATE], NULL, r->normed, r->gate);
	multiply(r, l->of[LAYER_FFN_UP], NULL, r->normed, r->up);
	for (size_t i = 0; i < (size_t)r->n * h->ffn_dim; i++)
		r->gate[i] = r->gate[i] / (1 + exp(-r->gate[i])) * r->up[i];
	multiply(r, l->of[LAYER_FFN_DOWN], NULL, r->gate, r->added);
	add(r);
}

void oracle_run(const struct model *model, const uint32_t *tokens, uint32_t n_tokens,
		double *logits)
{
	const struct hparams *h = &model->hparams;
	const size_t n = n_tokens;
	struct run r = {
		.model = model, .n = n_tokens,
		.x = take(n * h->dim), .normed = take(n * h->dim), .added = take(n * h->dim),
		.q = take(n * h->n_heads * h->head_dim),
		.k = take(n * h->n_kv_heads * h->head_dim),
		.v = take(n * h->n_kv_heads * h->value_dim),
		.attended = take(n * h->n_heads * h->value_dim),
		.gate = take(n * h->ffn_dim), .up = take(n * h->ffn_dim),
	};
	double *const all[] = { r.x, r.normed, r.added, r.q, r.k, r.v, r.attended, r.gate, r.up };

	for (uint32_t i = 0; i < n_tokens; i++) {
		float *row = read_row(model->outer[OUTER_TOKEN_EMBD], tokens[i]);

		for (uint32_t d = 0; d < h->dim; d++)
			r.x[(size_t)i * h->dim + d] = (double)row[d];
		free(row);
	}
	for (uint32_t i = 0; i < h->n_layers; i++)
		run_layer(&r, &model->layers[i]);
	norm(&r, model->outer[OUTER_OUTPUT_NORM], r.normed);
	multiply(&r, model->outer[OUTER_OUTPUT], NULL, r.normed, logits);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
}
