/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an answer. */
#include "http/http_session_private.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), made once per second. */
static const char *date(struct http_session *session)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
					    "Aug", "Sep", "Oct", "Nov", "Dec" };
	const time_t now_s = (time_t)(clock_unix_ms() / 1000);
	struct tm tm;

	if (session->date[0] && session->date_s == now_s)
		return session->date;
	if (!gmtime_r(&now_s, &tm))
		return session->date;
	session->date_s = now_s;
	snprintf(session->date, sizeof session->date, "%s, %02d %s %04d %02d:%02d:%02d GMT",
		 days[tm.tm_wday % 7], tm.tm_mday % 100, months[tm.tm_mon % 12],
		 (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
	return session->date;
}

static enum sc_status write_framing(struct http_call *call, unsigned status,
				    const char *content_type, uint64_t n_body)
{
	struct buf *output = &call->output;
	enum sc_status rc = SC_OK;

	if (content_type)
		rc = buf_add_format(output, "Content-Type: %s\r\n", content_type);
	if (rc != SC_OK || status == 204 || status == 304)
		return rc;
	if (n_body != LENGTH_UNKNOWN)
		return buf_add_format(output, "Content-Length: %llu\r\n",
				      (unsigned long long)n_body);
	/* Caches and proxies must pass each event on at once. */
	rc = buf_add_string(output, "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n");
	if (rc == SC_OK && call->is_chunked)
		rc = buf_add_string(output, "Transfer-Encoding: chunked\r\n");
	return rc;
}

static const char *connection_field(const struct http_call *call)
{
	if (call->closes)
		return "Connection: close\r\n";
	return call->head.minor ? "" : "Connection: keep-alive\r\n";
}

static enum sc_status write_fields(struct http_call *call, unsigned status)
{
	struct buf *output = &call->output;
	const char *retry = "";

	if ((status == 429 || status == 503) && !call->pass.retry_after_s &&
	    !strstr(call->headers.data, "Retry-After:"))
		retry = "Retry-After: 1\r\n";
	if (buf_add_string(output, retry) != SC_OK ||
	    buf_add_string(output, call->pass.headers) != SC_OK ||
	    buf_add(output, call->headers.data, call->headers.length) != SC_OK ||
	    buf_add_string(output, connection_field(call)) != SC_OK)
		return SC_E_NOMEM;
	if (call->pass.retry_after_s)
		return buf_add_format(output, "Retry-After: %u\r\n\r\n", call->pass.retry_after_s);
	return buf_add_string(output, "\r\n");
}

enum sc_status http_answer_write_head(struct http_call *call, unsigned status,
				      const char *content_type, uint64_t n_body)
{
	struct http_session *session = call->session;
	const size_t had = call->output.length;

	call->has_no_body = call->head.method == HTTP_HEAD || status == 204 || status == 304;
	if (session->is_draining)
		call->closes = true;
	if (n_body == LENGTH_UNKNOWN) {
		call->is_chunked = call->head.minor;
		call->closes = call->closes || !call->is_chunked;
	}
	if (buf_add_format(&call->output, "HTTP/1.1 %u %s\r\nDate: %s\r\nX-Request-Id: %s\r\n",
			   status, http_status_text(status), date(session), call->id) == SC_OK &&
	    write_framing(call, status, content_type, n_body) == SC_OK &&
	    write_fields(call, status) == SC_OK) {
		call->has_begun = true;
		call->record.status = status;
		return SC_OK;
	}
	buf_truncate(&call->output, had);
	return SC_E_NOMEM;
}
