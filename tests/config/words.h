/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_CONFIG_WORDS_H
#define STAGECOACH_TESTS_CONFIG_WORDS_H
/* words - load a configuration from the words of a command line. The configuration is the caller's
 * to deinitialise. Thread: the test's. */
#include "config/config.h"

/* The words, at most 15, are those after the program's name; NULL ends them. default_file: as for
 * config_load. */
static inline enum sc_status words_load(struct config *config, enum program program,
					const char *default_file, const char *const *words,
					struct error *err)
{
	char *argv[16] = { (char *)"program" };
	int argc = 1;

	for (; words && words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	return config_load(config, program, default_file, argc, argv, err);
}

/* Those words as an argument of words_load. */
#define WORDS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

#endif
