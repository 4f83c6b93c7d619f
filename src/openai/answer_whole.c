/* SPDX-License-Identifier: Apache-2.0 */
/* An answer as one object, once all jobs have ended. */
#include "openai/answer.h"

#include <float.h>
#include <stdlib.h>

/* Answers that have at most so many bytes of text and tokens are written at once, in a fraction of
 * a millisecond. */
#define INLINE_BYTES ((size_t)32 << 10)
/* Bytes of JSON of a token with its log-probability, and of each likeliest token. */
#define SCORE_BYTES 60

static bool has_ended(const struct answer *answer)
{
	for (uint32_t i = 0; i < answer->n_jobs; i++)
		if (!job_is_ended(answer->jobs[i].job))
			return false;
	return true;
}

/* --- the best of several --- */

static double mean_logprob(const struct output *output)
{
	double sum = 0.0;

	for (uint32_t i = 0; i < output->n_tokens; i++)
		sum += (double)output->tokens[i].logprob;
	return output->n_tokens ? sum / output->n_tokens : -DBL_MAX;
}

static int compare(const void *a, const void *b)
{
	const struct choice *x = *(struct choice *const *)a;
	const struct choice *y = *(struct choice *const *)b;
	double mean_x = mean_logprob(x->output);
	double mean_y = mean_logprob(y->output);

	if (mean_x != mean_y)
		return mean_x > mean_y ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static enum sc_status put_choices(struct answer *answer, struct choice **choices, uint32_t n,
				  uint32_t first_index)
{
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; i < n && status == SC_OK; i++) {
		choices[i]->index = first_index + i;
		status = answer->dialect->whole(choices[i]);
		if (status == SC_OK)
			status = json_put_status(&answer->writer);
		if (status == SC_OK && answer->text.length > OPENAI_MAX_REPLY)
			status = error_set(&answer->error.error, SC_E_TOO_LARGE,
					   "the answer exceeds the limit of %zu MiB: ask for less "
					   "at once", OPENAI_MAX_REPLY >> 20);
	}
	return status;
}

/* n of the sequences of each prompt. */
static enum sc_status put_all_choices(struct answer *answer)
{
	uint32_t n_each = answer->generation->job.n_sequences;
	uint32_t n_told = answer->generation->n;
	struct choice *order[JOB_MAX_SEQUENCES];
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; i < answer->n_jobs && status == SC_OK; i++) {
		for (uint32_t k = 0; k < n_each; k++)
			order[k] = &answer->choices[i * n_each + k];
		if (n_told < n_each)
			qsort(order, n_each, sizeof order[0], compare);
		status = put_choices(answer, order, n_told, i * n_told);
	}
	return status;
}

/* --- the object --- */

/* Thread: any. */
static enum sc_status write_object(struct answer *answer)
{
	struct json_writer *writer = &answer->writer;
	struct usage usage = answer_usage(answer);
	enum sc_status status;

	json_put_open(writer, '{');
	json_put_member_string(writer, "id", answer->id);
	json_put_member_string(writer, "object", answer->dialect->object);
	json_put_member_uint(writer, "created", answer->created);
	json_put_member_string(writer, "model", openai_model_name(answer->openai));
	json_put_key(writer, "choices");
	json_put_open(writer, '[');
	status = put_all_choices(answer);
	if (status != SC_OK)
		return status;
	json_put_close(writer, ']');
	json_put_key(writer, "usage");
	usage_put(writer, &usage);
	json_put_key(writer, "timings");
	usage_put_timings(writer, &usage);
	json_put_close(writer, '}');
	return json_put_status(writer);
}

static void reply(struct answer *answer, enum sc_status status)
{
	struct usage usage = answer_usage(answer);

	http_call_note_tokens(answer->call, usage.n_prompt, usage.n_generated);
	if (status == SC_OK) {
		http_call_answer(answer->call, 200, "application/json", answer->text.data,
				 answer->text.length);
		return;
	}
	if (status == SC_E_TOO_LARGE)
		limit_refuse(http_call_limits(answer->call), LIMIT_REPLY);
	api_error_set(&answer->error, status, NULL);
	api_error_answer(answer->call, &answer->error);
}

static void run(struct errand *errand)
{
	struct answer *answer = (struct answer *)errand;

	answer->error.error.status = write_object(answer);
}

/* errand destroys the answer, so the call forgets it. */
static void on_written(struct errand *errand)
{
	struct answer *answer = (struct answer *)errand;
	struct http_call *call = answer->call;

	http_call_set_state(call, NULL);
	reply(answer, answer->error.error.status);
}

static void destroy(struct errand *errand)
{
	answer_destroy((struct answer *)errand);
}

static size_t size_of(const struct answer *answer)
{
	size_t n_bytes = 0;

	for (uint32_t i = 0; i < answer->n_choices; i++) {
		const struct output *output = answer->choices[i].output;

		n_bytes += output->text.length + output->n_tokens;
		if (output->has_logprobs)
			n_bytes += (size_t)output->n_tokens * SCORE_BYTES *
				   (1 + answer->generation->job.n_top_logprobs);
		if (answer->generation->job.n_top_logprobs)
			n_bytes += (size_t)job_n_prompt_tokens(answer->choices[i].job);
	}
	return n_bytes;
}

static void start_errand(struct answer *answer, size_t n_bytes)
{
	answer->errand = (struct errand){
		.work = { .client = http_call_client(answer->call), .n_bytes = n_bytes,
			  .is_long = true },
		.run = run, .answer = on_written, .destroy = destroy,
	};
	answer->is_writing = errand_start(answer->openai->pool, &answer->errand) == SC_OK;
	if (answer->is_writing)
		return;
	limit_refuse(http_call_limits(answer->call), LIMIT_LONG_REQUESTS);
	error_set(&answer->error.error, SC_E_OVERLOADED,
		  "too many long answers are waiting: retry later");
	reply(answer, SC_E_OVERLOADED);
}

void answer_whole_changed(struct answer *answer)
{
	const struct error *failure = answer_failure(answer);
	size_t n_bytes;

	if (answer->is_told || answer->is_writing || (!failure && !has_ended(answer)))
		return;
	answer->is_told = true;
	n_bytes = size_of(answer);
	if (failure) {
		answer->error.error = *failure;
		reply(answer, failure->status);
	} else if (n_bytes > INLINE_BYTES && answer->openai->pool) {
		start_errand(answer, n_bytes);
	} else {
		reply(answer, write_object(answer));
	}
}
