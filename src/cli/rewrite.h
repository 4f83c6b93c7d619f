/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_REWRITE_H
#define STAGECOACH_CLI_REWRITE_H
/*
 * rewrite - what `quantize` and `convert` share: a model is read and written to a file, with
 * progress on standard error and one line, or JSON, at the end.
 */
#include "config/config.h"

struct rewrite {
	enum program program;
	const char *usage;	/* its first words are the help's */
	const char *verb;	/* "quantizing", for the progress */
	bool is_type_optional;	/* without TYPE every tensor keeps its type */
};

/* Runs the verb: INPUT OUTPUT TYPE. Returns the exit code. */
int rewrite_main(const struct rewrite *rewrite, int argc, char **argv);

#endif
