/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach run - a model in this process: coordinator and stages over loopback links. */
#include "cli/one_shot.h"
#include "cli/report.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include "engine/local.h"
#include "engine/wiring.h"
#include "event/loop.h"
#include "transport/link.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

struct run {
	struct config config;
	struct opened_model opened;
	struct loop *loop;
	struct signal_watch *interrupt;
	struct signal_watch *terminate;
	struct local *local;
	struct token_list prompt;
	struct one_shot *one_shot;
	struct progress progress;	/* of loading, then of the prompt */
	int exit_code;
};

static void leave(struct run *run, int exit_code)
{
	run->exit_code = exit_code;
	if (run->local && coordinator_phase(local_coordinator(run->local)) < COORDINATOR_STOPPED)
		coordinator_drain(local_coordinator(run->local), 0);
	else
		loop_stop(run->loop);
}

static void on_text_end(void *arg, const struct error *err)
{
	struct run *run = arg;

	if (err && err->status != SC_E_CANCELLED && !run->exit_code) {
		report_error(err);
		run->exit_code = sc_status_exit_code(err->status);
	}
	leave(run, run->exit_code);
}

static void on_signal(void *arg, int signum)
{
	struct run *run = arg;

	leave(run, 128 + signum);
}

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct run *run = arg;
	struct error start_err;

	switch (phase) {
	case COORDINATOR_LOADING:
		if (!run->config.is_quiet)
			report_plan(local_coordinator(run->local));
		break;
	case COORDINATOR_READY:
		progress_end(&run->progress);
		if (one_shot_start(run->loop, local_coordinator(run->local), &run->config,
				   &run->prompt, &run->progress, on_text_end, run, &run->one_shot,
				   &start_err) != SC_OK) {
			report_error(&start_err);
			leave(run, sc_status_exit_code(start_err.status));
		}
		break;
	case COORDINATOR_FAILED:
		if (!run->exit_code) {	/* else the text's end told it, or a signal came first */
			report_error(err);
			run->exit_code = sc_status_exit_code(wire_fault(&run->config,
									err->status));
		}
		if (!one_shot_is_writing(run->one_shot))	/* else its end stops the loop */
			loop_stop(run->loop);
		break;
	case COORDINATOR_STOPPED:
		loop_stop(run->loop);
		break;
	default:
		break;
	}
}

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct run *run = arg;

	report_loading(&run->progress, loop_now_ns(run->loop), done_bytes, total_bytes);
}

static enum sc_status start(struct run *run, struct error *err)
{
	struct coordinator_config coordinator;
	struct worker_config worker;
	struct fabric_config fabric;
	struct allowance allowance;
	struct local_config local = {
		.coordinator = &coordinator, .worker = &worker, .fabric = &fabric,
	};
	enum sc_status status;

	progress_init(&run->progress, run->config.is_quiet);
	status = opened_model_open(&run->opened, run->config.model, run->config.ignored_keys,
				   err);
	if (status != SC_OK)
		return status;
	wire_warn_ignored(run->opened.model->gguf, run->config.ignored_keys);
	status = one_shot_read_prompt(&run->config, run->opened.tokenizer, &run->prompt, err);
	run->opened.n_prompt_tokens = run->prompt.n;
	if (status == SC_OK)
		status = wire_coordinator_config(&run->config, &run->opened, run->config.stages,
						 &coordinator, err);
	if (status != SC_OK)
		return status;
	coordinator.kv_contexts = run->config.n_sequences;
	wire_warn_of_length(&run->opened, coordinator.max_context);
	allowance = allowance_inside(run->config.stages,
			     wire_coordinator_bytes(&coordinator, 0, 0));
	status = wire_worker_config(&run->config, run->opened.model, &allowance, &worker, err);
	if (status != SC_OK)
		return status;
	status = loop_open(&run->loop, err);
	if (status != SC_OK)
		return status;
	status = signal_watch_create(run->loop, SIGINT, on_signal, run, &run->interrupt, err);
	if (status == SC_OK)
		status = signal_watch_create(run->loop, SIGTERM, on_signal, run, &run->terminate,
					     err);
	if (status != SC_OK)
		return status;
	coordinator.loop = run->loop;
	coordinator.on_phase = on_phase;
	coordinator.on_progress = on_progress;
	coordinator.arg = run;
	fabric = wire_fabric_config(&run->config, &coordinator, 0);
	return local_create(&local, &run->local, err);
}

static void stop(struct run *run)
{
	one_shot_destroy(run->one_shot);
	local_destroy(run->local);
	signal_watch_destroy(run->interrupt);
	signal_watch_destroy(run->terminate);
	loop_destroy(run->loop);
	opened_model_close(&run->opened);
	token_list_deinit(&run->prompt);
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
		run.exit_code = sc_status_exit_code(err.status);
	} else {
		loop_run(run.loop);
	}
	stop(&run);
	return run.exit_code;
}
