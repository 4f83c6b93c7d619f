/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/chat_local.h"

#include "base/clock.h"
#include "cli/chat_template.h"
#include "cli/job_settings.h"
#include "cli/report.h"
#include "cli/session.h"

#include <stdlib.h>

struct chat_local {
	struct opened_model opened;
	struct chat_format *format;
	struct session *session;
};

/* A turn under way. */
struct turn {
	struct chat_local *local;
	struct chat_request request;
	struct chat_prompt prompt;
	struct job_settings settings;
	struct chat_parser *parser;
	const struct turn_sink *sink;
	struct job *job;
	size_t n_parsed;		/* bytes of the output's text */
	uint64_t started_ns;
	uint64_t first_ns;		/* when the first token came; 0: not yet */
};

/* --- the prompt --- */

static enum sc_status render(struct turn *turn, const json_t *messages, struct error *err)
{
	const char *field = NULL;
	enum sc_status status;

	turn->request = (struct chat_request){
		.messages = messages,
		.now_unix = (int64_t)(clock_unix_ms() / 1000),
		.id_seed = turn->settings.request.seed,
	};
	status = chat_render(turn->local->format, &turn->request, &turn->prompt, &field, err);
	return status;
}

static enum sc_status submit(struct turn *turn, struct error *err)
{
	struct job_request *request = &turn->settings.request;
	const struct chat_format *format = turn->local->format;
	enum sc_status status;

	request->prompt_tokens = turn->prompt.tokens.ids;
	request->n_prompt_tokens = turn->prompt.tokens.n;
	request->special = SPECIAL_MARKED;	/* the parser looks for control tokens */
	request->hidden_open = chat_format_reasoning_open(format);
	request->hidden_close = chat_format_reasoning_close(format);
	request->starts_hidden = turn->prompt.starts_in_reasoning;
	request->is_attached = true;
	status = session_submit(turn->local->session, request, &turn->job, err);
	if (status == SC_OK && job_warning(turn->job))
		turn->sink->on_note(turn->sink->arg, job_warning(turn->job));
	return status;
}

/* --- the answer --- */

static enum sc_status fail(enum sc_status status, struct error *err)
{
	if (err->status == SC_OK)
		error_set(err, status, "%s", sc_status_name(status));
	return status;
}

static enum sc_status parse_new_text(struct turn *turn, struct error *err)
{
	const struct buf *text = &job_output(turn->job, 0)->text;
	size_t from = turn->n_parsed;
	enum sc_status status;

	if (text->length == from)
		return SC_OK;
	turn->n_parsed = text->length;
	status = chat_parser_add(turn->parser, text->data + from, text->length - from);
	return status == SC_OK ? SC_OK : fail(status, err);
}

static enum sc_status read_answer(struct turn *turn, struct error *err)
{
	const struct turn_sink *sink = turn->sink;
	enum sc_status status = SC_OK;

	while (status == SC_OK && !job_is_ended(turn->job)) {
		status = session_turn(turn->local->session, err);
		if (!turn->first_ns && job_output(turn->job, 0)->n_tokens)
			turn->first_ns = clock_ns();
		if (status == SC_OK && !turn->first_ns)
			sink->on_prompt(sink->arg, job_prompt_done(turn->job),
					job_n_prompt_tokens(turn->job));
		else if (status == SC_OK)
			status = parse_new_text(turn, err);
	}
	if (status == SC_OK)
		status = parse_new_text(turn, err);
	if (status == SC_OK && job_error(turn->job)->status != SC_OK) {
		*err = *job_error(turn->job);
		status = err->status;
	}
	return status;
}

static void measure(const struct turn *turn, struct turn_result *result)
{
	const struct output *output = job_output(turn->job, 0);
	uint64_t now_ns = clock_ns();
	double seconds = clock_seconds(now_ns - turn->first_ns);

	result->n_prompt = job_n_prompt_tokens(turn->job);
	result->n_generated = output->n_tokens;
	result->n_context = engine_max_context(session_engine(turn->local->session));
	result->finish = output->finish;
	result->total_seconds = clock_seconds(now_ns - turn->started_ns);
	if (!turn->first_ns)
		return;
	result->first_token_seconds = clock_seconds(turn->first_ns - turn->started_ns);
	if (output->n_tokens > 1 && seconds > 0.0)
		result->tokens_per_second = (output->n_tokens - 1) / seconds;
}

/* What the parser holds back comes out also where the answer was cut. */
static enum sc_status converse(struct turn *turn, struct turn_result *result, struct error *err)
{
	struct error end_error = { .status = SC_OK };
	enum sc_status status, end_status;

	status = chat_parser_create(turn->local->format, &turn->request, &turn->prompt,
				    turn->sink->on_delta, turn->sink->arg, &turn->parser);
	if (status != SC_OK)
		return fail(status, err);
	status = submit(turn, err);
	if (status == SC_OK) {
		status = read_answer(turn, err);
		end_status = chat_parser_finish(turn->parser);
		measure(turn, result);
		session_forget(turn->local->session, turn->job);
		if (status == SC_OK && end_status != SC_OK) {
			status = fail(end_status, &end_error);
			*err = end_error;
		}
	}
	chat_parser_destroy(turn->parser);
	return status;
}

static enum sc_status local_send(void *self, const json_t *messages, const struct config *config,
				 const struct turn_sink *sink, struct turn_result *result_out,
				 struct error *err)
{
	struct chat_local *local = self;
	struct turn *turn = calloc(1, sizeof *turn);
	enum sc_status status;

	*result_out = (struct turn_result){ .finish = FINISH_NONE };
	err->status = SC_OK;
	if (!turn)
		return error_set(err, SC_E_NOMEM, "out of memory");
	turn->local = local;
	turn->sink = sink;
	turn->started_ns = clock_ns();
	status = job_settings_read(config, local->opened.model->hparams.n_vocab, &turn->settings,
				   err);
	if (status == SC_OK)
		status = render(turn, messages, err);
	if (status == SC_OK) {
		status = converse(turn, result_out, err);
		chat_prompt_deinit(&turn->prompt);
	}
	free(turn);
	return status;
}

static int local_take_signal(void *self)
{
	struct chat_local *local = self;

	return session_take_signal(local->session);
}

static void local_destroy(void *self)
{
	struct chat_local *local = self;

	session_close(local->session);
	chat_format_destroy(local->format);
	opened_model_close(&local->opened);
	free(local);
}

static const struct talker_ops ops = {
	.send = local_send, .take_signal = local_take_signal, .destroy = local_destroy,
};

static enum sc_status check_template(const struct chat_local *local, const struct config *config,
				     struct error *err)
{
	struct error why;
	enum sc_status status = chat_format_check(local->format, &why);

	if (status == SC_OK)
		return SC_OK;
	return error_set(err, status, "%s: %s. `stagecoach run` continues texts without a template",
			 config->model, why.text);
}

enum sc_status chat_local_open(const struct config *config, struct talker *talker_out,
			       struct error *err)
{
	const struct model_choice choice = model_choice_of(config);
	struct chat_local *local = calloc(1, sizeof *local);
	enum sc_status status;

	if (!local)
		return error_set(err, SC_E_NOMEM, "out of memory");
	status = opened_model_open(&local->opened, &choice, err);
	if (status == SC_OK) {
		report_ignored_keys(local->opened.model->gguf, config->ignored_keys);
		status = chat_template_open(config, &local->opened, &local->format, err);
	}
	if (status == SC_OK)
		status = check_template(local, config, err);
	if (status == SC_OK)
		status = session_open(config, &local->opened, &local->session, err);
	if (status != SC_OK) {
		local_destroy(local);
		return status;
	}
	report_length(&local->opened, engine_max_context(session_engine(local->session)));
	*talker_out = (struct talker){ .ops = &ops, .self = local };
	return SC_OK;
}
