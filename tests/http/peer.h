/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_HTTP_PEER_H
#define STAGECOACH_TESTS_HTTP_PEER_H
/*
 * peer - a client in memory at the other end of an http_session, for tests: sends bytes, and keeps
 * what the session answers, without Date fields, which change.
 */
#include "base/buf.h"
#include "http/http_session.h"

struct peer {
	struct http_session_config config;
	struct http_session *session;
	struct budget budget;
	struct limit_counts limits;
	uint64_t now_ns;
	struct buf answer;
	unsigned n_wakes;
};

/* Sets defaults in config, for peer_open: budget, limits, 1 MiB max_message, no time limit. */
void peer_init(struct peer *peer, const struct http_routes *routes, size_t n_routes);
void peer_open(struct peer *peer);
/* Also checks that no memory is left in the budget. */
void peer_close(struct peer *peer);

/* Sends bytes in pieces of at most n_piece (0: all at once), and takes what is answered after each
 * piece. */
void peer_send_bytes(struct peer *peer, const void *bytes, size_t n_bytes, size_t n_piece);
void peer_send(struct peer *peer, const char *text);
/* Only gives the bytes to the session. */
void peer_give(struct peer *peer, const char *text);
/* Takes all that the session has to say, or n_max bytes at least. */
void peer_take(struct peer *peer);
void peer_take_some(struct peer *peer, size_t n_max);

/* Sends a request and returns what is answered, borrowed until the next call. */
const char *peer_ask(struct peer *peer, const char *text);
void peer_forget(struct peer *peer);
/* Fails unless the answer begins with "HTTP/1.1 STATUS ". */
void peer_expect_status(const struct peer *peer, unsigned status);
/* Fails unless the answer contains, or does not contain, text. */
void peer_expect(const struct peer *peer, const char *text);
void peer_expect_not(const struct peer *peer, const char *text);

#endif
