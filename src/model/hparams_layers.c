/* SPDX-License-Identifier: Apache-2.0 */
/* What layers have differently: windows, and whether they have rotary positions. */
#include "model/hparams_reader.h"

#include <inttypes.h>

/* The window of the layers that slide. 0: none does. */
static enum sc_status read_window(struct reader *r, const struct hparams *hp,
				  uint32_t *window_out)
{
	const struct arch *arch = r->arch;
	enum sc_status status = SC_OK;
	uint32_t window = arch->window;

	if (arch->window_layers && arch->window_layers != hp->n_layers)
		window = 0;
	if (arch->is_window_required)
		status = reader_need(r, "attention.sliding_window");
	if (!status && reader_seek(r, "attention.sliding_window"))
		status = reader_u32(r, 0, UINT32_MAX, &window);
	if (status)
		return status;
	if (arch->windows == WINDOWS_NONE && window > 0 && window < hp->n_context)
		return reader_unsupported(r, "sliding windows of this architecture are");
	if (arch->windows == WINDOWS_PATTERN && window > 0 && window < hp->n_context &&
	    !reader_seek(r, "attention.sliding_window_pattern"))
		return reader_error(r, SC_E_UNSUPPORTED, "expected the key, because the file has "
				    "a window and models of this architecture slide in some of "
				    "their layers; found none");
	*window_out = window;
	return SC_OK;
}

/* A pattern in the file is a period, or an array that says of each layer whether it slides. */
static enum sc_status read_pattern(struct reader *r, uint32_t *period, struct gguf_array *array,
				   uint32_t n_layers)
{
	*array = (struct gguf_array){ .n = 0 };
	if (!reader_seek(r, "attention.sliding_window_pattern"))
		return SC_OK;
	if (gguf_get_array(r->gguf, r->key, array, NULL))
		return reader_u32(r, 0, MODEL_MAX_LAYERS, period);
	if (array->n < n_layers || array->type == GGUF_STRING || array->type == GGUF_ARRAY)
		return reader_error(r, SC_E_FORMAT, "expected a value for each of %" PRIu32
				    " layers, found an array of %zu", n_layers, array->n);
	return SC_OK;
}

/* As in llama.cpp, a period of 0 means that all layers slide. */
static bool slides(const struct gguf_array *array, uint32_t period, uint32_t layer)
{
	if (array->n)
		return gguf_array_number(array, layer) != 0;
	return period == 0 || (layer + 1) % period != 0;
}

static bool has_rope(const struct arch *arch, uint32_t layer, bool is_sliding, bool any_slides)
{
	switch (arch->rope_layers) {
	case ROPE_LAYERS_ALL:
		return true;
	case ROPE_LAYERS_NOT_FOURTH:
		return (layer + 1) % 4 != 0;
	case ROPE_LAYERS_SLIDING:
		return is_sliding || !any_slides;
	}
	return true;
}

/* Rotary positions of the whole model may be switched off, or replaced by ALiBi. */
static enum sc_status read_switch(struct reader *r, const struct hparams *hp, bool *has_rope_out)
{
	*has_rope_out = r->arch->rope != ROPE_NONE && hp->alibi_bias == 0;
	if (!(r->arch->keys & KEYS_ROPE_SWITCH))
		return SC_OK;
	return reader_maybe_bool(r, "rope.scaling.finetuned", has_rope_out);
}

enum sc_status hparams_read_windows(struct reader *r, struct model *model)
{
	const struct hparams *hp = &model->hparams;
	uint32_t window = 0, period = r->arch->window_period;
	struct gguf_array array;
	bool has_any_rope;
	enum sc_status status = read_window(r, hp, &window);

	if (!status)
		status = read_pattern(r, &period, &array, hp->n_layers);
	if (!status)
		status = read_switch(r, hp, &has_any_rope);
	if (status)
		return status;
	for (uint32_t i = 0; i < hp->n_layers; i++) {
		struct layer_shape *shape = &model->shapes[i];
		const bool is_sliding = window > 0 && slides(&array, period, i);

		/* A window of at least the context length has no effect. */
		shape->window = is_sliding && window < hp->n_context ? window : 0;
		shape->rope = is_sliding ? ROPE_KIND_SLIDING : ROPE_KIND_FULL;
		shape->has_rope = has_any_rope && has_rope(r->arch, i, is_sliding, window > 0);
	}
	return SC_OK;
}
