/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to prompt. */
#include "chat/arguments.h"
#include "chat/chat.h"
#include "chat/format.h"
#include "chat/normalize.h"
#include "chat/place_tools.h"
#include "chat/tool_choice.h"

#include <string.h>

/* Ends the text of a message that is to be continued: the prompt ends where this stands. */
#define CONTINUE_TAG "\x02\x03" "continue here" "\x03\x02"
#define MAX_TOOLS 1024
#define MAX_TOOL_NAME 128

struct rendering {
	const struct chat_format *format;
	const struct chat_request *request;
	const struct chat_template *tmpl;
	bool has_tools;			/* the template is told of them */
	bool ends_in_reasoning;		/* the reasoning of the last message goes on */
	struct chat_prompt *prompt;
	const char **param_out;
	struct error *err;
};

void chat_prompt_deinit(struct chat_prompt *prompt)
{
	buf_deinit(&prompt->text);
	buf_deinit(&prompt->from_template);
	buf_deinit(&prompt->prefill_text);
	token_list_deinit(&prompt->tokens);
}

static enum sc_status no_memory(const struct rendering *work)
{
	return error_set(work->err, SC_E_NOMEM, "no memory for a prompt");
}

/* A name becomes part of prompts: of what the template writes, when it is a tool_choice. */
static bool is_tool_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_-.:/";

	return name && *name && strlen(name) <= MAX_TOOL_NAME && !name[strspn(name, allowed)];
}

static enum sc_status check_tools(const struct rendering *work)
{
	const json_t *tools = work->request->tools;

	if (tools && !json_is_null(tools) && !json_is_array(tools))
		return error_set(work->err, SC_E_INVALID, "tools: expected a list");
	if (json_array_size(tools) > MAX_TOOLS)
		return error_set(work->err, SC_E_INVALID, "tools: expected at most %d, found %zu",
				 MAX_TOOLS, json_array_size(tools));
	for (size_t i = 0; i < json_array_size(tools); i++) {
		const json_t *tool = json_array_get(tools, i);
		const char *type = json_string_value(json_object_get(tool, "type"));

		if (type && strcmp(type, "function"))
			return error_set(work->err, SC_E_INVALID, "tools[%zu].type: expected "
					 "'function', found '%.40s'", i, type);
		if (!json_is_object(json_object_get(tool, "function")) ||
		    !is_tool_name(tool_name(tool)))
			return error_set(work->err, SC_E_INVALID, "tools[%zu].function.name: "
					 "expected 1 to %d letters, digits, '_', '-', '.', ':' or "
					 "'/'", i, MAX_TOOL_NAME);
	}
	return SC_OK;
}

static enum sc_status check_choice(const struct rendering *work)
{
	const struct chat_request *request = work->request;
	const char *name = request->tool_name ? request->tool_name : "";

	if (request->tool_choice == CHAT_TOOLS_NAMED &&
	    !tools_find(request->tools, name, strlen(name)))
		return error_set(work->err, SC_E_INVALID, "tool_choice: the request has no tool "
				 "'%.128s'", name);
	if (request->tool_choice == CHAT_TOOLS_REQUIRED && !json_array_size(request->tools))
		return error_set(work->err, SC_E_INVALID, "tool_choice \"required\": the request "
				 "has no tools");
	if (!work->has_tools || chat_format_has_tools(work->format))
		return SC_OK;
	return error_set(work->err, SC_E_UNSUPPORTED, work->format->family->prefill
			 ? "tools: the model's chat template does not show them to the model "
			   "(family %s): leave them out, or use a template that does"
			 : "tools: the form of this model's tool calls is not known (family %s), "
			   "so they could not be told from text: leave the tools out",
			 work->format->family->name);
}

static void choose_template(struct rendering *work)
{
	const struct chat_format *format = work->format;

	work->tmpl = &format->usual;
	if (work->has_tools && format->for_tools.abilities.tools)
		work->tmpl = &format->for_tools;
}

static bool is_reserved(const char *name)
{
	static const char *const names[] = {
		"messages", "tools", "add_generation_prompt", "continue_final_message",
		"chat_template", "bos_token", "eos_token",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static enum sc_status add_kwargs(const struct rendering *work, json_t *variables)
{
	const json_t *kwargs = work->request->template_kwargs;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)kwargs, key, value) {
		*work->param_out = "chat_template_kwargs";
		if (is_reserved(key))
			return error_set(work->err, SC_E_INVALID, "chat_template_kwargs: '%s' "
					 "cannot be set there", key);
		*work->param_out = "messages";
		if (json_object_set(variables, key, value))
			return no_memory(work);
	}
	return SC_OK;
}

/* Takes messages. */
static enum sc_status make_variables(const struct rendering *work, json_t *messages,
				     json_t **variables_out)
{
	const struct chat_request *request = work->request;
	const bool generates = !request->leaves_open && !request->continues_final_message;
	const char *effort = request->reasoning_effort;
	const bool has_tools = work->has_tools &&
			       work->tmpl->abilities.tools == TOOLS_VARIABLE;
	json_t *none = work->tmpl->abilities.needs_tool_list ? json_array() : json_null();
	json_t *variables = json_pack("{s:o, s:b, s:b, s:O}", "messages", messages,
				      "add_generation_prompt", generates,
				      "continue_final_message", request->continues_final_message,
				      "tools", has_tools ? request->tools : none);
	enum sc_status status = variables ? SC_OK : no_memory(work);

	json_decref(none);
	if (!status && effort && json_object_set_new(variables, "reasoning_effort",
						     json_string(effort)))
		status = no_memory(work);
	if (!status && effort && !strcmp(effort, "none") &&
	    json_object_set_new(variables, "enable_thinking", json_false()))
		status = no_memory(work);
	if (!status)
		status = add_kwargs(work, variables);
	if (status) {
		json_decref(variables);
		return status;
	}
	*variables_out = variables;
	return SC_OK;
}

static bool has_role(const json_t *messages, const char *role)
{
	for (size_t i = 0; i < json_array_size(messages); i++) {
		const json_t *message = json_array_get(messages, i);
		const char *found = json_string_value(json_object_get(message, "role"));

		if (found && !strcmp(found, role))
			return true;
	}
	return false;
}

/* The template's own words, for messages that it does not take. */
static enum sc_status explain(const struct rendering *work, enum sc_status status)
{
	struct error *err = work->err;

	if (status == SC_E_NOMEM)
		return no_memory(work);
	if (status == SC_E_TOO_LARGE) {
		error_prefix(err, "the chat template");
		return status;
	}
	error_prefix(err, "the model's chat template %s the messages",
		     status == SC_E_INVALID ? "refuses" : "fails on");
	if (err)
		err->status = SC_E_INVALID;
	return SC_E_INVALID;
}

/* A template may take long whatever the messages are, and make long texts, which take time to be
 * tokenized. Of a request that is brief it gets steps for about two milliseconds. */
static const struct jinja_limits brief_limits = {
	.max_steps = 20000, .max_output = 32 << 10, .max_memory = 8 << 20, .max_depth = 500,
};

static enum sc_status render_messages(struct rendering *work, json_t *messages,
				      struct jinja_output *output)
{
	const bool has_system = has_role(messages, "system");
	json_t *variables;
	enum sc_status status = make_variables(work, messages, &variables);

	if (status)
		return status;
	status = chat_template_render(work->tmpl, variables, work->request->now_unix,
				      work->request->is_brief ? &brief_limits
							      : &jinja_default_limits,
				      output, work->err);
	json_decref(variables);
	if (status == SC_E_TOO_LARGE && work->request->is_brief)
		return error_set(work->err, SC_AGAIN, "the chat template takes its time");
	if (status)
		return explain(work, status);
	if (has_system && !work->tmpl->abilities.has_system)
		return error_set(work->err, SC_E_INVALID, "messages: the model's chat template "
				 "leaves system messages out: put the text into the first message "
				 "of the user");
	return SC_OK;
}

static enum sc_status check_continued(const struct rendering *work)
{
	const json_t *messages = work->request->messages;
	const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
	const char *role = json_string_value(json_object_get(last, "role"));

	if (!work->request->continues_final_message || (role && !strcmp(role, "assistant")))
		return SC_OK;
	return error_set(work->err, SC_E_INVALID, "continue_final_message: expected the last "
			 "message to be the assistant's");
}

/* Cuts the prompt behind the text that is to be continued. */
static enum sc_status cut(const struct rendering *work)
{
	struct buf *text = &work->prompt->text;
	const size_t n = strlen(CONTINUE_TAG);

	for (size_t at = text->length; at-- > 0;) {
		if (text->length - at < n || memcmp(text->data + at, CONTINUE_TAG, n))
			continue;
		buf_truncate(text, at);
		buf_truncate(&work->prompt->from_template, at);
		return SC_OK;
	}
	return error_set(work->err, SC_E_INVALID, "continue_final_message: the model's chat "
			 "template does not write the text of the last message");
}

static bool ends_with(const struct buf *text, size_t length, const char *end)
{
	const size_t n = strlen(end);

	return length >= n && !memcmp(text->data + length - n, end, n);
}

/* Reasoning is open if its mark is the last that the template wrote. */
static bool ends_in_reasoning(const struct rendering *work)
{
	const struct chat_prompt *prompt = work->prompt;
	const char *open = mark_text(work->format->reasoning_open);
	size_t length = prompt->text.length;

	if (!*open)
		return false;
	if (work->ends_in_reasoning)
		return true;
	while (length && strchr(" \t\r\n", prompt->text.data[length - 1]))
		length--;
	return ends_with(&prompt->text, length, open) && prompt->from_template.data[length - 1];
}

static enum sc_status add_template_text(struct chat_prompt *prompt, const char *text, size_t n)
{
	static const char ones[] = "\1\1\1\1\1\1\1\1";
	enum sc_status status = buf_add(&prompt->text, text, n);

	for (size_t i = 0; i < n && !status; i += sizeof ones - 1)
		status = buf_add(&prompt->from_template, ones,
				 n - i < sizeof ones - 1 ? n - i : sizeof ones - 1);
	return status;
}

/* Writes the beginning of the call that the request asks for, behind reasoning that is closed. */
static enum sc_status add_prefill(struct rendering *work)
{
	struct chat_prompt *prompt = work->prompt;
	const char *close = mark_text(work->format->reasoning_close);
	enum sc_status status;

	if (!work->has_tools)
		return SC_OK;
	status = tool_choice_prefill(work->format, work->request, &prompt->prefill_text,
				     work->err);
	if (status || !prompt->prefill_text.length)
		return status;
	if (prompt->starts_in_reasoning) {
		status = add_template_text(prompt, "\n", 1);
		if (!status)
			status = add_template_text(prompt, close, strlen(close));
		if (!status)
			status = add_template_text(prompt, "\n\n", 2);
		prompt->starts_in_reasoning = false;
	}
	if (!status)
		status = add_template_text(prompt, prompt->prefill_text.data,
					   prompt->prefill_text.length);
	return status ? no_memory(work) : SC_OK;
}

static bool is_role_name(const char *text, size_t n)
{
	static const char *const names[] = {
		"system", "user", "assistant", "tool", "developer",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == n && !memcmp(names[i], text, n))
			return true;
	return false;
}

/* Some templates make control tokens of roles: '<|' + message.role + '|>'. A role's name between
 * words of the template therefore counts as the template's own. It is one of a few words, so a
 * stranger can do nothing with it. */
static void trust_roles(struct chat_prompt *prompt)
{
	char *mask = prompt->from_template.data;
	const size_t length = prompt->text.length;

	for (size_t at = 0, end; at < length; at = end) {
		for (end = at + 1; end < length && mask[end] == mask[at];)
			end++;
		if (!mask[at] && at && end < length &&
		    is_role_name(prompt->text.data + at, end - at))
			memset(mask + at, 1, end - at);
	}
}

static enum sc_status check_length(const struct rendering *work)
{
	const size_t longest = tokenizer_longest_token_bytes(work->format->tokenizer);
	const size_t n_bytes = work->prompt->text.length;
	const size_t n_tokens = longest ? n_bytes / longest : 0;
	const uint32_t max = work->request->max_prompt_tokens;

	if (!max || n_tokens < max)
		return SC_OK;
	return error_set(work->err, SC_E_TOO_LARGE, "%zu bytes are at least %zu tokens, but the "
			 "context holds %u. Shorten the messages or raise --ctx-size", n_bytes,
			 n_tokens, max);
}

static enum sc_status finish(struct rendering *work)
{
	struct chat_prompt *prompt = work->prompt;
	enum sc_status status = SC_OK;

	if (work->request->continues_final_message)
		status = cut(work);
	if (status)
		return status;
	trust_roles(prompt);
	prompt->starts_in_reasoning = ends_in_reasoning(work);
	*work->param_out = "tool_choice";
	status = add_prefill(work);
	prompt->prefill = prompt->prefill_text.data;
	if (status)
		return status;
	*work->param_out = "messages";
	status = check_length(work);
	if (status)
		return status;
	return tokenizer_encode_masked(work->format->tokenizer, prompt->text.data,
				       prompt->from_template.data, prompt->text.length,
				       TOKENIZE_PARSE_SPECIAL, &prompt->tokens, work->err);
}

static enum sc_status render(struct rendering *work)
{
	const bool continues = work->request->continues_final_message;
	struct jinja_output output = { .text = BUF_INIT, .from_template = BUF_INIT };
	json_t *messages;
	enum sc_status status = check_tools(work);

	*work->param_out = "tools";
	if (!status)
		status = check_choice(work);
	if (status)
		return status;
	*work->param_out = "messages";
	choose_template(work);
	status = check_continued(work);
	if (!status)
		status = normalize_messages(work->tmpl, work->request->messages,
					    work->format->family,
					    continues ? CONTINUE_TAG : NULL, &messages,
					    &work->ends_in_reasoning, work->err);
	if (status)
		return status;
	if (work->has_tools && place_tools(work->format, work->tmpl, work->request->tools,
					   messages)) {
		json_decref(messages);
		return no_memory(work);
	}
	status = render_messages(work, messages, &output);
	if (status) {
		jinja_output_deinit(&output);
		return status;
	}
	work->prompt->text = output.text;
	work->prompt->from_template = output.from_template;
	return finish(work);
}

enum sc_status chat_render(const struct chat_format *format, const struct chat_request *request,
			   struct chat_prompt *prompt_out, const char **param_out,
			   struct error *err)
{
	struct chat_prompt prompt = {
		.text = BUF_INIT, .from_template = BUF_INIT, .prefill_text = BUF_INIT,
	};
	const char *param = NULL;
	struct rendering work = {
		.format = format, .request = request, .prompt = &prompt, .param_out = &param,
		.has_tools = json_array_size(request->tools) &&
			     request->tool_choice != CHAT_TOOLS_NONE,
		.err = err,
	};
	enum sc_status status = chat_format_check(format, err);

	if (!status)
		status = render(&work);
	if (status) {
		chat_prompt_deinit(&prompt);
		if (param_out)
			*param_out = param;
		return status;
	}
	*prompt_out = prompt;
	return SC_OK;
}
