/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/job_events.h"

#include "base/clock.h"
#include "gateway/chat_events.h"
#include "gateway/job_chat.h"
#include "gateway/job_message.h"
#include "gateway/plain_text.h"

#include <stdlib.h>
#include <string.h>

struct job_events {
	struct job *job;
	job_event_fn *fn;		/* of the call under way */
	void *arg;
	bool is_started;
	bool is_over;
	uint32_t n_sequences;
	uint32_t turn;			/* the sequence that gives the next token */
	uint32_t n_losses;		/* of the job, that were told or need not be */
	bool is_waiting;		/* Recovering was told, Recovered was not */
	struct chat_events *chat;	/* NULL: the job is no chat */
	struct buf text;		/* text of the message under construction */
	Stagecoach__V1__TopToken tops[JOB_MAX_TOP_LOGPROBS];	/* likewise */
	Stagecoach__V1__TopToken *top_list[JOB_MAX_TOP_LOGPROBS];
	uint32_t next_token[];		/* [n_sequences] */
};

/* Leaves out what is there already. */
static void skip(struct job_events *events)
{
	for (uint32_t i = 0; i < events->n_sequences; i++) {
		const struct output *output = job_output(events->job, i);
		uint32_t n = output->n_tokens;

		events->next_token[i] = n;
		if (events->chat && n)
			chat_events_skip(events->chat, i, output->tokens[n - 1].text_end);
	}
}

enum sc_status job_events_create(struct job *job, bool from_now, struct job_events **events_out)
{
	enum sc_status status = SC_OK;
	uint32_t n = job_n_outputs(job);
	struct job_events *events = calloc(1, sizeof *events + n * sizeof events->next_token[0]);

	if (!events)
		return SC_E_NOMEM;
	events->job = job;
	events->n_sequences = n;
	events->n_losses = job_recovery(job).n_losses - job_recovery(job).is_under_way;
	buf_init(&events->text);
	if (job_chat_of(job))
		status = chat_events_create(job, &events->chat);
	if (status != SC_OK) {
		job_events_destroy(events);
		return status;
	}
	if (from_now)
		skip(events);
	*events_out = events;
	return SC_OK;
}

void job_events_destroy(struct job_events *events)
{
	if (!events)
		return;
	chat_events_destroy(events->chat);
	buf_deinit(&events->text);
	free(events);
}

bool job_events_have_progress(const struct job_events *events)
{
	bool has_all_begun = true;

	for (uint32_t i = 0; i < events->n_sequences; i++)
		has_all_begun &= job_output(events->job, i)->n_tokens > 0;
	return events->is_started && !has_all_begun && !job_is_ended(events->job) &&
	       !job_recovery(events->job).is_under_way;
}

enum sc_status job_events_progress(struct job_events *events, job_event_fn *fn, void *arg,
				   struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__PromptProgress progress = STAGECOACH__V1__PROMPT_PROGRESS__INIT;

	progress.state = job_message_state(job_state(events->job));
	progress.done_tokens = job_prompt_done(events->job);
	progress.total_tokens = (uint64_t)job_n_prompt_tokens(events->job) * events->n_sequences;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_PROMPT_PROGRESS;
	event.prompt_progress = &progress;
	return fn(arg, &event, err);
}

bool job_events_are_over(const struct job_events *events)
{
	return events->is_over;
}

/* --- the beginning, and tokens --- */

static enum sc_status send_started(struct job_events *events, struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Started started = STAGECOACH__V1__STARTED__INIT;
	const char *warning = job_warning(events->job);

	started.job_id = (char *)(uintptr_t)job_id(events->job);
	started.n_prompt_tokens = job_n_prompt_tokens(events->job);
	started.n_sequences = events->n_sequences;
	started.seed = job_seed(events->job);
	started.n_warnings = warning != NULL;
	started.warnings = (char **)(uintptr_t)&warning;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED;
	event.started = &started;
	events->is_started = true;
	return events->fn(events->arg, &event, err);
}

static void set_tops(struct job_events *events, Stagecoach__V1__Token *message,
		     const struct output *output, uint32_t at)
{
	for (uint32_t i = 0; i < output->n_tops; i++) {
		const struct token_top *top = &output->tops[(size_t)at * output->n_tops + i];

		stagecoach__v1__top_token__init(&events->tops[i]);
		events->tops[i].id = top->token;
		events->tops[i].logprob = top->logprob;
		events->top_list[i] = &events->tops[i];
	}
	message->top = events->top_list;
	message->n_top = output->n_tops;
}

static enum sc_status send_token(struct job_events *events, uint32_t sequence, struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Token message = STAGECOACH__V1__TOKEN__INIT;
	const struct output *output = job_output(events->job, sequence);
	uint32_t at = events->next_token[sequence]++;
	const struct output_token *token = &output->tokens[at];
	uint32_t start = at ? token[-1].text_end : 0;
	uint32_t text_end = token->text_end;
	enum sc_status status = plain_text_set_output(&events->text, output->text.data + start,
						      text_end - start);

	if (status != SC_OK)
		return status;
	message.sequence = sequence;
	message.id = token->id;
	message.text = events->text.data;
	if (output->has_logprobs) {
		message._logprob_case = STAGECOACH__V1__TOKEN___LOGPROB_LOGPROB;
		message.logprob = token->logprob;
		set_tops(events, &message, output, at);
	}
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN;
	event.token = &message;
	status = events->fn(events->arg, &event, err);
	if (status == SC_OK && events->chat)
		status = chat_events_tell(events->chat, sequence, text_end, events->fn,
					  events->arg, err);
	return status;
}

/* --- losses --- */

static bool has_recovered(const struct job_events *events, const struct job_recovery *recovery)
{
	return events->is_waiting && recovery->n_overcome >= events->n_losses;
}

static enum sc_status send_recovered(struct job_events *events,
				     const struct job_recovery *recovery, struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Recovered recovered = STAGECOACH__V1__RECOVERED__INIT;

	recovered.epoch = recovery->epoch;
	recovered.seconds = clock_seconds(recovery->waited_ns);
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_RECOVERED;
	event.recovered = &recovered;
	events->is_waiting = false;
	return events->fn(events->arg, &event, err);
}

static bool is_newly_lost(const struct job_events *events, const struct job_recovery *recovery)
{
	return recovery->is_under_way && recovery->n_losses > events->n_losses;
}

static enum sc_status send_recovering(struct job_events *events,
				      const struct job_recovery *recovery, struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Recovering recovering = STAGECOACH__V1__RECOVERING__INIT;
	enum sc_status status = plain_text_set(&events->text, recovery->reason,
					       strlen(recovery->reason));

	if (status != SC_OK)
		return status;
	recovering.reason = events->text.data;
	recovering.epoch = recovery->lost_epoch;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_RECOVERING;
	event.recovering = &recovering;
	events->n_losses = recovery->n_losses;
	events->is_waiting = true;
	return events->fn(events->arg, &event, err);
}

/* --- the end --- */

/* Text that became final only at the end, so no token carried it. */
static enum sc_status set_rest(Stagecoach__V1__SequenceEnd *end, const struct output *output,
			       struct buf *text)
{
	uint32_t sent = output->n_tokens ? output->tokens[output->n_tokens - 1].text_end : 0;
	enum sc_status status;

	if (sent >= output->text.length)
		return SC_OK;
	status = plain_text_set_output(text, output->text.data + sent,
				       output->text.length - sent);
	end->rest = text->data;
	return status;
}

static enum sc_status send_finished(struct job_events *events, struct error *err)
{
	Stagecoach__V1__GenerateResponse event = STAGECOACH__V1__GENERATE_RESPONSE__INIT;
	Stagecoach__V1__Finished finished = STAGECOACH__V1__FINISHED__INIT;
	Stagecoach__V1__JobError error = STAGECOACH__V1__JOB_ERROR__INIT;
	Stagecoach__V1__Usage usage = STAGECOACH__V1__USAGE__INIT;
	Stagecoach__V1__Timings timings = STAGECOACH__V1__TIMINGS__INIT;
	Stagecoach__V1__SequenceEnd ends[JOB_MAX_SEQUENCES];
	Stagecoach__V1__SequenceEnd *end_list[JOB_MAX_SEQUENCES];
	struct buf rests[JOB_MAX_SEQUENCES];
	char error_text[ERROR_TEXT_MAX];
	enum sc_status status = SC_OK;
	uint32_t n = events->n_sequences;

	for (uint32_t i = 0; i < n; i++) {
		const struct output *output = job_output(events->job, i);

		stagecoach__v1__sequence_end__init(&ends[i]);
		end_list[i] = &ends[i];
		buf_init(&rests[i]);
		ends[i].sequence = i;
		ends[i].reason = job_message_reason(output->finish);
		ends[i].n_tokens = output->n_tokens;
		if (status == SC_OK)
			status = set_rest(&ends[i], output, &rests[i]);
	}
	usage.prompt_tokens = job_n_prompt_tokens(events->job);
	usage.generated_tokens = job_message_n_generated(events->job);
	job_message_timings(events->job, &timings);
	finished.state = job_message_state(job_state(events->job));
	finished.sequences = end_list;
	finished.n_sequences = n;
	finished.usage = &usage;
	finished.timings = &timings;
	if (job_message_error(events->job, &error, error_text))
		finished.error = &error;
	event.event_case = STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED;
	event.finished = &finished;
	if (status == SC_OK)
		status = events->fn(events->arg, &event, err);
	for (uint32_t i = 0; i < n; i++)
		buf_deinit(&rests[i]);
	return status;
}

/* Finds the next sequence, in turn, that has a token to send. Returns false if none has. */
static bool find_token(struct job_events *events, uint32_t *sequence_out)
{
	for (uint32_t i = 0; i < events->n_sequences; i++) {
		uint32_t sequence = events->turn;

		events->turn = (sequence + 1) % events->n_sequences;
		if (events->next_token[sequence] < job_output(events->job, sequence)->n_tokens) {
			*sequence_out = sequence;
			return true;
		}
	}
	return false;
}

enum sc_status job_events_next(struct job_events *events, job_event_fn *fn, void *arg,
			       struct error *err)
{
	struct job_recovery recovery = job_recovery(events->job);
	enum sc_status status;
	uint32_t sequence;

	events->fn = fn;
	events->arg = arg;
	if (!events->is_started)
		return send_started(events, err);
	if (has_recovered(events, &recovery))
		return send_recovered(events, &recovery, err);
	if (find_token(events, &sequence))
		return send_token(events, sequence, err);
	if (is_newly_lost(events, &recovery))
		return send_recovering(events, &recovery, err);
	if (events->is_over || !job_is_ended(events->job))
		return SC_AGAIN;
	events->is_over = true;
	status = events->chat ? chat_events_finish(events->chat, fn, arg, err) : SC_OK;
	return status == SC_OK ? send_finished(events, err) : status;
}
