/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_ONE_SHOT_H
#define STAGECOACH_CLI_ONE_SHOT_H
/*
 * one_shot - continue one prompt on standard output, then say how fast on standard error.
 * Thread: the loop's.
 */
#include "base/buf.h"
#include "config/config.h"
#include "coordinator/coordinator.h"

struct one_shot;

/* The prompt that config means: its text, or with "-" all of standard input, for which it blocks.
 * So call it before others wait for this process. */
must_check enum sc_status one_shot_read_prompt(const struct config *config, struct buf *prompt,
					       struct error *err);

/* Submits the job that config describes. on_end comes from the loop once the job has ended; err is
 * NULL when all went well. */
must_check enum sc_status one_shot_start(struct coordinator *coordinator,
					 const struct config *config, const struct buf *prompt,
					 void (*on_end)(void *arg, const struct error *err),
					 void *arg, struct one_shot **one_shot_out,
					 struct error *err);
void one_shot_cancel(struct one_shot *one_shot);
/* Accepts NULL. */
void one_shot_destroy(struct one_shot *one_shot);

#endif
