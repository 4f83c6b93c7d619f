/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_signal.h"

#include <poll.h>
#include <time.h>

static volatile sig_atomic_t caught;
static sigset_t wait_mask;

static void on_signal(int signum)
{
	caught = signum;
}

void client_signal_catch(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&action.sa_mask);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &wait_mask);
	sigdelset(&wait_mask, SIGINT);
	sigdelset(&wait_mask, SIGTERM);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* A reader of our output that leaves is an error of write. */
	signal(SIGPIPE, SIG_IGN);
}

const sigset_t *client_signal_mask(void)
{
	return &wait_mask;
}

int client_signal_caught(void)
{
	return caught;
}

int client_signal_take(void)
{
	int signum = caught;

	caught = 0;
	return signum;
}

bool client_signal_sleep(unsigned ms)
{
	const struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	if (!caught)
		(void)ppoll(NULL, 0, &time, &wait_mask);
	return caught != 0;
}
