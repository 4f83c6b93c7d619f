/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/config_rope.h"

#include "hf/put_key.h"
#include "model/hparams.h"
#include "model/quote.h"

#include <string.h>

#define PI 3.14159265358979323846

/* The parameters of layers with full attention, and of those that slide; NULL: none. */
struct parameters {
	const json_t *full, *sliding;
};

static struct parameters find_parameters(const struct hf_config *config)
{
	const json_t *all = hf_config_get(config, "rope_parameters|rope_scaling");
	const json_t *full = hf_json_get(all, "full_attention");
	const json_t *sliding = hf_json_get(all, "sliding_attention");

	if (json_is_object(full) || json_is_object(sliding))
		return (struct parameters){ .full = full ? full : sliding, .sliding = sliding };
	return (struct parameters){ .full = all };
}

static enum sc_status number(const struct hf_config *config, const json_t *from, const char *names,
			     double fallback, double *out, struct error *err)
{
	return hf_json_number(config, from, "rope_parameters", names, fallback, out, err);
}

static const char *type_name(const json_t *parameters)
{
	const char *name = json_string_value(hf_json_get(parameters, "rope_type|type"));

	return name ? name : "default";
}

static enum sc_status find_type(const struct hf_config *config, const json_t *from,
				struct hf_rope *rope, struct error *err)
{
	static const struct {
		const char *name;
		enum hf_rope_type type;
	} types[] = {
		{ "default", HF_ROPE_PLAIN }, { "mrope", HF_ROPE_PLAIN },
		/* Rescales only positions behind max_position_embeddings, which is the context. */
		{ "dynamic", HF_ROPE_PLAIN },
		{ "linear", HF_ROPE_LINEAR }, { "llama3", HF_ROPE_LLAMA3 },
		{ "yarn", HF_ROPE_YARN }, { "longrope", HF_ROPE_LONG }, { "su", HF_ROPE_LONG },
	};
	const char *name = type_name(from);

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (!strcmp(types[i].name, name)) {
			rope->type = types[i].type;
			return SC_OK;
		}
	return hf_config_error(config, SC_E_UNSUPPORTED, err,
			       "the rope type '%s' is not supported; supported are default, "
			       "dynamic, linear, llama3, yarn and longrope",
			       quote(name, strlen(name)).text);
}

/* Sliding layers may have a theta of their own; all else must be plain. */
static enum sc_status read_local(const struct hf_family *family, const struct hf_config *config,
				 const struct parameters *from, struct hf_rope *rope,
				 struct error *err)
{
	enum sc_status status;

	if (family->rope.local_theta == 0) {
		if (from->sliding && !json_equal((json_t *)from->sliding, (json_t *)from->full))
			return hf_config_error(config, SC_E_UNSUPPORTED, err,
					       "'rope_parameters' differ between sliding and full "
					       "layers; for models of the family %s they must be "
					       "the same", family->name);
		return SC_OK;
	}
	if (from->sliding && strcmp(type_name(from->sliding), "default"))
		return hf_config_error(config, SC_E_UNSUPPORTED, err,
				       "the rope type of sliding layers is '%s', supported is only "
				       "'default'", type_name(from->sliding));
	status = hf_config_number(config, "rope_local_base_freq|local_rope_theta",
				  family->rope.local_theta == HF_AS_THETA ?
				  rope->theta : family->rope.local_theta, &rope->local_theta, err);
	if (!status && from->sliding)
		status = number(config, from->sliding, "rope_theta", rope->local_theta,
				&rope->local_theta, err);
	return status;
}

static enum sc_status read_base(const struct hf_family *family, const struct hf_config *config,
				const struct hf_numbers *numbers, const json_t *from,
				struct hf_rope *rope, struct error *err)
{
	double partial = family->rope.partial ? family->rope.partial : 1;
	double theta = family->rope.theta ? family->rope.theta : 10000;
	enum sc_status status = hf_config_number(config, "rope_theta|rotary_emb_base", theta,
						 &theta, err);

	if (!status)
		status = number(config, from, "rope_theta", theta, &rope->theta, err);
	if (!status)
		status = hf_config_number(config, "partial_rotary_factor|rotary_pct|rope_pct",
					  partial, &partial, err);
	if (!status)
		status = number(config, from, "partial_rotary_factor", partial, &partial, err);
	if (status)
		return status;
	if (!(rope->theta > 1) || !(partial > 0 && partial <= 1))
		return hf_config_error(config, SC_E_FORMAT, err,
				       "the rope theta must be above 1 and partial_rotary_factor "
				       "from 0 to 1, found %g and %g", rope->theta, partial);
	if (partial < 1 && family->rope.partial == 0)
		return hf_config_error(config, SC_E_UNSUPPORTED, err,
				       "only %g of each head is rotated; for models of the family "
				       "%s that is not supported", partial, family->name);
	rope->n_rot = (uint32_t)(numbers->head_dim * partial);
	if (rope->n_rot % 2 || !rope->n_rot)
		return hf_config_error(config, SC_E_FORMAT, err,
				       "the rotated part of a head, %g of %u elements, must be an "
				       "even number of elements", partial, numbers->head_dim);
	return SC_OK;
}

/* original_max_position_embeddings beside rope_parameters counts before the one in them, as in
 * transformers. */
static enum sc_status read_original(const struct hf_config *config,
				    const struct hf_numbers *numbers, const json_t *from,
				    struct hf_rope *rope, struct error *err)
{
	double n = numbers->n_context;
	enum sc_status status = number(config, from, "original_max_position_embeddings", n, &n,
				       err);

	if (!status)
		status = hf_config_number(config, "original_max_position_embeddings", n, &n, err);
	if (!status && !(n >= 2 && n <= UINT32_MAX))
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'original_max_position_embeddings' must be a whole number "
				       "above 1, found %g", n);
	rope->n_original = (uint32_t)n;
	return status;
}

static enum sc_status read_yarn(const struct hf_config *config, const json_t *from,
				struct hf_rope *rope, struct error *err)
{
	double scale, scale_all;
	enum sc_status status = number(config, from, "beta_fast", 32, &rope->beta_fast, err);

	if (!status)
		status = number(config, from, "beta_slow", 1, &rope->beta_slow, err);
	if (!status)
		status = number(config, from, "mscale", 0, &scale, err);
	if (!status)
		status = number(config, from, "mscale_all_dim", 0, &scale_all, err);
	if (!status)
		status = number(config, from, "attention_factor", 0, &rope->magnitude, err);
	if (status)
		return status;
	if (json_is_false(hf_json_get(from, "truncate")))
		return hf_config_error(config, SC_E_UNSUPPORTED, err,
				       "'truncate' in 'rope_parameters' is false; only true is "
				       "supported for yarn");
	if (rope->beta_fast == 0)	/* as in transformers: 0 is the default, too */
		rope->beta_fast = 32;
	if (rope->beta_slow == 0)
		rope->beta_slow = 1;
	if (rope->magnitude == 0 && scale != 0 && scale_all != 0)
		rope->magnitude = rope_yarn_magnitude(rope->factor, scale) /
				  rope_yarn_magnitude(rope->factor, scale_all);
	rope->is_magnitude_usual = rope->magnitude == 0;
	if (rope->is_magnitude_usual)
		rope->magnitude = rope_yarn_magnitude(rope->factor, 1);
	return SC_OK;
}

static enum sc_status check_factors(const struct hf_config *config, const json_t *list,
				    const char *name, uint32_t n, struct error *err)
{
	for (size_t i = 0; i < n || !i; i++) {
		const json_t *value = json_array_get(list, i);

		if (json_array_size(list) == n && json_is_number(value) &&
		    json_number_value(value) > 0 && json_number_value(value) < 1e30)
			continue;
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'%s' must be a list of %u numbers above 0, one for each "
				       "two rotated elements of a head; it has %zu elements",
				       name, n, json_array_size(list));
	}
	return SC_OK;
}

static enum sc_status read_long(const struct hf_config *config, const json_t *from,
				struct hf_rope *rope, struct error *err)
{
	enum sc_status status;

	rope->long_factors = hf_json_get(from, "long_factor");
	rope->short_factors = hf_json_get(from, "short_factor");
	if (hf_json_get(from, "short_mscale|long_mscale"))
		return hf_config_error(config, SC_E_UNSUPPORTED, err,
				       "'short_mscale' and 'long_mscale' in 'rope_scaling' are not "
				       "supported");
	status = check_factors(config, rope->long_factors, "long_factor", rope->n_rot / 2, err);
	if (!status)
		status = check_factors(config, rope->short_factors, "short_factor",
				       rope->n_rot / 2, err);
	if (!status)
		status = number(config, from, "attention_factor", 0, &rope->magnitude, err);
	if (!status && rope->magnitude == 0)
		rope->magnitude = rope->factor <= 1 ? 1 :
				  sqrt(1 + log(rope->factor) / log(rope->n_original));
	return status;
}

static enum sc_status read_llama3(const struct hf_config *config, const json_t *from,
				  struct hf_rope *rope, struct error *err)
{
	enum sc_status status = number(config, from, "low_freq_factor", HF_REQUIRED,
				       &rope->low_factor, err);

	if (!status)
		status = number(config, from, "high_freq_factor", HF_REQUIRED, &rope->high_factor,
				err);
	if (!status && !(rope->low_factor > 0 && rope->high_factor > rope->low_factor))
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'high_freq_factor' must be above 'low_freq_factor', and "
				       "both above 0; found %g and %g", rope->high_factor,
				       rope->low_factor);
	return status;
}

/* The factor; YaRN and LongRoPE have one without the key, too. */
static enum sc_status read_factor(const struct hf_config *config, const struct hf_numbers *numbers,
				  const json_t *from, struct hf_rope *rope, struct error *err)
{
	bool is_optional = rope->type == HF_ROPE_YARN || rope->type == HF_ROPE_LONG;
	double fallback = is_optional ? (double)numbers->n_context / rope->n_original :
					HF_REQUIRED;
	enum sc_status status = number(config, from, "factor", fallback, &rope->factor, err);

	if (!status && !(rope->factor > 0))
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'factor' of the rope must be above 0, found %g",
				       rope->factor);
	return status;
}

static enum sc_status read_scaling(const struct hf_config *config,
				   const struct hf_numbers *numbers, const json_t *from,
				   struct hf_rope *rope, struct error *err)
{
	enum sc_status status = SC_OK;

	if (rope->type == HF_ROPE_PLAIN)
		return SC_OK;
	if (rope->type != HF_ROPE_LINEAR)
		status = read_original(config, numbers, from, rope, err);
	if (!status)
		status = read_factor(config, numbers, from, rope, err);
	if (status)
		return status;
	switch (rope->type) {
	case HF_ROPE_LLAMA3: return read_llama3(config, from, rope, err);
	case HF_ROPE_YARN: return read_yarn(config, from, rope, err);
	case HF_ROPE_LONG: return read_long(config, from, rope, err);
	case HF_ROPE_PLAIN: case HF_ROPE_LINEAR: return SC_OK;
	}
	return SC_OK;
}

/* Hunyuan: "dynamic" with a fixed alpha stretches theta, whatever the length. */
static enum sc_status apply_alpha(const struct hf_family *family, const struct hf_config *config,
				  const json_t *from, struct hf_rope *rope, struct error *err)
{
	double alpha;
	enum sc_status status = number(config, from, "alpha", 0, &alpha, err);

	if (status || alpha == 0 || strcmp(type_name(from), "dynamic"))
		return status;
	if (!family->rope.has_alpha || alpha < 0 || rope->n_rot <= 2)
		return hf_config_error(config, SC_E_UNSUPPORTED, err,
				       "'alpha' of the rope is %g, which is not supported for "
				       "models of the family %s", alpha, family->name);
	rope->theta *= pow(alpha, (double)rope->n_rot / (rope->n_rot - 2));
	return SC_OK;
}

enum sc_status hf_rope_read(const struct hf_family *family, const struct hf_config *config,
			    const struct hf_numbers *numbers, struct hf_rope *rope_out,
			    struct error *err)
{
	const struct parameters from = find_parameters(config);
	enum sc_status status;

	*rope_out = (struct hf_rope){ .type = HF_ROPE_PLAIN };
	if (family->rope.is_absent)
		return SC_OK;
	if (family->rope.must_be_given && !json_is_object(from.full))
		return hf_config_error(config, SC_E_UNSUPPORTED, err,
				       "'rope_parameters' or 'rope_scaling' is missing; models of "
				       "the family %s need it. For plain positions give "
				       "{\"rope_type\": \"default\"}", family->name);
	status = find_type(config, from.full, rope_out, err);
	if (!status)
		status = read_base(family, config, numbers, from.full, rope_out, err);
	if (!status)
		status = read_local(family, config, &from, rope_out, err);
	if (!status)
		status = read_scaling(config, numbers, from.full, rope_out, err);
	return status ? status : apply_alpha(family, config, from.full, rope_out, err);
}

static enum sc_status put_yarn(const struct hf_rope *rope, const char *arch,
			       struct gguf_head *head)
{
	enum sc_status status = put_f32(head, arch, "rope.scaling.factor", rope->factor);

	if (!status)
		status = put_f32(head, arch, "rope.scaling.yarn_beta_fast", rope->beta_fast);
	if (!status)
		status = put_f32(head, arch, "rope.scaling.yarn_beta_slow", rope->beta_slow);
	/* In GGUF this key is multiplied by the usual magnitude. */
	if (!status && !rope->is_magnitude_usual)
		status = put_f32(head, arch, "rope.scaling.attn_factor",
				 rope->magnitude / rope_yarn_magnitude(rope->factor, 1));
	return status;
}

static enum sc_status put_scaling(const struct hf_rope *rope, const char *arch,
				  struct gguf_head *head)
{
	static const char *const names[] = {
		[HF_ROPE_LINEAR] = "linear", [HF_ROPE_YARN] = "yarn", [HF_ROPE_LONG] = "longrope",
	};
	enum sc_status status;

	if (rope->type == HF_ROPE_PLAIN || rope->type == HF_ROPE_LLAMA3)
		return SC_OK;
	status = put_string(head, arch, "rope.scaling.type", names[rope->type]);
	if (!status && rope->n_original)
		status = put_u32(head, arch, "rope.scaling.original_context_length",
				 rope->n_original);
	if (status)
		return status;
	if (rope->type == HF_ROPE_LINEAR)
		return put_f32(head, arch, "rope.scaling.factor", rope->factor);
	if (rope->type == HF_ROPE_YARN)
		return put_yarn(rope, arch, head);
	return put_f32(head, arch, "rope.scaling.attn_factor", rope->magnitude);
}

enum sc_status hf_rope_put(const struct hf_rope *rope, const char *arch, struct gguf_head *head)
{
	enum sc_status status;

	if (!rope->n_rot)
		return SC_OK;
	status = put_u32(head, arch, "rope.dimension_count", rope->n_rot);
	if (!status)
		status = put_f32(head, arch, "rope.freq_base", rope->theta);
	if (!status && rope->local_theta > 0)
		status = put_f32(head, arch, "rope.freq_base_swa", rope->local_theta);
	return status ? status : put_scaling(rope, arch, head);
}

/* In float arithmetic, as transformers and llama.cpp's converter have it. */
void hf_rope_llama3_factors(const struct hf_rope *rope, float *out)
{
	const float original = (float)rope->n_original, factor = (float)rope->factor;
	const float low = (float)rope->low_factor, high = (float)rope->high_factor;

	for (uint32_t i = 0; i < rope->n_rot / 2; i++) {
		float exponent = (float)(2 * i) / (float)rope->n_rot;
		float angle = 1.0f / (float)pow(rope->theta, (double)exponent);
		float wave = (float)(2 * PI) / angle;
		float smooth = (original / wave - low) / (high - low);

		if (wave < original / high)
			out[i] = 1;
		else if (wave > original / low)
			out[i] = factor;
		else
			out[i] = 1.0f / ((1.0f - smooth) / factor + smooth);
	}
}
