/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/chat_body.h"

#include "base/clock.h"
#include "openai/chat_job.h"

#include <string.h>

void chat_body_init(struct chat_body *body, const struct chat_format *format, bool is_brief)
{
	generation_init(&body->generation, JOB_UNLIMITED);
	body->format = format;
	body->request = (struct chat_request){ .is_brief = is_brief };
	body->has_prompt = false;
	body->has_logprobs = false;
	memset(body->kept, 0, sizeof body->kept);
}

void chat_body_deinit(struct chat_body *body)
{
	generation_deinit(&body->generation);
	if (body->has_prompt)
		chat_prompt_deinit(&body->prompt);
	for (size_t i = 0; i < sizeof body->kept / sizeof body->kept[0]; i++)
		json_decref(body->kept[i]);
}

/* --- tools --- */

/* The name of a tool, or NULL if it has none. */
static const char *tool_name(const json_t *tool)
{
	const json_t *function = json_object_get(tool, "function");

	return json_string_value(json_object_get(function, "name"));
}

static bool has_tool(const json_t *tools, const char *name)
{
	for (size_t i = 0; i < json_array_size(tools); i++)
		if (tool_name(json_array_get(tools, i)) &&
		    strcmp(tool_name(json_array_get(tools, i)), name) == 0)
			return true;
	return false;
}

/* An empty array counts as none. */
static void read_tools(struct chat_body *body, struct json_reader *reader)
{
	const json_t *tools = json_read_array(reader, "tools");

	for (size_t i = 0; i < json_array_size(tools); i++)
		if (!tool_name(json_array_get(tools, i)))
			json_reader_fail(reader, "tools", SC_E_INVALID, "item %zu: expected {\"type"
					 "\": \"function\", \"function\": {\"name\": ...}}", i);
	if (!json_array_size(tools))
		return;
	body->request.tools = tools;
	body->kept[0] = json_incref((json_t *)(uintptr_t)tools);
}

static void read_named_choice(struct chat_body *body, struct json_reader *reader,
			      const json_t *choice)
{
	const char *name = tool_name(choice);

	if (!name) {
		json_reader_fail(reader, "tool_choice", SC_E_INVALID,
				 "expected \"none\", \"auto\", \"required\" or {\"type\": "
				 "\"function\", \"function\": {\"name\": ...}}");
		return;
	}
	if (!has_tool(body->request.tools, name)) {
		json_reader_fail(reader, "tool_choice", SC_E_INVALID, "no tool of that name is in "
				 "tools");
		return;
	}
	body->request.tool_choice = CHAT_TOOLS_NAMED;
	body->request.tool_name = name;
	body->kept[1] = json_incref((json_t *)(uintptr_t)choice);
}

static void read_tool_choice(struct chat_body *body, struct json_reader *reader)
{
	const json_t *choice = json_read(reader, "tool_choice");
	const char *word = json_string_value(choice);

	if (!choice || (word && strcmp(word, "auto") == 0))
		return;
	if (word && strcmp(word, "none") == 0) {
		body->request.tool_choice = CHAT_TOOLS_NONE;
	} else if (word && (strcmp(word, "required") == 0 || strcmp(word, "any") == 0)) {
		if (!body->request.tools)
			json_reader_fail(reader, "tool_choice", SC_E_INVALID,
					 "a tool is required, but there are no tools");
		body->request.tool_choice = CHAT_TOOLS_REQUIRED;
	} else {
		read_named_choice(body, reader, choice);
	}
}

/* --- messages --- */

/* A template runs in this process, so only the operator chooses one. */
static void refuse_templates(struct json_reader *reader)
{
	if (json_read(reader, "chat_template"))
		json_reader_fail(reader, "chat_template", SC_E_UNSUPPORTED, "templates in requests "
				 "are not run. The server's --chat-template sets one");
}

static void refuse_functions(struct json_reader *reader)
{
	static const char *const names[] = { "functions", "function_call" };

	for (size_t i = 0; i < 2; i++) {
		const json_t *value = json_read(reader, names[i]);

		if (value && !(json_is_array(value) && !json_array_size(value)) &&
		    !json_is_string(value))
			json_reader_fail(reader, names[i], SC_E_UNSUPPORTED,
					 "use tools and tool_choice");
	}
}

static void read_template_options(struct chat_body *body, struct json_reader *reader)
{
	struct chat_request *request = &body->request;
	bool adds_prompt = true;

	refuse_templates(reader);
	request->template_kwargs = json_read_object(reader, "chat_template_kwargs");
	if (json_object_get(request->template_kwargs, "chat_template"))
		json_reader_fail(reader, "chat_template_kwargs", SC_E_UNSUPPORTED,
				 "templates in requests are not run");
	json_read_string(reader, "reasoning_effort", &request->reasoning_effort);
	json_read_bool(reader, "add_generation_prompt", &adds_prompt);
	json_read_bool(reader, "continue_final_message", &request->continues_final_message);
	request->leaves_open = !adds_prompt;
	request->now_unix = (int64_t)(clock_unix_ms() / 1000);
}

static void render(struct chat_body *body, struct json_reader *reader)
{
	const char *param = NULL;
	struct error err;
	enum sc_status status = chat_render(body->format, &body->request, &body->prompt, &param,
					    &err);

	body->has_prompt = status == SC_OK;
	if (status != SC_OK)
		json_reader_fail(reader, param ? param : "messages", status, "%s", err.text);
	/* The values of the request that are not held go. */
	body->request.messages = NULL;
	body->request.template_kwargs = NULL;
	body->request.reasoning_effort = NULL;
}

void chat_body_read_messages(struct chat_body *body, struct json_reader *reader)
{
	const json_t *messages = json_read_array(reader, "messages");
	struct error err;

	if (!messages)
		json_reader_fail(reader, "messages", SC_E_INVALID, "missing: expected an array");
	else if (!json_array_size(messages))
		json_reader_fail(reader, "messages", SC_E_INVALID, "the array is empty");
	body->request.messages = messages;
	read_tools(body, reader);
	read_tool_choice(body, reader);
	refuse_functions(reader);
	read_template_options(body, reader);
	if (reader->status != SC_OK)
		return;
	if (!body->format)
		json_reader_fail(reader, "messages", SC_E_UNSUPPORTED,
				 "this server has no chat template");
	else if (chat_format_check(body->format, &err) != SC_OK)
		json_reader_fail(reader, "messages", SC_E_UNSUPPORTED, "%s", err.text);
	else
		render(body, reader);
}

static void read_logprobs(struct chat_body *body, struct json_reader *reader)
{
	struct job_request *job = &body->generation.job;

	json_read_bool(reader, "logprobs", &body->has_logprobs);
	json_read_u32(reader, "top_logprobs", 0, JOB_MAX_TOP_LOGPROBS, &job->n_top_logprobs);
	if (job->n_top_logprobs && !body->has_logprobs)
		json_reader_fail(reader, "top_logprobs", SC_E_INVALID,
				 "expected logprobs to be true, too");
	job->wants_logprobs = body->has_logprobs;
}

/* llama.cpp's "none" wants reasoning where the model wrote it. Its other values differ in nothing
 * here. */
static void read_reasoning_format(struct chat_body *body, struct json_reader *reader)
{
	const char *format = "";

	json_read_string(reader, "reasoning_format", &format);
	body->inlines_reasoning = strcmp(format, "none") == 0;
}

static void check_length(const struct chat_body *body, struct json_reader *reader,
			 uint32_t max_context)
{
	struct error err;
	enum sc_status status;

	if (reader->status != SC_OK)
		return;
	status = prompt_check_tokens(body->prompt.tokens.n, max_context, &err);
	if (status != SC_OK)
		json_reader_fail(reader, "messages", status, "%s",
				 strncmp(err.text, "prompt: ", 8) == 0 ? err.text + 8 : err.text);
}

void chat_body_read(struct chat_body *body, struct json_reader *reader,
		    const struct tokenizer *tokenizer, uint32_t max_context)
{
	body->request.max_prompt_tokens = max_context;
	json_read_ignored(reader, "model");
	generation_read(&body->generation, reader, tokenizer);
	read_logprobs(body, reader);
	read_reasoning_format(body, reader);
	chat_body_read_messages(body, reader);
	check_length(body, reader, max_context);
	generation_note_unknown(&body->generation, reader);
}

struct job_request chat_body_job(const struct chat_body *body)
{
	struct job_request job = body->generation.job;

	chat_job_set_prompt(&job, body->format, &body->prompt);
	if (body->inlines_reasoning) {
		job.hidden_open = NULL;
		job.hidden_close = NULL;
		job.starts_hidden = false;
	}
	return job;
}
