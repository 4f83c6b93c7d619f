/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dialog.h"

#include "base/clock.h"
#include "base/console.h"
#include "cli/answer_printer.h"
#include "cli/chat_commands.h"
#include "cli/history_path.h"
#include "cli/json_text.h"
#include "cli/line_editor.h"
#include "cli/progress.h"
#include "cli/turn_text.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 128 + SIGPIPE: as for the other verbs. */
#define EXIT_NO_READER 141

struct dialog {
	struct config *config;
	const struct talker *talker;
	struct conversation conversation;
	struct chat_totals totals;
	struct line_editor *editor;	/* NULL with -p */
	struct turn_text turn;
	struct progress progress;	/* of prompts */
	struct answer_printer answer;	/* of the turn under way */
	bool is_terminal;		/* a person types */
	bool was_stopped;		/* Ctrl-C came during the last answer */
	bool was_interrupted;		/* Ctrl-C came at the prompt, and nothing since */
	bool is_over;
	int exit_code;
};

/* --- what comes of a turn --- */

static void on_prompt(void *arg, uint64_t n_done, uint64_t n_total)
{
	struct dialog *dialog = arg;

	progress_show(&dialog->progress, clock_ns(), "prompt %llu of %llu tokens",
		      (unsigned long long)n_done, (unsigned long long)n_total);
}

static void on_note(void *arg, const char *text)
{
	struct dialog *dialog = arg;

	progress_hide(&dialog->progress);
	console_printf(CONSOLE_ANY, "stagecoach: %s\n", text);
}

static enum sc_status on_delta(void *arg, const struct chat_delta *delta)
{
	struct dialog *dialog = arg;

	progress_hide(&dialog->progress);	/* standard output may be the same terminal */
	return answer_printer_add(&dialog->answer, delta);
}

static void count_turn(struct dialog *dialog, const struct turn_result *result)
{
	dialog->totals.n_turns++;
	dialog->totals.n_prompt += result->n_prompt;
	dialog->totals.n_generated += result->n_generated;
	dialog->totals.last = *result;
}

/* Why the answer is not whole. */
static void tell_finish(const struct dialog *dialog, const struct turn_result *result)
{
	if (dialog->config->is_quiet)
		return;
	if (result->finish == FINISH_LENGTH)
		console_printf(CONSOLE_ANY, "[cut at %u tokens: -n]\n", result->n_generated);
	if (result->finish == FINISH_CONTEXT)
		console_printf(CONSOLE_ANY, "[cut: the context is full. /clear begins a new "
			       "conversation]\n");
}

static const char *finish_name(const struct answer_printer *answer, enum finish_reason finish)
{
	switch (finish) {
	case FINISH_STOP:
		return answer->calls ? "tool_calls" : "stop";
	case FINISH_LENGTH:
	case FINISH_CONTEXT:
		return "length";
	default:
		return "cancelled";
	}
}

/* A line of JSON: the message and what it cost. */
static enum sc_status print_json(struct answer_printer *answer, const struct turn_result *result)
{
	json_t *json = json_pack("{s:o, s:s, s:{s:i, s:i}, s:{s:f, s:f, s:f}}",
		"message", answer_printer_message(answer),
		"finish_reason", finish_name(answer, result->finish),
		"usage", "prompt_tokens", (int)result->n_prompt,
		"completion_tokens", (int)result->n_generated,
		"timings", "first_token_seconds", result->first_token_seconds,
		"total_seconds", result->total_seconds,
		"tokens_per_second", result->tokens_per_second);
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9) |
				       json_text_flags()) : NULL;
	bool is_written = text && puts(text) >= 0 && fflush(stdout) == 0;

	answer->write_errno = text && !is_written ? errno : 0;
	free(text);
	json_decref(json);
	return is_written ? SC_OK : answer->write_errno ? SC_E_IO : SC_E_NOMEM;
}

/* --- a turn --- */

static bool has_escapes(void)
{
	const char *type = getenv("TERM");

	return isatty(STDOUT_FILENO) && type && *type && strcmp(type, "dumb") != 0;
}

static struct answer_style style_of(const struct config *config)
{
	return (struct answer_style){
		.file = config->is_json ? NULL : stdout,
		.shows_reasoning = isatty(STDOUT_FILENO) && !config->hides_reasoning,
		.has_escapes = has_escapes(),
	};
}

/* What failed, and what a person can do about it. */
static void tell_failure(const struct dialog *dialog, const struct error *err)
{
	console_printf(CONSOLE_LAST_WORDS, "stagecoach: error: %s\n", err->text);
	if (!dialog->is_terminal)
		return;
	if (err->status == SC_E_TOO_LARGE)
		console_printf(CONSOLE_ANY, "The context is full: /clear begins a new "
			       "conversation.\n");
	if (err->status == SC_E_CLOSED || err->status == SC_E_UNAVAILABLE)
		console_printf(CONSOLE_ANY, "/regen tries again, and so does the next message.\n");
}

/* A person sees the error and goes on; a program gets the exit code. */
static void fail(struct dialog *dialog, const struct error *err)
{
	tell_failure(dialog, err);
	if (dialog->is_terminal)
		return;
	dialog->is_over = true;
	dialog->exit_code = sc_status_exit_code(err->status);
}

/* Nobody can read answers any more. */
static void fail_output(struct dialog *dialog, int errnum)
{
	struct error err;

	dialog->is_over = true;
	dialog->exit_code = EXIT_NO_READER;
	if (errnum == EPIPE)
		return;
	error_errno(&err, SC_E_IO, errnum, "standard output");
	tell_failure(dialog, &err);
	dialog->exit_code = sc_status_exit_code(err.status);
}

/* A person stops one answer with Ctrl-C; everything else ends the dialog. */
static void take_signal(struct dialog *dialog)
{
	int signum = dialog->talker->ops->take_signal(dialog->talker->self);

	dialog->was_stopped = signum == SIGINT && dialog->is_terminal;
	if (!signum || dialog->was_stopped)
		return;
	dialog->is_over = true;
	dialog->exit_code = 128 + signum;
}

/* An answer that was stopped stays as far as it came. */
static enum sc_status keep_answer(struct dialog *dialog, bool is_whole, struct error *err)
{
	if (!is_whole && answer_printer_is_empty(&dialog->answer))
		return SC_OK;
	return conversation_add(&dialog->conversation, answer_printer_message(&dialog->answer),
				err);
}

static enum sc_status out_of_memory(struct error *err)
{
	return error_set(err, SC_E_NOMEM, "out of memory for the answer");
}

/* SC_E_IO: dialog->answer says why. */
static enum sc_status converse(struct dialog *dialog, struct turn_result *result,
			       struct error *err)
{
	const struct turn_sink sink = {
		.on_delta = on_delta, .on_prompt = on_prompt, .on_note = on_note, .arg = dialog,
	};
	struct answer_printer *answer = &dialog->answer;
	enum sc_status status, end_status;

	progress_begin(&dialog->progress, clock_ns(), PROGRESS_PROMPT_MS);
	status = dialog->talker->ops->send(dialog->talker->self, dialog->conversation.messages,
					   dialog->config, &sink, result, err);
	progress_end(&dialog->progress);
	end_status = answer_printer_end(answer);
	if (status == SC_OK && end_status == SC_OK && dialog->config->is_json)
		end_status = print_json(answer, result);
	if (status == SC_OK && end_status == SC_E_NOMEM)
		return out_of_memory(err);
	return answer->write_errno ? SC_E_IO : status;
}

static void end_turn(struct dialog *dialog, enum sc_status status,
		     const struct turn_result *result, const struct error *err)
{
	if (dialog->answer.write_errno)
		fail_output(dialog, dialog->answer.write_errno);
	else if (status == SC_OK)
		tell_finish(dialog, result);
	else if (status == SC_E_CANCELLED && dialog->was_stopped)
		console_printf(CONSOLE_ANY, "[stopped]\n");
	else if (!dialog->is_over)
		fail(dialog, err);
}

/* Sends the conversation, whose last message is the person's. */
static void take_turn(struct dialog *dialog)
{
	const struct answer_style style = style_of(dialog->config);
	struct turn_result result = { .finish = FINISH_NONE };
	struct error err = { .status = SC_OK }, keep_error;
	enum sc_status status;

	answer_printer_init(&dialog->answer, &style);
	status = converse(dialog, &result, &err);
	take_signal(dialog);
	count_turn(dialog, &result);
	end_turn(dialog, status, &result, &err);
	if (keep_answer(dialog, status == SC_OK, &keep_error) != SC_OK)
		fail(dialog, &keep_error);
	answer_printer_deinit(&dialog->answer);
}

static void say(struct dialog *dialog, const char *text, size_t n_bytes)
{
	struct error err;

	if (conversation_add_user(&dialog->conversation, text, n_bytes, &err) == SC_OK)
		take_turn(dialog);
	else
		fail(dialog, &err);
}

/* --- input --- */

static void run_text(struct dialog *dialog)
{
	const struct chat_commands commands = {
		.conversation = &dialog->conversation, .config = dialog->config,
		.totals = &dialog->totals, .out = dialog->is_terminal ? stdout : stderr,
	};
	const struct buf *text = &dialog->turn.text;
	const char *words = text->data;
	enum command_result result = COMMAND_NONE;
	struct error err;

	if (!dialog->turn.is_literal && !memchr(text->data, '\0', text->length))
		result = chat_command_run(&commands, text->data, &words, &err);
	switch (result) {
	case COMMAND_NONE:
		if (text->length)
			say(dialog, words, text->length - (size_t)(words - text->data));
		break;
	case COMMAND_SEND:
		take_turn(dialog);
		break;
	case COMMAND_QUIT:
		dialog->is_over = true;
		break;
	case COMMAND_FAILED:
		fail(dialog, &err);
		break;
	case COMMAND_DONE:
		break;
	}
	fflush(commands.out);
}

static void take_line(struct dialog *dialog, const struct buf *line, bool goes_on)
{
	struct error err;
	enum sc_status status = turn_text_add(&dialog->turn, line->data, line->length, goes_on);

	dialog->was_interrupted = false;
	line_editor_remember(dialog->editor, line->data);
	if (status != SC_OK) {
		error_set(&err, status, "the message is longer than %zu bytes", TURN_TEXT_MAX);
		turn_text_reset(&dialog->turn);
		fail(dialog, &err);
		return;
	}
	if (dialog->turn.is_begun)
		return;
	run_text(dialog);
	turn_text_reset(&dialog->turn);
}

/* Ctrl-C at the prompt: forgets what was typed; the second one in a row leaves. */
static void interrupt(struct dialog *dialog)
{
	bool had_text = dialog->turn.is_begun;

	turn_text_reset(&dialog->turn);
	if (!dialog->is_terminal || (dialog->was_interrupted && !had_text)) {
		dialog->is_over = true;
		dialog->exit_code = 128 + SIGINT;
		return;
	}
	dialog->was_interrupted = true;
	console_printf(CONSOLE_ANY, "[Ctrl-C again, or Ctrl-D, leaves]\n");
}

/* The input is over; a text that was begun counts as whole. */
static void end_input(struct dialog *dialog)
{
	if (dialog->turn.is_begun && !dialog->is_terminal)
		run_text(dialog);
	dialog->is_over = true;
}

static void read_lines(struct dialog *dialog)
{
	struct buf line = BUF_INIT;
	struct error err;
	bool goes_on;

	while (!dialog->is_over) {
		const char *prompt = dialog->turn.is_begun ? ". " : "> ";

		switch (line_editor_read(dialog->editor, prompt, &line, &goes_on, &err)) {
		case LINE_OK:
			take_line(dialog, &line, goes_on);
			break;
		case LINE_END:
			end_input(dialog);
			break;
		case LINE_INTERRUPTED:
			interrupt(dialog);
			break;
		case LINE_TERMINATED:
			dialog->is_over = true;
			dialog->exit_code = 128 + line_editor_signal(dialog->editor);
			break;
		case LINE_FAILED:
			fail(dialog, &err);
			dialog->is_over = true;
			dialog->exit_code = sc_status_exit_code(err.status);
			break;
		}
	}
	buf_deinit(&line);
}

static enum sc_status open_editor(struct dialog *dialog, struct error *err)
{
	char *path = isatty(STDIN_FILENO) ? history_path() : NULL;
	enum sc_status status = line_editor_create(path, &dialog->editor, err);

	free(path);
	if (status != SC_OK)
		return status;
	dialog->is_terminal = line_editor_is_terminal(dialog->editor);
	if (dialog->is_terminal && !dialog->config->is_quiet)
		console_printf(CONSOLE_ANY, "/help lists the commands.\n");
	return SC_OK;
}

static enum sc_status start(struct dialog *dialog, struct error *err)
{
	const char *system = dialog->config->system_text;
	enum sc_status status;

	turn_text_init(&dialog->turn);
	progress_init(&dialog->progress, dialog->config->is_quiet);
	status = conversation_init(&dialog->conversation, err);
	if (status == SC_OK)
		status = conversation_set_system(&dialog->conversation, system, strlen(system),
						 err);
	if (status == SC_OK && !dialog->config->prompt)
		status = open_editor(dialog, err);
	return status;
}

int dialog_run(struct config *config, const struct talker *talker)
{
	struct dialog dialog = { .config = config, .talker = talker };
	struct error err;

	if (start(&dialog, &err) != SC_OK)
		fail(&dialog, &err);
	else if (config->prompt)
		say(&dialog, config->prompt, strlen(config->prompt));
	else
		read_lines(&dialog);
	line_editor_destroy(dialog.editor);
	turn_text_deinit(&dialog.turn);
	conversation_deinit(&dialog.conversation);
	return dialog.exit_code;
}
