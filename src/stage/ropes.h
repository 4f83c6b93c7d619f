/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_ROPES_H
#define STAGECOACH_STAGE_ROPES_H
/*
 * ropes - the tables of rotary positions of a model: of layers that see all positions and of those
 * that slide, and with LongRoPE of short and of long sequences.
 * Ownership: owns its memory. Thread: the one that makes it; afterwards read-only.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "model/model.h"

struct ropes {
	struct rope_table tables[N_ROPE_KINDS][2];	/* [kind][1: long sequences] */
	float *frequencies;
	/* NULL, or the tensor of factors with which a frequency is not finite. */
	const struct tensor *not_finite;
};

/* SC_E_NOMEM, or as reading the tensors of factors. The caller calls ropes_deinit, also after a
 * failure. */
must_check enum sc_status ropes_init(struct ropes *ropes, const struct model *model,
				     struct error *err);
/* Accepts a struct of zeros. */
void ropes_deinit(struct ropes *ropes);
/* What ropes_init takes. */
uint64_t ropes_bytes(const struct model *model);

#endif
