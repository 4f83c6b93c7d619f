/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/job_chat.h"

#include "base/clock.h"
#include "base/json_measure.h"
#include "openai/chat_job.h"

#include <stdlib.h>
#include <string.h>

/* What a message, and a call in one, take as JSON beside their texts, rounded up. */
#define MESSAGE_BYTES 1536
#define CALL_BYTES 1536

/* --- limits --- */

/* All of it together, because the request may have as many parts as it likes. */
static enum sc_status check_size(const Stagecoach__V1__Chat *message, struct error *err)
{
	size_t n_bytes = message->n_messages * MESSAGE_BYTES;
	unsigned deepest = 0;

	for (size_t i = 0; i < message->n_messages; i++)
		n_bytes += message->messages[i]->n_tool_calls * CALL_BYTES;
	for (size_t i = 0; i <= message->n_tools; i++) {
		const char *json = i < message->n_tools ? message->tools[i]
							: message->template_kwargs;
		unsigned depth;

		n_bytes += json_measure(json, strlen(json), &depth);
		deepest = depth > deepest ? depth : deepest;
	}
	if (n_bytes > JSON_MAX_PARSED)
		return error_set(err, SC_E_TOO_LARGE, "chat: too many messages, calls or values: "
				 "as JSON they may take %zu MiB, and the limit is %zu MiB",
				 n_bytes >> 20, JSON_MAX_PARSED >> 20);
	if (deepest > JSON_MAX_DEPTH)
		return error_set(err, SC_E_TOO_LARGE, "chat: brackets in %u levels, and the limit "
				 "is %u", deepest, JSON_MAX_DEPTH);
	return SC_OK;
}

/* --- messages --- */

static enum sc_status refuse_text(size_t i, const char *field, struct error *err)
{
	return error_set(err, SC_E_INVALID, "chat.messages[%zu].%s: expected UTF-8", i, field);
}

/* "" counts as absent, except for what is always there. */
static enum sc_status put_text(json_t *object, size_t i, const char *field, const char *text,
			       struct error *err)
{
	if (!text[0])
		return SC_OK;
	if (json_object_set_new(object, field, json_string(text)) != 0)
		return refuse_text(i, field, err);
	return SC_OK;
}

static enum sc_status put_call(json_t *calls, size_t i, const Stagecoach__V1__ToolCall *call,
			       struct error *err)
{
	json_t *object = json_pack("{s:s, s:{s:s, s:s}}", "type", "function", "function", "name",
				   call->name, "arguments",
				   call->arguments[0] ? call->arguments : "{}");
	enum sc_status status;

	if (json_array_append_new(calls, object) != 0)
		return refuse_text(i, "tool_calls", err);
	status = put_text(object, i, "id", call->id, err);
	return status;
}

static enum sc_status put_calls(json_t *object, size_t i,
				const Stagecoach__V1__ChatMessage *message, struct error *err)
{
	json_t *calls = json_array();
	enum sc_status status = SC_OK;

	if (json_object_set_new(object, "tool_calls", calls) != 0)
		return error_set(err, SC_E_NOMEM, "out of memory for the messages");
	for (size_t k = 0; k < message->n_tool_calls && status == SC_OK; k++)
		status = put_call(calls, i, message->tool_calls[k], err);
	return status;
}

static enum sc_status put_message(json_t *object, size_t i,
				  const Stagecoach__V1__ChatMessage *message, struct error *err)
{
	const bool calls_only = message->n_tool_calls && !message->content[0];
	const struct { const char *field, *text; } texts[] = {
		{ "role", message->role },
		{ "reasoning_content", message->reasoning_content },
		{ "tool_call_id", message->tool_call_id },
		{ "name", message->name },
	};
	enum sc_status status = SC_OK;

	if (json_object_set_new(object, "content",
				calls_only ? json_null() : json_string(message->content)) != 0)
		return refuse_text(i, "content", err);
	for (size_t k = 0; k < sizeof texts / sizeof texts[0] && status == SC_OK; k++)
		status = put_text(object, i, texts[k].field, texts[k].text, err);
	return status == SC_OK && message->n_tool_calls ? put_calls(object, i, message, err)
							: status;
}

/* *messages_out is set in any case; the caller calls json_decref. */
static enum sc_status make_messages(const Stagecoach__V1__Chat *message, json_t **messages_out,
				    struct error *err)
{
	json_t *messages = json_array();
	enum sc_status status = SC_OK;

	*messages_out = messages;
	if (!message->n_messages)
		return error_set(err, SC_E_INVALID, "chat.messages: expected at least one");
	for (size_t i = 0; i < message->n_messages && status == SC_OK; i++) {
		json_t *object = json_object();

		if (json_array_append_new(messages, object) != 0)
			return error_set(err, SC_E_NOMEM, "out of memory for the messages");
		status = put_message(object, i, message->messages[i], err);
	}
	return status;
}

/* --- tools and options --- */

static json_t *read_object(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	if (value && !json_is_object(value)) {
		json_decref(value);
		return NULL;
	}
	return value;
}

static enum sc_status read_tools(struct job_chat *chat, const Stagecoach__V1__Chat *message,
				 struct error *err)
{
	if (!message->n_tools)
		return SC_OK;
	chat->tools = json_array();
	for (size_t i = 0; i < message->n_tools; i++)
		if (json_array_append_new(chat->tools, read_object(message->tools[i])) != 0)
			return error_set(err, SC_E_INVALID, "chat.tools[%zu]: expected a JSON "
					 "object: {\"type\": \"function\", \"function\": {...}}",
					 i);
	chat->request.tools = chat->tools;
	return SC_OK;
}

static enum sc_status read_choice(struct job_chat *chat, const char *choice, struct error *err)
{
	if (!choice[0] || !strcmp(choice, "auto")) {
		chat->request.tool_choice = CHAT_TOOLS_AUTO;
	} else if (!strcmp(choice, "none")) {
		chat->request.tool_choice = CHAT_TOOLS_NONE;
	} else if (!strcmp(choice, "required")) {
		chat->request.tool_choice = CHAT_TOOLS_REQUIRED;
	} else {
		chat->request.tool_choice = CHAT_TOOLS_NAMED;
		chat->tool_name = strdup(choice);
		chat->request.tool_name = chat->tool_name;
		if (!chat->tool_name)
			return error_set(err, SC_E_NOMEM, "out of memory for a chat");
	}
	return SC_OK;
}

static enum sc_status render(struct job_chat *chat, const Stagecoach__V1__Chat *message,
			     const json_t *messages, const json_t *kwargs, struct error *err)
{
	struct chat_request request = chat->request;
	const char *param = NULL;
	enum sc_status status;

	request.messages = messages;
	request.template_kwargs = kwargs;
	request.reasoning_effort = message->reasoning_effort[0] ? message->reasoning_effort : NULL;
	request.continues_final_message = message->continue_final_message;
	request.leaves_open = message->no_generation_prompt;
	request.now_unix = (int64_t)(clock_unix_ms() / 1000);
	status = chat_render(chat->format, &request, &chat->prompt, &param, err);
	chat->has_prompt = status == SC_OK;
	if (status != SC_OK)
		error_prefix(err, "chat");
	else if (!chat->prompt.tokens.n)
		status = error_set(err, SC_E_INVALID, "chat: the chat template makes an empty "
				   "prompt of it");
	return status;
}

static enum sc_status fill(struct job_chat *chat, const Stagecoach__V1__Chat *message,
			   struct error *err)
{
	json_t *messages = NULL, *kwargs = NULL;
	enum sc_status status = check_size(message, err);

	if (status == SC_OK)
		status = read_tools(chat, message, err);
	if (status == SC_OK)
		status = read_choice(chat, message->tool_choice, err);
	if (status == SC_OK && message->template_kwargs[0]) {
		kwargs = read_object(message->template_kwargs);
		if (!kwargs)
			status = error_set(err, SC_E_INVALID, "chat.template_kwargs: expected a "
					   "JSON object");
	}
	if (status == SC_OK)
		status = make_messages(message, &messages, err);
	if (status == SC_OK)
		status = render(chat, message, messages, kwargs, err);
	json_decref(messages);
	json_decref(kwargs);
	return status;
}

/* --- all --- */

static void destroy_annex(struct job_annex *annex)
{
	job_chat_destroy((struct job_chat *)annex);
}

/* What stays with the job. Tools are counted by their text, as json_measure does. */
static size_t count_bytes(const struct job_chat *chat, const Stagecoach__V1__Chat *message)
{
	size_t n_bytes = sizeof *chat + chat->prompt.text.capacity +
			 chat->prompt.from_template.capacity;
	unsigned depth;

	for (size_t i = 0; i < message->n_tools; i++)
		n_bytes += json_measure(message->tools[i], strlen(message->tools[i]), &depth);
	return n_bytes;
}

enum sc_status job_chat_create(const Stagecoach__V1__Chat *message,
			       const struct chat_format *format, bool is_brief,
			       struct job_chat **chat_out, struct error *err)
{
	struct job_chat *chat;
	enum sc_status status;

	if (!format)
		return error_set(err, SC_E_UNSUPPORTED, "chat: this server has no chat template");
	chat = calloc(1, sizeof *chat);
	if (!chat)
		return error_set(err, SC_E_NOMEM, "out of memory for a chat");
	chat->annex.destroy = destroy_annex;
	chat->format = format;
	chat->request.is_brief = is_brief;
	status = fill(chat, message, err);
	if (status != SC_OK) {
		job_chat_destroy(chat);
		return status;
	}
	chat->annex.n_bytes = count_bytes(chat, message);
	*chat_out = chat;
	return SC_OK;
}

void job_chat_destroy(struct job_chat *chat)
{
	if (!chat)
		return;
	if (chat->has_prompt)
		chat_prompt_deinit(&chat->prompt);
	json_decref(chat->tools);
	free(chat->tool_name);
	free(chat);
}

void job_chat_set_up(struct job_chat *chat, struct job_request *job)
{
	job->annex = &chat->annex;
	chat_job_set_prompt(job, chat->format, &chat->prompt);
}

void job_chat_settle(struct job_chat *chat)
{
	token_list_deinit(&chat->prompt.tokens);
	chat->prompt.tokens = (struct token_list){ 0 };
}

const struct job_chat *job_chat_of(const struct job *job)
{
	const struct job_annex *annex = job_annex(job);

	if (!annex || annex->destroy != destroy_annex)
		return NULL;
	return (const struct job_chat *)annex;
}

/* Sequences have different ids of calls, and each has the same for all who watch. */
enum sc_status job_chat_parser(const struct job *job, uint32_t sequence, chat_delta_fn *fn,
			       void *arg, struct chat_request *request_out,
			       struct chat_parser **parser_out)
{
	const struct job_chat *chat = job_chat_of(job);

	*request_out = chat->request;
	request_out->id_seed = job_seed(job) + sequence;
	return chat_parser_create(chat->format, request_out, &chat->prompt, fn, arg, parser_out);
}
