/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_NAMES_H
#define STAGECOACH_CONFIG_NAMES_H
/* names - of programs and options, for messages. Thread: any. */
#include "base/nearest.h"
#include "config/options.h"

/* By bit of enum program: "stagecoachd", "run", "perplexity", ... */
extern const char *const program_names[];
extern const unsigned n_programs;

/* "stagecoachd" or "stagecoach run". out has room for PROGRAM_NAME_MAX. */
#define PROGRAM_NAME_MAX 32
const char *program_name(enum program program, char *out);

/* "stagecoachd, run and bench"; cut when it does not fit in n_bytes. */
void program_list_format(unsigned programs, char *out, size_t n_bytes);

/* The option of these programs that somebody meant who typed word; NULL: none is near.
 * without_flags: options with one of these flags do not count. name_out: which of its names is
 * near; NULL: not asked. */
const struct option_info *option_nearest(const char *word, unsigned programs,
					 unsigned without_flags, const char **name_out);

#endif
