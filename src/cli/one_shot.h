/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_ONE_SHOT_H
#define STAGECOACH_CLI_ONE_SHOT_H
/*
 * one_shot - continue one prompt on standard output, then say how fast on standard error.
 * Thread: the loop's.
 */
#include "config/config.h"
#include "coordinator/coordinator.h"

struct one_shot;

/* Append the tokens of the prompt that config means: of its text, or with "-" of all of standard
 * input. Blocks for as long as that takes, so call it before others wait for this process. */
must_check enum sc_status one_shot_read_prompt(const struct config *config,
					       const struct tokenizer *tokenizer,
					       struct token_list *prompt, struct error *err);

/* Submits the job that config describes. on_end comes from the loop once the job has ended; err is
 * NULL when all went well. */
must_check enum sc_status one_shot_start(struct coordinator *coordinator,
					 const struct config *config,
					 const struct token_list *prompt,
					 void (*on_end)(void *arg, const struct error *err),
					 void *arg, struct one_shot **one_shot_out,
					 struct error *err);
/* Accepts NULL. */
void one_shot_destroy(struct one_shot *one_shot);

#endif
