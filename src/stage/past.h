/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_PAST_H
#define STAGECOACH_STAGE_PAST_H
/*
 * past - what the last stage knows of each sequence beside its keys and values: the tokens so far,
 * and how further tokens are drawn.
 * The ids of tokens lie in a pool like keys and values do, in the blocks of the group that has room
 * for a whole context (step_whole_group): the token at position p of a sequence is in block
 * table[p / block_length] of the sequence's table, at p % block_length. Every row of a
 * step writes its token. So a sequence that is computed again, or that gets blocks which another
 * sequence has filled, has its tokens without further messages.
 * The size is fixed by the limits. Thread: one; reading may run in parallel.
 */
#include "stage/sequences.h"
#include "wire/step.h"

struct past;

/* The bytes that past_create takes, by what they grow with. */
struct past_sizes {
	uint64_t fixed_bytes;
	uint64_t block_bytes;		/* of each block of the whole group's pool */
};
struct past_sizes past_sizes(const struct step_limits *limits);

must_check enum sc_status past_create(const struct step_limits *limits, struct past **past_out);
void past_destroy(struct past *past);

/* Takes the samplings of new sequences and the tokens of all rows. `sequences` must include the
 * step already. */
void past_apply(struct past *past, const struct step *step, const struct sequences *sequences);

/* The sampling of a live sequence, with its biases and bans behind it. */
const struct sampling *past_sampling(const struct past *past, uint32_t slot);

/* Where the tokens of a sequence are. Borrows both arrays. */
struct past_view {
	const uint32_t *pool;
	const uint32_t *blocks;
	uint32_t block_length;
};
struct past_view past_view(const struct past *past, const struct cached_sequence *sequence);

/* Copies the tokens at positions first .. first + n - 1, with STEP_TOKEN_BREAKER. */
void past_read(const struct past_view *view, uint32_t first, uint32_t n, uint32_t *tokens_out);

#endif
