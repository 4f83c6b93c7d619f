/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/job_message.h"

#include "gateway/grpc_status.h"
#include "gateway/job_chat.h"
#include "gateway/plain_text.h"

#include <stdlib.h>
#include <string.h>

Stagecoach__V1__JobState job_message_state(enum job_state state)
{
	static const Stagecoach__V1__JobState states[JOB_N_STATES] = {
		[JOB_QUEUED] = STAGECOACH__V1__JOB_STATE__JOB_STATE_QUEUED,
		[JOB_RUNNING] = STAGECOACH__V1__JOB_STATE__JOB_STATE_RUNNING,
		[JOB_DONE] = STAGECOACH__V1__JOB_STATE__JOB_STATE_DONE,
		[JOB_CANCELLED] = STAGECOACH__V1__JOB_STATE__JOB_STATE_CANCELLED,
		[JOB_FAILED] = STAGECOACH__V1__JOB_STATE__JOB_STATE_FAILED,
	};

	return states[state];
}

Stagecoach__V1__FinishReason job_message_reason(enum finish_reason reason)
{
	static const Stagecoach__V1__FinishReason reasons[] = {
		[FINISH_NONE] = STAGECOACH__V1__FINISH_REASON__FINISH_REASON_UNSPECIFIED,
		[FINISH_STOP] = STAGECOACH__V1__FINISH_REASON__FINISH_REASON_STOP,
		[FINISH_LENGTH] = STAGECOACH__V1__FINISH_REASON__FINISH_REASON_LENGTH,
		[FINISH_CONTEXT] = STAGECOACH__V1__FINISH_REASON__FINISH_REASON_CONTEXT,
		[FINISH_CANCELLED] = STAGECOACH__V1__FINISH_REASON__FINISH_REASON_CANCELLED,
		[FINISH_ERROR] = STAGECOACH__V1__FINISH_REASON__FINISH_REASON_ERROR,
	};

	return reasons[reason];
}

bool job_message_error(const struct job *job, Stagecoach__V1__JobError *error,
		       char text[ERROR_TEXT_MAX])
{
	const struct error *err = job_error(job);

	if (!err || err->status == SC_OK)
		return false;
	error->code = grpc_status_of(err->status);
	/* The text may quote bytes that are not UTF-8, and may be cut inside a character. */
	plain_text_copy(err->text, text, ERROR_TEXT_MAX);
	error->message = text;
	return true;
}

uint32_t job_message_n_generated(const struct job *job)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < job_n_outputs(job); i++)
		n += job_output(job, i)->n_tokens;
	return n;
}

/* Seconds between two Unix times in milliseconds; 0 if one of them is not known yet. */
static double seconds_between(uint64_t from_ms, uint64_t to_ms)
{
	return from_ms && to_ms > from_ms ? (double)(to_ms - from_ms) * 1e-3 : 0.0;
}

void job_message_timings(const struct job *job, Stagecoach__V1__Timings *timings)
{
	struct job_times times = job_times(job);
	uint32_t n_later = 0;

	for (uint32_t i = 0; i < job_n_outputs(job); i++) {
		const struct output *output = job_output(job, i);

		n_later += output->n_tokens ? output->n_tokens - 1 : 0;
	}
	timings->queued_seconds = seconds_between(times.submitted_ms, times.started_ms);
	timings->first_token_seconds = seconds_between(times.submitted_ms, times.first_token_ms);
	timings->generate_seconds = seconds_between(times.first_token_ms, times.ended_ms);
	timings->total_seconds = seconds_between(times.submitted_ms, times.ended_ms);
	if (timings->generate_seconds > 0.0)
		timings->tokens_per_second = n_later / timings->generate_seconds;
}

static enum sc_status set_logprobs(Stagecoach__V1__Output *message, const struct output *output)
{
	message->logprobs = malloc(output->n_tokens * sizeof *message->logprobs);
	if (!message->logprobs)
		return SC_E_NOMEM;
	message->n_logprobs = output->n_tokens;
	for (uint32_t i = 0; i < output->n_tokens; i++)
		message->logprobs[i] = output->tokens[i].logprob;
	return SC_OK;
}

static enum sc_status set_output(Stagecoach__V1__Output *message, const struct output *output,
				 struct buf *text)
{
	enum sc_status status;

	stagecoach__v1__output__init(message);
	message->finish_reason = job_message_reason(output->finish);
	message->text = output->text.data;
	if (!plain_text_is_plain(output->text.data, output->text.length)) {
		status = plain_text_set_output(text, output->text.data, output->text.length);
		if (status != SC_OK)
			return status;
		message->text = text->data;
	}
	if (!output->n_tokens)
		return SC_OK;
	message->tokens = malloc(output->n_tokens * sizeof *message->tokens);
	if (!message->tokens)
		return SC_E_NOMEM;
	message->n_tokens = output->n_tokens;
	for (uint32_t i = 0; i < output->n_tokens; i++)
		message->tokens[i] = output->tokens[i].id;
	return output->has_logprobs ? set_logprobs(message, output) : SC_OK;
}

/* The outputs of a chat are messages, too. */
static enum sc_status set_answers(struct job_message *message, const struct job *job)
{
	uint32_t n = job_n_outputs(job);

	if (!job_chat_of(job))
		return SC_OK;
	message->answers = calloc(n, sizeof *message->answers);
	if (!message->answers)
		return SC_E_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		enum sc_status status = chat_answer_init(&message->answers[i], job, i);

		message->n_answers++;
		if (status != SC_OK)
			return status;
		message->outputs[i].message = &message->answers[i].message;
	}
	return SC_OK;
}

static enum sc_status set_outputs(struct job_message *message, const struct job *job)
{
	uint32_t n = job_n_outputs(job);

	message->outputs = calloc(n, sizeof *message->outputs);
	message->output_list = calloc(n, sizeof *message->output_list);
	message->texts = calloc(n, sizeof *message->texts);
	if (!message->outputs || !message->output_list || !message->texts)
		return SC_E_NOMEM;
	message->job.outputs = message->output_list;
	message->job.n_outputs = n;
	for (uint32_t i = 0; i < n; i++) {
		message->output_list[i] = &message->outputs[i];
		buf_init(&message->texts[i]);
	}
	for (uint32_t i = 0; i < n; i++) {
		enum sc_status status = set_output(&message->outputs[i], job_output(job, i),
						   &message->texts[i]);
		if (status != SC_OK)
			return status;
	}
	return set_answers(message, job);
}

enum sc_status job_message_init(struct job_message *message, const struct job *job,
				bool with_outputs)
{
	Stagecoach__V1__Job *m = &message->job;
	struct job_times times = job_times(job);

	*message = (struct job_message){
		.job = STAGECOACH__V1__JOB__INIT,
		.error = STAGECOACH__V1__JOB_ERROR__INIT,
		.timings = STAGECOACH__V1__TIMINGS__INIT,
	};
	m->id = (char *)(uintptr_t)job_id(job);
	m->state = job_message_state(job_state(job));
	m->n_prompt_tokens = job_n_prompt_tokens(job);
	m->n_generated_tokens = job_message_n_generated(job);
	m->n_sequences = job_n_outputs(job);
	m->seed = job_seed(job);
	m->submitted_unix_ms = times.submitted_ms;
	m->started_unix_ms = times.started_ms;
	m->first_token_unix_ms = times.first_token_ms;
	m->ended_unix_ms = times.ended_ms;
	if (job_message_error(job, &message->error, message->error_text))
		m->error = &message->error;
	message->warning = job_warning(job);
	m->n_warnings = message->warning != NULL;
	m->warnings = (char **)(uintptr_t)&message->warning;
	job_message_timings(job, &message->timings);
	m->timings = &message->timings;
	return with_outputs ? set_outputs(message, job) : SC_OK;
}

void job_message_deinit(struct job_message *message)
{
	for (size_t i = 0; i < message->job.n_outputs; i++) {
		free(message->outputs[i].tokens);
		free(message->outputs[i].logprobs);
		buf_deinit(&message->texts[i]);
	}
	for (size_t i = 0; i < message->n_answers; i++)
		chat_answer_deinit(&message->answers[i]);
	free(message->answers);
	free(message->outputs);
	free(message->output_list);
	free(message->texts);
}
