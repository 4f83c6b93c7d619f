/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generate and Watch: a job's events as a stream. A stream takes the next event whenever the client
 * has room, so it stores no tokens and delays nobody.
 */
#include "gateway/service.h"

#include "event/loop.h"
#include "gateway/job_events.h"
#include "gateway/job_submission.h"
#include "gateway/proto_message.h"

#include <stdlib.h>

/* Between two PromptProgress. */
#define PROGRESS_MS 500

struct event_stream {
	struct grpc_call *call;
	struct job *job;		/* held */
	struct job_watcher watcher;
	struct job_events *events;
	bool ends_with_job;		/* the call ends with the job's status */
	struct timer *tick;		/* until the prompt is computed; NULL: the client wants no
					 * PromptProgress */
	bool is_progress_due;
};

static enum sc_status send_event(void *arg, const Stagecoach__V1__GenerateResponse *event,
				 struct error *err)
{
	struct event_stream *stream = arg;

	return proto_send(stream->call, &event->base, err);
}

static void end_call(struct event_stream *stream)
{
	const struct error *end = job_error(stream->job);

	if (stream->ends_with_job && end && end->status != SC_OK)
		grpc_call_fail(stream->call, end->status, end);
	else
		grpc_call_finish(stream->call, GRPC_OK, NULL);
}

static void stream_pull(struct grpc_call *call)
{
	struct event_stream *stream = grpc_call_state(call);
	struct error err = { .status = SC_OK };
	enum sc_status status = SC_OK;

	if (stream->is_progress_due && grpc_call_has_room(call)) {
		stream->is_progress_due = false;
		status = job_events_progress(stream->events, send_event, stream, &err);
	}
	while (status == SC_OK && grpc_call_has_room(call) && !job_events_are_over(stream->events))
		status = job_events_next(stream->events, send_event, stream, &err);
	if (status != SC_OK && status != SC_AGAIN)
		grpc_call_fail(call, status, &err);
	else if (job_events_are_over(stream->events))
		end_call(stream);
}

static void on_job_change(void *arg, struct job *job)
{
	struct event_stream *stream = arg;

	(void)job;
	grpc_call_wake(stream->call);
}

static void on_tick(void *arg)
{
	struct event_stream *stream = arg;

	stream->is_progress_due = job_events_have_progress(stream->events);
	if (stream->is_progress_due)
		grpc_call_wake(stream->call);
	else if (job_is_ended(stream->job))
		timer_stop(stream->tick);
}

/* Without memory for a timer, the client is told nothing until the first token. */
static void start_progress(struct event_stream *stream)
{
	const struct service *service = grpc_call_context(stream->call);

	if (service->loop &&
	    timer_create_on(service->loop, on_tick, stream, &stream->tick) == SC_OK)
		timer_start(stream->tick, PROGRESS_MS, PROGRESS_MS);
}

/* What the client asked for. */
struct stream_options {
	bool ends_with_job;
	bool from_now;
	bool wants_progress;
};

/* Takes the hold on job, also when it fails. */
static enum sc_status stream_open(struct grpc_call *call, struct job *job,
				  struct stream_options options)
{
	struct event_stream *stream = calloc(1, sizeof *stream);

	if (!stream || job_events_create(job, options.from_now, &stream->events) != SC_OK) {
		free(stream);
		if (options.ends_with_job)
			job_cancel(job);
		job_release(job);
		return SC_E_NOMEM;
	}
	stream->call = call;
	stream->job = job;
	stream->ends_with_job = options.ends_with_job;
	stream->watcher = (struct job_watcher){ .on_change = on_job_change, .arg = stream };
	job_watch(job, &stream->watcher);
	grpc_call_set_state(call, stream);
	if (options.wants_progress)
		start_progress(stream);
	return SC_OK;
}

static void stream_close(struct grpc_call *call)
{
	struct event_stream *stream = grpc_call_state(call);

	if (!stream)
		return;
	timer_destroy(stream->tick);
	job_unwatch(stream->job, &stream->watcher);
	job_events_destroy(stream->events);
	job_release(stream->job);
	free(stream);
	grpc_call_set_state(call, NULL);
}

static enum sc_status generate(struct request *request, struct error *err)
{
	const Stagecoach__V1__GenerateRequest *message =
		(const Stagecoach__V1__GenerateRequest *)request->message;
	const struct stream_options options = {
		.ends_with_job = true, .wants_progress = message->prompt_progress,
	};
	enum sc_status status;
	struct job *job;

	request->generate.job.is_attached = true;
	status = job_submission_finish(request, grpc_call_ms_left(request->call), &job, err);
	return status == SC_OK ? stream_open(request->call, job, options) : status;
}

static enum sc_status watch(struct request *request, struct error *err)
{
	const Stagecoach__V1__WatchRequest *message =
		(const Stagecoach__V1__WatchRequest *)request->message;
	const struct stream_options options = {
		.from_now = message->from_now, .wants_progress = message->prompt_progress,
	};
	struct job *job;
	enum sc_status status = service_find_job(request->call, message->id, &job, err);

	return status == SC_OK ? stream_open(request->call, job, options) : status;
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
	.start = watch_start, .pull = stream_pull, .close = stream_close, .is_light = true,
};
