/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach run - a model in this process that continues one prompt. */
#include "base/console.h"
#include "chat/chat.h"
#include "cli/one_shot.h"
#include "cli/prompt_run.h"
#include "cli/report.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include "event/loop.h"
#include "model/model.h"

#include <signal.h>
#include <unistd.h>

struct run {
	struct config config;
	struct opened_model opened;
	struct loop *loop;
	struct signal_watch *interrupt;
	struct signal_watch *terminate;
	struct engine *engine;
	struct progress progress;	/* of loading, then of the prompt */
	struct prompt_run text;
};

static void on_signal(void *arg, int signum)
{
	struct run *run = arg;

	prompt_run_interrupt(&run->text, signum);
}

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct run *run = arg;

	if (phase == COORDINATOR_LOADING && !run->config.is_quiet)
		report_plan(run->engine);
	prompt_run_phase(&run->text, phase, err);
}

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct run *run = arg;

	report_loading(&run->progress, loop_now_ns(run->loop), done_bytes, total_bytes);
}

/* A model that was trained to chat answers better there. For a person: programs know what they run. */
static void hint_at_chat(const struct run *run)
{
	const struct opened_model *opened = &run->opened;
	struct chat_format *format = NULL;
	struct error err;

	if (run->config.is_quiet || run->config.is_json || !isatty(STDERR_FILENO))
		return;
	if (chat_format_create(opened->model->gguf, opened->tokenizer, NULL, &format, &err) == SC_OK &&
	    chat_format_check(format, &err) == SC_OK)
		console_printf(CONSOLE_ANY, "This model can chat: `stagecoach chat -m %s` holds a "
			       "conversation.\n", run->config.model);
	chat_format_destroy(format);
}

static enum sc_status read_files(struct run *run, struct error *err)
{
	const struct model_choice choice = model_choice_of(&run->config);
	enum sc_status status = opened_model_open(&run->opened, &choice, err);

	if (status != SC_OK)
		return status;
	report_ignored_keys(run->opened.model->gguf, run->config.ignored_keys);
	status = one_shot_read_prompt(&run->config, &run->opened, &run->text.prompt, err);
	run->opened.n_prompt_tokens = run->text.prompt.n;
	if (status == SC_OK)
		hint_at_chat(run);
	return status;
}

static enum sc_status start_loop(struct run *run, struct error *err)
{
	enum sc_status status = loop_open(&run->loop, err);

	if (status == SC_OK)
		status = signal_watch_create(run->loop, SIGINT, on_signal, run, &run->interrupt,
					     err);
	if (status == SC_OK)
		status = signal_watch_create(run->loop, SIGTERM, on_signal, run, &run->terminate,
					     err);
	return status;
}

static enum sc_status start_engine(struct run *run, struct error *err)
{
	const struct engine_config engine = {
		.loop = run->loop, .settings = &run->config, .model = &run->opened,
		.on_phase = on_phase, .on_progress = on_progress, .arg = run,
	};
	enum sc_status status = engine_create(&engine, &run->engine, err);

	if (status != SC_OK)
		return status;
	report_length(&run->opened, engine_max_context(run->engine));
	run->text.loop = run->loop;
	run->text.engine = run->engine;
	return SC_OK;
}

static enum sc_status start(struct run *run, struct error *err)
{
	enum sc_status status;

	progress_init(&run->progress, run->config.is_quiet);
	run->text.config = &run->config;
	run->text.progress = &run->progress;
	status = read_files(run, err);
	if (status == SC_OK)
		status = start_loop(run, err);
	if (status == SC_OK)
		status = start_engine(run, err);
	return status;
}

static void stop(struct run *run)
{
	prompt_run_deinit(&run->text);
	engine_destroy(run->engine);
	signal_watch_destroy(run->interrupt);
	signal_watch_destroy(run->terminate);
	loop_destroy(run->loop);
	opened_model_close(&run->opened);
	config_deinit(&run->config);
}

static const char usage[] =
	"usage: stagecoach run -m FILE -p TEXT [--stages N] [OPTION...]\n\n"
	"Load a model in this process, split it into N pipeline stages, and continue TEXT. The\n"
	"new text goes to standard output. The plan, progress and speed go to standard error.\n";

int cmd_run(int argc, char **argv)
{
	struct run run = { 0 };
	struct error err;
	int exit_code;

	if (!verb_begin(&run.config, PROGRAM_RUN, usage, argc, argv, &exit_code))
		return exit_code;
	if (start(&run, &err) != SC_OK) {
		report_error(&err);
		run.text.exit_code = sc_status_exit_code(err.status);
	} else {
		loop_run(run.loop);
	}
	stop(&run);
	return run.text.exit_code;
}
