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
	struct slot *slots;		/* [max_sequences] */
	struct block *blocks[STEP_MAX_GROUPS];	/* by group, [max_blocks] */
	uint32_t *tables;		/* [max_sequences], the tables of all groups of a slot */
};

struct sequences_sizes sequences_sizes(uint32_t max_sequences)
{
	const struct sequences *s = NULL;	/* for the sizes of its arrays' elements */

	return (struct sequences_sizes){
		.fixed_bytes = sizeof *s + max_sequences * sizeof *s->slots,
		.block_bytes = sizeof *s->blocks[0],
		.table_block_bytes = max_sequences * sizeof *s->tables,
	};
}

/* Blocks of a slot's tables, in all groups. */
static uint64_t blocks_per_slot(const struct step_limits *limits)
{
	uint64_t n = 0;

	for (uint32_t g = 0; g < limits->n_groups; g++)
		n += limits->table_blocks[g];
	return n;
}

uint64_t sequences_bytes(const struct step_limits *limits)
{
	const struct sequences_sizes sizes = sequences_sizes(limits->max_sequences);
	uint64_t n = sizes.fixed_bytes + sizes.table_block_bytes * blocks_per_slot(limits);

	for (uint32_t g = 0; g < limits->n_groups; g++)
		n += sizes.block_bytes * limits->max_blocks[g];
	return n;
}

static enum sc_status create_blocks(struct sequences *s)
{
	for (uint32_t g = 0; g < s->limits.n_groups; g++) {
		s->blocks[g] = calloc(s->limits.max_blocks[g], sizeof *s->blocks[g]);
		if (!s->blocks[g])
			return SC_E_NOMEM;
		for (uint32_t i = 0; i < s->limits.max_blocks[g]; i++)
			s->blocks[g][i].owner = NO_OWNER;
	}
	return SC_OK;
}

static enum sc_status create_tables(struct sequences *s)
{
	const struct step_limits *limits = &s->limits;
	uint32_t *table;

	s->slots = calloc(limits->max_sequences, sizeof *s->slots);
	s->tables = calloc(limits->max_sequences * blocks_per_slot(limits), sizeof *s->tables);
	if (!s->slots || !s->tables)
		return SC_E_NOMEM;
	table = s->tables;
	for (uint32_t i = 0; i < limits->max_sequences; i++)
		for (uint32_t g = 0; g < limits->n_groups; g++) {
			s->slots[i].sequence.tables[g] = table;
			table += limits->table_blocks[g];
		}
	return SC_OK;
}

enum sc_status sequences_create(const struct step_limits *limits, struct sequences **sequences_out)
{
	struct sequences *s = calloc(1, sizeof *s);

	if (!s)
		return SC_E_NOMEM;
	s->limits = *limits;
	if (create_blocks(s) != SC_OK || create_tables(s) != SC_OK) {
		sequences_destroy(s);
		return SC_E_NOMEM;
	}
	*sequences_out = s;
	return SC_OK;
}

void sequences_destroy(struct sequences *s)
{
	if (!s)
		return;
	for (uint32_t g = 0; g < STEP_MAX_GROUPS; g++)
		free(s->blocks[g]);
	free(s->slots);
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

static enum sc_status check_block(struct sequences *s, uint32_t sequence, uint32_t group,
				  uint32_t id, struct error *err)
{
	struct block *block = &s->blocks[group][id];

	if (block->owner != NO_OWNER && s->slots[block->owner].freed_in != s->check)
		return error_set(err, SC_E_PROTOCOL, "sequence %u: block %u of group %u: in use by "
				 "sequence %u", sequence, id, group, block->owner);
	if (block->appended_in == s->check)
		return error_set(err, SC_E_PROTOCOL, "sequence %u: block %u of group %u: given "
				 "twice", sequence, id, group);
	block->appended_in = s->check;
	return SC_OK;
}

/* Checks that the new blocks are free. Decoding has checked their number, which follows from the
 * segment's positions. */
static enum sc_status check_blocks(struct sequences *s, const struct step *step,
				   const struct segment *segment, struct error *err)
{
	const uint32_t *id = step->blocks + segment->first_block;
	enum sc_status status = SC_OK;

	for (uint32_t g = 0; g < s->limits.n_groups; g++) {
		uint32_t n = segment_new_blocks(&s->limits, segment, g);

		for (; !status && n; n--)
			status = check_block(s, segment->sequence, g, *id++, err);
	}
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

	for (uint32_t g = 0; g < s->limits.n_groups; g++) {
		uint32_t n = step_held_blocks(&s->limits, g, sequence->n_positions);

		for (uint32_t i = 0; i < n; i++)
			s->blocks[g][sequence->tables[g][i]].owner = NO_OWNER;
	}
	sequence->is_live = false;
	sequence->n_positions = 0;
}

/* Appends the segment's new blocks of a group. Returns the first id behind them. */
static const uint32_t *append_blocks(struct sequences *s, const struct segment *segment,
				     uint32_t group, const uint32_t *id)
{
	struct cached_sequence *sequence = &s->slots[segment->sequence].sequence;
	uint32_t n_held = step_held_blocks(&s->limits, group, segment->first_position);
	uint32_t n = segment_new_blocks(&s->limits, segment, group);

	for (uint32_t i = 0; i < n; i++, id++) {
		s->blocks[group][*id].owner = segment->sequence;
		sequence->tables[group][n_held + i] = *id;
	}
	return id;
}

static void apply_segment(struct sequences *s, const struct step *step,
			  const struct segment *segment)
{
	struct cached_sequence *sequence = &s->slots[segment->sequence].sequence;
	const uint32_t *id = step->blocks + segment->first_block;

	if (segment->flags & SEGMENT_NEW) {
		sequence->is_live = true;
		sequence->is_long = segment->flags & SEGMENT_LONG;
	}
	for (uint32_t g = 0; g < s->limits.n_groups; g++)
		id = append_blocks(s, segment, g, id);
	sequence->n_positions += segment->n_rows;
}

void sequences_apply(struct sequences *s, const struct step *step)
{
	for (uint32_t i = 0; i < step->n_frees; i++)
		free_slot(s, step->frees[i]);
	for (uint32_t i = 0; i < step->n_segments; i++)
		apply_segment(s, step, &step->segments[i]);
}
