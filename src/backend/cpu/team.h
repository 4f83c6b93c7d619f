/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_TEAM_H
#define STAGECOACH_BACKEND_CPU_TEAM_H
/*
 * team - the threads that share the parts of one operation.
 *
 * A team of n is the thread that calls it and n - 1 helpers of its own. Between regions the
 * helpers spin for some tens of microseconds, then sleep: a region costs about a microsecond while
 * they are awake, and an idle team costs nothing.
 * Every thread begins with its own run of neighbouring items, always the same for the same number,
 * and then takes from what the others have not begun. So a helper that sleeps, or whose processor
 * is taken by somebody else, holds a region up only by the run of items that it is in.
 *
 * Thread: one thread at a time calls team_run, no other than creates and destroys it.
 */
#include "base/error.h"

#include <pthread.h>
#include <stddef.h>

struct team;

enum { TEAM_MAX_RUN = 63 };

/* Does items first .. end - 1. */
typedef void team_task_fn(void *arg, size_t first, size_t end, unsigned thread);

/* SC_E_INTERNAL: a thread could not be started. Caller destroys. */
must_check enum sc_status team_create(unsigned n_threads, struct team **team_out,
				      struct error *err);
/* Joins the helpers. Accepts NULL. */
void team_destroy(struct team *team);

unsigned team_size(const struct team *team);
/* Thread number 1 to team_size - 1. */
pthread_t team_helper(const struct team *team, unsigned thread);

/* Has every item done once and returns when all are. run gets up to max_run (1 .. TEAM_MAX_RUN)
 * neighbours at once, fewer towards the end of the region. `thread` is below team_size, and no two
 * calls with the same one run at the same time. */
void team_run(struct team *team, size_t n_items, size_t max_run, team_task_fn *run, void *arg);
/* The same without a team, by the calling thread: number 0. */
void team_run_here(size_t n_items, size_t max_run, team_task_fn *run, void *arg);

#endif
