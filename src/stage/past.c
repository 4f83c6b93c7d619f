/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/past.h"

#include <stdlib.h>
#include <string.h>

/* The largest sampling, in words of a step. */
enum { SLOT_WORDS = STEP_SAMPLING_WORDS + STEP_MAX_BIASES + STEP_MAX_BANS / 2 };

struct past {
	uint32_t block_length;
	uint32_t group;		/* whose blocks hold the tokens */
	uint64_t *samplings;	/* [max_sequences][SLOT_WORDS] */
	uint32_t *pool;		/* [max_blocks[group]][block_length] */
};

struct past_sizes past_sizes(const struct step_limits *limits)
{
	const struct past *p = NULL;	/* for the sizes of its arrays' elements */

	return (struct past_sizes){
		.fixed_bytes = sizeof *p + (uint64_t)limits->max_sequences * SLOT_WORDS *
					   sizeof *p->samplings,
		.block_bytes = (uint64_t)limits->block_length * sizeof *p->pool,
	};
}

enum sc_status past_create(const struct step_limits *limits, struct past **past_out)
{
	struct past *past = calloc(1, sizeof *past);

	if (!past)
		return SC_E_NOMEM;
	past->block_length = limits->block_length;
	past->group = step_whole_group(limits);
	past->samplings = calloc((size_t)limits->max_sequences * SLOT_WORDS,
				 sizeof *past->samplings);
	past->pool = calloc((size_t)limits->max_blocks[past->group] * limits->block_length,
			    sizeof *past->pool);
	if (!past->samplings || !past->pool) {
		past_destroy(past);
		return SC_E_NOMEM;
	}
	*past_out = past;
	return SC_OK;
}

void past_destroy(struct past *past)
{
	if (!past)
		return;
	free(past->samplings);
	free(past->pool);
	free(past);
}

static uint64_t *sampling_at(const struct past *past, uint32_t slot)
{
	return past->samplings + (size_t)slot * SLOT_WORDS;
}

const struct sampling *past_sampling(const struct past *past, uint32_t slot)
{
	return (const struct sampling *)sampling_at(past, slot);
}

static void write_tokens(struct past *past, const struct segment *segment, const uint32_t *tokens,
			 const uint32_t *blocks)
{
	for (uint32_t i = 0, n; i < segment->n_rows; i += n) {
		uint32_t position = segment->first_position + i;
		uint32_t at = position % past->block_length;
		size_t block = blocks[position / past->block_length];

		n = (uint32_t)min_of(past->block_length - at, segment->n_rows - i);
		memcpy(past->pool + block * past->block_length + at, tokens + i,
		       n * sizeof *tokens);
	}
}

void past_apply(struct past *past, const struct step *step, const struct sequences *sequences)
{
	const uint32_t *tokens = step->tokens;

	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];

		if (segment->flags & SEGMENT_NEW) {
			const struct sampling *sampling = segment_sampling(step, segment);

			memcpy(sampling_at(past, segment->sequence), sampling,
			       sampling_words(sampling) * sizeof *past->samplings);
		}
		write_tokens(past, segment, tokens,
			     sequences_get(sequences, segment->sequence)->tables[past->group]);
		tokens += segment->n_rows;
	}
}

struct past_view past_view(const struct past *past, const struct cached_sequence *sequence)
{
	return (struct past_view){ past->pool, sequence->tables[past->group], past->block_length };
}

void past_read(const struct past_view *view, uint32_t first, uint32_t n, uint32_t *tokens_out)
{
	for (uint32_t i = 0, run; i < n; i += run) {
		uint32_t at = (first + i) % view->block_length;
		size_t block = view->blocks[(first + i) / view->block_length];

		run = (uint32_t)min_of(view->block_length - at, n - i);
		memcpy(tokens_out + i, view->pool + block * view->block_length + at,
		       run * sizeof *tokens_out);
	}
}
