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

double cost_kv_elements(const struct kv_group *group)
{
	return (double)group->n_layers * group->n_kv_heads * (group->head_dim + group->value_dim);
}

/* Keys, values and attention, by the model's groups of layers. */
static void add_groups(struct cost *cost, const struct model *model, double kv_element_bytes)
{
	double macs[MODEL_MAX_GROUPS] = { 0 };

	for (uint32_t i = 0; i < model->hparams.n_layers; i++)
		macs[model->shapes[i].group] += attention_macs(&model->shapes[i]);
	for (uint32_t g = 0; g < model->n_groups; g++) {
		const struct kv_group *group = &model->groups[g];
		double kv_bytes = cost_kv_elements(group) * kv_element_bytes;

		if (group->window) {
			cost->windows[cost->n_windows++] = (struct cost_window){
				group->window, kv_bytes, macs[g],
			};
			continue;
		}
		cost->kv_bytes += kv_bytes;
		cost->attention_macs += macs[g];
	}
}

struct cost cost_of_model(const struct model *model, double kv_element_bytes,
			  bool has_byte_attention)
{
	struct cost cost = {
		.weight_bytes = (double)model_head_bytes(model),
		.has_byte_attention = has_byte_attention,
	};

	add_groups(&cost, model, kv_element_bytes);

	for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
		cost.weight_bytes += (double)model_layer_bytes(model, i);
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

/* n_rows rows, the first behind n_positions positions: how many positions a row attends to on
 * average, itself among them, if a window shows it at most so many. */
static double mean_seen(double window, double n_positions, double n_rows)
{
	double n_short = larger(0, window - n_positions);	/* rows that see less */

	if (n_short >= n_rows)
		return n_positions + (n_rows + 1) / 2;
	return (n_short * (n_positions + (n_short + 1) / 2) + (n_rows - n_short) * window) / n_rows;
}

/* Of rows that attend to `seen` positions on average, or to those of them within a window: bytes of
 * keys and values, and multiply-adds. */
struct attended {
	double bytes, macs;
};

static void add_attended(struct attended *sum, double seen, double kv_bytes, double macs)
{
	sum->bytes += seen * kv_bytes;
	sum->macs += seen * macs;
}

/* A row that draws a token behind n_positions others. */
static struct attended attended_by_draw(const struct cost *c, double n_positions)
{
	struct attended sum = { 0 };

	add_attended(&sum, n_positions, c->kv_bytes, c->attention_macs);
	for (unsigned i = 0; i < c->n_windows; i++) {
		const struct cost_window *w = &c->windows[i];

		add_attended(&sum, w->window < n_positions ? w->window : n_positions, w->kv_bytes,
			     w->attention_macs);
	}
	return sum;
}

/* The mean of the rows of a prompt of n_tokens behind n_positions others. */
static struct attended attended_by_prompt(const struct cost *c, double n_positions, double n_tokens)
{
	struct attended sum = { 0 };

	add_attended(&sum, n_positions + (n_tokens + 1) / 2, c->kv_bytes, c->attention_macs);
	for (unsigned i = 0; i < c->n_windows; i++) {
		const struct cost_window *w = &c->windows[i];

		add_attended(&sum, mean_seen(w->window, n_positions, n_tokens), w->kv_bytes,
			     w->attention_macs);
	}
	return sum;
}

static double attention_seconds(const struct cost *c, const struct machine_speed *speed,
				double macs)
{
	return macs / (c->has_byte_attention ? larger(speed->int8_macs / 2, speed->f32_macs) :
					       speed->f32_macs);
}

double cost_step_bytes(const struct cost *c, double n_sequences, double n_positions)
{
	return c->weight_bytes + n_sequences * attended_by_draw(c, n_positions).bytes;
}

double cost_decode_limit(const struct cost *c, const struct machine_speed *speed,
			 double n_sequences, double n_positions)
{
	double bytes = cost_step_bytes(c, n_sequences, n_positions);
	double macs = attended_by_draw(c, n_positions).macs;
	double row_seconds = layer_seconds(c, speed) + head_seconds(c, speed) +
			     attention_seconds(c, speed, macs);

	return n_sequences / larger(bytes / speed->read_bytes, n_sequences * row_seconds);
}

double cost_prompt_limit(const struct cost *c, const struct machine_speed *speed,
			 double n_tokens, double n_positions, double n_rows)
{
	struct attended mean = attended_by_prompt(c, n_positions, n_tokens);
	double n_steps = n_tokens / larger(1, n_rows < n_tokens ? n_rows : n_tokens);
	double macs_seconds = n_tokens * (layer_seconds(c, speed) +
					  attention_seconds(c, speed, mean.macs)) +
			      head_seconds(c, speed);
	/* The rows of a step share one reading of the cache. */
	double bytes = n_steps * (c->weight_bytes + mean.bytes);

	return n_tokens / larger(bytes / speed->read_bytes, macs_seconds);
}

bool cost_is_in_cache(double rate, double limit, double step_bytes, double cache_bytes)
{
	if (cache_bytes <= 0)
		return rate > UNKNOWN_CACHE_MARGIN * limit;
	return step_bytes <= cache_bytes ||
	       (rate > limit && step_bytes <= LEAST_HELD * cache_bytes);
}
