/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generate and Watch: a job's tokens as a stream. A stream reads the job's output from its own
 * place whenever the client has room, so it stores no tokens and delays nobody.
 */
#include "gateway/service.h"

#include "gateway/job_message.h"
#include "gateway/job_submission.h"
#include "gateway/plain_text.h"
#include "gateway/proto_message.h"

#include <stdlib.h>

struct job_stream {
	struct grpc_call *call;
	struct job *job;		/* held */
	struct job_watcher watcher;
	bool ends_with_job;		/* the call ends with the job's status */
	bool is_started_sent;
	uint32_t n_sequences;
	uint32_t turn;			/* the sequence that sends the next token */
	struct buf text;		/* text of the message under construction */
	uint32_t next_token[];		/* [n_sequences] */
};

static enum sc_status send_event(struct job_stream *stream,
				 const Stagecoach__V1__GenerateResponse *event, struct error *err)
{
	return proto_send(stream->call, &event->base, err);
}

static enum sc_status send_started(struct job_stream *stream, struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Started started = STAGECOACH__V1__STARTED__INIT;
	const char *warning = job_warning(stream->job);

	started.job_id = (char *)(uintptr_t)job_id(stream->job);
	started.n_prompt_tokens = job_n_prompt_tokens(stream->job);
	started.n_sequences = stream->n_sequences;
	started.seed = job_seed(stream->job);
	started.n_warnings = warning != NULL;
	started.warnings = (char **)(uintptr_t)&warning;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED;
	event.started = &started;
	stream->is_started_sent = true;
	return send_event(stream, &event, err);
}

static enum sc_status send_token(struct job_stream *stream, uint32_t sequence, struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Token message = STAGECOACH__V1__TOKEN__INIT;
	const struct output *output = job_output(stream->job, sequence);
	uint32_t at = stream->next_token[sequence]++;
	const struct output_token *token = &output->tokens[at];
	uint32_t start = at ? token[-1].text_end : 0;
	enum sc_status status = plain_text_set(&stream->text, output->text.data + start,
					       token->text_end - start);

	if (status != SC_OK)
		return status;
	message.sequence = sequence;
	message.id = token->id;
	message.text = stream->text.data;
	if (output->has_logprobs) {
		message._logprob_case = STAGECOACH__V1__TOKEN___LOGPROB_LOGPROB;
		message.logprob = token->logprob;
	}
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN;
	event.token = &message;
	return send_event(stream, &event, err);
}

/* Text that became final only at the end, so no token carried it. */
static enum sc_status set_rest(Stagecoach__V1__SequenceEnd *end, const struct output *output,
			       struct buf *text)
{
	uint32_t sent = output->n_tokens ? output->tokens[output->n_tokens - 1].text_end : 0;
	enum sc_status status;

	if (sent >= output->text.length)
		return SC_OK;
	status = plain_text_set(text, output->text.data + sent, output->text.length - sent);
	end->rest = text->data;
	return status;
}

static enum sc_status send_finished(struct job_stream *stream, struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Finished finished = STAGECOACH__V1__FINISHED__INIT;
	Stagecoach__V1__JobError error = STAGECOACH__V1__JOB_ERROR__INIT;
	Stagecoach__V1__Usage usage = STAGECOACH__V1__USAGE__INIT;
	Stagecoach__V1__Timings timings = STAGECOACH__V1__TIMINGS__INIT;
	Stagecoach__V1__SequenceEnd ends[JOB_MAX_SEQUENCES];
	Stagecoach__V1__SequenceEnd *end_list[JOB_MAX_SEQUENCES];
	struct buf rests[JOB_MAX_SEQUENCES];
	char error_text[ERROR_TEXT_MAX];
	enum sc_status status = SC_OK;
	uint32_t n = stream->n_sequences;

	for (uint32_t i = 0; i < n; i++) {
		const struct output *output = job_output(stream->job, i);

		stagecoach__v1__sequence_end__init(&ends[i]);
		end_list[i] = &ends[i];
		buf_init(&rests[i]);
		ends[i].sequence = i;
		ends[i].reason = job_message_reason(output->finish);
		ends[i].n_tokens = output->n_tokens;
		if (status == SC_OK)
			status = set_rest(&ends[i], output, &rests[i]);
	}
	usage.prompt_tokens = job_n_prompt_tokens(stream->job);
	usage.generated_tokens = job_message_n_generated(stream->job);
	job_message_timings(stream->job, &timings);
	finished.state = job_message_state(job_state(stream->job));
	finished.sequences = end_list;
	finished.n_sequences = n;
	finished.usage = &usage;
	finished.timings = &timings;
	if (job_message_error(stream->job, &error, error_text))
		finished.error = &error;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED;
	event.finished = &finished;
	if (status == SC_OK)
		status = send_event(stream, &event, err);
	for (uint32_t i = 0; i < n; i++)
		buf_deinit(&rests[i]);
	return status;
}

/* Finds the next sequence, in turn, that has a token to send. Returns false if none has. */
static bool find_token(struct job_stream *stream, uint32_t *sequence_out)
{
	for (uint32_t i = 0; i < stream->n_sequences; i++) {
		uint32_t sequence = stream->turn;

		stream->turn = (sequence + 1) % stream->n_sequences;
		if (stream->next_token[sequence] < job_output(stream->job, sequence)->n_tokens) {
			*sequence_out = sequence;
			return true;
		}
	}
	return false;
}

static enum sc_status send_end(struct job_stream *stream, struct error *err)
{
	enum sc_status status = send_finished(stream, err);
	const struct error *end = job_error(stream->job);

	if (status != SC_OK)
		return status;
	if (stream->ends_with_job && end && end->status != SC_OK)
		grpc_call_fail(stream->call, end->status, end);
	else
		grpc_call_finish(stream->call, GRPC_OK, NULL);
	return SC_OK;
}

static void stream_pull(struct grpc_call *call)
{
	struct job_stream *stream = grpc_call_state(call);
	struct error err = { .status = SC_OK };
	enum sc_status status = SC_OK;
	uint32_t sequence;

	if (!stream->is_started_sent)
		status = send_started(stream, &err);
	while (status == SC_OK && grpc_call_has_room(call)) {
		if (find_token(stream, &sequence)) {
			status = send_token(stream, sequence, &err);
			continue;
		}
		if (job_is_ended(stream->job))
			status = send_end(stream, &err);
		break;
	}
	if (status != SC_OK)
		grpc_call_fail(call, status, &err);
}

static void on_job_change(void *arg, struct job *job)
{
	struct job_stream *stream = arg;

	(void)job;
	grpc_call_wake(stream->call);
}

/* Takes the caller's hold on job, also on failure. */
static enum sc_status stream_open(struct grpc_call *call, struct job *job, bool ends_with_job,
				  bool from_now)
{
	uint32_t n = job_n_outputs(job);
	struct job_stream *stream = calloc(1, sizeof *stream + n * sizeof stream->next_token[0]);

	if (!stream) {
		if (ends_with_job)
			job_cancel(job);
		job_release(job);
		return SC_E_NOMEM;
	}
	stream->call = call;
	stream->job = job;
	stream->ends_with_job = ends_with_job;
	stream->n_sequences = n;
	buf_init(&stream->text);
	for (uint32_t i = 0; from_now && i < n; i++)
		stream->next_token[i] = job_output(job, i)->n_tokens;
	stream->watcher = (struct job_watcher){ .on_change = on_job_change, .arg = stream };
	job_watch(job, &stream->watcher);
	grpc_call_set_state(call, stream);
	return SC_OK;
}

static void stream_close(struct grpc_call *call)
{
	struct job_stream *stream = grpc_call_state(call);

	if (!stream)
		return;
	job_unwatch(stream->job, &stream->watcher);
	job_release(stream->job);
	buf_deinit(&stream->text);
	free(stream);
	grpc_call_set_state(call, NULL);
}

static enum sc_status generate(struct request *request, struct error *err)
{
	enum sc_status status;
	struct job *job;

	request->job.is_attached = true;
	status = job_submission_finish(request, grpc_call_ms_left(request->call), &job, err);
	return status == SC_OK ? stream_open(request->call, job, true, false) : status;
}

static enum sc_status watch(struct request *request, struct error *err)
{
	const Stagecoach__V1__WatchRequest *message =
		(const Stagecoach__V1__WatchRequest *)request->message;
	struct service *service = grpc_call_context(request->call);
	struct job *job;
	enum sc_status status = job_find(service->coordinator, message->id, &job, err);

	return status == SC_OK ? stream_open(request->call, job, false, message->from_now)
			       : status;
}

static void generate_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = {
		.type = &stagecoach__v1__generate_request__descriptor,
		.check = job_submission_check,
		.prepare = job_submission_prepare,
		.finish = generate,
	};

	request_start(call, &ops, bytes, n_bytes);
}

static void watch_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = {
		.type = &stagecoach__v1__watch_request__descriptor,
		.finish = watch,
	};

	request_start(call, &ops, bytes, n_bytes);
}

const struct grpc_call_ops service_generate = {
	.start = generate_start, .pull = stream_pull, .close = stream_close,
};
const struct grpc_call_ops service_watch = {
	.start = watch_start, .pull = stream_pull, .close = stream_close,
};
