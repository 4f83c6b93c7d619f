/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_stream.h"

#include "base/clock.h"
#include "cli/client_verbs.h"
#include "cli/event_printer.h"
#include "cli/progress.h"
#include "gateway/grpc_status.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdio.h>
#include <unistd.h>

struct stream {
	struct event_printer printer;
	struct progress progress;	/* of the prompt, then of lines that are not whole */
	bool is_quiet;
	uint32_t n_tokens;
	struct error output_error;	/* standard output's */
	struct error job_error;		/* how the job ended */
};

/* Everything that is there to standard output. */
static enum sc_status write_out(struct stream *stream)
{
	struct buf *out = &stream->printer.out;

	if (!out->length)
		return SC_OK;
	progress_hide(&stream->progress);	/* standard output may be the same terminal */
	fwrite(out->data, 1, out->length, stdout);
	buf_truncate(out, 0);
	return client_flush(&stream->output_error);
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

static void show_prompt(struct stream *stream, const Stagecoach__V1__PromptProgress *prompt)
{
	if (prompt->state == STAGECOACH__V1__JOB_STATE__JOB_STATE_QUEUED)
		progress_show(&stream->progress, clock_ns(), "waiting for other jobs");
	else
		progress_show(&stream->progress, clock_ns(), "prompt %llu of %llu tokens",
			      (unsigned long long)prompt->done_tokens,
			      (unsigned long long)prompt->total_tokens);
}

static void show_progress(struct stream *stream, const Stagecoach__V1__GenerateResponse *event)
{
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_PROMPT_PROGRESS)
		show_prompt(stream, event->prompt_progress);
	if (event->event_case != STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN)
		return;
	stream->n_tokens++;
	if (stream->printer.lines)
		progress_show(&stream->progress, clock_ns(), "%u tokens of %u sequences",
			      stream->n_tokens, stream->printer.n_sequences);
}

/* Standard output may have begun the line of the terminal. With --json the events tell. */
static void show_loss(struct stream *stream, const Stagecoach__V1__GenerateResponse *event)
{
	const struct event_printer *printer = &stream->printer;

	if (printer->is_json)
		return;
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_RECOVERING)
		progress_note(&stream->progress, printer->is_line_open && isatty(STDOUT_FILENO),
			      "a stage was lost; waiting for others to take over: %s",
			      event->recovering->reason);
	if (event->event_case != STAGECOACH__V1__GENERATE_RESPONSE__EVENT_RECOVERED)
		return;
	progress_hide(&stream->progress);
	if (stream->progress.kind == PROGRESS_LINES)
		progress_note(&stream->progress, false, "going on after %.1f s",
			      event->recovered->seconds);
}

static void keep_job_error(struct stream *stream, const Stagecoach__V1__Finished *finished)
{
	const Stagecoach__V1__JobError *error = finished->error;

	if (error)
		error_set(&stream->job_error, grpc_status_to_sc((enum grpc_status)error->code),
			  "%s", error->message);
}

static enum sc_status print_event(struct stream *stream,
				  const Stagecoach__V1__GenerateResponse *event)
{
	enum sc_status status;

	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED)
		client_warn(event->started->warnings, event->started->n_warnings);
	show_progress(stream, event);
	show_loss(stream, event);
	status = event_printer_add(&stream->printer, event, &stream->output_error);
	if (status == SC_OK)
		status = write_out(stream);
	if (event->event_case != STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED)
		return status;
	progress_end(&stream->progress);
	keep_job_error(stream, event->finished);
	if (!stream->printer.is_json && !stream->is_quiet)
		print_costs(event->finished);
	if (!stream->printer.is_json && !stream->is_quiet && stream->printer.stopped[0])
		fprintf(stderr, "%s\n", stream->printer.stopped);
	return status;
}

static bool on_event(void *arg, ProtobufCMessage *message)
{
	struct stream *stream = arg;
	enum sc_status status;

	status = print_event(stream, (const Stagecoach__V1__GenerateResponse *)message);
	protobuf_c_message_free_unpacked(message, NULL);
	if (status != SC_OK && stream->output_error.status == SC_OK)
		error_set(&stream->output_error, status, "%s", sc_status_name(status));
	return status == SC_OK;
}

enum sc_status client_stream(struct client *client, const char *method,
			     const ProtobufCMessage *request, const struct config *config,
			     struct error *err)
{
	struct stream stream = { .is_quiet = config->is_quiet };
	const struct client_call call = {
		.method = method,
		.request = request,
		.response = &stagecoach__v1__generate_response__descriptor,
		.on_message = on_event,
		.arg = &stream,
	};
	enum sc_status status;

	event_printer_init(&stream.printer, config->is_json);
	progress_init(&stream.progress, config->is_quiet);
	progress_begin(&stream.progress, clock_ns(), PROGRESS_PROMPT_MS);
	status = client_run(client, &call, err);
	progress_end(&stream.progress);
	if (status != SC_OK && stream.output_error.status == SC_OK &&
	    event_printer_end(&stream.printer, &stream.output_error) == SC_OK)
		(void)write_out(&stream);
	/* An interrupted text leaves the terminal in the middle of a line. */
	if (status != SC_OK && stream.printer.is_line_open && isatty(STDOUT_FILENO))
		putchar('\n');
	if (stream.output_error.status != SC_OK)
		*err = stream.output_error;
	else if (status == SC_OK && stream.job_error.status != SC_OK)
		*err = stream.job_error;
	else if (status == SC_OK)
		err->status = SC_OK;
	event_printer_deinit(&stream.printer);
	return err->status;
}
