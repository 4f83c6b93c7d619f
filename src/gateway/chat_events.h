/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_CHAT_EVENTS_H
#define STAGECOACH_GATEWAY_CHAT_EVENTS_H
/*
 * chat_events - the output of a chat's job as ChatDelta events: content, reasoning and tool calls.
 * Each sequence has a parser of its own.
 * Thread: one at a time, any.
 */
#include "gateway/job_events.h"

struct chat_events;

/* Borrows job until destroy; job_chat_of is not NULL. SC_E_NOMEM. */
must_check enum sc_status chat_events_create(struct job *job, struct chat_events **events_out);
/* Accepts NULL. */
void chat_events_destroy(struct chat_events *events);

/* The sequence's output up to this many bytes of its text: passed over (before anything is told), or
 * told. Text of which the parser does not know yet what it is comes later. tell fails as fn does, or
 * with SC_E_NOMEM. */
void chat_events_skip(struct chat_events *events, uint32_t sequence, size_t text_end);
must_check enum sc_status chat_events_tell(struct chat_events *events, uint32_t sequence,
					   size_t text_end, job_event_fn *fn, void *arg,
					   struct error *err);
/* All outputs are over: what was held back comes out. */
must_check enum sc_status chat_events_finish(struct chat_events *events, job_event_fn *fn,
					     void *arg, struct error *err);

#endif
