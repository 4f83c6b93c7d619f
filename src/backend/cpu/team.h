/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_TEAM_H
#define STAGECOACH_BACKEND_CPU_TEAM_H
/*
 * team - the threads that share the parts of one operation.
 *
 * A team of n threads is the calling thread and n - 1 helpers. Between regions (calls of team_run)
 * the helpers spin for some tens of microseconds, then sleep. A region costs about a microsecond
 * while they spin; an idle team costs nothing.
 * Each thread starts with its own run of neighbouring items, always the same one for the same
 * number of items. Then it takes items that other threads have not started. So a helper that sleeps
 * or has lost its processor delays a region at most by the run that it is computing.
 *
 * Thread: only one thread calls team_run; the same thread creates and destroys the team.
 */
#include "base/error.h"

#include <pthread.h>
#include <stddef.h>

struct team;

enum { TEAM_MAX_RUN = 63 };

/* Computes items first .. end - 1. */
typedef void team_task_fn(void *arg, size_t first, size_t end, unsigned thread);

/* Bytes of a team, without the stacks of its threads. */
size_t team_bytes(unsigned n_threads);

/* The caller destroys the team. SC_E_INTERNAL: a thread could not be started. */
must_check enum sc_status team_create(unsigned n_threads, struct team **team_out,
				      struct error *err);
/* Joins the helpers. Accepts NULL. */
void team_destroy(struct team *team);

unsigned team_size(const struct team *team);
/* The handle of helper number `thread`, 1 .. team_size - 1. */
pthread_t team_helper(const struct team *team, unsigned thread);

/* Computes every item once and blocks until all are done. run gets 1 to max_run (at most
 * TEAM_MAX_RUN) neighbouring items per call, fewer towards the end. `thread` is below team_size; no
 * two calls with the same `thread` run at the same time. */
void team_run(struct team *team, size_t n_items, size_t max_run, team_task_fn *run, void *arg);
/* The same on the calling thread only; `thread` is 0. */
void team_run_here(size_t n_items, size_t max_run, team_task_fn *run, void *arg);

#endif
