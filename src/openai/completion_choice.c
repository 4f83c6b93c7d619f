/* SPDX-License-Identifier: Apache-2.0 */
/* How the choices of /v1/completions look. */
#include "openai/completion_choice.h"

#include "model/tokenizer.h"
#include "openai/completion_body.h"
#include "openai/logprobs.h"

#include <stdlib.h>

static const struct completion_body *body_of(const struct choice *choice)
{
	return choice->answer->body;
}

static const struct prompt_form *prompt_of(const struct choice *choice)
{
	return &body_of(choice)->prompts.prompts[choice->prompt];
}

/* Tokens [from, to) of the output, and before them those of the prompt. */
static void put_logprobs(struct choice *choice, bool with_prompt, uint32_t from, uint32_t to)
{
	const struct completion_body *body = body_of(choice);
	struct json_writer *writer = &choice->answer->writer;
	const struct logprob_source source = {
		.tokenizer = engine_tokenizer(choice->answer->openai->engine),
		.prompt = with_prompt ? &prompt_of(choice)->tokens : NULL,
		.job = choice->job,
		.output = choice->output,
		.from = from,
		.to = to,
		.n_chars = choice->n_chars_told,
		.writes_token_ids = body->generation.writes_token_ids,
	};

	json_put_key(writer, "logprobs");
	if (body->has_logprobs)
		logprobs_put_completion(writer, &source);
	else
		json_put_null(writer);
}

/* The next n_bytes of the output's text. */
static void put_output(struct choice *choice, size_t n_bytes)
{
	const char *text = choice->output->text.data + choice->n_bytes_told;

	json_put_key(&choice->answer->writer, "text");
	json_put_text(&choice->answer->writer, text, n_bytes);
}

static void note_told(struct choice *choice, size_t n_bytes)
{
	const char *text = choice->output->text.data + choice->n_bytes_told;

	choice->n_chars_told += logprobs_count_chars(text, n_bytes);
	choice->n_bytes_told += n_bytes;
}

/* --- stream --- */

/* The echo of the prompt, as soon as its scores are there. */
static enum sc_status begin(struct choice *choice)
{
	const struct completion_body *body = body_of(choice);
	const struct prompt_form *prompt = prompt_of(choice);
	struct json_writer *writer = &choice->answer->writer;
	const struct output *first = job_output(choice->job, 0);

	if (!body->echoes)
		return SC_OK;
	if (body->has_logprobs && !first->n_tokens && first->finish == FINISH_NONE)
		return SC_AGAIN;
	answer_event_open(choice);
	json_put_key(writer, "text");
	json_put_text(writer, prompt->text.data, prompt->text.length);
	put_logprobs(choice, true, 0, 0);
	answer_put_finish(writer, choice, NULL);
	choice->n_chars_told = logprobs_count_chars(prompt->text.data, prompt->text.length);
	return answer_event_close(choice, false);
}

static enum sc_status token(struct choice *choice)
{
	size_t n_bytes = choice->output->tokens[choice->n_told].text_end - choice->n_bytes_told;

	answer_event_open(choice);
	put_output(choice, n_bytes);
	put_logprobs(choice, false, choice->n_told, choice->n_told + 1);
	answer_put_finish(&choice->answer->writer, choice, NULL);
	note_told(choice, n_bytes);
	choice->n_told++;
	return answer_event_close(choice, false);
}

/* With text that became final only at the output's end. */
static enum sc_status end(struct choice *choice)
{
	size_t n_bytes = choice->output->text.length - choice->n_bytes_told;

	answer_event_open(choice);
	put_output(choice, n_bytes);
	json_put_member_null(&choice->answer->writer, "logprobs");
	answer_put_finish(&choice->answer->writer, choice, answer_finish_reason(choice, false));
	note_told(choice, n_bytes);
	return answer_event_close(choice, true);
}

/* --- whole --- */

static enum sc_status whole(struct choice *choice)
{
	const struct completion_body *body = body_of(choice);
	const struct buf *prompt = &prompt_of(choice)->text;
	struct json_writer *writer = &choice->answer->writer;

	json_put_open(writer, '{');
	json_put_member_uint(writer, "index", choice->index);
	json_put_key(writer, "text");
	json_put_text_begin(writer);
	if (body->echoes)
		json_put_text_part(writer, prompt->data, prompt->length);
	json_put_text_part(writer, choice->output->text.data, choice->output->text.length);
	json_put_text_end(writer);
	put_logprobs(choice, body->echoes, 0, choice->output->n_tokens);
	answer_put_finish(writer, choice, answer_finish_reason(choice, false));
	json_put_close(writer, '}');
	return SC_OK;
}

static void free_body(void *body)
{
	completion_body_deinit(body);
	free(body);
}

const struct dialect completion_dialect = {
	.id_prefix = "cmpl",
	.object = "text_completion",
	.chunk_object = "text_completion",
	.nothing = "\"text\":\"\"",
	.begin = begin,
	.token = token,
	.end = end,
	.whole = whole,
	.free_body = free_body,
};
