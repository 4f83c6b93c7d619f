/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_ADDED_TOKENS_H
#define STAGECOACH_MODEL_ADDED_TOKENS_H
/*
 * added_tokens - finds the added tokens of a pipeline in a text, as the tokenizers package does: the
 * leftmost match counts, of several at one place the longest. Some tokens take the white space
 * beside them along, or match only as whole words. There are two sets: tokens that match a text as
 * it is, and tokens that match it once it is normalised.
 * Control tokens match only where the caller allows them. As there, one that is not allowed at all
 * still ends the search behind it; one that a mask forbids does not, because the mask's other
 * tokens must be found whatever a stranger wrote in front of them.
 * Private to the tokenizer. Thread: read-only after creation. Borrows nothing.
 */
#include "model/masked_text.h"
#include "model/normalizer.h"
#include "model/pipeline.h"
#include "model/vocab.h"

struct added_tokens;

/* is_normalized: which of the two sets. Borrows steps until destroy. SC_E_NOMEM, and what
 * normalizer_run returns. */
must_check enum sc_status added_tokens_create(struct pipeline_steps steps, bool is_normalized,
					      const struct vocab *vocab,
					      const struct normalizer *normalizer,
					      struct added_tokens **tokens_out,
					      struct error *err);
void added_tokens_destroy(struct added_tokens *tokens);

/* Some token takes white space along. */
bool added_tokens_eat_space(const struct added_tokens *tokens);

struct added_match {
	size_t start, end;	/* with the white space that belongs to the token */
	uint32_t token;
};

/* The tokens of one text, in order. */
struct added_scan {
	const struct added_tokens *tokens;
	struct masked_text text;
	bool is_control_allowed;	/* false: control tokens match nowhere */
	size_t at;			/* where the search goes on */
	size_t last_end;		/* of the last match, white space included */
};

static inline void added_scan_init(struct added_scan *scan, const struct added_tokens *tokens,
				   struct masked_text text, bool is_control_allowed)
{
	*scan = (struct added_scan){
		.tokens = tokens, .text = text, .is_control_allowed = is_control_allowed,
	};
}

/* Returns false if there is no further match. A match may begin before the last one's end if that
 * took white space along which is a token, too. */
bool added_scan_next(struct added_scan *scan, struct added_match *match_out);

#endif
