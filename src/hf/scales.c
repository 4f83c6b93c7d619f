/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/scales.h"

#include "base/integers.h"
#include "model/quote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct search {
	struct hf_store *store;
	const json_t *quantization;	/* quantization_config of config.json, or NULL */
	uint64_t block[2];		/* rows and columns; 0: config.json does not say */
	struct error *err;
};

/* --- config.json --- */

static const json_t *find_quantization(const json_t *config)
{
	const json_t *found = json_object_get(config, "quantization_config");

	return json_is_object(found) ? found
	     : json_object_get(json_object_get(config, "text_config"), "quantization_config");
}

static enum sc_status read_block(struct search *s)
{
	const json_t *block = json_object_get(s->quantization, "weight_block_size");

	if (!block || json_is_null(block))
		return SC_OK;
	for (size_t i = 0; i < 2; i++) {
		const json_int_t n = json_integer_value(json_array_get(block, i));

		if (json_array_size(block) != 2 || n < 1)
			return error_set(s->err, SC_E_FORMAT, "config.json: quantization_config: "
					 "expected two positive numbers as weight_block_size");
		s->block[i] = (uint64_t)n;
	}
	return SC_OK;
}

/* --- scales --- */

/* The tensor that has the first `length` bytes of a name and a suffix; NULL: there is none. */
static enum sc_status find_suffixed(const struct search *s, const char *name, size_t length,
				    const char *suffix, struct hf_stored **found_out)
{
	char *wanted;

	if (asprintf(&wanted, "%.*s%s", (int)length, name, suffix) < 0)
		return error_set(s->err, SC_E_NOMEM, "no memory for a tensor's name");
	*found_out = (struct hf_stored *)(uintptr_t)hf_store_find(s->store, wanted);
	free(wanted);
	return SC_OK;
}

/* Sets the tensor's block by the scale's shape. Returns false if the shape does not fit. */
static bool fit_scale(const struct search *s, struct hf_stored *tensor,
		      const struct hf_stored *scale)
{
	const uint64_t rows = tensor->dims[0], columns = tensor->dims[1];
	uint64_t n = 1;

	for (size_t i = 0; i < HF_MAX_DIMS; i++)
		n *= scale->dims[i];
	tensor->scale_rows = rows;
	tensor->scale_columns = columns;
	if (n == 1)
		return true;
	if (tensor->n_dims != 2 || scale->n_dims > 2)
		return false;
	if (s->block[0] && scale->n_dims == 2 && scale->dims[0] == div_up(rows, s->block[0]) &&
	    scale->dims[1] == div_up(columns, s->block[1])) {
		tensor->scale_rows = s->block[0];
		tensor->scale_columns = s->block[1];
		return true;
	}
	tensor->scale_rows = 1;
	return scale->dims[0] == rows && scale->dims[1] == 1;
}

static enum sc_status refuse_scale(const struct search *s, const struct hf_stored *tensor,
				   const struct hf_stored *scale)
{
	char blocks[96] = "", more[64] = "";

	if (s->block[0])
		snprintf(blocks, sizeof blocks, ", or one per block of %" PRIu64 " x %" PRIu64
			 " elements", s->block[0], s->block[1]);
	if (scale->n_dims > 2)
		snprintf(more, sizeof more, ", %" PRIu64 ", %" PRIu64, scale->dims[2],
			 scale->dims[3]);
	return error_set(s->err, SC_E_FORMAT, "%s: tensor '%s': expected one scale for the tensor or "
			 "for each of its %" PRIu64 " rows%s, found [%" PRIu64 ", %" PRIu64 "%s]%s",
			 scale->file, quote(scale->name, strlen(scale->name)).text,
			 tensor->dims[0], blocks, scale->dims[0], scale->dims[1], more,
			 s->block[0] ? "" : ": does config.json lack weight_block_size?");
}

static enum sc_status attach(const struct search *s, struct hf_stored *tensor,
			     struct hf_stored *scale)
{
	if (scale->dtype != HF_F32 && scale->dtype != HF_BF16 && scale->dtype != HF_F16)
		return error_set(s->err, SC_E_UNSUPPORTED, "%s: tensor '%s': expected scales in F32, "
				 "F16 or BF16, found %s", scale->file,
				 quote(scale->name, strlen(scale->name)).text, scale->dtype_name);
	if (!fit_scale(s, tensor, scale))
		return refuse_scale(s, tensor, scale);
	tensor->scale = scale;
	scale->is_scale = true;
	return SC_OK;
}

/* Scales of activations, keys and values, which are computed in more than FP8 here. */
static enum sc_status mark_others(const struct search *s, const char *name, size_t length)
{
	static const char *const others[] = {
		"input_scale", "activation_scale", "output_scale", "k_scale", "v_scale",
	};
	enum sc_status status = SC_OK;

	if (length < 6 || strcmp(name + length - 6, "weight"))
		return SC_OK;
	for (size_t i = 0; !status && i < sizeof others / sizeof others[0]; i++) {
		struct hf_stored *found = NULL;

		status = find_suffixed(s, name, length - 6, others[i], &found);
		if (found)
			found->is_scale = true;
	}
	return status;
}

static enum sc_status attach_to(const struct search *s, struct hf_stored *tensor)
{
	static const char *const suffixes[] = { "_scale_inv", "_scale" };
	const size_t length = strlen(tensor->name);
	struct hf_stored *scale = NULL;
	enum sc_status status;

	if (tensor->dtype != HF_F8_E4M3)
		return SC_OK;
	status = mark_others(s, tensor->name, length);
	for (size_t i = 0; !status && !scale && i < sizeof suffixes / sizeof suffixes[0]; i++)
		status = find_suffixed(s, tensor->name, length, suffixes[i], &scale);
	return status || !scale ? status : attach(s, tensor, scale);
}

enum sc_status scales_attach(struct hf_store *store, const json_t *config, struct error *err)
{
	struct search s = {
		.store = store, .quantization = find_quantization(config), .err = err,
	};
	enum sc_status status = read_block(&s);

	for (size_t i = 0; !status && i < hf_store_n(store); i++)
		status = attach_to(&s, store_edit(store, i));
	return status;
}
