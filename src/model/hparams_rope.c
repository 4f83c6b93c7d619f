/* SPDX-License-Identifier: Apache-2.0 */
/* How positions rotate queries and keys. */
#include "model/hparams.h"
#include "model/hparams_reader.h"

#include "model/quote.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A factor without a type means linear, as in llama.cpp. "longrope" is in the factors' tensors, so
 * the type says nothing more. */
static enum sc_status read_type(struct reader *r, enum rope_scaling *scaling_out)
{
	struct gguf_string type = { .data = "linear", .length = 6 };
	enum sc_status status;

	*scaling_out = ROPE_SCALING_NONE;
	if (reader_seek(r, "rope.scaling.type")) {
		status = gguf_get_string(r->gguf, r->key, &type, r->err);
		if (status)
			return status;
	}
	if (gguf_string_is(type, "linear"))
		*scaling_out = ROPE_SCALING_LINEAR;
	else if (gguf_string_is(type, "yarn"))
		*scaling_out = ROPE_SCALING_YARN;
	else if (!gguf_string_is(type, "none") && !gguf_string_is(type, "longrope"))
		return reader_error(r, SC_E_UNSUPPORTED,
				    "expected none, linear, yarn or longrope, found '%s', which "
				    "is not supported", quote(type.data, type.length).text);
	return SC_OK;
}

static enum sc_status read_factor(struct reader *r, struct rope_hparams *rope)
{
	enum sc_status status = SC_OK;

	rope->factor = 1.0f;
	if (rope->scaling == ROPE_SCALING_NONE)
		return SC_OK;
	if (reader_seek(r, "rope.scaling.factor") || reader_seek(r, "rope.scale_linear"))
		status = reader_factor(r, &rope->factor);
	if (rope->factor == 1.0f)
		rope->scaling = ROPE_SCALING_NONE;
	return status;
}

double rope_yarn_magnitude(double factor, double weight)
{
	return factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1;
}

/* With a base of 1 every pair turns alike, so none can be told from another by its turns. */
static enum sc_status check_yarn(struct reader *r, const struct rope_hparams *rope)
{
	if (rope->base <= 1) {
		(void)reader_seek(r, "rope.freq_base");
		return reader_error(r, SC_E_FORMAT, "YaRN needs a base above 1, found %g",
				    (double)rope->base);
	}
	if (!isfinite(rope->magnitude) || rope->magnitude <= 0)
		return reader_error(r, SC_E_FORMAT, "the magnitude that it gives with the other "
				    "keys of rope.scaling must be positive, found %g",
				    (double)rope->magnitude);
	return SC_OK;
}

/* attn_factor multiplies the usual magnitude, as in llama.cpp. yarn_attn_factor is what its
 * converter makes of the attention_factor of config.json, which replaces the usual magnitude in
 * transformers; 1 stands for "not set". */
static enum sc_status read_yarn(struct reader *r, uint32_t n_context, struct rope_hparams *rope)
{
	float whole = 1.0f, log_multiplier = 0;
	enum sc_status status;

	rope->n_original = n_context;
	rope->beta_fast = 32;
	rope->beta_slow = 1;
	rope->ext = 1;
	status = reader_maybe_u32(r, "rope.scaling.original_context_length", UINT32_MAX,
				  &rope->n_original);
	if (!status && reader_seek(r, "rope.scaling.yarn_beta_fast"))
		status = reader_positive(r, &rope->beta_fast);
	if (!status && reader_seek(r, "rope.scaling.yarn_beta_slow"))
		status = reader_positive(r, &rope->beta_slow);
	if (!status && reader_seek(r, "rope.scaling.yarn_ext_factor"))
		status = reader_finite(r, &rope->ext);
	if (!status && reader_seek(r, "rope.scaling.yarn_log_multiplier"))
		status = reader_finite(r, &log_multiplier);
	if (!status)
		status = reader_maybe_factor(r, "rope.scaling.yarn_attn_factor", &whole);
	if (rope->ext < 0)	/* llama.cpp's "not set" */
		rope->ext = 1;
	if (status || rope->ext == 0)
		return status;
	if (whole != 1.0f)
		rope->magnitude *= whole;
	else
		rope->magnitude *= (float)(rope_yarn_magnitude((double)rope->factor, 1) /
					   rope_yarn_magnitude((double)rope->factor,
							       (double)log_multiplier));
	return check_yarn(r, rope);
}

/* LongRoPE: the long factors are for sequences that may leave the original context. */
static enum sc_status read_long(struct reader *r, struct model *model)
{
	struct hparams *hp = &model->hparams;
	struct rope_hparams *rope = &hp->rope[ROPE_KIND_FULL];
	enum sc_status status;

	if (!gguf_find_tensor(r->gguf, outer_slots[OUTER_ROPE_FACTORS_LONG].gguf))
		return SC_OK;
	if (!gguf_find_tensor(r->gguf, outer_slots[OUTER_ROPE_FACTORS_SHORT].gguf))
		return error_set(r->err, SC_E_FORMAT, "%s: expected a tensor '%s' beside '%s', "
				 "found none", gguf_path(r->gguf),
				 outer_slots[OUTER_ROPE_FACTORS_SHORT].gguf,
				 outer_slots[OUTER_ROPE_FACTORS_LONG].gguf);
	status = reader_need(r, "rope.scaling.original_context_length");
	if (!status)	/* its logarithm divides */
		status = reader_u32(r, 2, UINT32_MAX, &hp->long_from);
	if (status)
		return status;
	/* Without a key, the magnitude is transformers' default. */
	if (!reader_seek(r, "rope.scaling.attn_factor") && hp->n_context > hp->long_from)
		rope->magnitude = (float)sqrt(1 + log((double)hp->n_context / hp->long_from) /
						  log(hp->long_from));
	return SC_OK;
}

static enum sc_status read_dim(struct reader *r, struct hparams *hp)
{
	enum sc_status status;

	hp->rope_dim = hp->head_dim;
	if (r->arch->rope == ROPE_NONE)
		return SC_OK;
	status = reader_maybe_u32(r, "rope.dimension_count", hp->head_dim, &hp->rope_dim);
	if (status)
		return status;
	if (hp->rope_dim > MODEL_MAX_ROPE_DIM)
		return reader_error(r, SC_E_UNSUPPORTED,
				    "expected at most %d rotated elements per head, found %" PRIu32,
				    MODEL_MAX_ROPE_DIM, hp->rope_dim);
	if (hp->rope_dim % 2 == 0)
		return SC_OK;
	return reader_error(r, SC_E_FORMAT,
			    "expected an even number of rotated elements, found %" PRIu32,
			    hp->rope_dim);
}

/* Layers that slide may have another base, and no scaling. */
static enum sc_status read_sliding(struct reader *r, struct hparams *hp)
{
	struct rope_hparams *rope = &hp->rope[ROPE_KIND_SLIDING];

	*rope = hp->rope[ROPE_KIND_FULL];
	if (r->arch->is_sliding_rope_unscaled) {
		rope->scaling = ROPE_SCALING_NONE;
		rope->factor = 1.0f;
		rope->magnitude = 1.0f;
	}
	if (r->arch->sliding_rope_base > 0)
		rope->base = r->arch->sliding_rope_base;
	return reader_seek(r, "rope.freq_base_swa") ? reader_positive(r, &rope->base) : SC_OK;
}

enum sc_status hparams_read_rope(struct reader *r, struct model *model)
{
	struct hparams *hp = &model->hparams;
	struct rope_hparams *rope = &hp->rope[ROPE_KIND_FULL];
	enum sc_status status = read_dim(r, hp);

	rope->base = 10000.0f;
	rope->factor = rope->magnitude = 1.0f;
	if (!status && reader_seek(r, "rope.freq_base"))
		status = reader_positive(r, &rope->base);
	if (!status)
		status = read_type(r, &rope->scaling);
	if (!status)
		status = read_factor(r, rope);
	if (!status)
		status = reader_maybe_factor(r, "rope.scaling.attn_factor", &rope->magnitude);
	if (!status && rope->scaling == ROPE_SCALING_YARN)
		status = read_yarn(r, hp->n_context, rope);
	if (!status)
		status = read_long(r, model);
	return status ? status : read_sliding(r, hp);
}
