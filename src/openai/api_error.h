/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_API_ERROR_H
#define STAGECOACH_OPENAI_API_ERROR_H
/*
 * api_error - why a request was refused or failed, as clients of OpenAI's API read it:
 * {"error": {"message", "type", "param", "code"}}.
 * Thread: any; the answer: the loop's.
 */
#include "base/error.h"
#include "config/limits.h"

#include <stdbool.h>

struct buf;
struct http_call;
struct json_reader;

#define API_ERROR_PARAM_BYTES 64

struct api_error {
	struct error error;	/* SC_OK: none */
	char param[API_ERROR_PARAM_BYTES];	/* the field at fault; "": none */
	const char *code;	/* static; NULL: the HTTP status */
	bool has_met_limit;	/* met_limit was exceeded; the loop counts it */
	enum limit met_limit;
};

void api_error_init(struct api_error *error);
/* Takes the fault of a reader. Returns its status. */
enum sc_status api_error_take(struct api_error *error, const struct json_reader *reader);
/* Fills all but the text, which is in error->error, from a status. */
void api_error_set(struct api_error *error, enum sc_status status, const char *param);
/* The prompt does not fit into the context: 400 with a code of its own. */
void api_error_set_context(struct api_error *error, const char *param);

unsigned api_error_http_status(const struct api_error *error);
/* Appends the whole object. SC_E_NOMEM. */
must_check enum sc_status api_error_write(const struct api_error *error, struct buf *text);
/* Answers the call, which has not begun. */
void api_error_answer(struct http_call *call, const struct api_error *error);

#endif
