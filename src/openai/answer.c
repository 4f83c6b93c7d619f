/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/answer.h"

#include "base/clock.h"
#include "model/tokenizer.h"
#include "openai/unknown_fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_job_change(void *arg, struct job *job)
{
	struct answer_job *link = arg;
	struct answer *answer = link->answer;

	(void)job;
	if (answer->generation->is_streamed)
		http_call_wake(answer->call);
	else
		answer_whole_changed(answer);
}

/* --- making one --- */

/* Errors of the engine begin with the field's name: "stop: expected ...". */
static void set_param(struct api_error *error)
{
	size_t n = strspn(error->error.text, "abcdefghijklmnopqrstuvwxyz_");

	if (error->error.text[n] == ':' && n < sizeof error->param) {
		memcpy(error->param, error->error.text, n);
		error->param[n] = '\0';
	}
}

static enum sc_status submit(struct answer *answer, const struct job_request *request,
			     struct api_error *error)
{
	struct answer_job *link = &answer->jobs[answer->n_jobs];
	enum sc_status status = engine_submit(answer->openai->engine, request, &link->job,
					      &error->error);

	if (status != SC_OK) {
		api_error_set(error, status, NULL);
		set_param(error);
		return status;
	}
	answer->n_jobs++;
	link->answer = answer;
	link->watcher = (struct job_watcher){ .on_change = on_job_change, .arg = link };
	job_watch(link->job, &link->watcher);
	return SC_OK;
}

static enum sc_status make_choices(struct answer *answer)
{
	uint32_t n_each = answer->generation->job.n_sequences;

	answer->n_choices = answer->n_jobs * n_each;
	answer->choices = calloc(answer->n_choices, sizeof answer->choices[0]);
	if (!answer->choices) {
		answer->n_choices = 0;
		return SC_E_NOMEM;
	}
	for (uint32_t i = 0; i < answer->n_choices; i++) {
		const struct job *job = answer->jobs[i / n_each].job;

		answer->choices[i] = (struct choice){
			.answer = answer,
			.job = job,
			.output = job_output(job, i % n_each),
			.prompt = i / n_each,
			.index = i,
		};
	}
	return SC_OK;
}

static struct answer *create(struct http_call *call, const struct dialect *dialect, void *body,
			     const struct generation *generation, uint32_t max_jobs)
{
	struct answer *answer = calloc(1, sizeof *answer);

	if (!answer)
		return NULL;
	answer->call = call;
	answer->openai = http_call_context(call);
	answer->dialect = dialect;
	answer->body = body;
	answer->generation = generation;
	answer->created = clock_unix_ms() / 1000;
	buf_init(&answer->text);
	buf_init(&answer->head);
	json_put_init(&answer->writer, &answer->text);
	api_error_init(&answer->error);
	answer->jobs = calloc(max_jobs, sizeof answer->jobs[0]);
	if (answer->jobs)
		return answer;
	free(answer);
	return NULL;
}

enum sc_status answer_start(struct http_call *call, const struct dialect *dialect, void *body,
			    const struct generation *generation,
			    const struct job_request *requests, uint32_t n_jobs,
			    struct api_error *error)
{
	struct answer *answer = create(call, dialect, body, generation, n_jobs);
	enum sc_status status = SC_OK;

	if (!answer) {
		dialect->free_body(body);
		api_error_set(error, SC_E_NOMEM, NULL);
		return SC_E_NOMEM;
	}
	unknown_fields_warn(generation);
	for (uint32_t i = 0; i < n_jobs && status == SC_OK; i++) {
		struct job_request request = requests[i];

		request.client = http_call_client(call);
		status = submit(answer, &request, error);
	}
	if (status == SC_OK) {
		snprintf(answer->id, sizeof answer->id, "%s-%s", dialect->id_prefix,
			 job_id(answer->jobs[0].job));
		status = make_choices(answer);
		if (status == SC_OK && generation->is_streamed)
			status = answer_stream_open(answer);
		if (status != SC_OK)
			api_error_set(error, status, NULL);
	}
	if (status != SC_OK)
		answer_destroy(answer);
	else
		http_call_set_state(call, answer);
	return status;
}

static void release_jobs(struct answer *answer)
{
	for (uint32_t i = 0; i < answer->n_jobs; i++) {
		job_unwatch(answer->jobs[i].job, &answer->jobs[i].watcher);
		job_release(answer->jobs[i].job);
	}
	answer->n_jobs = 0;
}

void answer_destroy(struct answer *answer)
{
	answer_stream_close(answer);
	for (uint32_t i = 0; answer->dialect->deinit && i < answer->n_choices; i++)
		answer->dialect->deinit(&answer->choices[i]);
	release_jobs(answer);
	free(answer->choices);
	free(answer->jobs);
	answer->dialect->free_body(answer->body);
	buf_deinit(&answer->text);
	buf_deinit(&answer->head);
	free(answer);
}

void answer_close(struct http_call *call)
{
	struct answer *answer = http_call_state(call);

	struct usage usage;

	if (!answer)
		return;
	usage = answer_usage(answer);
	http_call_note_tokens(call, usage.n_prompt, usage.n_generated);
	http_call_set_state(call, NULL);
	answer->call = NULL;
	if (answer->is_writing)
		errand_abandon(&answer->errand);
	else
		answer_destroy(answer);
}

void answer_pull(struct http_call *call)
{
	struct answer *answer = http_call_state(call);

	if (answer && answer->generation->is_streamed)
		answer_stream_pull(answer);
}

/* --- what the files of answer share --- */

const struct error *answer_failure(const struct answer *answer)
{
	for (uint32_t i = 0; i < answer->n_jobs; i++) {
		const struct error *error = job_error(answer->jobs[i].job);

		if (error && error->status != SC_OK)
			return error;
	}
	return NULL;
}

struct usage answer_usage(const struct answer *answer)
{
	struct usage usage = { 0 };

	for (uint32_t i = 0; i < answer->n_jobs; i++)
		usage_add(&usage, answer->jobs[i].job);
	return usage;
}

/* A choice that ignores end tokens may still have drawn one as its last. */
static bool ends_with_end_token(const struct choice *choice)
{
	const struct output *output = choice->output;

	return output->n_tokens &&
	       tokenizer_is_end(engine_tokenizer(choice->answer->openai->engine),
				output->tokens[output->n_tokens - 1].id);
}

const char *answer_finish_reason(const struct choice *choice, bool has_calls)
{
	const struct generation *generation = choice->answer->generation;

	switch (choice->output->finish) {
	case FINISH_STOP:
		return has_calls ? "tool_calls" : "stop";
	case FINISH_LENGTH:
		return generation->ends_at_end_token && ends_with_end_token(choice) ? "stop"
										    : "length";
	case FINISH_CONTEXT:
		return "length";
	default:
		return NULL;
	}
}

static void put_stop_reason(struct json_writer *writer, const struct choice *choice)
{
	const struct output *output = choice->output;
	const struct job_request *job = &choice->answer->generation->job;

	json_put_key(writer, "stop_reason");
	if (output->stop_cause == STOP_STRING && output->stop < job->n_stops)
		json_put_string(writer, job->stops[output->stop]);
	else if (output->stop_cause == STOP_TOKEN)
		json_put_uint(writer, output->stop);
	else
		json_put_null(writer);
}

void answer_put_finish(struct json_writer *writer, const struct choice *choice,
		       const char *reason)
{
	json_put_member_string(writer, "finish_reason", reason);
	if (reason)
		put_stop_reason(writer, choice);
}
