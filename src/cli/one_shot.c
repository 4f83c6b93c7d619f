/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/one_shot.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/console.h"
#include "base/outlet.h"
#include "cli/event_printer.h"
#include "cli/job_settings.h"
#include "cli/prompt_text.h"
#include "event/loop.h"
#include "gateway/job_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 200

struct one_shot {
	struct job *job;
	struct job_watcher watcher;
	struct outlet out;
	struct write_watch *room;	/* NULL until the first wait for the reader */
	struct job_events *events;
	struct event_printer printer;	/* its out: what standard output has not taken yet */
	uint64_t started_ns;
	uint64_t first_ns;	/* when the first token came */
	uint64_t ended_ns;	/* when the job ended, which may be long before its text is read */
	struct error write_error;	/* SC_OK as long as the text can be written */
	bool is_told;		/* on_end was called */
	bool is_quiet;
	struct progress *progress;	/* of the prompt */
	struct timer *tick;	/* while the prompt is computed; NULL with is_quiet */
	struct loop *loop;
	void (*on_end)(void *arg, const struct error *err);
	void *arg;
};

static enum sc_status take_event(void *arg, const Stagecoach__V1__GenerateResponse *event,
				 struct error *err)
{
	struct one_shot *one_shot = arg;

	return event_printer_add(&one_shot->printer, event, err);
}

/* Have the next bytes for standard output, if there are any. An event that prints nothing is
 * followed by the next one. */
static enum sc_status print_more(struct one_shot *one_shot, struct error *err)
{
	enum sc_status status = SC_OK;

	while (status == SC_OK && !one_shot->printer.out.length)
		status = job_events_next(one_shot->events, take_event, one_shot, err);
	if (status == SC_OK || status == SC_AGAIN)
		return SC_OK;
	if (err->status == SC_OK)	/* memory for a message, which says no more */
		error_set(err, status, "%s", sc_status_name(status));
	return status;
}

static uint32_t count_tokens(const struct one_shot *one_shot)
{
	uint32_t n_tokens = 0;

	for (uint32_t i = 0; i < job_n_outputs(one_shot->job); i++)
		n_tokens += job_output(one_shot->job, i)->n_tokens;
	return n_tokens;
}

static void print_speed(const struct one_shot *one_shot)
{
	uint32_t n_prompt = job_n_prompt_tokens(one_shot->job);
	uint32_t n_outputs = job_n_outputs(one_shot->job);
	uint32_t n_tokens = count_tokens(one_shot);
	double prompt_seconds = clock_seconds(one_shot->first_ns - one_shot->started_ns);
	double seconds = clock_seconds(one_shot->ended_ns - one_shot->first_ns);

	if (!one_shot->first_ns)
		return;
	console_printf(CONSOLE_ANY, "prompt: %u token%s in %.3f s, %.1f tokens/s\n", n_prompt,
		       n_prompt == 1 ? "" : "s", prompt_seconds, n_prompt / prompt_seconds);
	if (n_tokens > n_outputs && seconds > 0.0)
		console_printf(CONSOLE_ANY, "generated: %u tokens in %.3f s, %.1f tokens/s\n",
			       n_tokens, seconds, (n_tokens - n_outputs) / seconds);
	if (one_shot->printer.stopped[0])
		console_printf(CONSOLE_ANY, "%s\n", one_shot->printer.stopped);
}

static void write_text(struct one_shot *one_shot);

static void on_room(void *arg)
{
	write_text(arg);
}

static enum sc_status wait_for_room(struct one_shot *one_shot, struct error *err)
{
	enum sc_status status = SC_OK;

	if (!one_shot->room)
		status = write_watch_create(one_shot->loop, outlet_fd(&one_shot->out), on_room,
					    one_shot, &one_shot->room, err);
	if (status == SC_OK)
		status = write_watch_start(one_shot->room, err);
	return status;
}

static void tell_end(struct one_shot *one_shot)
{
	one_shot->is_told = true;
	progress_end(one_shot->progress);
	if (!one_shot->printer.is_json && !one_shot->is_quiet)
		print_speed(one_shot);
	if (one_shot->write_error.status != SC_OK)
		one_shot->on_end(one_shot->arg, &one_shot->write_error);
	else if (job_state(one_shot->job) == JOB_DONE)
		one_shot->on_end(one_shot->arg, NULL);
	else
		one_shot->on_end(one_shot->arg, job_error(one_shot->job));
}

/* Nobody reads any more: there is no point in going on. */
static void give_up(struct one_shot *one_shot)
{
	if (!job_is_ended(one_shot->job))
		job_cancel(one_shot->job);	/* its end comes through on_change */
	else
		tell_end(one_shot);
}

/* As much as there is room for. The rest stays in the job, which goes on, until there is room. */
static void write_text(struct one_shot *one_shot)
{
	struct error *err = &one_shot->write_error;
	struct buf *out = &one_shot->printer.out;
	ssize_t n = 0;

	if (one_shot->room)
		write_watch_stop(one_shot->room);
	while (n >= 0 && print_more(one_shot, err) == SC_OK && out->length) {
		progress_hide(one_shot->progress);	/* it may be the same terminal */
		n = outlet_write(&one_shot->out, out->data, out->length);
		if (n >= 0)
			buf_consume(out, (size_t)n);
		else if (errno == EINTR)
			n = 0;
	}
	if (n < 0 && errno != EAGAIN)
		error_errno(err, SC_E_IO, errno, "standard output");
	else if (n < 0 && wait_for_room(one_shot, err) == SC_OK)
		return;
	if (err->status != SC_OK)
		give_up(one_shot);
	else if (job_events_are_over(one_shot->events))
		tell_end(one_shot);
}

static void on_change(void *arg, struct job *job)
{
	struct one_shot *one_shot = arg;

	if (one_shot->is_told)
		return;
	if (!one_shot->first_ns && job_times(job).first_token_ms)
		one_shot->first_ns = clock_ns();
	if (!one_shot->ended_ns && job_is_ended(job))
		one_shot->ended_ns = clock_ns();
	if (one_shot->write_error.status == SC_OK)
		write_text(one_shot);
	else if (job_is_ended(job))
		tell_end(one_shot);
}

/* How far the prompt is; then, of several sequences, whose lines may take long to become whole, the
 * tokens. */
static void on_tick(void *arg)
{
	struct one_shot *one_shot = arg;
	uint64_t now_ns = loop_now_ns(one_shot->loop);
	uint32_t n_outputs = job_n_outputs(one_shot->job);

	if (job_is_ended(one_shot->job) || (one_shot->first_ns && n_outputs == 1))
		timer_stop(one_shot->tick);
	else if (one_shot->first_ns)
		progress_show(one_shot->progress, now_ns, "%u tokens of %u sequences",
			      count_tokens(one_shot), n_outputs);
	else
		progress_show(one_shot->progress, now_ns, "prompt %llu of %llu tokens",
			      (unsigned long long)job_prompt_done(one_shot->job),
			      (unsigned long long)job_n_prompt_tokens(one_shot->job) * n_outputs);
}

static enum sc_status start_progress(struct one_shot *one_shot, struct error *err)
{
	if (one_shot->is_quiet)
		return SC_OK;
	if (timer_create_on(one_shot->loop, on_tick, one_shot, &one_shot->tick) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	progress_begin(one_shot->progress, loop_now_ns(one_shot->loop), PROGRESS_PROMPT_MS);
	timer_start(one_shot->tick, TICK_MS, TICK_MS);
	return SC_OK;
}

bool one_shot_is_writing(const struct one_shot *one_shot)
{
	return one_shot && !one_shot->is_told;
}

static enum sc_status read_prompt(const struct config *config, const struct tokenizer *tokenizer,
				  struct token_list *prompt, struct error *err)
{
	struct buf text = BUF_INIT;
	enum sc_status status = prompt_text_read(config, &text, err);

	if (status == SC_OK)
		status = tokenizer_encode(tokenizer, text.data, text.length,
					  TOKENIZE_ADD_BOS | (config_parses_special(config) ?
							      TOKENIZE_PARSE_SPECIAL : 0),
					  prompt, err);
	buf_deinit(&text);
	return status;
}

enum sc_status one_shot_read_prompt(const struct config *config, const struct opened_model *opened,
				    struct token_list *prompt, struct error *err)
{
	struct job_settings settings;
	enum sc_status status = job_settings_read(config, opened->model->hparams.n_vocab, &settings,
						  err);

	return status == SC_OK ? read_prompt(config, opened->tokenizer, prompt, err) : status;
}

static enum sc_status submit(struct engine *engine, const struct config *config,
			     const struct token_list *prompt, struct job **job_out,
			     struct error *err)
{
	struct job_settings settings;
	enum sc_status status = job_settings_read(config, 0, &settings, err);

	if (status != SC_OK)
		return status;
	settings.request.prompt_tokens = prompt->ids;
	settings.request.n_prompt_tokens = prompt->n;
	settings.request.is_attached = true;
	return engine_submit(engine, &settings.request, job_out, err);
}

enum sc_status one_shot_start(struct loop *loop, struct engine *engine,
			      const struct config *config, const struct token_list *prompt,
			      struct progress *progress,
			      void (*on_end)(void *arg, const struct error *err), void *arg,
			      struct one_shot **one_shot_out, struct error *err)
{
	struct one_shot *one_shot = calloc(1, sizeof *one_shot);
	enum sc_status status;

	if (!one_shot)
		return error_set(err, SC_E_NOMEM, "out of memory");
	event_printer_init(&one_shot->printer, config->is_json);
	one_shot->loop = loop;
	one_shot->out = (struct outlet)OUTLET_INIT(STDOUT_FILENO, false);
	outlet_look(&one_shot->out);
	one_shot->on_end = on_end;
	one_shot->arg = arg;
	one_shot->started_ns = clock_ns();
	one_shot->is_quiet = config->is_quiet;
	one_shot->progress = progress;
	status = start_progress(one_shot, err);
	if (status == SC_OK)
		status = submit(engine, config, prompt, &one_shot->job, err);
	if (status == SC_OK &&
	    job_events_create(one_shot->job, false, &one_shot->events) != SC_OK) {
		job_release(one_shot->job);
		status = error_set(err, SC_E_NOMEM, "out of memory");
	}
	if (status != SC_OK) {
		timer_destroy(one_shot->tick);
		event_printer_deinit(&one_shot->printer);
		outlet_close(&one_shot->out);
		free(one_shot);
		return status;
	}
	if (job_warning(one_shot->job))
		console_printf(CONSOLE_ANY, "stagecoach: warning: %s\n",
			       job_warning(one_shot->job));
	one_shot->watcher.on_change = on_change;
	one_shot->watcher.arg = one_shot;
	job_watch(one_shot->job, &one_shot->watcher);
	*one_shot_out = one_shot;
	return SC_OK;
}

void one_shot_destroy(struct one_shot *one_shot)
{
	if (!one_shot)
		return;
	one_shot->is_told = true;
	job_unwatch(one_shot->job, &one_shot->watcher);
	job_events_destroy(one_shot->events);
	event_printer_deinit(&one_shot->printer);
	job_release(one_shot->job);
	timer_destroy(one_shot->tick);
	write_watch_destroy(one_shot->room);
	outlet_close(&one_shot->out);
	free(one_shot);
}
