/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/http/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void on_wake(void *arg)
{
	struct peer *peer = arg;

	peer->n_wakes++;
}

void peer_init(struct peer *peer, const struct http_routes *routes, size_t n_routes)
{
	memset(peer, 0, sizeof *peer);
	buf_init(&peer->answer);
	peer->budget.max_bytes = 64 << 20;
	peer->now_ns = 1;
	peer->config = (struct http_session_config){
		.routes = routes,
		.n_routes = n_routes,
		.budget = &peer->budget,
		.limits = &peer->limits,
		.client = 7,
		.max_message = 1 << 20,
		.on_wake = on_wake,
		.arg = peer,
	};
}

void peer_open(struct peer *peer)
{
	assert_int_equal(http_session_create(&peer->config, &peer->session), SC_OK);
}

void peer_close(struct peer *peer)
{
	http_session_destroy(peer->session);
	peer->session = NULL;
	buf_deinit(&peer->answer);
	assert_int_equal(peer->budget.n_bytes, 0);
}

/* Cuts Date fields out of what came since `from`. */
static void cut_dates(struct buf *answer)
{
	char *at;

	while ((at = strstr(answer->data, "\r\nDate: "))) {
		char *end = strstr(at + 2, "\r\n");

		if (!end)
			return;
		memmove(at, end, answer->length + 1 - (size_t)(end - answer->data));
		answer->length -= (size_t)(end - at);
	}
}

void peer_take_some(struct peer *peer, size_t n_max)
{
	const size_t had = peer->answer.length;
	const uint8_t *bytes;
	size_t n;

	do {
		assert_int_equal(http_session_send(peer->session, peer->now_ns, &bytes, &n, NULL),
				 SC_OK);
		if (n)
			assert_int_equal(buf_add(&peer->answer, bytes, n), SC_OK);
	} while (n && peer->answer.length - had < n_max);
	cut_dates(&peer->answer);
}

void peer_take(struct peer *peer)
{
	peer_take_some(peer, SIZE_MAX);
}

static void give(struct peer *peer, const void *bytes, size_t n_bytes)
{
	/* A copy of its own, so that reading beyond the end is noticed. */
	char *copy = malloc(n_bytes);

	assert_non_null(copy);
	memcpy(copy, bytes, n_bytes);
	assert_int_equal(http_session_receive(peer->session, copy, n_bytes, peer->now_ns, NULL),
			 SC_OK);
	free(copy);
}

void peer_send_bytes(struct peer *peer, const void *bytes, size_t n_bytes, size_t n_piece)
{
	const char *at = bytes;

	while (n_bytes) {
		const size_t n = n_piece && n_piece < n_bytes ? n_piece : n_bytes;

		give(peer, at, n);
		peer_take(peer);
		at += n;
		n_bytes -= n;
	}
}

void peer_send(struct peer *peer, const char *text)
{
	peer_send_bytes(peer, text, strlen(text), 0);
}

void peer_give(struct peer *peer, const char *text)
{
	give(peer, text, strlen(text));
}

void peer_forget(struct peer *peer)
{
	buf_truncate(&peer->answer, 0);
}

const char *peer_ask(struct peer *peer, const char *text)
{
	peer_forget(peer);
	peer_send(peer, text);
	return peer->answer.data;
}

void peer_expect_status(const struct peer *peer, unsigned status)
{
	char begin[32];

	snprintf(begin, sizeof begin, "HTTP/1.1 %u ", status);
	if (strncmp(peer->answer.data, begin, strlen(begin)))
		fail_msg("expected %s, found %s", begin, peer->answer.data);
}

void peer_expect(const struct peer *peer, const char *text)
{
	if (!strstr(peer->answer.data, text))
		fail_msg("expected %s in %s", text, peer->answer.data);
}

void peer_expect_not(const struct peer *peer, const char *text)
{
	if (strstr(peer->answer.data, text))
		fail_msg("did not expect %s in %s", text, peer->answer.data);
}
