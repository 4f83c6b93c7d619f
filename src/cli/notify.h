/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_NOTIFY_H
#define STAGECOACH_CLI_NOTIFY_H
/*
 * notify - tells systemd how a service of Type=notify is doing (sd_notify(3)). Every call is
 * harmless without systemd, and compiles to nothing without libsystemd.
 * Thread: the loop's.
 */
#include "event/loop.h"

void notify_ready(void);
void notify_stopping(void);
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Also asks for a minute until the next call or notify_ready(). */
void notify_loading(double percent);

/* Around a reload: the service manager sees it as busy in between. */
void notify_reloading(void);

/* Feed the watchdog from the loop, so that a hung loop is seen. NULL: none is asked for. */
struct timer *notify_watchdog_start(struct loop *loop);

#endif
