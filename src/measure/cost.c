/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/cost.h"

/* Caches that hold less than one part in so many of what is read hardly help. */
#define LEAST_HELD 4
/* Measurements of memory differ by less. */
#define UNKNOWN_CACHE_MARGIN 1.1

/* Adds the multiply-adds of a matrix to the matching counter. */
static void add_matrix(const struct tensor *tensor, double *int8, double *bf16, double *f32)
{
	double macs;

	if (!tensor)
		return;
	macs = (double)tensor->dims[0] * (double)tensor->dims[1];
	if (tensor->type == TENSOR_F32 || tensor->type == TENSOR_F16)
		*f32 += macs;
	else if (tensor->type == TENSOR_BF16)
		*bf16 += macs;
	else
		*int8 += macs;
}

/* Per position that a row attends to. */
static double attention_macs(const struct layer_shape *shape)
{
	return (double)shape->n_heads * (shape->head_dim + shape->value_dim);
}

struct cost cost_of_model(const struct model *model, double kv_bytes, bool has_byte_attention)
{
	struct cost cost = {
		.weight_bytes = (double)model_head_bytes(model),
		.kv_bytes = kv_bytes,
		.has_byte_attention = has_byte_attention,
	};

	for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
		cost.weight_bytes += (double)model_layer_bytes(model, i);
		cost.attention_macs += attention_macs(&model->shapes[i]);
		for (unsigned s = 0; s < N_LAYER_SLOTS; s++)
			if (layer_slots[s].kind == SLOT_PRODUCT)
				add_matrix(model->layers[i].of[s], &cost.layer_int8_macs,
					   &cost.layer_bf16_macs, &cost.layer_f32_macs);
	}
	add_matrix(model->outer[OUTER_OUTPUT], &cost.head_int8_macs, &cost.head_bf16_macs,
		   &cost.head_f32_macs);
	return cost;
}

static double matrix_seconds(const struct machine_speed *speed, double int8, double bf16,
			     double f32)
{
	return int8 / speed->int8_macs +
	       bf16 / (speed->bf16_macs > 0 ? speed->bf16_macs : speed->f32_macs) +
	       f32 / speed->f32_macs;
}

static double layer_seconds(const struct cost *c, const struct machine_speed *speed)
{
	return matrix_seconds(speed, c->layer_int8_macs, c->layer_bf16_macs, c->layer_f32_macs);
}

static double head_seconds(const struct cost *c, const struct machine_speed *speed)
{
	return matrix_seconds(speed, c->head_int8_macs, c->head_bf16_macs, c->head_f32_macs);
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static double attention_seconds(const struct cost *c, const struct machine_speed *speed)
{
	return c->attention_macs / (c->has_byte_attention ?
				    larger(speed->int8_macs / 2, speed->f32_macs) :
				    speed->f32_macs);
}

double cost_step_bytes(const struct cost *c, double n_sequences, double n_positions)
{
	return c->weight_bytes + n_sequences * n_positions * c->kv_bytes;
}

double cost_decode_limit(const struct cost *c, const struct machine_speed *speed,
			 double n_sequences, double n_positions)
{
	double bytes = cost_step_bytes(c, n_sequences, n_positions);
	double row_seconds = layer_seconds(c, speed) + head_seconds(c, speed) +
			     n_positions * attention_seconds(c, speed);

	return n_sequences / larger(bytes / speed->read_bytes, n_sequences * row_seconds);
}

double cost_prompt_limit(const struct cost *c, const struct machine_speed *speed,
			 double n_tokens, double n_positions, double n_rows)
{
	/* A row attends to the rows before it and to itself. */
	double mean_positions = n_positions + (n_tokens + 1) / 2;
	double n_steps = n_tokens / larger(1, n_rows < n_tokens ? n_rows : n_tokens);
	double macs_seconds = n_tokens * (layer_seconds(c, speed) +
					  mean_positions * attention_seconds(c, speed)) +
			      head_seconds(c, speed);
	/* The rows of a step share one reading of the cache. */
	double bytes = n_steps * (c->weight_bytes + mean_positions * c->kv_bytes);

	return n_tokens / larger(bytes / speed->read_bytes, macs_seconds);
}

bool cost_is_in_cache(double rate, double limit, double step_bytes, double cache_bytes)
{
	if (cache_bytes <= 0)
		return rate > UNKNOWN_CACHE_MARGIN * limit;
	return step_bytes <= cache_bytes ||
	       (rate > limit && step_bytes <= LEAST_HELD * cache_bytes);
}
