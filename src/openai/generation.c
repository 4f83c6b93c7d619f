/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void generation_init(struct generation *generation, uint32_t max_tokens)
{
	*generation = (struct generation){ .n = 1 };
	generation->job = job_request_default();
	generation->job.max_tokens = max_tokens;
	generation->job.is_attached = true;
	generation->job.seed = job_random_seed();
}

void generation_deinit(struct generation *generation)
{
	for (unsigned i = 0; i < JOB_MAX_STOPS; i++)
		free(generation->stops[i]);
	for (unsigned i = 0; i < JOB_MAX_DRY_BREAKERS; i++)
		free(generation->breakers[i]);
}

/* --- what is not there --- */

static void refuse_format(struct json_reader *reader)
{
	const json_t *format = json_read_object(reader, "response_format");
	const json_t *type = json_object_get(format, "type");

	if (!format || (json_is_string(type) && strcmp(json_string_value(type), "text") == 0))
		return;
	json_reader_fail(reader, "response_format", SC_E_UNSUPPORTED,
			 "this server cannot constrain its output yet: expected type \"text\"");
}

static void refuse_constraints(struct json_reader *reader)
{
	static const char *const names[] = {
		"grammar", "json_schema", "guided_json", "guided_regex", "guided_choice",
		"guided_grammar", "structured_outputs",
	};

	refuse_format(reader);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const json_t *value = json_read(reader, names[i]);

		if (value && !(json_is_string(value) && !json_string_length(value)))
			json_reader_fail(reader, names[i], SC_E_UNSUPPORTED,
					 "this server cannot constrain its output yet");
	}
}

/* Fields that clients send with every request and that change nothing here. */
static void read_ignored(struct json_reader *reader)
{
	static const char *const names[] = {
		"user", "store", "metadata", "service_tier", "cache_prompt", "cache_salt",
		"prompt_cache_key", "safety_identifier", "priority", "request_id", "session_id",
		"id_slot", "n_keep", "n_cache_reuse", "truncation_side", "mirostat",
		"mirostat_tau", "mirostat_eta", "use_beam_search", "length_penalty",
		"spaces_between_special_tokens", "backend_sampling",
		"parallel_tool_calls", "return_token_ids", "detokenize", "min_keep", "stream_id",
		"verbosity", "prediction", "modalities", "web_search_options", "audio",
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		json_read_ignored(reader, names[i]);
}

/* --- the answer --- */

static void read_stream(struct generation *generation, struct json_reader *reader)
{
	const json_t *options = json_read_object(reader, "stream_options");
	struct json_reader inner;

	json_read_bool(reader, "stream", &generation->is_streamed);
	json_read_bool(reader, "timings_per_token", &generation->tells_timings);
	json_read_bool(reader, "return_progress", &generation->tells_progress);
	json_read_bool(reader, "return_tokens_as_token_ids", &generation->writes_token_ids);
	if (!options)
		return;
	json_reader_init(&inner, options);
	json_read_bool(&inner, "include_usage", &generation->includes_usage);
	json_read_bool(&inner, "continuous_usage_stats", &generation->includes_usage_always);
	if (inner.status != SC_OK)
		json_reader_fail(reader, "stream_options", inner.status, "%s", inner.error.text);
}

/* -1 is llama.cpp's: until the context is full. */
static void read_limits(struct generation *generation, struct json_reader *reader)
{
	static const char *const names[] = { "n_predict", "max_tokens", "max_completion_tokens" };
	struct job_request *job = &generation->job;
	int64_t most = -2;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		json_read_i64(reader, names[i], -1, INT64_MAX, &most);
	if (most >= -1)
		job->max_tokens = most < 0 || most >= JOB_UNLIMITED ? JOB_UNLIMITED
								    : (uint32_t)most;
	json_read_u32(reader, "min_tokens", 0, UINT32_MAX, &job->min_tokens);
	if (job->min_tokens > job->max_tokens)
		json_reader_fail(reader, "min_tokens", SC_E_INVALID,
				 "expected at most max_tokens, which is %u, found %u",
				 job->max_tokens, job->min_tokens);
	json_read_bool(reader, "ignore_eos", &job->ignore_end);
}

void generation_read(struct generation *generation, struct json_reader *reader,
		     const struct tokenizer *tokenizer)
{
	bool skips_special = true;

	json_read_u32(reader, "n", 1, JOB_MAX_SEQUENCES, &generation->n);
	generation->job.n_sequences = generation->n;
	read_limits(generation, reader);
	read_stream(generation, reader);
	json_read_bool(reader, "skip_special_tokens", &skips_special);
	generation->job.special = skips_special ? SPECIAL_HIDDEN : SPECIAL_NAMES;
	sampling_read(generation, reader);
	sampling_lists_read(generation, reader, tokenizer);
	refuse_constraints(reader);
	read_ignored(reader);
}

/* Names go to the log, so they are words. */
static bool is_word(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			  "0123456789_-.");

	return n > 0 && n < GENERATION_UNKNOWN_BYTES && !name[n];
}

void generation_note_unknown(struct generation *generation, const struct json_reader *reader)
{
	const char *names[GENERATION_MAX_UNKNOWN];
	unsigned n = json_reader_unknown(reader, names, GENERATION_MAX_UNKNOWN);

	for (unsigned i = 0; i < n; i++)
		if (is_word(names[i]))
			snprintf(generation->unknown[generation->n_unknown++],
				 GENERATION_UNKNOWN_BYTES, "%s", names[i]);
}
