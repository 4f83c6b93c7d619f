/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/config_layers.h"

#include "hf/put_key.h"
#include "model/model.h"
#include "model/quote.h"

#include <string.h>

struct layers {
	uint32_t n, n_sliding;
	uint32_t window;	/* 0: none */
	uint8_t slides[MODEL_MAX_LAYERS];
};

static enum sc_status read_types(const struct hf_config *config, const json_t *types,
				 struct layers *layers, struct error *err)
{
	if (json_array_size(types) < layers->n)
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'layer_types' must be a list of %u kinds, one for each "
				       "layer; it has %zu", layers->n, json_array_size(types));
	for (uint32_t i = 0; i < layers->n; i++) {
		const char *type = json_string_value(json_array_get(types, i));

		if (!type)
			type = "?";
		layers->slides[i] = !strcmp(type, "sliding_attention");
		if (!layers->slides[i] && strcmp(type, "full_attention") &&
		    strcmp(type, "attention"))
			return hf_config_error(config, SC_E_UNSUPPORTED, err,
					       "layer %u is of the type '%s'; supported are "
					       "full_attention and sliding_attention", i,
					       quote(type, strlen(type)).text);
	}
	return SC_OK;
}

/* "LLLG" or a number: all but every n-th layer slide. 1 or 0: none does. */
static enum sc_status read_pattern(const struct hf_family *family, const struct hf_config *config,
				   struct layers *layers, struct error *err)
{
	static const char names[] = "sliding_window_pattern|_sliding_window_pattern";
	const char *pattern = hf_config_string(config, names);
	size_t length = pattern ? strlen(pattern) : 0;
	uint32_t period = family->period;
	enum sc_status status = SC_OK;

	if (pattern && strspn(pattern, "LG") != length)
		return hf_config_error(config, SC_E_UNSUPPORTED, err,
				       "'sliding_window_pattern' is '%s'; expected L (sliding) and "
				       "G (full), as in LLLG", quote(pattern, length).text);
	if (!pattern)
		status = hf_config_u32(config, names, 0, MODEL_MAX_LAYERS, period, &period, err);
	for (uint32_t i = 0; !status && i < layers->n; i++)
		layers->slides[i] = length ? pattern[i % length] == 'L' :
				    period > 1 && (i + 1) % period;
	return status;
}

/* Those from max_window_layers on; of smollm3 those without rotary positions, see
 * check_no_rope. */
static enum sc_status read_flag(const struct hf_family *family, const struct hf_config *config,
				struct layers *layers, struct error *err)
{
	uint32_t first;
	enum sc_status status = hf_config_u32(config, "max_window_layers", 0, UINT32_MAX, 28,
					      &first, err);

	for (uint32_t i = 0; !status && i < layers->n; i++)
		layers->slides[i] = family->rope.has_no_rope_layers ? (i + 1) % 4 == 0 :
								      i >= first;
	return status;
}

/* A null sliding_window is none, a missing one the family's. */
static enum sc_status read_window(const struct hf_family *family, const struct hf_config *config,
				  struct layers *layers, struct error *err)
{
	const json_t *value = json_object_get(config->json, "sliding_window");

	if (family->windows == HF_WINDOWS_FLAG &&
	    !hf_config_flag(config, "use_sliding_window", false))
		return SC_OK;
	if (json_is_null(value) || json_is_false(value))
		return SC_OK;
	return hf_config_u32(config, "sliding_window", 0, INT32_MAX, family->window,
			     &layers->window, err);
}

static enum sc_status read_layers(const struct hf_family *family, const struct hf_config *config,
				  struct layers *layers, struct error *err)
{
	const json_t *types = hf_config_get(config, "layer_types");
	enum sc_status status = SC_OK;

	if (family->windows != HF_WINDOWS_NONE)
		status = read_window(family, config, layers, err);
	if (status)
		return status;
	if (types)
		return read_types(config, types, layers, err);
	if (!layers->window)
		return SC_OK;
	switch (family->windows) {
	case HF_WINDOWS_NONE: return SC_OK;
	case HF_WINDOWS_ALL: memset(layers->slides, 1, layers->n); return SC_OK;
	case HF_WINDOWS_FLAG: return read_flag(family, config, layers, err);
	case HF_WINDOWS_PERIOD: return read_pattern(family, config, layers, err);
	}
	return SC_OK;
}

static bool is_implied(const struct hf_family *family, const struct layers *layers)
{
	if (family->windows == HF_WINDOWS_ALL)
		return layers->n_sliding == layers->n;
	if (!family->is_period_implied)
		return false;
	for (uint32_t i = 0; i < layers->n; i++)
		if (layers->slides[i] != !!((i + 1) % family->period))
			return false;
	return true;
}

/* smollm3: a 1 in no_rope_layers means that the layer has rotary positions. */
static enum sc_status check_no_rope(const struct hf_config *config, const struct layers *layers,
				    struct error *err)
{
	const json_t *list = hf_config_get(config, "no_rope_layers");
	uint32_t interval;
	enum sc_status status = hf_config_u32(config, "no_rope_layer_interval", 1, INT32_MAX, 4,
					      &interval, err);

	if (status)
		return status;
	if (json_is_array(list) && json_array_size(list) && json_array_size(list) < layers->n)
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'no_rope_layers' must have %u elements, one for each "
				       "layer; it has %zu", layers->n, json_array_size(list));
	for (uint32_t i = 0; i < layers->n; i++) {
		const json_t *value = json_array_get(list, i);
		bool has_rope = value ? json_is_true(value) || json_integer_value(value) :
					(i + 1) % interval != 0;

		if (has_rope != ((i + 1) % 4 != 0))
			return hf_config_error(config, SC_E_UNSUPPORTED, err,
					       "layer %u has %srotary positions "
					       "('no_rope_layers'); supported is only that every "
					       "fourth layer has none",
					       i, has_rope ? "" : "no ");
	}
	return SC_OK;
}

static enum sc_status put(const struct hf_family *family, const struct layers *layers,
			  struct gguf_head *head)
{
	enum sc_status status;

	if (!layers->window || !layers->n_sliding)
		return family->has_window_key ?
		       put_u32(head, family->arch, "attention.sliding_window", 0) : SC_OK;
	status = put_u32(head, family->arch, "attention.sliding_window", layers->window);
	if (status || is_implied(family, layers))
		return status;
	return put_bools(head, family->arch, "attention.sliding_window_pattern", layers->slides,
			 layers->n);
}

enum sc_status hf_layers_put(const struct hf_family *family, const struct hf_config *config,
			     const struct hf_numbers *numbers, struct gguf_head *head,
			     struct error *err)
{
	struct layers layers = { .n = numbers->n_layers };
	enum sc_status status = read_layers(family, config, &layers, err);

	for (uint32_t i = 0; i < layers.n; i++)
		layers.n_sliding += layers.slides[i];
	if (!status && layers.n_sliding && !layers.window)
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'layer_types' has sliding layers, but there is no "
				       "'sliding_window'");
	if (!status && family->rope.has_no_rope_layers)
		status = check_no_rope(config, &layers, err);
	return status ? status : put(family, &layers, head);
}
