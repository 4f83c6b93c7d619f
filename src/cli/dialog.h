/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_DIALOG_H
#define STAGECOACH_CLI_DIALOG_H
/*
 * dialog - a person, or a program, that talks with a model in turns: standard input says what,
 * standard output has the answers and nothing else, standard error has the rest.
 * Thread: the main thread.
 */
#include "cli/talker.h"

/* Runs until the end of the input, /quit, or a signal that ends it. With -p of config: one turn.
 * config may change. Everything that fails is told on standard error. Without a terminal the first
 * turn that fails is the last one.
 * Returns the exit code. */
int dialog_run(struct config *config, const struct talker *talker);

#endif
