/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_VERB_H
#define STAGECOACH_CLI_VERB_H
/*
 * verb - how every verb of stagecoach begins: it reads its flags, and answers -h and -V.
 * Thread: the main thread.
 */
#include "config/config.h"

/* Read flags, environment and file into config. False: the verb is over and *exit_code_out is its
 * exit code, because a flag is wrong (64, or 78 for environment and file; told on standard error),
 * or because only the help or the version was asked for. Then config holds nothing. */
bool verb_begin(struct config *config, enum program program, const char *usage, int argc,
		char **argv, int *exit_code_out);

#endif
