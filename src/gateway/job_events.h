/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_JOB_EVENTS_H
#define STAGECOACH_GATEWAY_JOB_EVENTS_H
/*
 * job_events - a job as the events of a stream: started first, then the tokens of its sequences in
 * turn, finished last. It reads the job's output from a place of its own, so it holds no tokens and
 * slows nobody down; whoever has no room for events asks for the next one later.
 * If the job is a chat, ChatDelta follow the token that completed them. They count as one event
 * with it, or with Finished.
 * Losses of stages are told in order with the tokens: Recovering after the tokens that were drawn
 * before the loss, Recovered before those that are drawn later. A loss that is over before its turn
 * comes is not told, so losses do not pile up for whoever reads slowly.
 * Thread: the loop's.
 */
#include "engine/engine.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

struct job_events;

/* Borrows job until destroy; the caller holds it. from_now: leave out what is there already.
 * SC_E_NOMEM. */
must_check enum sc_status job_events_create(struct job *job, bool from_now,
					    struct job_events **events_out);
/* Accepts NULL. */
void job_events_destroy(struct job_events *events);

/* Takes one event, which is gone when it returns. */
typedef enum sc_status job_event_fn(void *arg, const Stagecoach__V1__GenerateResponse *event,
				    struct error *err);

/* Give the next event to fn; what fn returns is the result. SC_AGAIN: there is none, or none
 * yet. */
must_check enum sc_status job_events_next(struct job_events *events, job_event_fn *fn, void *arg,
					  struct error *err);

/* Somebody may want to know how far the prompt is: not all sequences have a token yet, and the job
 * does not wait for a stage that was lost. */
bool job_events_have_progress(const struct job_events *events);

/* Give a PromptProgress to fn. Between other events, and not after the last one. */
must_check enum sc_status job_events_progress(struct job_events *events, job_event_fn *fn,
					      void *arg, struct error *err);

/* The last event was given. */
bool job_events_are_over(const struct job_events *events);

#endif
