/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generate and Watch: a job's events as a stream. A stream takes the next event whenever the client
 * has room, so it stores no tokens and delays nobody.
 */
#include "gateway/service.h"

#include "gateway/job_events.h"
#include "gateway/job_submission.h"
#include "gateway/proto_message.h"

#include <stdlib.h>

struct job_stream {
	struct grpc_call *call;
	struct job *job;		/* held */
	struct job_watcher watcher;
	struct job_events *events;
	bool ends_with_job;		/* the call ends with the job's status */
};

static enum sc_status send_event(void *arg, const Stagecoach__V1__GenerateResponse *event,
				 struct error *err)
{
	struct job_stream *stream = arg;

	return proto_send(stream->call, &event->base, err);
}

static void end_call(struct job_stream *stream)
{
	const struct error *end = job_error(stream->job);

	if (stream->ends_with_job && end && end->status != SC_OK)
		grpc_call_fail(stream->call, end->status, end);
	else
		grpc_call_finish(stream->call, GRPC_OK, NULL);
}

static void stream_pull(struct grpc_call *call)
{
	struct job_stream *stream = grpc_call_state(call);
	struct error err = { .status = SC_OK };
	enum sc_status status = SC_OK;

	while (status == SC_OK && grpc_call_has_room(call) && !job_events_are_over(stream->events))
		status = job_events_next(stream->events, send_event, stream, &err);
	if (status != SC_OK && status != SC_AGAIN)
		grpc_call_fail(call, status, &err);
	else if (job_events_are_over(stream->events))
		end_call(stream);
}

static void on_job_change(void *arg, struct job *job)
{
	struct job_stream *stream = arg;

	(void)job;
	grpc_call_wake(stream->call);
}

/* Takes the hold on job, also when it fails. */
static enum sc_status stream_open(struct grpc_call *call, struct job *job, bool ends_with_job,
				  bool from_now)
{
	struct job_stream *stream = calloc(1, sizeof *stream);

	if (!stream || job_events_create(job, from_now, &stream->events) != SC_OK) {
		free(stream);
		if (ends_with_job)
			job_cancel(job);
		job_release(job);
		return SC_E_NOMEM;
	}
	stream->call = call;
	stream->job = job;
	stream->ends_with_job = ends_with_job;
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
	job_events_destroy(stream->events);
	job_release(stream->job);
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
