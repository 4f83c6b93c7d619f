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

/* Submits the job that config describes ("-" as prompt: standard input). on_end comes from the
 * loop once the job has ended; err is NULL when all went well. */
must_check enum sc_status one_shot_start(struct coordinator *coordinator,
					 const struct config *config,
					 void (*on_end)(void *arg, const struct error *err),
					 void *arg, struct one_shot **one_shot_out,
					 struct error *err);
void one_shot_cancel(struct one_shot *one_shot);
/* Accepts NULL. */
void one_shot_destroy(struct one_shot *one_shot);

#endif
