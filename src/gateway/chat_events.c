/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/chat_events.h"

#include "gateway/job_chat.h"
#include "gateway/plain_text.h"

#include <stdlib.h>

/* An answer, as far as it was told. */
struct answer {
	struct chat_events *events;
	struct chat_request request;	/* the parser borrows it */
	struct chat_parser *parser;	/* NULL: nothing was read yet */
	size_t n_skipped;		/* bytes of the output's text that are passed over */
	size_t n_read;			/* bytes of it */
};

struct chat_events {
	struct job *job;
	job_event_fn *fn;		/* of the call under way; NULL: events are passed over */
	void *arg;
	struct error *err;
	/* Deltas of one kind that come together are one event, which waits here. */
	bool has_delta;
	uint32_t sequence;
	enum chat_delta_kind kind;
	uint32_t index;			/* of a tool call */
	struct buf text;
	struct buf plain;		/* the text of the event that is being sent */
	uint32_t n_answers;
	struct answer answers[];	/* [n_answers], one per sequence */
};

enum sc_status chat_events_create(struct job *job, struct chat_events **events_out)
{
	uint32_t n = job_n_outputs(job);
	struct chat_events *events = calloc(1, sizeof *events + n * sizeof events->answers[0]);

	if (!events)
		return SC_E_NOMEM;
	events->job = job;
	events->n_answers = n;
	buf_init(&events->text);
	buf_init(&events->plain);
	for (uint32_t i = 0; i < n; i++)
		events->answers[i].events = events;
	*events_out = events;
	return SC_OK;
}

void chat_events_destroy(struct chat_events *events)
{
	if (!events)
		return;
	for (uint32_t i = 0; i < events->n_answers; i++)
		if (events->answers[i].parser)
			chat_parser_destroy(events->answers[i].parser);
	buf_deinit(&events->text);
	buf_deinit(&events->plain);
	free(events);
}

/* --- events --- */

static enum sc_status send(struct chat_events *events, Stagecoach__V1__ChatDelta *delta)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;

	delta->sequence = events->sequence;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_CHAT_DELTA;
	event.chat_delta = delta;
	return events->fn ? events->fn(events->arg, &event, events->err) : SC_OK;
}

static enum sc_status send_call(struct chat_events *events, Stagecoach__V1__ToolCallDelta *call)
{
	Stagecoach__V1__ChatDelta delta = STAGECOACH__V1__CHAT_DELTA__INIT;

	delta.delta_case = STAGECOACH__V1__CHAT_DELTA__DELTA_TOOL_CALL;
	delta.tool_call = call;
	return send(events, &delta);
}

/* The text that waits, as an event. */
static enum sc_status flush(struct chat_events *events)
{
	Stagecoach__V1__ChatDelta delta = STAGECOACH__V1__CHAT_DELTA__INIT;
	Stagecoach__V1__ToolCallDelta call = STAGECOACH__V1__TOOL_CALL_DELTA__INIT;
	enum sc_status status;

	if (!events->has_delta)
		return SC_OK;
	events->has_delta = false;
	status = plain_text_set(&events->plain, events->text.data, events->text.length);
	buf_truncate(&events->text, 0);
	if (status != SC_OK)
		return status;
	if (events->kind == CHAT_TOOL_ARGUMENTS) {
		call.index = events->index;
		call.arguments = events->plain.data;
		return send_call(events, &call);
	}
	if (events->kind == CHAT_REASONING) {
		delta.delta_case = STAGECOACH__V1__CHAT_DELTA__DELTA_REASONING;
		delta.reasoning = events->plain.data;
	} else {
		delta.delta_case = STAGECOACH__V1__CHAT_DELTA__DELTA_CONTENT;
		delta.content = events->plain.data;
	}
	return send(events, &delta);
}

static enum sc_status begin_call(struct chat_events *events, const struct chat_delta *delta)
{
	Stagecoach__V1__ToolCallDelta call = STAGECOACH__V1__TOOL_CALL_DELTA__INIT;
	char id[64], name[512];

	plain_text_copy(delta->id, id, sizeof id);
	plain_text_copy(delta->name, name, sizeof name);
	call.index = delta->index;
	call.id = id;
	call.name = name;
	return send_call(events, &call);
}

static enum sc_status on_delta(void *arg, const struct chat_delta *delta)
{
	const struct answer *answer = arg;
	struct chat_events *events = answer->events;
	bool goes_on = events->has_delta && events->kind == delta->kind &&
		       (delta->kind != CHAT_TOOL_ARGUMENTS || events->index == delta->index);
	enum sc_status status = goes_on ? SC_OK : flush(events);

	if (status != SC_OK)
		return status;
	events->sequence = (uint32_t)(answer - events->answers);
	if (delta->kind == CHAT_TOOL_BEGIN)
		return begin_call(events, delta);
	events->has_delta = true;
	events->kind = delta->kind;
	events->index = delta->index;
	return buf_add(&events->text, delta->text, delta->n_bytes);
}

/* --- reading --- */

/* Up to text_end of the output's text. */
static enum sc_status read_text(struct chat_events *events, uint32_t sequence, size_t text_end)
{
	struct answer *answer = &events->answers[sequence];
	const char *text = job_output(events->job, sequence)->text.data + answer->n_read;
	size_t n_bytes = text_end - answer->n_read;
	enum sc_status status = SC_OK;

	answer->n_read = text_end;
	if (n_bytes)
		status = chat_parser_add(answer->parser, text, n_bytes);
	return status == SC_OK ? flush(events) : status;
}

void chat_events_skip(struct chat_events *events, uint32_t sequence, size_t text_end)
{
	events->answers[sequence].n_skipped = text_end;
}

/* What is passed over is read here, so that the sequences take turns. */
static enum sc_status open_parser(struct chat_events *events, uint32_t sequence)
{
	struct answer *answer = &events->answers[sequence];
	enum sc_status status;

	if (answer->parser)
		return SC_OK;
	status = job_chat_parser(events->job, sequence, on_delta, answer, &answer->request,
				 &answer->parser);
	events->fn = NULL;
	return status == SC_OK ? read_text(events, sequence, answer->n_skipped) : status;
}

enum sc_status chat_events_tell(struct chat_events *events, uint32_t sequence, size_t text_end,
				job_event_fn *fn, void *arg, struct error *err)
{
	enum sc_status status = open_parser(events, sequence);

	events->fn = fn;
	events->arg = arg;
	events->err = err;
	return status == SC_OK ? read_text(events, sequence, text_end) : status;
}

enum sc_status chat_events_finish(struct chat_events *events, job_event_fn *fn, void *arg,
				  struct error *err)
{
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; i < events->n_answers && status == SC_OK; i++) {
		status = chat_events_tell(events, i, job_output(events->job, i)->text.length, fn,
					  arg, err);
		if (status == SC_OK)
			status = chat_parser_finish(events->answers[i].parser);
		if (status == SC_OK)
			status = flush(events);
	}
	return status;
}
