/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_stream.h"

#include "base/buf.h"
#include "cli/client_json.h"
#include "cli/client_verbs.h"
#include "gateway/grpc_status.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct printer {
	bool is_json;
	struct buf *texts;		/* [n_sequences] when there are several, else NULL */
	uint32_t n_sequences;
	bool is_line_open;		/* the text does not end with a newline */
	struct error output_error;	/* standard output's */
	struct error job_error;		/* how the job ended */
};

static enum sc_status print_text(struct printer *printer, const char *text)
{
	size_t length = strlen(text);

	if (!length)
		return SC_OK;
	printer->is_line_open = text[length - 1] != '\n';
	fwrite(text, 1, length, stdout);
	return client_flush(&printer->output_error);
}

static enum sc_status add_text(struct printer *printer, uint32_t sequence, const char *text)
{
	if (!printer->texts)
		return print_text(printer, text);
	if (sequence >= printer->n_sequences)
		return error_set(&printer->output_error, SC_E_PROTOCOL,
				 "the server sent sequence %u of %u", sequence,
				 printer->n_sequences);
	return buf_add_string(&printer->texts[sequence], text);
}

static enum sc_status begin(struct printer *printer, const Stagecoach__V1__Started *started)
{
	if (started->n_sequences < 2 || started->n_sequences > 1024 || printer->texts)
		return SC_OK;
	printer->texts = calloc(started->n_sequences, sizeof *printer->texts);
	if (!printer->texts)
		return error_set(&printer->output_error, SC_E_NOMEM, "out of memory");
	printer->n_sequences = started->n_sequences;
	for (uint32_t i = 0; i < printer->n_sequences; i++)
		buf_init(&printer->texts[i]);
	return SC_OK;
}

static enum sc_status print_texts(struct printer *printer)
{
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; i < printer->n_sequences && status == SC_OK; i++) {
		printf("%s--- sequence %u\n", printer->is_line_open ? "\n" : "", i);
		printer->is_line_open = false;
		status = print_text(printer, printer->texts[i].data);
	}
	return status;
}

static void print_costs(const Stagecoach__V1__Finished *finished)
{
	const Stagecoach__V1__Usage *usage = finished->usage;
	const Stagecoach__V1__Timings *timings = finished->timings;

	if (!usage || !timings)
		return;
	fprintf(stderr, "%u prompt and %u new tokens in %.2f s", usage->prompt_tokens,
		usage->generated_tokens, timings->total_seconds);
	if (usage->generated_tokens)
		fprintf(stderr, "; first token after %.3f s", timings->first_token_seconds);
	if (timings->tokens_per_second > 0.0)
		fprintf(stderr, ", then %.1f tokens/s", timings->tokens_per_second);
	fputc('\n', stderr);
}

static enum sc_status end(struct printer *printer, const Stagecoach__V1__Finished *finished)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < finished->n_sequences && status == SC_OK; i++)
		status = add_text(printer, finished->sequences[i]->sequence,
				  finished->sequences[i]->rest);
	if (status == SC_OK)
		status = print_texts(printer);
	if (status == SC_OK && printer->is_line_open)
		status = print_text(printer, "\n");
	print_costs(finished);
	return status;
}

static void keep_job_error(struct printer *printer, const Stagecoach__V1__Finished *finished)
{
	const Stagecoach__V1__JobError *error = finished->error;

	if (error)
		error_set(&printer->job_error, grpc_status_to_sc((enum grpc_status)error->code),
			  "%s", error->message);
}

static enum sc_status print_event(struct printer *printer,
				  const Stagecoach__V1__GenerateResponse *event)
{
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED)
		keep_job_error(printer, event->finished);
	if (printer->is_json)
		return client_print_json(&event->base, &printer->output_error);
	switch ((int)event->event_case) {
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED:
		return begin(printer, event->started);
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN:
		return add_text(printer, event->token->sequence, event->token->text);
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED:
		return end(printer, event->finished);
	}
	return SC_OK;	/* from a newer server */
}

static bool on_event(void *arg, ProtobufCMessage *message)
{
	struct printer *printer = arg;
	enum sc_status status;

	status = print_event(printer, (const Stagecoach__V1__GenerateResponse *)message);
	protobuf_c_message_free_unpacked(message, NULL);
	if (status != SC_OK && printer->output_error.status == SC_OK)
		error_set(&printer->output_error, status, "%s", sc_status_name(status));
	return status == SC_OK;
}

enum sc_status client_stream(struct client *client, const char *method,
			     const ProtobufCMessage *request, bool is_json, struct error *err)
{
	struct printer printer = { .is_json = is_json };
	const struct client_call call = {
		.method = method,
		.request = request,
		.response = &stagecoach__v1__generate_response__descriptor,
		.on_message = on_event,
		.arg = &printer,
	};
	enum sc_status status = client_run(client, &call, err);

	/* An interrupted text leaves the terminal in the middle of a line. */
	if (status != SC_OK && printer.is_line_open && isatty(STDOUT_FILENO))
		putchar('\n');
	if (printer.output_error.status != SC_OK)
		*err = printer.output_error;
	else if (status == SC_OK && printer.job_error.status != SC_OK)
		*err = printer.job_error;
	else if (status == SC_OK)
		err->status = SC_OK;
	for (uint32_t i = 0; i < printer.n_sequences; i++)
		buf_deinit(&printer.texts[i]);
	free(printer.texts);
	return err->status;
}
