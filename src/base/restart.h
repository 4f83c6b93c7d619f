/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_RESTART_H
#define STAGECOACH_BASE_RESTART_H
/*
 * restart - sets environment variables that libraries read before main begins.
 * Thread: main thread, before any other thread exists.
 */
#include <stddef.h>

struct env_default {
	const char *name;
	const char *value;
};

/* If any of the variables is missing, sets all missing ones and executes the program again: the
 * same process, arguments and descriptors. This happens at most once. Returns if no variable was
 * missing or if the restart failed. */
void restart_with_defaults(const struct env_default *defaults, size_t n, char **argv);

#endif
