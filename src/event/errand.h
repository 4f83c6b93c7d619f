/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_EVENT_ERRAND_H
#define STAGECOACH_EVENT_ERRAND_H
/*
 * errand - an item of the helper threads on behalf of somebody who may leave before it is done: a
 * client's call. The errand outlives its sender as long as a helper thread is at it.
 * Ownership: an errand owns itself from errand_start on. It is destroyed after `answer`, or after
 * errand_abandon, as soon as no helper thread uses it.
 * Thread: the loop's, except `run`, which is called on a helper thread.
 */
#include "event/work.h"

struct errand {
	struct work work;	/* client, n_bytes and is_long are set by the caller */
	void (*run)(struct errand *errand);
	/* The result is there and the sender still waits. Not called after errand_abandon. */
	void (*answer)(struct errand *errand);
	void (*destroy)(struct errand *errand);

	bool is_abandoned;	/* private */
};

/* SC_E_OVERLOADED: as work_start; the errand still belongs to the caller. */
must_check enum sc_status errand_start(struct work_pool *pool, struct errand *errand);

/* The sender leaves; destroys the errand now or when the helper thread is done. */
void errand_abandon(struct errand *errand);

#endif
