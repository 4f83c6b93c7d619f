/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_SIGNAL_H
#define STAGECOACH_CLI_CLIENT_SIGNAL_H
/*
 * client_signal - SIGINT and SIGTERM as something to look at while waiting, so that a verb can say
 * good-bye to the server. They are blocked except within ppoll: none is missed.
 * Thread: the main thread.
 */
#include <signal.h>
#include <stdbool.h>

void client_signal_catch(void);

/* For ppoll. */
const sigset_t *client_signal_mask(void);

/* The signal that came, or 0. */
int client_signal_caught(void);

/* The same, and forget it: waits go on as before. */
int client_signal_take(void);

/* Wait; true: a signal came before the time was over. */
bool client_signal_sleep(unsigned ms);

#endif
