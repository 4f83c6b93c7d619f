/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_STATUS_H
#define STAGECOACH_BASE_STATUS_H
/*
 * status - the result of a call that can fail.
 * Values are grouped by how much a failure takes down, smallest first.
 * Functions write their outputs only on SC_OK.
 */

/* Marks a function whose result must not be ignored. */
#define must_check __attribute__((warn_unused_result))

enum sc_status {
	SC_OK = 0,
	SC_AGAIN,		/* try again later: full, no credit, or nothing there yet */

	/* The request is wrong. Nothing else is affected. */
	SC_E_INVALID,		/* malformed or out of range */
	SC_E_NOT_FOUND,
	SC_E_EXISTS,
	SC_E_TOO_LARGE,		/* over a stated limit */
	SC_E_UNSUPPORTED,	/* valid, but not implemented */
	SC_E_OVERLOADED,	/* a queue is full: retry later */
	SC_E_UNAVAILABLE,	/* loading, draining, or a stage is lost */
	SC_E_DENIED,		/* without the key or the permission that it needs */

	/* One job fails. */
	SC_E_CANCELLED,
	SC_E_DEADLINE,
	SC_E_NUMERIC,		/* its logits are not finite numbers */

	/* One link is lost; its peer may be, too. */
	SC_E_CLOSED,
	SC_E_PROTOCOL,		/* the peer sent a frame that the protocol does not allow */
	SC_E_TIMEOUT,

	/* A worker cannot do its work. */
	SC_E_CAPACITY,		/* planned memory or blocks are not available */
	SC_E_DEVICE,

	/* The process cannot continue. */
	SC_E_CONFIG,		/* flags, environment or configuration file */
	SC_E_FORMAT,		/* a file is malformed */
	SC_E_IO,
	SC_E_NOMEM,
	SC_E_INTERNAL,		/* a bug in this program */
	SC_N_STATUS,
};

/* Returns a short lower-case name ("not found") in static storage. */
const char *sc_status_name(enum sc_status status);

/* The exit code of a program that ends with status: 0, 1, or one of sysexits.h (64 usage, 65 data,
 * 66 input missing, 69 unavailable, 75 try again, 77 denied, 78 configuration). */
int sc_status_exit_code(enum sc_status status);

#endif
