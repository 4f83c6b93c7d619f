/* SPDX-License-Identifier: Apache-2.0 */
/* How the choices of /v1/chat/completions look: the output goes through a parser of its own, which
 * tells content, reasoning and tool calls apart. */
#include "openai/chat_choice.h"

#include "openai/chat_body.h"
#include "openai/chat_message.h"
#include "openai/logprobs.h"

#include <stdlib.h>

static const struct chat_body *body_of(const struct choice *choice)
{
	return choice->answer->body;
}

static void put_logprobs(struct choice *choice, uint32_t to)
{
	const struct chat_body *body = body_of(choice);
	struct json_writer *writer = &choice->answer->writer;
	const struct logprob_source source = {
		.tokenizer = engine_tokenizer(choice->answer->openai->engine),
		.job = choice->job,
		.output = choice->output,
		.from = choice->n_scored,
		.to = to,
		.writes_token_ids = body->generation.writes_token_ids,
		.has_tops = body->generation.job.n_top_logprobs > 0,
	};

	choice->n_scored = to;
	json_put_key(writer, "logprobs");
	if (body->has_logprobs)
		logprobs_put_chat(writer, &source);
	else
		json_put_null(writer);
}

/* --- the parser --- */

static enum sc_status open_parser(struct choice *choice, bool is_delta)
{
	struct chat_body *body = choice->answer->body;

	/* Calls of different choices, and of different requests, have different ids. */
	body->request.id_seed = body->generation.job.seed + choice->index;
	choice->message = malloc(sizeof *choice->message);
	if (!choice->message)
		return SC_E_NOMEM;
	chat_message_init(choice->message, is_delta, body->inlines_reasoning);
	return chat_parser_create(body->format, &body->request, &body->prompt, chat_message_add,
				  choice->message, &choice->parser);
}

static void close_parser(struct choice *choice)
{
	if (choice->parser)
		chat_parser_destroy(choice->parser);
	if (choice->message)
		chat_message_deinit(choice->message);
	free(choice->message);
	choice->parser = NULL;
	choice->message = NULL;
}

/* Up to text_end of the output's text. */
static enum sc_status parse(struct choice *choice, size_t text_end)
{
	const char *text = choice->output->text.data + choice->n_bytes_told;
	size_t n_bytes = text_end - choice->n_bytes_told;

	choice->n_bytes_told = text_end;
	return n_bytes ? chat_parser_add(choice->parser, text, n_bytes) : SC_OK;
}

static bool has_calls(const struct choice *choice)
{
	return chat_parser_n_tool_calls(choice->parser) > 0;
}

/* --- stream --- */

static enum sc_status put_delta(struct choice *choice)
{
	struct json_writer *writer = &choice->answer->writer;
	enum sc_status status;

	answer_event_open(choice);
	json_put_key(writer, "delta");
	json_put_open(writer, '{');
	status = chat_message_put(choice->message, writer);
	json_put_close(writer, '}');
	put_logprobs(choice, choice->n_told);
	answer_put_finish(writer, choice, NULL);
	return status == SC_OK ? answer_event_close(choice, false) : status;
}

/* The role comes at once, before the prompt is computed. */
static enum sc_status begin(struct choice *choice)
{
	struct json_writer *writer = &choice->answer->writer;
	enum sc_status status = open_parser(choice, true);

	if (status != SC_OK)
		return status;
	answer_event_open(choice);
	json_put_key(writer, "delta");
	json_put_open(writer, '{');
	json_put_member_string(writer, "role", "assistant");
	json_put_member_string(writer, "content", "");
	json_put_close(writer, '}');
	json_put_member_null(writer, "logprobs");
	answer_put_finish(writer, choice, NULL);
	return answer_event_close(choice, false);
}

/* A token whose text the parser holds back gives no event. Its log-probability is told with the
 * next one. */
static enum sc_status token(struct choice *choice)
{
	enum sc_status status = parse(choice, choice->output->tokens[choice->n_told].text_end);

	choice->n_told++;
	if (status != SC_OK || chat_message_is_empty(choice->message))
		return status;
	return put_delta(choice);
}

static enum sc_status end(struct choice *choice)
{
	struct json_writer *writer = &choice->answer->writer;
	enum sc_status status = parse(choice, choice->output->text.length);

	if (status == SC_OK)
		status = chat_parser_finish(choice->parser);
	if (status == SC_OK && (!chat_message_is_empty(choice->message) ||
				(body_of(choice)->has_logprobs &&
				 choice->n_scored < choice->n_told)))
		status = put_delta(choice);
	if (status != SC_OK)
		return status;
	answer_event_open(choice);
	json_put_key(writer, "delta");
	json_put_open(writer, '{');
	json_put_close(writer, '}');
	json_put_member_null(writer, "logprobs");
	answer_put_finish(writer, choice, answer_finish_reason(choice, has_calls(choice)));
	return answer_event_close(choice, true);
}

/* --- whole --- */

static enum sc_status parse_all(struct choice *choice)
{
	enum sc_status status = open_parser(choice, false);

	if (status == SC_OK)
		status = parse(choice, choice->output->text.length);
	return status == SC_OK ? chat_parser_finish(choice->parser) : status;
}

static enum sc_status whole(struct choice *choice)
{
	struct json_writer *writer = &choice->answer->writer;
	enum sc_status status = parse_all(choice);

	if (status != SC_OK)
		return status;
	json_put_open(writer, '{');
	json_put_member_uint(writer, "index", choice->index);
	json_put_key(writer, "message");
	json_put_open(writer, '{');
	json_put_member_string(writer, "role", "assistant");
	status = chat_message_put(choice->message, writer);
	json_put_close(writer, '}');
	put_logprobs(choice, choice->output->n_tokens);
	answer_put_finish(writer, choice, answer_finish_reason(choice, has_calls(choice)));
	json_put_close(writer, '}');
	close_parser(choice);
	return status;
}

static void free_body(void *body)
{
	chat_body_deinit(body);
	free(body);
}

const struct dialect chat_dialect = {
	.id_prefix = "chatcmpl",
	.object = "chat.completion",
	.chunk_object = "chat.completion.chunk",
	.nothing = "\"delta\":{}",
	.deinit = close_parser,
	.begin = begin,
	.token = token,
	.end = end,
	.whole = whole,
	.free_body = free_body,
};
