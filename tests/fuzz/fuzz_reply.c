/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP response with server-sent events as a foreign server sends it to the load client, and
 * what its events say. Whole or in pieces, the outcome must be the same. */
#include "tests/fuzz/fuzz.h"

#include "bench/serve_event.h"
#include "bench/serve_reply.h"

#include <stdlib.h>
#include <string.h>

struct outcome {
	enum sc_status status;
	size_t n_used;
	unsigned n_events;
	size_t n_bytes;		/* of all events */
	uint32_t n_tokens;
};

static enum sc_status on_event(void *arg, const char *data, size_t n_bytes, struct error *err)
{
	struct outcome *outcome = arg;
	struct completion_event event;

	if (data[n_bytes] != '\0' || n_bytes > REPLY_MAX_EVENT)
		abort();
	outcome->n_events++;
	outcome->n_bytes += n_bytes;
	if (completion_event_parse(data, n_bytes, &event, err) == SC_OK)
		outcome->n_tokens += event.n_predicted;
	return SC_OK;
}

static struct outcome run(const uint8_t *data, size_t size, size_t cut)
{
	struct outcome outcome = { .status = SC_AGAIN };
	struct reply reply;
	struct error err;

	reply_init(&reply, on_event, &outcome);
	for (size_t at = 0; at < size && outcome.status == SC_AGAIN; at += cut) {
		const uint8_t *bytes = data + at;
		size_t n = size - at < cut ? size - at : cut;
		size_t n_left = n;

		outcome.status = reply_feed(&reply, &bytes, &n_left, &err);
		if (bytes + n_left != data + at + n || (outcome.status == SC_AGAIN && n_left))
			abort();
		outcome.n_used += n - n_left;
	}
	if (outcome.status == SC_AGAIN)
		outcome.status = reply_close(&reply, &err);
	if (reply.n_text > REPLY_MAX_TEXT || reply.text[reply.n_text] != '\0')
		abort();
	reply_deinit(&reply);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t cuts[] = { 1, 2, 7, 100 };
	struct outcome whole = run(data, size, size + 1);

	for (unsigned i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
		struct outcome cut = run(data, size, cuts[i]);

		/* How far it came before an error depends on the pieces. */
		if (cut.status != whole.status || cut.n_events != whole.n_events ||
		    cut.n_bytes != whole.n_bytes || cut.n_tokens != whole.n_tokens ||
		    (whole.status == SC_OK && cut.n_used != whole.n_used))
			abort();
	}
	return 0;
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const char *const seeds[] = {
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		"Transfer-Encoding: chunked\r\n\r\n"
		"2f\r\ndata: {\"content\":\"a\",\"tokens_predicted\":1}\n\n:\n\n\r\n"
		"31\r\ndata: {\"stop\":true,\"tokens_predicted\":2,\"x\":[{}]}\n\r\n"
		"1\r\n\n\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 20\r\n"
		"Content-Type: text/event-stream\r\nConnection: close\r\n\r\n"
		"data: a\r\ndata: b\r\n\r\n",
		"HTTP/1.1 503 Loading\r\nContent-Length: 13\r\n\r\n{\"error\":{}}\n",
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
		"data: {\"error\":{\"code\":1}}\n\ndata: [DONE]\n\n",
	};

	return i < sizeof seeds / sizeof seeds[0] && buf_add_string(seed, seeds[i]) == SC_OK;
}
