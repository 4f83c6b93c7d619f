/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PLACEMENT_H
#define STAGECOACH_COORDINATOR_PLACEMENT_H
/*
 * placement - chooses the workers of the next epoch and their order, which is that of the stages.
 *
 * - Workers that had a stage have one again. Spares are taken only for the others' places. The first
 *   of these that exists: one that is not in quarantine, one that holds layers that nobody else
 *   keeps, one that was lost less often, one with more memory.
 * - Workers keep the layers that they hold, and the others get what is between them. So only the
 *   layers of lost workers are loaded. A coordinator that was restarted finds the layers where they
 *   were.
 * - Where that is impossible, all layers are split anew: with fewer stages than before, or more.
 * - Two workers whose link broke again and again are no neighbours (`apart`). One of them is
 *   replaced by a spare; else the order changes; else the one that was lost more often is left
 *   out.
 *
 * Whether the stages fit into the workers' memory is for pool_plan to say.
 * Pure computation. Thread: any.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct placement_worker {
	bool is_usable;			/* it is here, and its kernels are those of the cluster */
	bool has_stage;			/* of the last epoch */
	bool is_quarantined;
	unsigned n_losses;
	uint64_t memory_bytes;		/* 0: unknown */
	uint32_t held_first_layer;	/* layers whose weights it has in memory */
	uint32_t held_n_layers;		/* 0: none */
};

/* Indices of workers. PLACEMENT_COORDINATOR is the neighbour of the first and the last stage. */
#define PLACEMENT_COORDINATOR UINT32_MAX
struct placement_pair {
	unsigned a, b;
};

struct placement_input {
	const struct placement_worker *workers;	/* [n_workers]; equal ones go in this order */
	unsigned n_workers;
	unsigned n_wanted;		/* stages, if there are as many workers */
	uint32_t n_layers;		/* of the model */
	const struct placement_pair *apart;	/* [n_apart] */
	unsigned n_apart;
	bool allows_quarantined;	/* also take workers in quarantine */
};

struct placement {
	unsigned n_stages;
	unsigned *workers;		/* [n_stages] index of each stage's worker; owned */
	uint32_t *ends;			/* [n_stages] the layer behind each stage, where every
					 * worker keeps the layers that it holds; NULL: the layers
					 * must be split anew; owned */
	bool has_bad_link;		/* a pair of `apart` could not be avoided */
};

/* SC_E_UNAVAILABLE: no worker is usable. SC_E_NOMEM. */
must_check enum sc_status placement_choose(const struct placement_input *input,
					   struct placement *out);
void placement_deinit(struct placement *placement);

/* Which stage's layers each worker without a stage should load beforehand: stage_out[n_workers],
 * PLACEMENT_NONE for others. placement: of the running epoch; ends[n_stages]: its split. Workers
 * that were lost most often come first; then each stage has equally many spares. A spare that holds
 * a stage's layers keeps them. weight_bytes[n_stages]: a spare with less memory is not chosen. */
#define PLACEMENT_NONE UINT32_MAX
must_check enum sc_status placement_warm(const struct placement_input *input,
					 const struct placement *placement, const uint32_t *ends,
					 const uint64_t *weight_bytes, unsigned *stage_out);

#endif
