/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_error.h"

#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

const char *http_status_text(unsigned status)
{
	static const struct { unsigned status; const char *text; } texts[] = {
		{ 200, "OK" }, { 202, "Accepted" }, { 204, "No Content" },
		{ 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 408, "Request Timeout" }, { 409, "Conflict" }, { 411, "Length Required" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" }, { 417, "Expectation Failed" },
		{ 422, "Unprocessable Content" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
		{ 501, "Not Implemented" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (texts[i].status == status)
			return texts[i].text;
	return status < 400 ? "OK" : "Error";
}

const char *http_error_type(unsigned status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 404:
		return "not_found_error";
	case 429:
		return "rate_limit_error";
	case 501:
		return "not_supported_error";
	case 503:
		return "unavailable_error";
	default:
		return status < 500 ? "invalid_request_error" : "server_error";
	}
}

unsigned http_status_of(enum sc_status status)
{
	switch (status) {
	case SC_OK:
		return 200;
	case SC_E_INVALID:
		return 400;
	case SC_E_DENIED:
		return 401;
	case SC_E_NOT_FOUND:
		return 404;
	case SC_E_EXISTS:
		return 409;
	case SC_E_TOO_LARGE:
		return 413;
	case SC_E_UNSUPPORTED:
		return 501;
	case SC_AGAIN:
	case SC_E_OVERLOADED:
		return 429;
	case SC_E_UNAVAILABLE:
	case SC_E_CANCELLED:
	case SC_E_CLOSED:
		return 503;
	case SC_E_DEADLINE:
	case SC_E_TIMEOUT:
		return 504;
	default:
		return 500;
	}
}

/* --- JSON --- */

static enum sc_status add_escaped(struct buf *body, unsigned char c)
{
	if (c == '"' || c == '\\')
		return buf_add(body, (char[]){ '\\', (char)c }, 2);
	if (c == '\n')
		return buf_add_string(body, "\\n");
	return buf_add_format(body, "\\u%04x", c);
}

static enum sc_status add_string(struct buf *body, const char *string)
{
	const unsigned char *at = (const unsigned char *)string;
	enum sc_status status = buf_add(body, "\"", 1);

	while (*at && status == SC_OK) {
		const int n = utf8_next(at, strnlen((const char *)at, UTF8_MAX_BYTES));

		if (n <= 0)
			status = buf_add_string(body, "\xef\xbf\xbd");
		else if (*at < ' ' || *at == '"' || *at == '\\')
			status = add_escaped(body, *at);
		else
			status = buf_add(body, at, (size_t)n);
		at += n > 0 ? n : 1;
	}
	return status == SC_OK ? buf_add(body, "\"", 1) : status;
}

static enum sc_status add_member(struct buf *body, const char *name, const char *value)
{
	enum sc_status status = buf_add_string(body, name);

	if (status == SC_OK)
		status = value ? add_string(body, value) : buf_add_string(body, "null");
	return status;
}

enum sc_status http_error_write(const struct http_error *error, struct buf *body)
{
	const char *type = error->type ? error->type : http_error_type(error->status);
	enum sc_status status = add_member(body, "{\"error\":{\"message\":", error->message);

	if (status == SC_OK)
		status = add_member(body, ",\"type\":", type);
	if (status == SC_OK)
		status = add_member(body, ",\"param\":", error->param);
	if (status == SC_OK && error->code)
		status = add_member(body, ",\"code\":", error->code);
	else if (status == SC_OK)
		status = buf_add_format(body, ",\"code\":%u", error->status);
	if (status == SC_OK && error->members)
		status = buf_add_format(body, ",%s", error->members);
	return status == SC_OK ? buf_add_string(body, "}}") : status;
}
