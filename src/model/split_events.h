/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SPLIT_EVENTS_H
#define STAGECOACH_MODEL_SPLIT_EVENTS_H
/*
 * split_events - joins the matches of a pattern, and what is between them, as the five behaviors of
 * the tokenizers package say. Matches come in order and cover the text; nothing is collected.
 * Thread: one at a time.
 */
#include "model/pipeline.h"

typedef enum sc_status split_events_span(void *context, size_t begin, size_t end);

struct split_events {
	enum split_behavior behavior;
	bool is_inverted;
	split_events_span *on_span;
	void *context;
	bool has_held;		/* a span that may still grow */
	size_t held_begin, held_end;
	bool was_match;		/* the last event */
};

/* on_span gets each part of the text in order, empty parts left out. */
void split_events_init(struct split_events *events, enum split_behavior behavior,
		       bool is_inverted, split_events_span *on_span, void *context);

/* Results of on_span other than SC_OK end the split with that status. */
must_check enum sc_status split_events_add(struct split_events *events, size_t begin, size_t end,
					   bool is_match);
must_check enum sc_status split_events_end(struct split_events *events);

#endif
