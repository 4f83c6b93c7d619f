/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/base/hung_console.h"

#include "base/console.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static _Atomic pid_t hanging_tid;

/* An event counter takes 8 bytes at once, and lets the writer wait for ever when it is full. */
static void *write_for_ever(void *arg)
{
	(void)arg;
	hanging_tid = gettid();
	console_write("waiting\n", 8, CONSOLE_ANY);
	return NULL;
}

static bool is_asleep(pid_t tid)
{
	char path[64], state = '?';
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d %*s %c", &state) != 1)
		abort();
	fclose(file);
	return state == 'S';
}

void hang_console(void)
{
	const uint64_t most = UINT64_MAX - 1;
	int full = eventfd(0, 0);
	pthread_t thread;

	if (write(full, &most, sizeof most) != sizeof most || dup2(full, STDERR_FILENO) < 0 ||
	    pthread_create(&thread, NULL, write_for_ever, NULL))
		abort();
	while (!hanging_tid || !is_asleep(hanging_tid))
		sched_yield();
}
