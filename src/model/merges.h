/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_MERGES_H
#define STAGECOACH_MODEL_MERGES_H
/*
 * merges - the pairs of tokens that byte pair encoding joins, from tokenizer.ggml.merges: texts
 * "LEFT RIGHT", first those that are joined first.
 * Private to the tokenizer.
 */
#include "model/pairmap.h"
#include "model/vocab.h"

enum {
	MERGES_LAST_COUNTS = 1,	/* of equal pairs the last; otherwise the first */
};

/* *merges_out: (left, right) to rank << 32 | joined token. In a vocabulary of the family VOCAB_BPE
 * the texts are in the alphabet of bytes. Pairs whose parts or result are not tokens are ignored.
 * The caller calls pairmap_destroy. SC_E_FORMAT: the key is missing, or a merge is not a pair.
 * SC_E_NOMEM. */
must_check enum sc_status merges_load(const struct vocab *vocab, const struct gguf *gguf,
				      unsigned flags, struct pairmap **merges_out,
				      struct error *err);

/* For merge_rules.find. */
static inline bool merges_find(const struct pairmap *merges, uint32_t left, uint32_t right,
			       uint32_t *rank_out, uint32_t *token_out)
{
	uint64_t value;

	if (left == TOKEN_NONE || !pairmap_find(merges, left, right, &value))
		return false;
	*rank_out = (uint32_t)(value >> 32);
	*token_out = (uint32_t)value;
	return true;
}

#endif
