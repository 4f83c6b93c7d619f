/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an HTTP/1.1 client. The first byte says in pieces of which size they come. They are
 * also given all at once: the answers must be the same, and each must be well-formed.
 */
#include "tests/fuzz/fuzz.h"

#include "http/http_session.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 4096

static unsigned n_open;

/* --- services --- */

/* Uses all that a call hands out. */
static void echo_start(struct http_call *call)
{
	size_t n;
	const char *body = http_call_body(call, &n);
	const char *host = http_call_header(call, "host");
	const size_t n_used = strlen(http_call_path(call)) + strlen(http_call_query(call)) +
			      (host ? strlen(host) : 0) + strlen(http_call_id(call));

	if (http_call_add_header(call, "X-Used", n_used % 2 ? "odd" : "even") != SC_OK)
		abort();
	http_call_answer(call, 200, "text/plain", body, n);
}

static void stream_start(struct http_call *call)
{
	struct buf body = http_call_take_body(call);
	unsigned *n_left = malloc(sizeof *n_left);

	buf_deinit(&body);
	if (!n_left || http_call_begin(call, 200, "text/event-stream") != SC_OK)
		abort();
	*n_left = 3;
	n_open++;
	http_call_set_state(call, n_left);
}

static void stream_pull(struct http_call *call)
{
	unsigned *n_left = http_call_state(call);

	if (!--*n_left)
		http_call_end(call);
	else if (http_call_add(call, "data: x\n\n", 9) != SC_OK)
		abort();
}

static void stream_close(struct http_call *call)
{
	free(http_call_state(call));
	n_open--;
}

static void break_start(struct http_call *call)
{
	if (http_call_begin(call, 200, NULL) != SC_OK || http_call_add(call, "x", 1) != SC_OK)
		abort();
	http_call_break(call);
}

static const struct http_call_ops echo = { .start = echo_start };
static const struct http_call_ops stream = {
	.start = stream_start, .pull = stream_pull, .close = stream_close,
};
static const struct http_call_ops breaks = { .start = break_start };
static const struct http_route routes[] = {
	{ .path = "/e", .methods = HTTP_GET | HTTP_POST, .ops = &echo },
	{ .path = "/s", .methods = HTTP_GET | HTTP_POST, .ops = &stream },
	{ .path = "/m/*", .methods = HTTP_GET | HTTP_DELETE, .ops = &echo },
	{ .path = "/b", .methods = HTTP_GET, .ops = &breaks },
};

/* --- a connection --- */

static bool is_restricted(void *arg)
{
	(void)arg;
	return false;
}

static void take_output(struct http_session *session, struct buf *output)
{
	const uint8_t *bytes;
	size_t n;

	do {
		if (http_session_send(session, 1, &bytes, &n, NULL) != SC_OK ||
		    buf_add(output, bytes, n) != SC_OK)
			abort();
	} while (n);
}

/* Appends the answers to the bytes, which come in pieces of n_piece. */
static void run(const uint8_t *bytes, size_t n_bytes, size_t n_piece, struct buf *output)
{
	static const struct http_routes table = { routes, sizeof routes / sizeof routes[0], NULL };
	struct budget budget = { .max_bytes = 1 << 20 };
	struct http_session_config config = {
		.routes = &table, .n_routes = 1, .budget = &budget, .max_message = MAX_MESSAGE,
		.request_ns = 1000, .is_restricted = is_restricted,
	};
	struct http_session *session;

	if (http_session_create(&config, &session) != SC_OK)
		abort();
	while (n_bytes) {
		const size_t n = n_piece < n_bytes ? n_piece : n_bytes;

		if (http_session_receive(session, bytes, n, 1, NULL) != SC_OK)
			abort();
		take_output(session, output);
		if (!http_session_wants_input(session))
			abort();
		bytes += n;
		n_bytes -= n;
	}
	http_session_expire(session, 2000);
	take_output(session, output);
	http_session_refuse_calls(session);
	if (!http_session_is_done(session))
		abort();
	http_session_destroy(session);
	if (budget.n_bytes || n_open)
		abort();
}

/* --- its answers --- */

/* Ids and dates differ. */
static void mask(struct buf *output, const char *name)
{
	char *at = output->data;

	while ((at = memmem(at, output->length - (size_t)(at - output->data), name,
			    strlen(name)))) {
		at += strlen(name);
		while (*at && *at != '\r')
			*at++ = '-';
	}
}

/* The end of a chunked body, or NULL. */
static const char *skip_chunks(const char *at)
{
	for (;;) {
		char *end;
		const unsigned long n = strtoul(at, &end, 16);

		if (end == at || strncmp(end, "\r\n", 2))
			return NULL;
		if (strnlen(end + 2, n) < n || strncmp(end + 2 + n, "\r\n", 2))
			return NULL;
		at = end + 4 + n;
		if (!n)
			return at;
	}
}

/* The end of the answer, or NULL: it ends with the connection. Aborts if it is malformed. The
 * bodies have no NUL as long as the requests have none. */
static const char *skip_answer(const char *at)
{
	const char *end = strstr(at, "\r\n\r\n"), *field;

	if (strncmp(at, "HTTP/1.1 ", 9) || !end)
		abort();
	field = strstr(at, "\r\nContent-Length: ");
	if (field && field < end)
		return end + 4 + strtoul(field + 18, NULL, 10);
	field = strstr(at, "\r\nTransfer-Encoding: chunked\r\n");
	if (field && field < end + 2)
		return skip_chunks(end + 4);
	field = strstr(at, "\r\nConnection: close\r\n");
	return field && field < end + 2 ? NULL : end + 4;
}

static void check_answers(const struct buf *output)
{
	const char *at = output->data;

	while (at && *at) {
		if (at > output->data + output->length)
			abort();
		at = skip_answer(at);
	}
	if (at && at != output->data + output->length)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, pieces = BUF_INIT;

	if (size < 2 || size > HTTP_MAX_HELD)
		return 0;
	run(data + 1, size - 1, SIZE_MAX, &whole);
	run(data + 1, size - 1, 1 + data[0] % 64, &pieces);
	/* The answer to HEAD has a length and no body. */
	if (!memmem(data, size, "HEAD", 4) && !memchr(data, '\0', size))
		check_answers(&whole);
	mask(&whole, "\r\nX-Request-Id: ");
	mask(&pieces, "\r\nX-Request-Id: ");
	mask(&whole, "\r\nDate: ");
	mask(&pieces, "\r\nDate: ");
	if (whole.length != pieces.length || memcmp(whole.data, pieces.data, whole.length))
		abort();
	buf_deinit(&whole);
	buf_deinit(&pieces);
	return 0;
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const char *const seeds[] = {
		"!GET /e?q=1 HTTP/1.1\r\nHost: a\r\nX-Request-Id: me\r\n\r\n"
		"POST /e HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\n\r\nhello\r\n"
		"GET /s HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n",
		"\1POST /e/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5;x=\"y\"\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
		"DELETE /m/x%2Fy HTTP/1.1\r\nHost: a\r\nA: b\r\nA: c\r\n\r\n",
		"\7POST /s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
		"Content-Length: 2\r\n\r\n{}"
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
		"\5GET http://h:1/s?x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
		"HEAD /e HTTP/1.0\r\n\r\n",
		"\3POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
		"PUT /e HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
		"\11GET /b HTTP/1.1\r\nHost: a\r\n\r\nGET /e HTTP/1.1\r\nHost: a\r\n\r\n",
		"\2GET /e HTTP/2.0\r\nHost: a\r\n\r\n",
		"\4POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	};

	return i < sizeof seeds / sizeof seeds[0] && buf_add_string(seed, seeds[i]) == SC_OK;
}
