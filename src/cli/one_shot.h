/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_ONE_SHOT_H
#define STAGECOACH_CLI_ONE_SHOT_H
/*
 * one_shot - continue one prompt on standard output, then say how fast on standard error.
 * A reader that stops (a pager, a terminal after Ctrl-S) does not stop the loop: the text stays in
 * the job until standard output has room. All text is written, in order, before on_end.
 * Thread: the loop's.
 */
#include "cli/progress.h"
#include "config/config.h"
#include "engine/engine.h"

struct one_shot;

/* Checks the settings of the job, then appends the tokens of the prompt that config means
 * (prompt_text.h). Blocks as long as reading it takes, so call it before others wait for this
 * process. */
must_check enum sc_status one_shot_read_prompt(const struct config *config,
					       const struct opened_model *opened,
					       struct token_list *prompt, struct error *err);

/* Submits the job that config describes. progress, borrowed, tells how far it is while no text
 * comes. With is_quiet of config standard error stays silent. on_end comes from the loop once the
 * job has ended and its text is written, or cannot be; err is NULL when all went well. */
must_check enum sc_status one_shot_start(struct loop *loop, struct engine *engine,
					 const struct config *config,
					 const struct token_list *prompt,
					 struct progress *progress,
					 void (*on_end)(void *arg, const struct error *err),
					 void *arg, struct one_shot **one_shot_out,
					 struct error *err);
/* on_end has yet to come. False for NULL. */
bool one_shot_is_writing(const struct one_shot *one_shot);
/* Text that was not written yet is lost. Accepts NULL. */
void one_shot_destroy(struct one_shot *one_shot);

#endif
