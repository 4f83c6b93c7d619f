/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_RESTART_H
#define STAGECOACH_BASE_RESTART_H
/*
 * restart - for environment variables that libraries read before main begins.
 * Thread: main, first thing.
 */
#include <stddef.h>

struct env_default {
	const char *name;
	const char *value;
};

/* Where one is missing, set all that are and start the program again, once, in place: the same
 * process, arguments and descriptors. Returns when nothing was missing, or it cannot be done. */
void restart_with_defaults(const struct env_default *defaults, size_t n, char **argv);

#endif
