/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/stranger.h"

#include <string.h>

#define HTTP2_GOAWAY 7
#define HTTP2_SETTINGS 4
#define HTTP2_INADEQUATE_SECURITY 12
#define NEEDS_TLS "this port speaks TLS, and the request came without: use https, or --tls"
#define HAS_NO_TLS "this port speaks no TLS: use http, or leave out --tls. The server's settings " \
		   "tls-cert and tls-key turn TLS on"

static enum sc_status answer_http1(const char *message, struct buf *answer)
{
	static const char before[] = "{\"error\":{\"message\":\"";
	static const char after[] = "\",\"type\":\"invalid_request_error\",\"param\":null,"
				    "\"code\":400}}\n";

	return buf_add_format(answer, "HTTP/1.1 400 Bad Request\r\n"
			      "Content-Type: application/json\r\n"
			      "Content-Length: %zu\r\n"
			      "Connection: close\r\n\r\n%s%s%s",
			      sizeof before - 1 + strlen(message) + sizeof after - 1, before,
			      message, after);
}

/* Empty settings, which must come first, and GOAWAY (RFC 9113, 6.5 and 6.8). */
static enum sc_status answer_http2(const char *message, struct buf *answer)
{
	const size_t n = 8 + strlen(message);
	const uint8_t frames[] = {
		0, 0, 0, HTTP2_SETTINGS, 0, 0, 0, 0, 0,
		(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, HTTP2_GOAWAY, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, HTTP2_INADEQUATE_SECURITY,
	};
	enum sc_status status = buf_add(answer, frames, sizeof frames);

	return status == SC_OK ? buf_add_string(answer, message) : status;
}

enum sc_status stranger_answer(enum speaks speaks, bool has_tls, struct buf *answer)
{
	if (has_tls && speaks == SPEAKS_HTTP2)
		return answer_http2(NEEDS_TLS, answer);
	if (has_tls && speaks == SPEAKS_HTTP1)
		return answer_http1(NEEDS_TLS, answer);
	/* TLS libraries call such an answer a "wrong version number" or "not TLS", which people
	 * know; an alert would only say that the handshake failed. */
	if (!has_tls && speaks == SPEAKS_TLS)
		return answer_http1(HAS_NO_TLS, answer);
	return SC_OK;
}
