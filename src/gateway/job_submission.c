/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/job_submission.h"

#include "base/clock.h"
#include "engine/engine.h"
#include "gateway/generate_request.h"
#include "gateway/service.h"

enum sc_status job_submission_check(struct grpc_call *call, struct error *err)
{
	struct service *service = grpc_call_context(call);

	return engine_check_room(service->engine, grpc_call_client(call), err);
}

enum sc_status job_submission_prepare(struct request *request, struct error *err)
{
	enum sc_status status;

	status = generate_request_read((const Stagecoach__V1__GenerateRequest *)request->message,
				       request->chat_format, request->is_brief,
				       &request->generate, err);
	if (status == SC_E_TOO_LARGE)
		return request_meets(request, LIMIT_REQUEST_MEMORY, status);
	if (status != SC_OK)
		return status;
	if (request->generate.job.prompt_tokens) {
		status = prompt_check_length(request->tokenizer, request->max_context,
					     &request->generate.job, err);
	} else {
		status = prompt_tokenize(request->tokenizer, request->max_context, &request->generate.job,
					 &request->tokens, err);
		request->generate.job.prompt_tokens = request->tokens.ids;
		request->generate.job.n_prompt_tokens = request->tokens.n;
	}
	return status == SC_E_TOO_LARGE ? request_meets(request, LIMIT_CONTEXT, status) : status;
}

/* The job's time limit counts from the arrival of its request. */
static void count_elapsed(struct request *request)
{
	uint64_t elapsed_ms = (grpc_call_now_ns(request->call) - request->received_ns) / NS_PER_MS;
	struct job_request *job = &request->generate.job;

	if (job->deadline_ms)
		job->deadline_ms = elapsed_ms < job->deadline_ms ? job->deadline_ms - elapsed_ms
								 : 1;
}

enum sc_status job_submission_finish(struct request *request, uint64_t ms_left,
				     struct job **job_out, struct error *err)
{
	struct service *service = grpc_call_context(request->call);
	enum sc_status status;

	count_elapsed(request);
	if (ms_left && (!request->generate.job.deadline_ms || ms_left < request->generate.job.deadline_ms))
		request->generate.job.deadline_ms = ms_left;
	request->generate.job.client = grpc_call_client(request->call);
	status = engine_submit(service->engine, &request->generate.job, job_out, err);
	if (status == SC_OK && request->generate.chat) {
		job_chat_settle(request->generate.chat);
		request->generate.chat = NULL;
	}
	return status;
}
