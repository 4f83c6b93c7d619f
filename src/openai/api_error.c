/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/api_error.h"

#include "http/http_call.h"
#include "http/http_error.h"
#include "openai/json_reader.h"

#include <stdio.h>

void api_error_init(struct api_error *error)
{
	*error = (struct api_error){ .error = { .status = SC_OK } };
}

void api_error_set(struct api_error *error, enum sc_status status, const char *param)
{
	error->error.status = status;
	snprintf(error->param, sizeof error->param, "%s", param ? param : "");
}

void api_error_set_context(struct api_error *error, const char *param)
{
	api_error_set(error, SC_E_TOO_LARGE, param);
	error->code = "context_length_exceeded";
	error->has_met_limit = true;
	error->met_limit = LIMIT_CONTEXT;
}

enum sc_status api_error_take(struct api_error *error, const struct json_reader *reader)
{
	error->error = reader->error;
	if (reader->status == SC_E_TOO_LARGE)
		api_error_set_context(error, reader->param);
	else
		api_error_set(error, reader->status, reader->param);
	if (reader->status == SC_E_UNSUPPORTED)
		error->code = "not_supported";
	return reader->status;
}

/* 400 for what is not supported, too: clients send a request again after a status of 500 and more.
 * 400 for a prompt that is too long, as OpenAI has it; 413 for a body. */
unsigned api_error_http_status(const struct api_error *error)
{
	const bool is_body = error->has_met_limit && error->met_limit == LIMIT_REQUEST_MEMORY;

	switch (error->error.status) {
	case SC_E_TOO_LARGE:
		return is_body ? 413 : 400;
	case SC_E_UNSUPPORTED:
		return 400;
	default:
		return http_status_of(error->error.status);
	}
}

static struct http_error object_of(const struct api_error *error)
{
	return (struct http_error){
		.status = api_error_http_status(error),
		.message = *error->error.text ? error->error.text
					      : sc_status_name(error->error.status),
		.param = *error->param ? error->param : NULL,
		.type = error->error.status == SC_E_UNSUPPORTED ? "not_supported_error" : NULL,
		.code = error->code,
	};
}

enum sc_status api_error_write(const struct api_error *error, struct buf *text)
{
	const struct http_error object = object_of(error);

	return http_error_write(&object, text);
}

void api_error_answer(struct http_call *call, const struct api_error *error)
{
	const struct http_error object = object_of(error);

	if (error->has_met_limit)
		limit_refuse(http_call_limits(call), error->met_limit);
	http_call_refuse_as(call, &object);
}
