/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service.h"

#include "gateway/generate_request.h"
#include "gateway/job_message.h"
#include "gateway/proto_message.h"

#include <stdlib.h>

#define DEFAULT_LIST 100
#define MAX_LIST 1000

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

static enum sc_status submit(struct grpc_call *call, const ProtobufCMessage *message,
			     struct error *err)
{
	struct service *service = grpc_call_context(call);
	struct job_request request;
	enum sc_status status;
	struct job *job;

	status = generate_request_read((const Stagecoach__V1__GenerateRequest *)message, &request,
				       err);
	if (status != SC_OK)
		return status;
	request.client = grpc_call_client(call);
	status = job_submit(service->coordinator, &request, &job, err);
	if (status != SC_OK)
		return status;
	status = reply_with_job(call, job, false);
	job_release(job);
	return status;
}

static enum sc_status get(struct grpc_call *call, const ProtobufCMessage *message,
			  struct error *err)
{
	const Stagecoach__V1__GetRequest *request = (const Stagecoach__V1__GetRequest *)message;
	struct service *service = grpc_call_context(call);
	struct job *job;
	enum sc_status status = job_find(service->coordinator, request->id, &job, err);

	if (status != SC_OK)
		return status;
	status = reply_with_job(call, job, !request->without_outputs);
	job_release(job);
	return status;
}

static enum sc_status cancel(struct grpc_call *call, const ProtobufCMessage *message,
			     struct error *err)
{
	const Stagecoach__V1__CancelRequest *request =
		(const Stagecoach__V1__CancelRequest *)message;
	struct service *service = grpc_call_context(call);
	struct job *job;
	enum sc_status status = job_find(service->coordinator, request->id, &job, err);

	if (status != SC_OK)
		return status;
	job_cancel(job);
	status = reply_with_job(call, job, false);
	job_release(job);
	return status;
}

/* As job_list takes them; numbers that stand for no state select nothing. */
static unsigned wanted_states(const Stagecoach__V1__ListRequest *list)
{
	unsigned states = 0;

	for (size_t i = 0; i < list->n_states; i++)
		for (int state = 0; state < JOB_N_STATES; state++)
			if (list->states[i] == job_message_state((enum job_state)state))
				states |= 1u << state;
	return list->n_states ? states : ~0u;
}

/* A list under construction; too large for the stack. */
struct page {
	struct job *jobs[MAX_LIST];
	struct job_message messages[MAX_LIST];
	Stagecoach__V1__Job *list[MAX_LIST];
};

static enum sc_status list(struct grpc_call *call, const ProtobufCMessage *message,
			   struct error *err)
{
	const Stagecoach__V1__ListRequest *request = (const Stagecoach__V1__ListRequest *)message;
	struct service *service = grpc_call_context(call);
	Stagecoach__V1__ListResponse response = STAGECOACH__V1__LIST_RESPONSE__INIT;
	unsigned limit = request->limit ? request->limit : DEFAULT_LIST;
	struct page *page = calloc(1, sizeof *page);
	unsigned n;

	if (!page)
		return error_set(err, SC_E_NOMEM, "no memory for a list");
	n = job_list(service->coordinator, wanted_states(request), page->jobs,
		     limit < MAX_LIST ? limit : MAX_LIST);
	response.jobs = page->list;
	for (unsigned i = 0; i < n; i++) {
		/* Without outputs nothing is allocated, so there is nothing to fail or free. */
		if (job_message_init(&page->messages[i], page->jobs[i], false) == SC_OK)
			page->list[response.n_jobs++] = &page->messages[i].job;
	}
	proto_reply(call, &response.base);
	free(page);
	return SC_OK;
}

static void submit_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	proto_start(call, &stagecoach__v1__generate_request__descriptor, bytes, n_bytes, submit);
}

static void get_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	proto_start(call, &stagecoach__v1__get_request__descriptor, bytes, n_bytes, get);
}

static void list_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	proto_start(call, &stagecoach__v1__list_request__descriptor, bytes, n_bytes, list);
}

static void cancel_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	proto_start(call, &stagecoach__v1__cancel_request__descriptor, bytes, n_bytes, cancel);
}

const struct grpc_call_ops service_submit = { .start = submit_start };
const struct grpc_call_ops service_get = { .start = get_start };
const struct grpc_call_ops service_list = { .start = list_start };
const struct grpc_call_ops service_cancel = { .start = cancel_start };
