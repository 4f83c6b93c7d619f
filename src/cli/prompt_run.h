/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_PROMPT_RUN_H
#define STAGECOACH_CLI_PROMPT_RUN_H
/*
 * prompt_run - an engine that continues one prompt and then ends: what `stagecoach run` and
 * `stagecoachd -p` do alike. The loop is stopped at the end.
 * Thread: the loop's.
 */
#include "cli/progress.h"
#include "config/config.h"
#include "engine/engine.h"

struct one_shot;

/* The owner sets what is borrowed: engine as soon as it exists, the rest at the beginning. */
struct prompt_run {
	struct loop *loop;
	struct engine *engine;
	const struct config *config;
	struct progress *progress;	/* of loading, then of the prompt */
	struct token_list prompt;	/* owned; to be read before the engine is created */
	struct one_shot *one_shot;	/* owned; NULL until the engine is ready */
	int exit_code;			/* at the end */
};

/* Call it from the engine's on_phase. Failures are told on standard error. */
void prompt_run_phase(struct prompt_run *run, enum coordinator_phase phase,
		      const struct error *err);
/* A signal came: text that is not written yet is lost. */
void prompt_run_interrupt(struct prompt_run *run, int signum);
/* Call it before the engine is destroyed. */
void prompt_run_deinit(struct prompt_run *run);

#endif
