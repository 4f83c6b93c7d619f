/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer as a stream of server-sent events: one for each token, as soon as the client has room
 * for it. A stream reads the jobs' outputs from places of its own, so it stores no tokens and
 * delays nobody.
 */
#include "openai/answer.h"

#include "base/clock.h"
#include "event/loop.h"

#include <string.h>

/* Between two events about the prompt's progress. */
#define PROGRESS_MS 500

#define EVENT_BEGIN "data: "
#define EVENT_END "\n\n"

/* --- events --- */

static void add(struct answer *answer, const char *text, size_t n_bytes)
{
	if (answer->writer.status == SC_OK)
		answer->writer.status = buf_add(&answer->text, text, n_bytes);
}

static enum sc_status make_head(struct answer *answer)
{
	struct json_writer writer;

	json_put_init(&writer, &answer->head);
	if (buf_add_string(&answer->head, EVENT_BEGIN) != SC_OK)
		return SC_E_NOMEM;
	json_put_open(&writer, '{');
	json_put_member_string(&writer, "id", answer->id);
	json_put_member_string(&writer, "object", answer->dialect->chunk_object);
	json_put_member_uint(&writer, "created", answer->created);
	json_put_member_string(&writer, "model", openai_model_name(answer->openai));
	json_put_key(&writer, "choices");
	json_put_open(&writer, '[');
	return json_put_status(&writer);
}

void answer_event_open(struct choice *choice)
{
	struct answer *answer = choice->answer;

	add(answer, answer->head.data, answer->head.length);
	answer->writer.needs_comma = false;
	json_put_open(&answer->writer, '{');
	json_put_member_uint(&answer->writer, "index", choice->index);
}

static bool is_last_choice(const struct choice *choice)
{
	const struct answer *answer = choice->answer;

	for (uint32_t i = 0; i < answer->n_choices; i++)
		if (&answer->choices[i] != choice && !answer->choices[i].has_ended)
			return false;
	return true;
}

static void put_costs(struct answer *answer, bool has_usage, bool has_timings)
{
	struct usage usage;

	if (!has_usage && answer->generation->includes_usage)
		json_put_member_null(&answer->writer, "usage");
	if (!has_usage && !has_timings)
		return;
	usage = answer_usage(answer);
	if (has_usage) {
		json_put_key(&answer->writer, "usage");
		usage_put(&answer->writer, &usage);
	}
	if (has_timings) {
		json_put_key(&answer->writer, "timings");
		usage_put_timings(&answer->writer, &usage);
	}
}

enum sc_status answer_event_close(struct choice *choice, bool is_last)
{
	struct answer *answer = choice->answer;
	const struct generation *generation = answer->generation;

	json_put_close(&answer->writer, '}');
	json_put_close(&answer->writer, ']');
	put_costs(answer, generation->includes_usage_always,
		  generation->tells_timings || (is_last && is_last_choice(choice)));
	json_put_close(&answer->writer, '}');
	add(answer, EVENT_END, strlen(EVENT_END));
	return json_put_status(&answer->writer);
}

/* How much of the prompts is computed. It needs an array of choices, because some clients read the
 * first one of every event. */
static enum sc_status put_progress(struct answer *answer)
{
	struct choice *choice = &answer->choices[0];
	struct json_writer *writer = &answer->writer;
	struct usage usage = answer_usage(answer);
	uint64_t n_done = 0;

	for (uint32_t i = 0; i < answer->n_jobs; i++)
		n_done += job_prompt_done(answer->jobs[i].job) /
			  job_n_outputs(answer->jobs[i].job);
	answer_event_open(choice);
	add(answer, ",", 1);
	add(answer, answer->dialect->nothing, strlen(answer->dialect->nothing));
	json_put_member_null(writer, "finish_reason");
	json_put_close(writer, '}');
	json_put_close(writer, ']');
	json_put_key(writer, "prompt_progress");
	json_put_open(writer, '{');
	json_put_member_uint(writer, "total", usage.n_prompt);
	json_put_member_uint(writer, "cache", 0);
	json_put_member_uint(writer, "processed", n_done);
	json_put_member_uint(writer, "time_ms", usage.started_ms
			     ? usage.ended_ms - usage.started_ms : 0);
	json_put_close(writer, '}');
	json_put_close(writer, '}');
	add(answer, EVENT_END, strlen(EVENT_END));
	return json_put_status(writer);
}

static enum sc_status put_usage(struct answer *answer)
{
	answer->end = ANSWER_DONE;
	if (!answer->generation->includes_usage)
		return SC_OK;
	add(answer, answer->head.data, answer->head.length);
	json_put_close(&answer->writer, ']');
	put_costs(answer, true, true);
	json_put_close(&answer->writer, '}');
	add(answer, EVENT_END, strlen(EVENT_END));
	return json_put_status(&answer->writer);
}

/* A failure after the answer has begun: an event, and the end without "[DONE]". */
static enum sc_status put_failure(struct answer *answer, const struct error *failure)
{
	answer->end = ANSWER_OVER;
	answer->error.error = *failure;
	api_error_set(&answer->error, failure->status, NULL);
	add(answer, EVENT_BEGIN, strlen(EVENT_BEGIN));
	if (answer->writer.status == SC_OK)
		answer->writer.status = api_error_write(&answer->error, &answer->text);
	add(answer, EVENT_END, strlen(EVENT_END));
	return json_put_status(&answer->writer);
}

/* --- what comes next --- */

/* The next event of a choice. SC_AGAIN: there is none yet. */
static enum sc_status next_of_choice(struct choice *choice)
{
	const struct dialect *dialect = choice->answer->dialect;
	enum sc_status status;

	if (choice->has_ended)
		return SC_AGAIN;
	if (!choice->has_begun) {
		status = dialect->begin ? dialect->begin(choice) : SC_OK;
		choice->has_begun = status == SC_OK;
		if (status != SC_OK || choice->answer->text.length)
			return status;
	}
	if (choice->n_told < choice->output->n_tokens) {
		status = dialect->token(choice);
		return status;
	}
	if (choice->output->finish == FINISH_NONE || !answer_finish_reason(choice, false))
		return SC_AGAIN;
	status = dialect->end(choice);
	choice->has_ended = true;
	return status;
}

static bool have_all_ended(const struct answer *answer)
{
	for (uint32_t i = 0; i < answer->n_choices; i++)
		if (!answer->choices[i].has_ended)
			return false;
	return true;
}

/* Choices take turns. */
static enum sc_status next_of_choices(struct answer *answer)
{
	const struct error *failure;

	for (uint32_t i = 0; i < answer->n_choices; i++) {
		struct choice *choice = &answer->choices[answer->turn];
		enum sc_status status;

		answer->turn = (answer->turn + 1) % answer->n_choices;
		status = next_of_choice(choice);
		if (status != SC_AGAIN)
			return status;
	}
	failure = answer_failure(answer);
	if (failure)
		return put_failure(answer, failure);
	if (!have_all_ended(answer))
		return SC_AGAIN;
	answer->end = ANSWER_USAGE;
	return SC_OK;
}

/* Writes the next event to answer->text, or nothing on the way to it. SC_AGAIN: there is none. */
static enum sc_status next_event(struct answer *answer)
{
	buf_truncate(&answer->text, 0);
	json_put_init(&answer->writer, &answer->text);
	if (answer->is_progress_due) {
		answer->is_progress_due = false;
		return put_progress(answer);
	}
	switch (answer->end) {
	case ANSWER_CHOICES:
		return next_of_choices(answer);
	case ANSWER_USAGE:
		return put_usage(answer);
	case ANSWER_DONE:
		answer->end = ANSWER_OVER;
		return buf_add_string(&answer->text, EVENT_BEGIN "[DONE]" EVENT_END);
	default:
		return SC_AGAIN;
	}
}

static enum sc_status send_comment(struct answer *answer)
{
	static const char comment[] = ": keep-alive" EVENT_END;

	return http_call_add(answer->call, comment, sizeof comment - 1);
}

static enum sc_status send_ping(struct answer *answer)
{
	answer->is_ping_due = false;
	answer->has_pinged = true;
	answer->sent_ns = loop_now_ns(answer->openai->loop);
	return send_comment(answer);
}

/* vLLM's benchmark strips what it has read at once, so it joins a comment that came alone to what
 * comes next. The next thing is therefore a comment, too, right before an event. */
static enum sc_status send_event(struct answer *answer)
{
	enum sc_status status = next_event(answer);

	if (status != SC_OK || !answer->text.length)
		return status;
	if (answer->has_pinged)
		status = send_comment(answer);
	answer->sent_ns = loop_now_ns(answer->openai->loop);
	answer->is_ping_due = false;
	answer->has_pinged = false;
	return status == SC_OK
		? http_call_add(answer->call, answer->text.data, answer->text.length) : status;
}

void answer_stream_pull(struct answer *answer)
{
	struct http_call *call = answer->call;
	enum sc_status status = SC_OK;

	while (status == SC_OK && answer->end != ANSWER_OVER && http_call_has_room(call))
		status = send_event(answer);
	if (status == SC_AGAIN && answer->is_ping_due && http_call_has_room(call))
		status = send_ping(answer);
	if (status != SC_OK && status != SC_AGAIN)
		http_call_break(call);
	else if (answer->end == ANSWER_OVER)
		http_call_end(call);
}

/* --- timers --- */

static void on_ping(void *arg)
{
	struct answer *answer = arg;
	uint64_t silent_ms = (loop_now_ns(answer->openai->loop) - answer->sent_ns) / NS_PER_MS;
	unsigned ping_ms = answer->openai->ping_ms;

	if (silent_ms < ping_ms) {
		timer_start(answer->ping, (unsigned)(ping_ms - silent_ms), 0);
		return;
	}
	answer->is_ping_due = true;
	http_call_wake(answer->call);
	timer_start(answer->ping, ping_ms, 0);
}

static bool has_progress(const struct answer *answer)
{
	for (uint32_t i = 0; i < answer->n_choices; i++)
		if (!answer->choices[i].output->n_tokens &&
		    answer->choices[i].output->finish == FINISH_NONE)
			return true;
	return false;
}

static void on_progress(void *arg)
{
	struct answer *answer = arg;

	answer->is_progress_due = answer->end == ANSWER_CHOICES && has_progress(answer);
	if (answer->is_progress_due)
		http_call_wake(answer->call);
	else
		timer_stop(answer->progress);
}

/* Without memory for a timer, the client hears less. */
static void start_timers(struct answer *answer)
{
	struct openai *openai = answer->openai;

	answer->sent_ns = loop_now_ns(openai->loop);
	if (openai->ping_ms &&
	    timer_create_on(openai->loop, on_ping, answer, &answer->ping) == SC_OK)
		timer_start(answer->ping, openai->ping_ms, 0);
	if (answer->generation->tells_progress &&
	    timer_create_on(openai->loop, on_progress, answer, &answer->progress) == SC_OK)
		timer_start(answer->progress, PROGRESS_MS, PROGRESS_MS);
}

enum sc_status answer_stream_open(struct answer *answer)
{
	enum sc_status status = make_head(answer);

	if (status == SC_OK)
		status = http_call_begin(answer->call, 200, "text/event-stream");
	if (status != SC_OK)
		return status;
	start_timers(answer);
	http_call_wake(answer->call);
	return SC_OK;
}

void answer_stream_close(struct answer *answer)
{
	timer_destroy(answer->ping);
	timer_destroy(answer->progress);
	answer->ping = NULL;
	answer->progress = NULL;
}
