/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_VERBS_H
#define STAGECOACH_CLI_VERBS_H
/*
 * verbs - what `stagecoach VERB ...` runs. Each takes its own arguments, argv[0] being the verb,
 * and returns an exit code (see base/status.h; 64 for a bad flag, 130 after Ctrl-C).
 */

int cmd_run(int argc, char **argv);
int cmd_perplexity(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_families(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
int cmd_inspect(int argc, char **argv);

/* Clients of a server: 69 when none is there. */
int cmd_generate(int argc, char **argv);
int cmd_submit(int argc, char **argv);
int cmd_jobs(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_cancel(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_workers(int argc, char **argv);

/* A client, or a model in this process. */
int cmd_chat(int argc, char **argv);

#endif
