/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/completions and /v1/chat/completions. */
#include "openai/chat_body.h"
#include "openai/chat_choice.h"
#include "openai/completion_body.h"
#include "openai/completion_choice.h"
#include "openai/model_field.h"

#include <stdlib.h>

static enum sc_status check_room(struct http_call *call, struct error *err)
{
	const struct openai *openai = http_call_context(call);

	return engine_check_room(openai->engine, http_call_client(call), err);
}

/* --- completions --- */

static enum sc_status prepare_completion(struct api_request *request)
{
	struct completion_body *body = malloc(sizeof *body);

	if (!body)
		return api_request_fail(request, SC_E_NOMEM, NULL, "out of memory");
	completion_body_init(body);
	request->body = body;
	if (model_field_check(request) != SC_OK)
		return request->error.error.status;
	completion_body_read(body, &request->reader, engine_tokenizer(request->openai->engine),
			     request->max_context);
	return api_request_check(request);
}

/* The body goes to the answer. */
static enum sc_status finish_completion(struct api_request *request)
{
	struct completion_body *body = request->body;
	struct job_request jobs[PROMPT_FORMS_MAX];

	for (uint32_t i = 0; i < body->prompts.n; i++)
		jobs[i] = completion_body_job(body, i);
	request->body = NULL;
	return answer_start(request->call, &completion_dialect, body, &body->generation, jobs,
			    body->prompts.n, &request->error);
}

static void destroy_completion(struct api_request *request)
{
	completion_dialect.free_body(request->body);
}

static void start_completion(struct http_call *call)
{
	static const struct api_request_ops ops = {
		.check = check_room,
		.prepare = prepare_completion,
		.finish = finish_completion,
		.destroy = destroy_completion,
	};

	api_request_start(call, &ops);
}

/* --- chat completions --- */

static enum sc_status prepare_chat(struct api_request *request)
{
	struct chat_body *body = malloc(sizeof *body);

	if (!body)
		return api_request_fail(request, SC_E_NOMEM, NULL, "out of memory");
	chat_body_init(body, request->openai->chat, request->is_brief);
	request->body = body;
	if (model_field_check(request) != SC_OK)
		return request->error.error.status;
	chat_body_read(body, &request->reader, engine_tokenizer(request->openai->engine),
		       request->max_context);
	return api_request_check(request);
}

static enum sc_status finish_chat(struct api_request *request)
{
	struct chat_body *body = request->body;
	const struct job_request job = chat_body_job(body);

	request->body = NULL;
	return answer_start(request->call, &chat_dialect, body, &body->generation, &job, 1,
			    &request->error);
}

static void destroy_chat(struct api_request *request)
{
	chat_dialect.free_body(request->body);
}

static void start_chat(struct http_call *call)
{
	static const struct api_request_ops ops = {
		.check = check_room,
		.prepare = prepare_chat,
		.finish = finish_chat,
		.destroy = destroy_chat,
	};

	api_request_start(call, &ops);
}

const struct http_call_ops openai_completions = {
	.start = start_completion, .pull = answer_pull, .close = answer_close,
};
const struct http_call_ops openai_chat_completions = {
	.start = start_chat, .pull = answer_pull, .close = answer_close,
};
