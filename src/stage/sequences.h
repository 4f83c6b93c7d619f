/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SEQUENCES_H
#define STAGECOACH_STAGE_SEQUENCES_H
/*
 * sequences - a stage's state of each sequence slot: the number of positions in its KV caches, and
 * a table of blocks for each group of layers. A stage keeps the tables of all groups, also of those
 * that it has no layer of.
 * All stages apply the same steps in the same order, so their tables are equal. A step that does
 * not match earlier steps shows that the stages disagree; the whole step is refused.
 * The size is fixed by the limits. Thread: one.
 */
#include "base/error.h"
#include "wire/step.h"

struct sequences;

/* What a stage's caches hold of a sequence. */
struct cached_sequence {
	bool is_live;
	bool is_long;			/* started with SEGMENT_LONG */
	uint32_t n_positions;		/* positions that its steps have had */
	/* By group, [limits.table_blocks]: position p is in block (p / block_length) % table_blocks
	 * of the table. The first step_held_blocks(n_positions) are set. */
	uint32_t *tables[STEP_MAX_GROUPS];
};

must_check enum sc_status sequences_create(const struct step_limits *limits,
					   struct sequences **sequences_out);
void sequences_destroy(struct sequences *sequences);

/* The bytes that sequences_create takes, by what they grow with. */
struct sequences_sizes {
	uint64_t fixed_bytes;
	uint64_t block_bytes;		/* of each block of the pools */
	uint64_t table_block_bytes;	/* of each block of a sequence's tables, for all slots */
};
struct sequences_sizes sequences_sizes(uint32_t max_sequences);
/* Their sum. */
uint64_t sequences_bytes(const struct step_limits *limits);

/* Checks that step, decoded under the same limits, matches earlier steps. Its frees count first.
 * Has no visible effect. SC_E_PROTOCOL: err names the sequence, what was expected and what was
 * found. */
must_check enum sc_status sequences_check(struct sequences *sequences, const struct step *step,
					  struct error *err);

/* Frees slots, starts sequences, appends blocks, and counts the step's rows as present. Call it
 * only right after sequences_check accepted the step. */
void sequences_apply(struct sequences *sequences, const struct step *step);

/* slot must be below max_sequences. */
const struct cached_sequence *sequences_get(const struct sequences *sequences, uint32_t slot);

#endif
