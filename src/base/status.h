/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_STATUS_H
#define STAGECOACH_BASE_STATUS_H
/*
 * status - what a call that can fail returns.
 * Values are grouped by what a failure takes down with it, smallest first.
 * Outputs are written only on SC_OK.
 */

/* Marks a function whose result must not be ignored. */
#define must_check __attribute__((warn_unused_result))

enum sc_status {
	SC_OK = 0,
	SC_AGAIN,		/* not now: full, no credit, nothing there yet */

	/* The request is at fault; nothing else is touched. */
	SC_E_INVALID,		/* malformed or out of range */
	SC_E_NOT_FOUND,
	SC_E_EXISTS,
	SC_E_TOO_LARGE,		/* over a stated limit */
	SC_E_UNSUPPORTED,	/* well formed, but not something we do */
	SC_E_OVERLOADED,	/* a queue is full: retry later */
	SC_E_UNAVAILABLE,	/* loading, draining or a stage is lost */

	/* One job ends. */
	SC_E_CANCELLED,
	SC_E_DEADLINE,
	SC_E_NUMERIC,		/* the model's logits for it are not finite numbers */

	/* One link is gone; its peer may be too. */
	SC_E_CLOSED,
	SC_E_PROTOCOL,		/* the peer sent what it must not send */
	SC_E_TIMEOUT,

	/* A worker cannot do its part. */
	SC_E_CAPACITY,		/* memory or blocks that were planned are not there */
	SC_E_DEVICE,

	/* The process cannot go on with what it wanted to do. */
	SC_E_CONFIG,		/* flags, environment or configuration file */
	SC_E_FORMAT,		/* a file is broken */
	SC_E_IO,
	SC_E_NOMEM,
	SC_E_INTERNAL,		/* our own bug */
	SC_N_STATUS,
};

/* A short lower-case name ("not found"); static storage. */
const char *sc_status_name(enum sc_status status);

/* The exit code for a program that ends with status: 0, 1, or one of sysexits.h
 * (64 usage, 65 data, 66 input missing, 69 unavailable, 75 try again, 78 configuration). */
int sc_status_exit_code(enum sc_status status);

#endif
