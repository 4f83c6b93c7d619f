/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/notify.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

static void send_state(const char *state)
{
#ifdef HAVE_SYSTEMD
	/* Nothing useful can be done when the service manager does not listen. */
	(void)sd_notify(0, state);
#else
	(void)state;
#endif
}

void notify_ready(void)
{
	send_state("READY=1\nSTATUS=Serving");
}

void notify_stopping(void)
{
	send_state("STOPPING=1\nSTATUS=Draining");
}

void notify_status(const char *format, ...)
{
	char text[256] = "STATUS=";
	va_list args;

	va_start(args, format);
	vsnprintf(text + 7, sizeof text - 7, format, args);
	va_end(args);
	send_state(text);
}

void notify_loading(double percent)
{
	char text[96];

	snprintf(text, sizeof text, "STATUS=Loading %.0f %%\nEXTEND_TIMEOUT_USEC=60000000",
		 percent);
	send_state(text);
}

void notify_reloading(void)
{
	char text[64];

	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)(clock_ns() / 1000));
	send_state(text);
}

#ifdef HAVE_SYSTEMD
static void feed(void *arg)
{
	(void)arg;
	send_state("WATCHDOG=1");
}
#endif

struct timer *notify_watchdog_start(struct loop *loop)
{
#ifdef HAVE_SYSTEMD
	struct timer *timer;
	uint64_t usec;

	if (sd_watchdog_enabled(0, &usec) <= 0 ||
	    timer_create_on(loop, feed, NULL, &timer) != SC_OK)
		return NULL;
	timer_start(timer, 0, usec / 1000 / 2 + 1);
	return timer;
#else
	(void)loop;
	return NULL;
#endif
}
