/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/chat_answer.h"

#include "gateway/job_chat.h"
#include "gateway/plain_text.h"

#include <stdlib.h>
#include <string.h>

struct chat_answer_call {
	Stagecoach__V1__ToolCall message;	/* points to the following */
	char id[64], name[512];
	struct buf arguments;
};

static enum sc_status begin_call(struct chat_answer *answer, const struct chat_delta *delta)
{
	struct chat_answer_call *call, *calls;

	calls = realloc(answer->calls, (answer->n_calls + 1) * sizeof answer->calls[0]);
	if (!calls)
		return SC_E_NOMEM;
	answer->calls = calls;
	call = &calls[answer->n_calls++];
	plain_text_copy(delta->id, call->id, sizeof call->id);
	plain_text_copy(delta->name, call->name, sizeof call->name);
	buf_init(&call->arguments);
	return SC_OK;
}

static enum sc_status on_delta(void *arg, const struct chat_delta *delta)
{
	struct chat_answer *answer = arg;

	switch (delta->kind) {
	case CHAT_CONTENT:
		return buf_add(&answer->content, delta->text, delta->n_bytes);
	case CHAT_REASONING:
		return buf_add(&answer->reasoning, delta->text, delta->n_bytes);
	case CHAT_TOOL_BEGIN:
		return begin_call(answer, delta);
	case CHAT_TOOL_ARGUMENTS:
		if (delta->index < answer->n_calls)
			return buf_add(&answer->calls[delta->index].arguments, delta->text,
				       delta->n_bytes);
		break;
	}
	return SC_OK;
}

static enum sc_status parse(struct chat_answer *answer, const struct job *job, uint32_t sequence)
{
	const struct buf *text = &job_output(job, sequence)->text;
	struct chat_request request;
	struct chat_parser *parser;
	enum sc_status status = job_chat_parser(job, sequence, on_delta, answer, &request,
						&parser);

	if (status != SC_OK)
		return status;
	status = chat_parser_add(parser, text->data, text->length);
	if (status == SC_OK)
		status = chat_parser_finish(parser);
	chat_parser_destroy(parser);
	return status;
}

/* A protobuf string has no NUL. */
static enum sc_status make_plain(struct buf *text)
{
	struct buf plain = BUF_INIT;
	enum sc_status status;

	if (!memchr(text->data, '\0', text->length))
		return SC_OK;
	status = plain_text_set(&plain, text->data, text->length);
	buf_deinit(text);
	*text = plain;
	return status;
}

static enum sc_status point(struct chat_answer *answer)
{
	static char role[] = "assistant";
	Stagecoach__V1__ChatMessage *message = &answer->message;
	enum sc_status status = make_plain(&answer->content);

	if (status == SC_OK)
		status = make_plain(&answer->reasoning);
	message->role = role;
	message->content = answer->content.data;
	message->reasoning_content = answer->reasoning.data;
	if (status != SC_OK || !answer->n_calls)
		return status;
	answer->call_list = calloc(answer->n_calls, sizeof answer->call_list[0]);
	if (!answer->call_list)
		return SC_E_NOMEM;
	for (size_t i = 0; i < answer->n_calls && status == SC_OK; i++) {
		struct chat_answer_call *call = &answer->calls[i];

		status = make_plain(&call->arguments);
		stagecoach__v1__tool_call__init(&call->message);
		call->message.id = call->id;
		call->message.name = call->name;
		call->message.arguments = call->arguments.data;
		answer->call_list[i] = &call->message;
	}
	message->tool_calls = answer->call_list;
	message->n_tool_calls = answer->n_calls;
	return status;
}

enum sc_status chat_answer_init(struct chat_answer *answer, const struct job *job,
				uint32_t sequence)
{
	enum sc_status status;

	*answer = (struct chat_answer){ .message = STAGECOACH__V1__CHAT_MESSAGE__INIT };
	buf_init(&answer->content);
	buf_init(&answer->reasoning);
	status = parse(answer, job, sequence);
	return status == SC_OK ? point(answer) : status;
}

void chat_answer_deinit(struct chat_answer *answer)
{
	for (size_t i = 0; i < answer->n_calls; i++)
		buf_deinit(&answer->calls[i].arguments);
	free(answer->calls);
	free(answer->call_list);
	buf_deinit(&answer->content);
	buf_deinit(&answer->reasoning);
}
