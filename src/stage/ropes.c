/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/ropes.h"

#include "model/tensor_source.h"

#include <math.h>
#include <stdlib.h>

#define PI 3.14159265358979323846
#define N_TABLES (N_ROPE_KINDS * 2)

/* The pair that turns n times in the original context, as a fraction of pairs. */
static double pair_of_turns(const struct hparams *h, const struct rope_hparams *rope, double n)
{
	return h->rope_dim * log(rope->n_original / (n * 2 * PI)) / (2 * log((double)rope->base));
}

/* YaRN: the part of pair i's frequency that is not divided by the factor. */
static double kept_part(const struct hparams *h, const struct rope_hparams *rope, uint32_t i)
{
	const double first = fmax(0, floor(pair_of_turns(h, rope, (double)rope->beta_fast)));
	const double last = fmin(h->rope_dim - 1.0,
				 ceil(pair_of_turns(h, rope, (double)rope->beta_slow)));
	const double ramp = (i - first) / fmax(0.001, last - first);

	return (1 - fmin(1, fmax(0, ramp))) * (double)rope->ext;
}

/* Pair i turns by base^(-2i / rope_dim) per position, divided by the scaling and by the model's own
 * factor (llama3, LongRoPE). */
static double frequency(const struct hparams *h, const struct rope_hparams *rope, uint32_t i,
			double own_factor)
{
	const double plain = pow((double)rope->base, -2.0 * i / h->rope_dim);
	double slowdown = own_factor, kept;

	if (rope->scaling == ROPE_SCALING_NONE)
		return plain / slowdown;
	slowdown *= (double)rope->factor;
	if (rope->scaling == ROPE_SCALING_LINEAR)
		return plain / slowdown;
	kept = kept_part(h, rope, i);
	return plain / slowdown * (1 - kept) + plain / own_factor * kept;
}

/* The model's own factors for this table; NULL: none. */
static const struct tensor *factors_of(const struct model *model, enum rope_kind kind,
				       bool is_long)
{
	if (kind == ROPE_KIND_SLIDING && model->arch->is_sliding_rope_unscaled)
		return NULL;
	if (model->outer[OUTER_ROPE_FACTORS_LONG])
		return model->outer[is_long ? OUTER_ROPE_FACTORS_LONG : OUTER_ROPE_FACTORS_SHORT];
	return model->outer[OUTER_ROPE_FACTORS];
}

static enum sc_status fill(const struct model *model, enum rope_kind kind,
			   const struct tensor *factors, float *out, struct error *err)
{
	const struct hparams *h = &model->hparams;
	struct tensor_bytes bytes;

	if (factors) {
		enum sc_status status = tensor_bytes_get(factors, &bytes, err);

		if (status)
			return status;
		tensor_row_f32(&bytes.tensor, 0, out);
		tensor_bytes_put(&bytes);
	}
	for (uint32_t i = 0; i < h->rope_dim / 2; i++)
		out[i] = (float)frequency(h, &h->rope[kind], i, factors ? (double)out[i] : 1.0);
	return SC_OK;
}

static enum sc_status fill_all(struct ropes *ropes, const struct model *model, struct error *err)
{
	const uint32_t n = model->hparams.rope_dim / 2;
	enum sc_status status = SC_OK;

	for (unsigned i = 0; i < N_TABLES && !status; i++) {
		const enum rope_kind kind = i / 2 ? ROPE_KIND_SLIDING : ROPE_KIND_FULL;
		const struct tensor *factors = factors_of(model, kind, i % 2);
		float *frequencies = ropes->frequencies + (size_t)i * n;

		status = fill(model, kind, factors, frequencies, err);
		ropes->tables[kind][i % 2] = (struct rope_table){
			.layout = model->arch->rope, .dim = model->hparams.rope_dim,
			.inverse_frequency = frequencies,
			.scale = model->hparams.rope[kind].magnitude,
		};
		if (factors && !ropes->not_finite &&
		    !tensor_blocks_are_finite(TENSOR_F32, frequencies, n * sizeof *frequencies))
			ropes->not_finite = factors;
	}
	return status;
}

enum sc_status ropes_init(struct ropes *ropes, const struct model *model, struct error *err)
{
	const uint32_t n = model->hparams.rope_dim / 2;

	*ropes = (struct ropes){ .frequencies = NULL };
	ropes->frequencies = calloc((size_t)N_TABLES * n + 1, sizeof *ropes->frequencies);
	if (!ropes->frequencies)
		return error_set(err, SC_E_NOMEM, "no memory for %u rotations", n);
	return fill_all(ropes, model, err);
}

void ropes_deinit(struct ropes *ropes)
{
	free(ropes->frequencies);
	*ropes = (struct ropes){ .frequencies = NULL };
}

uint64_t ropes_bytes(const struct model *model)
{
	return ((uint64_t)N_TABLES * (model->hparams.rope_dim / 2) + 1) * sizeof(float);
}
