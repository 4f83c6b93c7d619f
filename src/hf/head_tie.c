/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/head_tie.h"

#include <string.h>

#define N_SAMPLES 64		/* rows that are compared, from the first to the last */

static bool is_alike(const struct hf_stored *a, const struct hf_stored *b)
{
	return a && a->dtype == b->dtype && a->n_dims == 2 && b->n_dims == 2 &&
	       a->dims[0] == b->dims[0] && a->dims[1] == b->dims[1] && !a->scale && !b->scale &&
	       a->dims[0] > 0;
}

bool hf_head_is_tied(const struct hf_family *family, const struct hf_config *config,
		     const struct hf_stored *embedding, const struct hf_stored *head)
{
	uint64_t row_bytes, last;

	if (!hf_config_flag(config, "tie_word_embeddings", family->is_tied) ||
	    !is_alike(embedding, head))
		return false;
	row_bytes = head->n_bytes / head->dims[0];
	last = head->dims[0] - 1;
	for (uint64_t i = 0; i < N_SAMPLES; i++) {
		uint64_t offset = last * i / (N_SAMPLES - 1) * row_bytes;

		if (memcmp(embedding->data + offset, head->data + offset, row_bytes))
			return false;
	}
	return true;
}

bool hf_head_has_unit_rows(const struct hf_family *family, const struct hf_config *config)
{
	const json_t *n = hf_config_get(config, "vocab_size");

	return family->unit_head_vocab && json_integer_value(n) == family->unit_head_vocab;
}
