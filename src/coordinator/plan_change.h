/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PLAN_CHANGE_H
#define STAGECOACH_COORDINATOR_PLAN_CHANGE_H
/*
 * plan_change - what one plan changes about the plan before it, for the log: which workers take
 * which layers. It remembers the plan before, whose epoch may be gone.
 * Thread: one.
 */
#include "base/buf.h"
#include "base/status.h"
#include "coordinator/plan.h"

struct plan_change {
	struct plan_stage *stages;	/* [n_stages] of the plan before, owned; NULL: none */
	unsigned n_stages;
};

/* Starts from all zeros. */
void plan_change_deinit(struct plan_change *change);

/* Appends to text what `plan` changes, "worker c takes layers 4-7, worker a takes layers 0-3 instead
 * of 0-2", and remembers `plan`. SC_E_NOMEM: text may be cut, and no plan is remembered. */
must_check enum sc_status plan_change_note(struct plan_change *change, const struct plan *plan,
					   struct buf *text);

#endif
