/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service.h"

#include "gateway/generate_request.h"
#include "gateway/job_message.h"
#include "gateway/proto_message.h"

#include <stdlib.h>

#define DEFAULT_LIST 100
#define MAX_LIST 1000

static void reply_with_job(struct grpc_call *call, const struct job *job, bool with_outputs)
{
	struct job_message message;
	enum sc_status status = job_message_init(&message, job, with_outputs);

	if (status == SC_OK)
		proto_reply(call, &message.job.base);
	else
		grpc_call_fail(call, status, NULL);
	job_message_deinit(&message);
}

static void submit_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	struct service *service = grpc_call_context(call);
	struct proto_request request;
	struct job_request job_request;
	struct error err = { .status = SC_OK };
	enum sc_status status;
	struct job *job;

	status = proto_request_unpack(&request, &stagecoach__v1__generate_request__descriptor,
				      bytes, n_bytes, &err);
	if (status == SC_OK)
		status = generate_request_read((const Stagecoach__V1__GenerateRequest *)
					       request.message, &job_request, &err);
	if (status == SC_OK)
		status = job_submit(service->coordinator, &job_request, &job, &err);
	if (status == SC_OK) {
		reply_with_job(call, job, false);
		job_release(job);
	} else {
		grpc_call_fail(call, status, &err);
	}
	proto_request_deinit(&request);
}

static void get_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	struct service *service = grpc_call_context(call);
	struct proto_request request;
	struct error err = { .status = SC_OK };
	const Stagecoach__V1__GetRequest *get;
	enum sc_status status;
	struct job *job;

	status = proto_request_unpack(&request, &stagecoach__v1__get_request__descriptor, bytes,
				      n_bytes, &err);
	get = (const Stagecoach__V1__GetRequest *)request.message;
	if (status == SC_OK)
		status = job_find(service->coordinator, get->id, &job, &err);
	if (status == SC_OK) {
		reply_with_job(call, job, !get->without_outputs);
		job_release(job);
	} else {
		grpc_call_fail(call, status, &err);
	}
	proto_request_deinit(&request);
}

static void cancel_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	struct service *service = grpc_call_context(call);
	struct proto_request request;
	struct error err = { .status = SC_OK };
	enum sc_status status;
	struct job *job;

	status = proto_request_unpack(&request, &stagecoach__v1__cancel_request__descriptor,
				      bytes, n_bytes, &err);
	if (status == SC_OK)
		status = job_find(service->coordinator,
				  ((Stagecoach__V1__CancelRequest *)request.message)->id, &job,
				  &err);
	if (status == SC_OK) {
		job_cancel(job);
		reply_with_job(call, job, false);
		job_release(job);
	} else {
		grpc_call_fail(call, status, &err);
	}
	proto_request_deinit(&request);
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

static void reply_with_list(struct grpc_call *call, const Stagecoach__V1__ListRequest *list)
{
	struct service *service = grpc_call_context(call);
	Stagecoach__V1__ListResponse response = STAGECOACH__V1__LIST_RESPONSE__INIT;
	unsigned limit = list->limit ? list->limit : DEFAULT_LIST;
	struct page *page = calloc(1, sizeof *page);
	unsigned n;

	if (!page) {
		grpc_call_fail(call, SC_E_NOMEM, NULL);
		return;
	}
	n = job_list(service->coordinator, wanted_states(list), page->jobs,
		     limit < MAX_LIST ? limit : MAX_LIST);
	response.jobs = page->list;
	for (unsigned i = 0; i < n; i++) {
		/* Without outputs nothing is allocated, so there is nothing to fail or free. */
		if (job_message_init(&page->messages[i], page->jobs[i], false) == SC_OK)
			page->list[response.n_jobs++] = &page->messages[i].job;
	}
	proto_reply(call, &response.base);
	free(page);
}

static void list_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	struct proto_request request;
	struct error err = { .status = SC_OK };
	enum sc_status status;

	status = proto_request_unpack(&request, &stagecoach__v1__list_request__descriptor, bytes,
				      n_bytes, &err);
	if (status == SC_OK)
		reply_with_list(call, (const Stagecoach__V1__ListRequest *)request.message);
	else
		grpc_call_fail(call, status, &err);
	proto_request_deinit(&request);
}

const struct grpc_call_ops service_submit = { .start = submit_start };
const struct grpc_call_ops service_get = { .start = get_start };
const struct grpc_call_ops service_list = { .start = list_start };
const struct grpc_call_ops service_cancel = { .start = cancel_start };
