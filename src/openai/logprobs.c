/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/logprobs.h"

#include <math.h>
#include <stdio.h>

/* As vLLM writes -infinity, which JSON does not have. */
#define LEAST (-9999.0f)

struct scored_token {
	uint32_t id;
	bool has_logprob;		/* false for the first token of a prompt */
	float logprob;
	const struct token_top *tops;	/* [n_tops], best first */
	uint32_t n_tops;
};

size_t logprobs_count_chars(const char *text, size_t n_bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < n_bytes; i++)
		n += ((uint8_t)text[i] & 0xc0) != 0x80;
	return n;
}

static uint32_t n_prompt(const struct logprob_source *source)
{
	return source->prompt ? (uint32_t)source->prompt->n : 0;
}

static uint32_t n_all(const struct logprob_source *source)
{
	return n_prompt(source) + source->to - source->from;
}

/* The scores are those of the last n tokens of the prompt. */
static struct scored_token prompt_token(const struct logprob_source *source, uint32_t i)
{
	struct scored_token token = { .id = source->prompt->ids[i] };
	uint32_t n_scores;
	uint32_t n_tops;
	const float *scores = job_prompt_scores(source->job, &n_scores);
	const struct token_top *tops = job_prompt_tops(source->job, &n_tops);
	uint32_t first = n_prompt(source) - n_scores;

	if (!scores || i < first)
		return token;
	token.has_logprob = true;
	token.logprob = scores[i - first];
	token.tops = tops ? tops + (size_t)(i - first) * n_tops : NULL;
	token.n_tops = tops ? n_tops : 0;
	return token;
}

static struct scored_token token_at(const struct logprob_source *source, uint32_t i)
{
	const struct output *output = source->output;
	uint32_t at = source->from + i - n_prompt(source);

	if (i < n_prompt(source))
		return prompt_token(source, i);
	return (struct scored_token){
		.id = output->tokens[at].id,
		.has_logprob = output->has_logprobs,
		.logprob = output->tokens[at].logprob,
		.tops = output->tops ? output->tops + (size_t)at * output->n_tops : NULL,
		.n_tops = output->tops ? output->n_tops : 0,
	};
}

static bool is_among_tops(const struct scored_token *token)
{
	for (uint32_t i = 0; i < token->n_tops; i++)
		if (token->tops[i].token == token->id)
			return true;
	return false;
}

static void put_logprob(struct json_writer *writer, float logprob)
{
	json_put_float(writer, isfinite(logprob) ? logprob : LEAST);
}

static void put_token(struct json_writer *writer, const struct logprob_source *source, uint32_t id)
{
	char name[24];
	size_t n_bytes;
	const char *piece;

	if (source->writes_token_ids) {
		snprintf(name, sizeof name, "token_id:%u", id);
		json_put_string(writer, name);
		return;
	}
	piece = tokenizer_piece(source->tokenizer, id, &n_bytes);
	json_put_text(writer, piece, n_bytes);
}

/* --- completions --- */

/* A token's text is the name of a member; of equal names the first counts for most readers, so the
 * drawn token and the likelier ones come first. */
static void put_top_member(struct json_writer *writer, const struct logprob_source *source,
			   uint32_t id, float logprob)
{
	put_token(writer, source, id);
	writer->needs_comma = false;
	json_put_raw(writer, ":", 1);
	writer->needs_comma = false;
	put_logprob(writer, logprob);
}

static void put_tops_object(struct json_writer *writer, const struct logprob_source *source,
			    const struct scored_token *token)
{
	if (!token->has_logprob) {
		json_put_null(writer);
		return;
	}
	json_put_open(writer, '{');
	if (!is_among_tops(token))
		put_top_member(writer, source, token->id, token->logprob);
	for (uint32_t i = 0; i < token->n_tops; i++)
		put_top_member(writer, source, token->tops[i].token, token->tops[i].logprob);
	json_put_close(writer, '}');
}

/* Offsets of prompt tokens, from decoding them one by one. */
static size_t put_prompt_offsets(struct json_writer *writer, const struct logprob_source *source)
{
	size_t n_chars = source->n_chars;
	struct buf text = BUF_INIT;
	struct token_stream stream;

	token_stream_init(&stream, source->tokenizer, true);
	for (uint32_t i = 0; i < n_prompt(source); i++) {
		json_put_uint(writer, n_chars);
		buf_truncate(&text, 0);
		if (token_stream_add(&stream, source->prompt->ids[i], &text) != SC_OK)
			writer->status = SC_E_NOMEM;
		n_chars += logprobs_count_chars(text.data, text.length);
	}
	buf_deinit(&text);
	return n_chars;
}

static void put_offsets(struct json_writer *writer, const struct logprob_source *source)
{
	const struct output *output = source->output;
	size_t n_chars = put_prompt_offsets(writer, source);
	uint32_t end = source->from ? output->tokens[source->from - 1].text_end : 0;

	for (uint32_t i = source->from; i < source->to; i++) {
		uint32_t next = output->tokens[i].text_end;

		json_put_uint(writer, n_chars);
		n_chars += logprobs_count_chars(output->text.data + end, next - end);
		end = next;
	}
}

void logprobs_put_completion(struct json_writer *writer, const struct logprob_source *source)
{
	struct scored_token token;
	uint32_t n = n_all(source);

	json_put_open(writer, '{');
	json_put_key(writer, "tokens");
	json_put_open(writer, '[');
	for (uint32_t i = 0; i < n; i++)
		put_token(writer, source, token_at(source, i).id);
	json_put_close(writer, ']');
	json_put_key(writer, "token_logprobs");
	json_put_open(writer, '[');
	for (uint32_t i = 0; i < n; i++) {
		token = token_at(source, i);
		if (token.has_logprob)
			put_logprob(writer, token.logprob);
		else
			json_put_null(writer);
	}
	json_put_close(writer, ']');
	json_put_key(writer, "top_logprobs");
	json_put_open(writer, '[');
	for (uint32_t i = 0; i < n; i++) {
		token = token_at(source, i);
		put_tops_object(writer, source, &token);
	}
	json_put_close(writer, ']');
	json_put_key(writer, "text_offset");
	json_put_open(writer, '[');
	put_offsets(writer, source);
	json_put_close(writer, ']');
	json_put_close(writer, '}');
}

/* --- chat --- */

static void put_members(struct json_writer *writer, const struct logprob_source *source,
			uint32_t id, float logprob)
{
	size_t n_bytes;
	const char *piece = tokenizer_piece(source->tokenizer, id, &n_bytes);

	json_put_key(writer, "token");
	put_token(writer, source, id);
	json_put_key(writer, "logprob");
	put_logprob(writer, logprob);
	json_put_key(writer, "bytes");
	json_put_open(writer, '[');
	for (size_t i = 0; i < n_bytes; i++)
		json_put_uint(writer, (uint8_t)piece[i]);
	json_put_close(writer, ']');
}

static void put_top_item(struct json_writer *writer, const struct logprob_source *source,
			 uint32_t id, float logprob)
{
	json_put_open(writer, '{');
	put_members(writer, source, id, logprob);
	json_put_close(writer, '}');
}

void logprobs_put_chat(struct json_writer *writer, const struct logprob_source *source)
{
	json_put_open(writer, '{');
	json_put_key(writer, "content");
	json_put_open(writer, '[');
	for (uint32_t i = 0; i < n_all(source); i++) {
		const struct scored_token token = token_at(source, i);

		json_put_open(writer, '{');
		put_members(writer, source, token.id, token.logprob);
		json_put_key(writer, "top_logprobs");
		json_put_open(writer, '[');
		for (uint32_t k = 0; k < token.n_tops; k++)
			put_top_item(writer, source, token.tops[k].token, token.tops[k].logprob);
		if (source->has_tops && !is_among_tops(&token))
			put_top_item(writer, source, token.id, token.logprob);
		json_put_close(writer, ']');
		json_put_close(writer, '}');
	}
	json_put_close(writer, ']');
	json_put_close(writer, '}');
}
