/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sequences.h"

#include <stdlib.h>

#define NO_OWNER UINT32_MAX

/* Marks of a check on a slot or a block. A mark counts only if it equals the number of the current
 * check, so marks need not be cleared. */
struct slot {
	struct cached_sequence sequence;
	uint64_t freed_in;
};

struct block {
	uint32_t owner;		/* slot, or NO_OWNER */
	uint64_t appended_in;
};

struct sequences {
	struct step_limits limits;
	uint64_t check;			/* number of the current check */
	uint32_t blocks_per_slot;
	struct slot *slots;		/* [max_sequences] */
	struct block *blocks;		/* [max_blocks] */
	uint32_t *tables;		/* [max_sequences][blocks_per_slot] */
};

struct sequences_sizes sequences_sizes(uint32_t max_sequences)
{
	const struct sequences *s = NULL;	/* for the sizes of its arrays' elements */

	return (struct sequences_sizes){
		.fixed_bytes = sizeof *s + max_sequences * sizeof *s->slots,
		.block_bytes = sizeof *s->blocks,
		.context_block_bytes = max_sequences * sizeof *s->tables,
	};
}

uint64_t sequences_bytes(const struct step_limits *limits)
{
	const struct sequences_sizes sizes = sequences_sizes(limits->max_sequences);
	uint64_t n_context_blocks = step_blocks_for(limits, limits->max_context);

	return sizes.fixed_bytes + sizes.block_bytes * limits->max_blocks +
	       sizes.context_block_bytes * n_context_blocks;
}

enum sc_status sequences_create(const struct step_limits *limits, struct sequences **sequences_out)
{
	struct sequences *s = calloc(1, sizeof *s);

	if (!s)
		return SC_E_NOMEM;
	s->limits = *limits;
	s->blocks_per_slot = step_blocks_for(limits, limits->max_context);
	s->slots = calloc(limits->max_sequences, sizeof *s->slots);
	s->blocks = calloc(limits->max_blocks, sizeof *s->blocks);
	s->tables = calloc((size_t)limits->max_sequences * s->blocks_per_slot, sizeof *s->tables);
	if (!s->slots || !s->blocks || !s->tables)
		goto fail;
	for (uint32_t i = 0; i < limits->max_sequences; i++)
		s->slots[i].sequence.blocks = s->tables + (size_t)i * s->blocks_per_slot;
	for (uint32_t i = 0; i < limits->max_blocks; i++)
		s->blocks[i].owner = NO_OWNER;
	*sequences_out = s;
	return SC_OK;
fail:
	sequences_destroy(s);
	return SC_E_NOMEM;
}

void sequences_destroy(struct sequences *s)
{
	if (!s)
		return;
	free(s->slots);
	free(s->blocks);
	free(s->tables);
	free(s);
}

const struct cached_sequence *sequences_get(const struct sequences *s, uint32_t slot)
{
	return &s->slots[slot].sequence;
}

static enum sc_status check_free(struct sequences *s, uint32_t slot, struct error *err)
{
	if (!s->slots[slot].sequence.is_live)
		return error_set(err, SC_E_PROTOCOL, "free: sequence %u: its slot is empty", slot);
	s->slots[slot].freed_in = s->check;
	return SC_OK;
}

/* A sequence must begin in an empty slot, or continue where it stopped. */
static enum sc_status check_slot(const struct sequences *s, const struct segment *segment,
				 struct error *err)
{
	const struct slot *slot = &s->slots[segment->sequence];
	bool is_live = slot->sequence.is_live && slot->freed_in != s->check;
	uint32_t n_positions = is_live ? slot->sequence.n_positions : 0;

	if ((segment->flags & SEGMENT_NEW) && is_live)
		return error_set(err, SC_E_PROTOCOL,
				 "sequence %u: starts in a slot that already holds %u positions",
				 segment->sequence, n_positions);
	if (!(segment->flags & SEGMENT_NEW) && !is_live)
		return error_set(err, SC_E_PROTOCOL, "sequence %u: continues in an empty slot",
				 segment->sequence);
	if (segment->first_position != n_positions)
		return error_set(err, SC_E_PROTOCOL,
				 "sequence %u: expected to continue at position %u, found %u",
				 segment->sequence, n_positions, segment->first_position);
	return SC_OK;
}

static enum sc_status check_block(struct sequences *s, uint32_t sequence, uint32_t id,
				  struct error *err)
{
	struct block *block = &s->blocks[id];

	if (block->owner != NO_OWNER && s->slots[block->owner].freed_in != s->check)
		return error_set(err, SC_E_PROTOCOL, "sequence %u: block %u: in use by sequence %u",
				 sequence, id, block->owner);
	if (block->appended_in == s->check)
		return error_set(err, SC_E_PROTOCOL, "sequence %u: block %u: given twice",
				 sequence, id);
	block->appended_in = s->check;
	return SC_OK;
}

/* Checks that the new blocks are free and that the table then covers the rows. */
static enum sc_status check_blocks(struct sequences *s, const struct step *step,
				   const struct segment *segment, struct error *err)
{
	bool is_new = segment->flags & SEGMENT_NEW;
	uint32_t n_held = is_new ? 0 : s->slots[segment->sequence].sequence.n_blocks;
	uint32_t end = segment->first_position + segment->n_rows;
	uint32_t n_needed = step_blocks_for(&s->limits, end);
	enum sc_status status = SC_OK;

	if (segment->n_blocks > s->blocks_per_slot - n_held)
		return error_set(err, SC_E_PROTOCOL,
				 "sequence %u: expected at most %u blocks, found %u and %u more",
				 segment->sequence, s->blocks_per_slot, n_held, segment->n_blocks);
	if (n_held + segment->n_blocks < n_needed)
		return error_set(err, SC_E_PROTOCOL,
				 "sequence %u: expected %u blocks for %u positions, found %u",
				 segment->sequence, n_needed, end, n_held + segment->n_blocks);
	for (uint32_t i = 0; !status && i < segment->n_blocks; i++)
		status = check_block(s, segment->sequence, step->blocks[segment->first_block + i],
				     err);
	return status;
}

enum sc_status sequences_check(struct sequences *s, const struct step *step, struct error *err)
{
	enum sc_status status = SC_OK;

	s->check++;
	for (uint32_t i = 0; !status && i < step->n_frees; i++)
		status = check_free(s, step->frees[i], err);
	for (uint32_t i = 0; !status && i < step->n_segments; i++) {
		status = check_slot(s, &step->segments[i], err);
		if (!status)
			status = check_blocks(s, step, &step->segments[i], err);
	}
	return status;
}

static void free_slot(struct sequences *s, uint32_t slot)
{
	struct cached_sequence *sequence = &s->slots[slot].sequence;

	for (uint32_t i = 0; i < sequence->n_blocks; i++)
		s->blocks[sequence->blocks[i]].owner = NO_OWNER;
	sequence->is_live = false;
	sequence->n_positions = 0;
	sequence->n_blocks = 0;
}

static void apply_segment(struct sequences *s, const struct step *step,
			  const struct segment *segment)
{
	struct cached_sequence *sequence = &s->slots[segment->sequence].sequence;

	if (segment->flags & SEGMENT_NEW)
		sequence->is_live = true;
	for (uint32_t i = 0; i < segment->n_blocks; i++) {
		uint32_t id = step->blocks[segment->first_block + i];

		s->blocks[id].owner = segment->sequence;
		sequence->blocks[sequence->n_blocks++] = id;
	}
	sequence->n_positions += segment->n_rows;
}

void sequences_apply(struct sequences *s, const struct step *step)
{
	for (uint32_t i = 0; i < step->n_frees; i++)
		free_slot(s, step->frees[i]);
	for (uint32_t i = 0; i < step->n_segments; i++)
		apply_segment(s, step, &step->segments[i]);
}
