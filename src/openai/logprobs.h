/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_LOGPROBS_H
#define STAGECOACH_OPENAI_LOGPROBS_H
/*
 * logprobs - log-probabilities of tokens in the two shapes of OpenAI's API. The drawn token is
 * always among the likeliest, and its number there is the same float.
 * Thread: any.
 */
#include "engine/engine.h"
#include "openai/json_writer.h"

/* Tokens [from, to) of an output; before them, optionally, those of its prompt. All borrowed. */
struct logprob_source {
	const struct tokenizer *tokenizer;
	const struct token_list *prompt;	/* NULL: without it */
	const struct job *job;			/* for the prompt's scores */
	const struct output *output;
	uint32_t from;
	uint32_t to;
	size_t n_chars;		/* of the answer's text before the first token; code points */
	bool writes_token_ids;	/* "token_id:15" instead of text */
	bool has_tops;		/* the request asked for likeliest tokens */
};

/* {"tokens", "token_logprobs", "top_logprobs", "text_offset"}: of completions. */
void logprobs_put_completion(struct json_writer *writer, const struct logprob_source *source);
/* {"content": [{"token", "logprob", "bytes", "top_logprobs"}]}: of chat. No prompt. */
void logprobs_put_chat(struct json_writer *writer, const struct logprob_source *source);

/* Code points of UTF-8. */
size_t logprobs_count_chars(const char *text, size_t n_bytes);

#endif
