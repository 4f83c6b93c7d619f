/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/usage.h"

#include "base/clock.h"

void usage_add(struct usage *usage, const struct job *job)
{
	struct job_times times = job_times(job);
	uint64_t ended_ms = times.ended_ms ? times.ended_ms : clock_unix_ms();

	usage->n_prompt += job_n_prompt_tokens(job);
	for (uint32_t i = 0; i < job_n_outputs(job); i++)
		usage->n_generated += job_output(job, i)->n_tokens;
	if (times.started_ms && (!usage->started_ms || times.started_ms < usage->started_ms))
		usage->started_ms = times.started_ms;
	if (times.first_token_ms > usage->first_token_ms)
		usage->first_token_ms = times.first_token_ms;
	if (ended_ms > usage->ended_ms)
		usage->ended_ms = ended_ms;
}

/* Prefixes are not kept yet, so no token comes from a cache. */
void usage_put(struct json_writer *writer, const struct usage *usage)
{
	json_put_open(writer, '{');
	json_put_member_uint(writer, "prompt_tokens", usage->n_prompt);
	json_put_member_uint(writer, "completion_tokens", usage->n_generated);
	json_put_member_uint(writer, "total_tokens", usage->n_prompt + usage->n_generated);
	json_put_key(writer, "prompt_tokens_details");
	json_put_open(writer, '{');
	json_put_member_uint(writer, "cached_tokens", 0);
	json_put_close(writer, '}');
	json_put_close(writer, '}');
}

static double between(uint64_t from_ms, uint64_t to_ms)
{
	return from_ms && to_ms > from_ms ? (double)(to_ms - from_ms) : 0.0;
}

static double per(double a, double b)
{
	return b > 0.0 ? a / b : 0.0;
}

void usage_put_timings(struct json_writer *writer, const struct usage *usage)
{
	double prompt_ms = between(usage->started_ms, usage->first_token_ms);
	double generated_ms = between(usage->first_token_ms, usage->ended_ms);
	double n_prompt = (double)usage->n_prompt;
	double n_generated = (double)usage->n_generated;

	json_put_open(writer, '{');
	json_put_member_uint(writer, "cache_n", 0);
	json_put_member_uint(writer, "prompt_n", usage->n_prompt);
	json_put_member_double(writer, "prompt_ms", prompt_ms);
	json_put_member_double(writer, "prompt_per_token_ms", per(prompt_ms, n_prompt));
	json_put_member_double(writer, "prompt_per_second", per(n_prompt * 1e3, prompt_ms));
	json_put_member_uint(writer, "predicted_n", usage->n_generated);
	json_put_member_double(writer, "predicted_ms", generated_ms);
	json_put_member_double(writer, "predicted_per_token_ms", per(generated_ms, n_generated));
	json_put_member_double(writer, "predicted_per_second",
			       per(n_generated * 1e3, generated_ms));
	json_put_close(writer, '}');
}
