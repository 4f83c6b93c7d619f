/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SEQUENCES_H
#define STAGECOACH_STAGE_SEQUENCES_H
/*
 * sequences - what a stage knows of each sequence slot: how many positions its KV holds, the table
 * of blocks that they lie in, and how its tokens are drawn.
 * Every stage applies the same steps in the same order, so all of them hold the same tables; a step
 * that does not fit what came before means that they no longer agree, and is refused whole.
 * Sized once, from the limits. Thread: one.
 */
#include "base/error.h"
#include "wire/step.h"

struct sequences;

struct sequence {
	bool is_live;
	uint32_t n_positions;		/* that the KV cache holds */
	uint32_t n_blocks;
	uint32_t *blocks;		/* [n_blocks]; room for max_context positions */
	struct sampling sampling;
};

must_check enum sc_status sequences_create(const struct step_limits *limits,
					   struct sequences **sequences_out);
void sequences_destroy(struct sequences *sequences);

/* Bytes that sequences_create takes. */
uint64_t sequences_bytes(const struct step_limits *limits);

/* Does step, decoded under the same limits, fit what came before? Its frees come first.
 * SC_E_PROTOCOL: err names the sequence, what was expected and what was found. Changes nothing that
 * can be seen. */
must_check enum sc_status sequences_check(struct sequences *sequences, const struct step *step,
					  struct error *err);

/* Frees slots, begins sequences, appends blocks, and counts the step's rows as there. Only for a
 * step that sequences_check let pass just now. */
void sequences_apply(struct sequences *sequences, const struct step *step);

/* slot is below max_sequences. */
const struct sequence *sequences_get(const struct sequences *sequences, uint32_t slot);

#endif
