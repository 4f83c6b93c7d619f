/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/penalties.h"

#include <float.h>
#include <math.h>

/* A mark of a token in the window: this bit if the repetition penalty applies, plus the number of
 * its occurrences in the output. */
#define IS_REPEATED UINT32_C(0x80000000)

static float penalised(float value, const struct sampling *s, uint32_t mark)
{
	float count = (float)(mark & ~IS_REPEATED);
	float is_present = (float)(count > 0);

	if (mark & IS_REPEATED)
		value = value <= 0 ? value * s->repetition_penalty : value / s->repetition_penalty;
	value -= count * s->frequency_penalty + is_present * s->presence_penalty;
	return fminf(value, FLT_MAX);
}

static void mark_tokens(const struct sampling *s, const uint32_t *tokens, uint32_t n,
			uint32_t n_output, uint32_t *marks)
{
	bool is_counted = s->presence_penalty != 0 || s->frequency_penalty != 0;

	for (uint32_t i = 0; s->repetition_penalty != 1 && i < n; i++)
		marks[step_token(tokens[i])] = IS_REPEATED;
	for (uint32_t i = n - n_output; is_counted && i < n; i++)
		marks[step_token(tokens[i])]++;
}

void penalties_apply(struct candidates *c, const struct sampling *s,
		     const struct past_tokens *past, uint32_t *marks)
{
	uint32_t last_n = s->penalty_last_n ? s->penalty_last_n : UINT32_MAX;
	uint32_t n = (uint32_t)min_of(past->n, last_n);
	const uint32_t *tokens = past->tokens + (past->n - n);

	mark_tokens(s, tokens, n, (uint32_t)min_of(past->n_output, n), marks);
	/* Of a whole vocabulary only the tokens of the window are looked at. */
	for (uint32_t i = 0; !c->is_whole && i < c->n; i++)
		candidates_set(c, i, penalised(c->values[i], s, marks[c->tokens[i]]));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t token = step_token(tokens[i]);

		if (c->is_whole && marks[token])
			candidates_set(c, token, penalised(c->values[token], s, marks[token]));
		marks[token] = 0;
	}
}
