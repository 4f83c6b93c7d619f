/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/prompt_run.h"

#include "cli/one_shot.h"
#include "cli/report.h"
#include "event/loop.h"

/* The engine's end stops the loop, unless that end came first. */
static void leave(struct prompt_run *run, int exit_code)
{
	run->exit_code = exit_code;
	if (run->engine && engine_phase(run->engine) < COORDINATOR_STOPPED)
		engine_drain(run->engine, 0);
	else
		loop_stop(run->loop);
}

static void on_text_end(void *arg, const struct error *err)
{
	struct prompt_run *run = arg;

	if (err && err->status != SC_E_CANCELLED && !run->exit_code) {
		report_error(err);
		run->exit_code = sc_status_exit_code(err->status);
	}
	leave(run, run->exit_code);
}

static void begin(struct prompt_run *run)
{
	struct error err;

	progress_end(run->progress);
	if (one_shot_start(run->loop, run->engine, run->config, &run->prompt, run->progress,
			   on_text_end, run, &run->one_shot, &err) == SC_OK)
		return;
	report_error(&err);
	leave(run, sc_status_exit_code(err.status));
}

static void fail(struct prompt_run *run, const struct error *err)
{
	if (!run->exit_code) {	/* else the text's end told it, or a signal came first */
		progress_end(run->progress);
		report_error(err);
		run->exit_code = sc_status_exit_code(report_fault(run->config, err->status));
	}
	if (!one_shot_is_writing(run->one_shot))	/* else its end stops the loop */
		loop_stop(run->loop);
}

void prompt_run_phase(struct prompt_run *run, enum coordinator_phase phase,
		      const struct error *err)
{
	switch (phase) {
	case COORDINATOR_READY:
		if (!run->one_shot)	/* else a stage was lost, and the text goes on */
			begin(run);
		break;
	case COORDINATOR_FAILED:
		fail(run, err);
		break;
	case COORDINATOR_STOPPED:
		loop_stop(run->loop);
		break;
	default:
		break;
	}
}

void prompt_run_interrupt(struct prompt_run *run, int signum)
{
	leave(run, 128 + signum);
}

void prompt_run_deinit(struct prompt_run *run)
{
	one_shot_destroy(run->one_shot);
	token_list_deinit(&run->prompt);
}
