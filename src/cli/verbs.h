/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_VERBS_H
#define STAGECOACH_CLI_VERBS_H
/*
 * verbs - what `stagecoach VERB ...` runs. Each takes its own arguments, argv[0] being the verb,
 * and returns an exit code (see base/status.h; 64 for a bad flag, 130 after Ctrl-C).
 */

int cmd_run(int argc, char **argv);

#endif
