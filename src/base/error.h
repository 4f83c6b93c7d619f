/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_ERROR_H
#define STAGECOACH_BASE_ERROR_H
/*
 * error - a status with one line of text: what was wrong, where, what was expected and what was
 * found.
 * Ownership: the caller owns the storage. Every function accepts a NULL err; it then only returns
 * the status.
 */
#include "base/status.h"

#include <stdint.h>

#define ERROR_TEXT_MAX 512

struct error {
	enum sc_status status;
	char text[ERROR_TEXT_MAX];	/* longer text is cut at the end;
					 * valid UTF-8 if all parts are */
};

/* Fills err and returns status, so that a caller can write `return error_set(...)`. */
enum sc_status error_set(struct error *err, enum sc_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, but appends the text of errnum to the message. */
enum sc_status error_errno(struct error *err, enum sc_status status, int errnum,
			   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Puts "context: " in front of the text. */
void error_prefix(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
