/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_FLAGS_H
#define STAGECOACH_CONFIG_FLAGS_H
/*
 * flags - the command line: `--ctx-size 4096`, `--ctx-size=4096`, `-c 4096`, `-c4096`. Long names
 * are written out. Words that are no flags may stand anywhere; all words after `--` are such.
 * Thread: one at a time.
 */
#include "config/config.h"

/* Sets what argv says on top of config, with its sources and arguments. SC_E_INVALID: err names the
 * flag and what was expected; for a flag that does not exist, the one that was probably meant. */
must_check enum sc_status config_read_flags(struct config *config, enum program program, int argc,
					    char **argv, struct error *err);

#endif
