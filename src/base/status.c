/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdlib.h>
#include <sysexits.h>

static const struct {
	const char *name;
	int exit_code;
} statuses[SC_N_STATUS] = {
	[SC_OK] = { "ok", EXIT_SUCCESS },
	[SC_AGAIN] = { "try again", EX_TEMPFAIL },
	[SC_E_INVALID] = { "invalid", EX_USAGE },
	[SC_E_NOT_FOUND] = { "not found", EX_NOINPUT },
	[SC_E_EXISTS] = { "exists already", EXIT_FAILURE },
	[SC_E_TOO_LARGE] = { "too large", EX_USAGE },
	[SC_E_UNSUPPORTED] = { "not supported", EXIT_FAILURE },
	[SC_E_OVERLOADED] = { "overloaded", EX_TEMPFAIL },
	[SC_E_UNAVAILABLE] = { "unavailable", EX_UNAVAILABLE },
	[SC_E_DENIED] = { "denied", EX_NOPERM },
	[SC_E_CANCELLED] = { "cancelled", EXIT_FAILURE },
	[SC_E_DEADLINE] = { "deadline exceeded", EXIT_FAILURE },
	[SC_E_NUMERIC] = { "not a number", EX_DATAERR },
	[SC_E_CLOSED] = { "closed", EX_UNAVAILABLE },
	[SC_E_PROTOCOL] = { "protocol violated", EXIT_FAILURE },
	[SC_E_TIMEOUT] = { "timed out", EX_UNAVAILABLE },
	[SC_E_CAPACITY] = { "does not fit", EXIT_FAILURE },
	[SC_E_DEVICE] = { "device failed", EXIT_FAILURE },
	[SC_E_CONFIG] = { "bad configuration", EX_CONFIG },
	[SC_E_FORMAT] = { "broken file", EXIT_FAILURE },
	[SC_E_IO] = { "input or output failed", EXIT_FAILURE },
	[SC_E_NOMEM] = { "out of memory", EXIT_FAILURE },
	[SC_E_INTERNAL] = { "internal error", EXIT_FAILURE },
};

const char *sc_status_name(enum sc_status status)
{
	if ((unsigned)status >= SC_N_STATUS)
		return "unknown status";
	return statuses[status].name;
}

int sc_status_exit_code(enum sc_status status)
{
	if ((unsigned)status >= SC_N_STATUS)
		return EXIT_FAILURE;
	return statuses[status].exit_code;
}
