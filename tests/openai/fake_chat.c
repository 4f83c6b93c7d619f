/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of chat.h, for a format of its own. A prompt is the contents of the messages, one
 * behind the other. The output's first word is reasoning if the request has a reasoning_effort,
 * else content; the other words are content, or with tools the arguments of a call of the first
 * tool. A message of the role "bad" is a fault, and one of the role "slow" is not rendered when the
 * request is brief.
 */
#include "chat/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chat_parser {
	chat_delta_fn *fn;
	void *arg;
	const char *tool;	/* NULL: no tools */
	char id[10];		/* of a call, by the request's id_seed */
	bool is_thinking;
	unsigned n_words;	/* that are over */
	bool has_call;
};

enum sc_status chat_format_check(const struct chat_format *format, struct error *err)
{
	return format ? SC_OK : error_set(err, SC_E_UNSUPPORTED, "no template");
}

const char *chat_format_template(const struct chat_format *format)
{
	return format ? "{{ fake }}" : "";
}

const char *chat_format_reasoning_open(const struct chat_format *format)
{
	(void)format;
	return NULL;
}

const char *chat_format_reasoning_close(const struct chat_format *format)
{
	(void)format;
	return NULL;
}

void chat_prompt_deinit(struct chat_prompt *prompt)
{
	buf_deinit(&prompt->text);
	token_list_deinit(&prompt->tokens);
}

enum sc_status chat_render(const struct chat_format *format, const struct chat_request *request,
			   struct chat_prompt *prompt_out, const char **param_out,
			   struct error *err)
{
	struct chat_prompt prompt = { .prefill = "" };
	enum sc_status status = SC_OK;

	(void)format;
	buf_init(&prompt.text);
	for (size_t i = 0; i < json_array_size(request->messages); i++) {
		const json_t *message = json_array_get(request->messages, i);
		const char *role = json_string_value(json_object_get(message, "role"));
		const char *content = json_string_value(json_object_get(message, "content"));

		*param_out = "messages";
		if (request->is_brief && role && strcmp(role, "slow") == 0)
			status = error_set(err, SC_AGAIN, "slow");
		if (role && strcmp(role, "bad") == 0)
			status = error_set(err, SC_E_INVALID, "message %zu: a bad role", i);
		if (status == SC_OK && content)
			status = buf_add_string(&prompt.text, content);
	}
	prompt.starts_in_reasoning = request->reasoning_effort != NULL;
	if (status == SC_OK)
		status = tokenizer_encode(NULL, prompt.text.data, prompt.text.length, 0,
					  &prompt.tokens, err);
	if (status == SC_OK)
		*prompt_out = prompt;
	else
		chat_prompt_deinit(&prompt);
	return status;
}

enum sc_status chat_parser_create(const struct chat_format *format,
				  const struct chat_request *request,
				  const struct chat_prompt *prompt, chat_delta_fn *fn, void *arg,
				  struct chat_parser **parser_out)
{
	struct chat_parser *parser = calloc(1, sizeof *parser);
	const json_t *tool = json_array_get(request->tools, 0);

	(void)format;
	if (!parser)
		return SC_E_NOMEM;
	parser->fn = fn;
	parser->arg = arg;
	parser->is_thinking = prompt->starts_in_reasoning;
	snprintf(parser->id, sizeof parser->id, "%09llu",
		 (unsigned long long)(request->id_seed % 1000000000));
	parser->tool = json_string_value(json_object_get(json_object_get(tool, "function"),
							 "name"));
	*parser_out = parser;
	return SC_OK;
}

void chat_parser_destroy(struct chat_parser *parser)
{
	free(parser);
}

static enum sc_status add_byte(struct chat_parser *parser, const char *byte)
{
	struct chat_delta delta = { .kind = CHAT_CONTENT, .text = byte, .n_bytes = 1 };
	struct chat_delta begin = { .kind = CHAT_TOOL_BEGIN, .id = parser->id,
				    .name = parser->tool };
	enum sc_status status = SC_OK;

	if (!parser->n_words && parser->is_thinking)
		delta.kind = CHAT_REASONING;
	if (parser->n_words && parser->tool)
		delta.kind = CHAT_TOOL_ARGUMENTS;
	if (delta.kind == CHAT_TOOL_ARGUMENTS && !parser->has_call) {
		parser->has_call = true;
		status = parser->fn(parser->arg, &begin);
	}
	parser->n_words += *byte == ' ';
	return status == SC_OK ? parser->fn(parser->arg, &delta) : status;
}

enum sc_status chat_parser_add(struct chat_parser *parser, const char *text, size_t n_bytes)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < n_bytes && status == SC_OK; i++)
		status = add_byte(parser, text + i);
	return status;
}

enum sc_status chat_parser_finish(struct chat_parser *parser)
{
	(void)parser;
	return SC_OK;
}

uint32_t chat_parser_n_tool_calls(const struct chat_parser *parser)
{
	return parser->has_call;
}
