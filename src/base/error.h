/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_ERROR_H
#define STAGECOACH_BASE_ERROR_H
/*
 * error - a status with one line that says where, what was expected and what was found.
 * Storage is the caller's; every function accepts a NULL error and then only passes the status on.
 */
#include "base/status.h"

#include <stdint.h>

#define ERROR_TEXT_MAX 512

struct error {
	enum sc_status status;
	char text[ERROR_TEXT_MAX];	/* cut at the end when longer; always valid UTF-8 if its
					 * parts are */
};

/* Fill err and return status, so that `return error_set(...)` reads well. */
enum sc_status error_set(struct error *err, enum sc_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, with the text of errno behind the message. */
enum sc_status error_errno(struct error *err, enum sc_status status, int errnum,
			   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Put "context: " in front of the text. */
void error_prefix(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
