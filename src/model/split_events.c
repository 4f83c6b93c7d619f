/* SPDX-License-Identifier: Apache-2.0 */
#include "model/split_events.h"

void split_events_init(struct split_events *events, enum split_behavior behavior,
		       bool is_inverted, split_events_span *on_span, void *context)
{
	*events = (struct split_events){
		.behavior = behavior, .is_inverted = is_inverted, .on_span = on_span,
		.context = context,
	};
}

static enum sc_status give(struct split_events *events, size_t begin, size_t end)
{
	return begin < end ? events->on_span(events->context, begin, end) : SC_OK;
}

static enum sc_status give_held(struct split_events *events)
{
	if (!events->has_held)
		return SC_OK;
	events->has_held = false;
	return give(events, events->held_begin, events->held_end);
}

static void hold(struct split_events *events, size_t begin, size_t end)
{
	events->has_held = true;
	events->held_begin = begin;
	events->held_end = end;
}

/* Extends the held span, or gives it and holds the new one. */
static enum sc_status grow(struct split_events *events, size_t begin, size_t end, bool joins)
{
	enum sc_status status = SC_OK;

	if (joins && events->has_held) {
		events->held_end = end;
		return SC_OK;
	}
	status = give_held(events);
	hold(events, begin, end);
	return status;
}

/* A match joins what comes behind it, unless that is a match, too. */
static enum sc_status merge_with_next(struct split_events *events, size_t begin, size_t end,
				      bool is_match)
{
	enum sc_status status;

	if (!is_match) {
		if (events->has_held)
			begin = events->held_begin;
		events->has_held = false;
		return give(events, begin, end);
	}
	status = give_held(events);
	hold(events, begin, end);
	return status;
}

enum sc_status split_events_add(struct split_events *events, size_t begin, size_t end,
				bool is_match)
{
	bool was_match = events->was_match;

	is_match = is_match != events->is_inverted;
	events->was_match = is_match;
	switch (events->behavior) {
	case SPLIT_REMOVED:
		return is_match ? SC_OK : give(events, begin, end);
	case SPLIT_MERGED_WITH_PREVIOUS:
		return grow(events, begin, end, is_match && !was_match);
	case SPLIT_MERGED_WITH_NEXT:
		return merge_with_next(events, begin, end, is_match);
	case SPLIT_CONTIGUOUS:
		return grow(events, begin, end, is_match == was_match);
	default:
		return give(events, begin, end);
	}
}

enum sc_status split_events_end(struct split_events *events)
{
	return give_held(events);
}
