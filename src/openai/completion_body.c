/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/completion_body.h"

/* As OpenAI documents. */
#define DEFAULT_MAX_TOKENS 16
/* Log-probabilities of a prompt in a stream. They are one event, which is written at once, so that it
 * must not take longer than other clients may wait. */
#define STREAM_MAX_SCORES 8192

void completion_body_init(struct completion_body *body)
{
	generation_init(&body->generation, DEFAULT_MAX_TOKENS);
	body->prompts.n = 0;
	body->echoes = false;
	body->has_logprobs = false;
}

void completion_body_deinit(struct completion_body *body)
{
	generation_deinit(&body->generation);
	prompt_forms_deinit(&body->prompts);
}

/* A number of likeliest tokens; true and false as in some clients. n_probs is llama.cpp's. */
static void read_logprobs(struct completion_body *body, struct json_reader *reader)
{
	struct job_request *job = &body->generation.job;
	const json_t *value = json_object_get(reader->object, "logprobs");

	if (json_is_boolean(value)) {
		json_read_ignored(reader, "logprobs");
		body->has_logprobs = json_is_true(value);
	} else {
		json_read_u32(reader, "logprobs", 0, JOB_MAX_TOP_LOGPROBS, &job->n_top_logprobs);
		body->has_logprobs = value && !json_is_null(value);
	}
	json_read_u32(reader, "n_probs", 0, JOB_MAX_TOP_LOGPROBS, &job->n_top_logprobs);
	body->has_logprobs |= job->n_top_logprobs > 0;
	job->wants_logprobs = body->has_logprobs;
}

/* Of best_of sequences the n with the best mean log-probability are told. */
static void read_best_of(struct completion_body *body, struct json_reader *reader)
{
	struct generation *generation = &body->generation;
	uint32_t best_of = generation->n;

	json_read_u32(reader, "best_of", 1, JOB_MAX_SEQUENCES, &best_of);
	if (best_of < generation->n)
		json_reader_fail(reader, "best_of", SC_E_INVALID, "expected at least n, which is "
				 "%u, found %u", generation->n, best_of);
	if (best_of == generation->n)
		return;
	if (generation->is_streamed)
		json_reader_fail(reader, "best_of", SC_E_INVALID, "the best are known only at the "
				 "end: expected no best_of above n together with stream");
	generation->job.n_sequences = best_of;
	generation->job.wants_logprobs = true;
}

static void check_choices(const struct completion_body *body, struct json_reader *reader)
{
	uint32_t n = body->prompts.n * body->generation.job.n_sequences;

	if (n > GENERATION_MAX_CHOICES)
		json_reader_fail(reader, body->generation.job.n_sequences > 1 ? "n" : "prompt",
				 SC_E_INVALID, "expected at most %u sequences for all prompts "
				 "together, found %u", GENERATION_MAX_CHOICES, n);
}

static void check_streamed_scores(const struct completion_body *body, struct json_reader *reader)
{
	const struct generation *generation = &body->generation;

	if (!generation->is_streamed || !body->echoes || !body->has_logprobs)
		return;
	for (uint32_t i = 0; i < body->prompts.n; i++) {
		size_t n_scores = body->prompts.prompts[i].tokens.n *
				  (1 + (size_t)generation->job.n_top_logprobs);

		if (n_scores > STREAM_MAX_SCORES)
			json_reader_fail(reader, "stream", SC_E_INVALID, "a stream tells at most "
					 "%d log-probabilities of a prompt, and this one has %zu. "
					 "Leave out stream, or ask for fewer logprobs",
					 STREAM_MAX_SCORES, n_scores);
	}
}

static void refuse_suffix(struct json_reader *reader)
{
	const char *suffix = "";

	json_read_string(reader, "suffix", &suffix);
	if (*suffix)
		json_reader_fail(reader, "suffix", SC_E_UNSUPPORTED, "this server cannot insert "
				 "text in front of a suffix");
}

void completion_body_read(struct completion_body *body, struct json_reader *reader,
			  const struct tokenizer *tokenizer, uint32_t max_context)
{
	struct prompt_options options = {
		.tokenizer = tokenizer, .max_context = max_context, .adds_bos = true,
		.parses_special = true,
	};

	json_read_ignored(reader, "model");
	generation_read(&body->generation, reader, tokenizer);
	read_logprobs(body, reader);
	read_best_of(body, reader);
	refuse_suffix(reader);
	json_read_bool(reader, "echo", &body->echoes);
	json_read_bool(reader, "add_special_tokens", &options.adds_bos);
	options.keeps_text = body->echoes;
	prompt_forms_read(&body->prompts, reader, "prompt", &options);
	check_choices(body, reader);
	check_streamed_scores(body, reader);
	/* Evaluation tools ask for one token behind the prompt and count its place in logprobs, so
	 * an end token must have one, too. */
	if (body->echoes && body->has_logprobs && body->generation.job.max_tokens == 1 &&
	    !body->generation.job.ignore_end) {
		body->generation.job.ignore_end = true;
		body->generation.ends_at_end_token = true;
	}
	generation_note_unknown(&body->generation, reader);
}

struct job_request completion_body_job(const struct completion_body *body, uint32_t i)
{
	struct job_request job = body->generation.job;
	const struct token_list *tokens = &body->prompts.prompts[i].tokens;

	job.prompt_tokens = tokens->ids;
	job.n_prompt_tokens = tokens->n;
	if (body->echoes && body->has_logprobs)
		job.score_from = tokens->n > 1;
	return job;
}
