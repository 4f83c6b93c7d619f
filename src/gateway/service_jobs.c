/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service.h"

#include "gateway/job_message.h"
#include "gateway/job_submission.h"
#include "gateway/proto_message.h"

#include <stdlib.h>

#define DEFAULT_LIST 100
#define MAX_STATES 64	/* named in one List: each of them some times */

static enum sc_status reply_with_job(struct grpc_call *call, const struct job *job,
				     bool with_outputs)
{
	struct job_message message;
	enum sc_status status = job_message_init(&message, job, with_outputs);

	if (status == SC_OK)
		proto_reply(call, &message.job.base);
	job_message_deinit(&message);
	return status;
}

static enum sc_status submit(struct request *request, struct error *err)
{
	enum sc_status status;
	struct job *job;

	status = job_submission_finish(request, 0, &job, err);
	if (status != SC_OK)
		return status;
	status = reply_with_job(request->call, job, false);
	job_release(job);
	return status;
}

static enum sc_status cancel(struct request *request, struct error *err)
{
	const Stagecoach__V1__CancelRequest *message =
		(const Stagecoach__V1__CancelRequest *)request->message;
	struct job *job;
	enum sc_status status = service_find_job(request->call, message->id, &job, err);

	if (status != SC_OK)
		return status;
	job_cancel(job);
	status = reply_with_job(request->call, job, false);
	job_release(job);
	return status;
}

/* Converts states to job_list's bits. Unknown numbers select nothing. */
static unsigned wanted_states(const Stagecoach__V1__ListRequest *list)
{
	unsigned states = 0;

	for (size_t i = 0; i < list->n_states; i++)
		for (int state = 0; state < JOB_N_STATES; state++)
			if (list->states[i] == job_message_state((enum job_state)state))
				states |= 1u << state;
	return list->n_states ? states : ~0u;
}

/* What a List asks for; the call's state. */
struct list_query {
	unsigned states;
	unsigned limit;
};

/* A list under construction. */
struct page {
	struct job *jobs[SERVICE_MAX_LIST];
	Stagecoach__V1__Job *list[SERVICE_MAX_LIST];
	struct job_message messages[];
};

static enum sc_status list(struct request *request, struct error *err)
{
	const Stagecoach__V1__ListRequest *message =
		(const Stagecoach__V1__ListRequest *)request->message;
	struct list_query *query;

	if (message->n_states > MAX_STATES)
		return error_set(err, SC_E_INVALID, "states: found %zu, expected at most %d",
				 message->n_states, MAX_STATES);
	query = malloc(sizeof *query);
	if (!query)
		return error_set(err, SC_E_NOMEM, "no memory for a list");
	query->states = wanted_states(message);
	query->limit = message->limit ? message->limit : DEFAULT_LIST;
	if (query->limit > SERVICE_MAX_LIST) {
		limit_refuse(grpc_call_limits(request->call), LIMIT_LIST);
		query->limit = SERVICE_MAX_LIST;
	}
	grpc_call_set_state(request->call, query);
	return SC_OK;
}

/* Makes the list only when the client takes it, like get_pull. */
static void list_pull(struct grpc_call *call)
{
	struct service *service = grpc_call_context(call);
	const struct list_query *query = grpc_call_state(call);
	Stagecoach__V1__ListResponse response = STAGECOACH__V1__LIST_RESPONSE__INIT;
	struct page *page = malloc(sizeof *page + query->limit * sizeof page->messages[0]);
	struct job_message *message;
	unsigned n;

	if (!page) {
		grpc_call_fail(call, SC_E_NOMEM, NULL);
		return;
	}
	n = engine_list(service->engine, query->states, page->jobs, SERVICE_MAX_LIST);
	response.jobs = page->list;
	for (unsigned i = 0; i < n && response.n_jobs < query->limit; i++) {
		if (!grpc_call_may_see(call, job_client_id(page->jobs[i])))
			continue;
		/* Without outputs nothing is allocated, so nothing can fail or must be freed. */
		message = &page->messages[response.n_jobs];
		if (job_message_init(message, page->jobs[i], false) == SC_OK)
			page->list[response.n_jobs++] = &message->job;
	}
	proto_reply(call, &response.base);
	free(page);
}

static void list_close(struct grpc_call *call)
{
	free(grpc_call_state(call));
}

#define TYPE_OF(name) .type = &stagecoach__v1__##name##_request__descriptor

static void submit_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = {
		TYPE_OF(generate), .check = job_submission_check,
		.prepare = job_submission_prepare, .finish = submit,
	};

	request_start(call, &ops, bytes, n_bytes);
}

static void list_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = { TYPE_OF(list), .finish = list };

	request_start(call, &ops, bytes, n_bytes);
}

static void cancel_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = { TYPE_OF(cancel), .finish = cancel };

	request_start(call, &ops, bytes, n_bytes);
}

const struct grpc_call_ops service_submit = { .start = submit_start };
const struct grpc_call_ops service_list = {
	.start = list_start, .pull = list_pull, .close = list_close, .is_light = true,
};
const struct grpc_call_ops service_cancel = { .start = cancel_start, .is_light = true };
