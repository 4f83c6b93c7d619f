/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_GENERATION_H
#define STAGECOACH_OPENAI_GENERATION_H
/*
 * generation - what requests for completions and for chat completions have in common: how tokens
 * are drawn, when they end, and how the answer is told. The names are those of OpenAI, vLLM and
 * llama.cpp; each field is bounded here.
 * Ownership: a generation owns everything that its job points to, so the request's JSON may go.
 * Thread: any; one at a time.
 */
#include "engine/engine.h"
#include "openai/json_reader.h"

/* Choices of one request: prompts times sequences. */
#define GENERATION_MAX_CHOICES 128
/* Unknown fields that one request may have told. */
#define GENERATION_MAX_UNKNOWN 4
#define GENERATION_UNKNOWN_BYTES 40

struct generation {
	struct job_request job;		/* all but the prompt and the client */
	uint32_t n;			/* choices per prompt; job.n_sequences is at least this */
	bool is_streamed;
	bool includes_usage;		/* stream_options.include_usage */
	bool includes_usage_always;	/* stream_options.continuous_usage_stats */
	bool tells_timings;		/* timings_per_token */
	bool tells_progress;		/* return_progress */
	bool ends_at_end_token;		/* job.ignore_end is not the client's wish */
	bool writes_token_ids;		/* return_tokens_as_token_ids: "token_id:15" in logprobs */
	char unknown[GENERATION_MAX_UNKNOWN][GENERATION_UNKNOWN_BYTES];
	unsigned n_unknown;

	/* Private: what job points to. */
	char *stops[JOB_MAX_STOPS];
	char *breakers[JOB_MAX_DRY_BREAKERS];
	uint32_t stop_tokens[JOB_MAX_STOP_TOKENS];
	struct token_bias biases[JOB_MAX_BIASES];
};

/* Defaults of all fields. max_tokens: without a field that says so. */
void generation_init(struct generation *generation, uint32_t max_tokens);
void generation_deinit(struct generation *generation);

/* Reads all fields of generation.h. Faults are in the reader. Texts among logit_bias are encoded
 * with tokenizer. */
void generation_read(struct generation *generation, struct json_reader *reader,
		     const struct tokenizer *tokenizer);

/* Keeps the names of fields that nobody asked for. Call when all fields were read. */
void generation_note_unknown(struct generation *generation, const struct json_reader *reader);

/* --- parts, in files of their own --- */

/* sampling_reader.c: numbers of samplers, and their order. */
void sampling_read(struct generation *generation, struct json_reader *reader);
/* sampling_lists.c: stop, stop_token_ids, logit_bias, dry_sequence_breakers. */
void sampling_lists_read(struct generation *generation, struct json_reader *reader,
			 const struct tokenizer *tokenizer);

#endif
