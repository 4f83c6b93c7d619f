/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_HTTP_ERROR_H
#define STAGECOACH_HTTP_HTTP_ERROR_H
/*
 * http_error - the error object that clients of OpenAI's API read:
 *	{"error":{"message":"...","type":"invalid_request_error","param":null,"code":400}}
 * Thread: any.
 */
#include "base/buf.h"
#include "base/status.h"

struct http_error {
	unsigned status;	/* of HTTP */
	const char *message;
	const char *param;	/* the field that is at fault; NULL: none */
	const char *type;	/* NULL: as http_error_type has it */
	const char *code;	/* "context_length_exceeded"; NULL: the status as a number */
	const char *members;	/* further members as JSON, "\"n_ctx\":512"; NULL: none */
};

/* "Not Found" for 404. */
const char *http_status_text(unsigned status);
/* "not_found_error" for 404. */
const char *http_error_type(unsigned status);
/* The HTTP status of a failure: 400 for SC_E_INVALID and so on. */
unsigned http_status_of(enum sc_status status);

/* Appends the object. Bytes of its strings that are not UTF-8 become U+FFFD. SC_E_NOMEM. */
must_check enum sc_status http_error_write(const struct http_error *error, struct buf *body);

#endif
