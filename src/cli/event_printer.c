/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/event_printer.h"

#include "cli/client_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_REASONS 6

void event_printer_init(struct event_printer *printer, bool is_json)
{
	*printer = (struct event_printer){ .is_json = is_json };
	buf_init(&printer->out);
}

void event_printer_deinit(struct event_printer *printer)
{
	for (uint32_t i = 0; i < printer->n_sequences; i++)
		buf_deinit(&printer->lines[i]);
	free(printer->lines);
	buf_deinit(&printer->out);
	*printer = (struct event_printer){ .lines = NULL };
}

static enum sc_status no_memory(struct error *err)
{
	return error_set(err, SC_E_NOMEM, "out of memory for the output");
}

static enum sc_status print_text(struct event_printer *printer, const char *text,
				 struct error *err)
{
	size_t length = strlen(text);

	if (!length)
		return SC_OK;
	printer->is_line_open = text[length - 1] != '\n';
	return buf_add(&printer->out, text, length) == SC_OK ? SC_OK : no_memory(err);
}

/* The first length bytes of what a sequence has begun, as a line. */
static enum sc_status print_line(struct event_printer *printer, uint32_t sequence, size_t length,
				 struct error *err)
{
	const char *line = printer->lines[sequence].data;

	if (buf_add_format(&printer->out, "[%u] ", sequence) != SC_OK ||
	    buf_add(&printer->out, line, length) != SC_OK ||
	    buf_add(&printer->out, "\n", 1) != SC_OK)
		return no_memory(err);
	return SC_OK;
}

static enum sc_status add_text(struct event_printer *printer, uint32_t sequence, const char *text,
			       struct error *err)
{
	enum sc_status status;
	struct buf *line;
	const char *end;

	if (!printer->lines)
		return print_text(printer, text, err);
	if (sequence >= printer->n_sequences)
		return error_set(err, SC_E_PROTOCOL, "the server sent sequence %u of %u", sequence,
				 printer->n_sequences);
	line = &printer->lines[sequence];
	status = buf_add_string(line, text) == SC_OK ? SC_OK : no_memory(err);
	while (status == SC_OK && (end = memchr(line->data, '\n', line->length))) {
		const size_t length = (size_t)(end - line->data);

		status = print_line(printer, sequence, length, err);
		buf_consume(line, length + 1);
	}
	return status;
}

static enum sc_status begin(struct event_printer *printer, const Stagecoach__V1__Started *started,
			    struct error *err)
{
	if (started->n_sequences < 2 || started->n_sequences > 1024 || printer->lines)
		return SC_OK;
	printer->lines = calloc(started->n_sequences, sizeof *printer->lines);
	if (!printer->lines)
		return no_memory(err);
	printer->n_sequences = started->n_sequences;
	for (uint32_t i = 0; i < printer->n_sequences; i++)
		buf_init(&printer->lines[i]);
	return SC_OK;
}

enum sc_status event_printer_end(struct event_printer *printer, struct error *err)
{
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; i < printer->n_sequences && status == SC_OK; i++) {
		if (!printer->lines[i].length)
			continue;
		status = print_line(printer, i, printer->lines[i].length, err);
		buf_truncate(&printer->lines[i], 0);
	}
	return status;
}

static enum sc_status end(struct event_printer *printer, const Stagecoach__V1__Finished *finished,
			  struct error *err)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < finished->n_sequences && status == SC_OK; i++)
		status = add_text(printer, finished->sequences[i]->sequence,
				  finished->sequences[i]->rest, err);
	if (status == SC_OK)
		status = event_printer_end(printer, err);
	if (status == SC_OK && printer->is_line_open)
		status = print_text(printer, "\n", err);
	return status;
}

/* Why a sequence of n_tokens ended; NULL: the error says it. */
static const char *reason_text(const struct event_printer *printer,
			       Stagecoach__V1__FinishReason reason, uint32_t n_tokens, char *text,
			       size_t n_bytes)
{
	switch ((int)reason) {
	case STAGECOACH__V1__FINISH_REASON__FINISH_REASON_STOP:
		return "an end token or a stop string";
	case STAGECOACH__V1__FINISH_REASON__FINISH_REASON_LENGTH:
		snprintf(text, n_bytes, "the limit of %u new token%s (-n)", n_tokens,
			 n_tokens == 1 ? "" : "s");
		return text;
	case STAGECOACH__V1__FINISH_REASON__FINISH_REASON_CONTEXT:
		snprintf(text, n_bytes, "the context is full (prompt tokens: %u, new tokens: %u); "
			 "raise --ctx-size for more", printer->n_prompt_tokens, n_tokens);
		return text;
	}
	return NULL;
}

/* "stopped: an end token or a stop string", of several sequences with their numbers. */
static void note_reasons(struct event_printer *printer, const Stagecoach__V1__Finished *finished)
{
	size_t n = (size_t)snprintf(printer->stopped, sizeof printer->stopped, "stopped: ");
	bool has_any = false;

	for (int reason = 0; reason < N_REASONS; reason++) {
		const char *words = NULL;
		char text[160];
		unsigned count = 0;

		for (size_t i = 0; i < finished->n_sequences; i++) {
			const Stagecoach__V1__SequenceEnd *each = finished->sequences[i];

			if ((int)each->reason != reason)
				continue;
			words = reason_text(printer, each->reason, each->n_tokens, text,
					    sizeof text);
			count++;
		}
		if (!words || n >= sizeof printer->stopped)
			continue;
		n += (size_t)snprintf(printer->stopped + n, sizeof printer->stopped - n, "%s%s",
				      has_any ? "; " : "", words);
		if (finished->n_sequences > 1 && n < sizeof printer->stopped)
			n += (size_t)snprintf(printer->stopped + n, sizeof printer->stopped - n,
					      ": %u sequence%s", count, count == 1 ? "" : "s");
		has_any = true;
	}
	if (!has_any)
		printer->stopped[0] = '\0';
}

static enum sc_status print_json(struct event_printer *printer,
				 const Stagecoach__V1__GenerateResponse *event, struct error *err)
{
	return client_json_add(&event->base, &printer->out) == SC_OK ? SC_OK : no_memory(err);
}

enum sc_status event_printer_add(struct event_printer *printer,
				 const Stagecoach__V1__GenerateResponse *event, struct error *err)
{
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED)
		printer->n_prompt_tokens = event->started->n_prompt_tokens;
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED)
		note_reasons(printer, event->finished);
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_PROMPT_PROGRESS)
		return SC_OK;	/* for standard error */
	if (printer->is_json)
		return print_json(printer, event, err);
	switch ((int)event->event_case) {
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED:
		return begin(printer, event->started, err);
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN:
		return add_text(printer, event->token->sequence, event->token->text, err);
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED:
		return end(printer, event->finished, err);
	}
	return SC_OK;	/* from a newer server */
}
