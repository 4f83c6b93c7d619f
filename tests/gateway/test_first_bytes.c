/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/first_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static const struct {
	const char *bytes;
	size_t n;
	enum speaks speaks;
	size_t n_needed;	/* bytes after which that is clear */
} clients[] = {
#define CLIENT(text, speaks, n_needed) { text, sizeof text - 1, speaks, n_needed }
	CLIENT(PREFACE "\0\0\0\4\0\0\0\0\0", SPEAKS_HTTP2, 24),
	CLIENT("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", SPEAKS_HTTP1, 24),
	CLIENT("PRI * HTTP/1.1\r\n", SPEAKS_HTTP1, 12),
	CLIENT("GET / HTTP/1.1\r\nHost: x\r\n\r\n", SPEAKS_HTTP1, 1),
	CLIENT("POST /v1/chat/completions HTTP/1.1\r\n", SPEAKS_HTTP1, 2),
	CLIENT("PRINT / HTTP/1.1\r\n", SPEAKS_HTTP1, 4),
	CLIENT("\r\nGET / HTTP/1.1\r\n", SPEAKS_HTTP1, 1),
	CLIENT("get / http/1.1\r\n", SPEAKS_HTTP1, 1),
	CLIENT("SSH-2.0-OpenSSH_9.2\r\n", SPEAKS_HTTP1, 1),
	CLIENT("\x16\x03\x01\x02\x00\x01", SPEAKS_TLS, 2),
	CLIENT("\x16\x02\x01\x02\x00\x01", SPEAKS_OTHER, 2),
	CLIENT("\0\0\0\0\0", SPEAKS_OTHER, 1),
	CLIENT("\200\1", SPEAKS_OTHER, 1),
	CLIENT("\x7f", SPEAKS_OTHER, 1),
	CLIENT("PRI", SPEAKS_UNKNOWN, 3),
	CLIENT("\x16", SPEAKS_UNKNOWN, 1),
#undef CLIENT
};

enum { N_CLIENTS = sizeof clients / sizeof clients[0] };

/* In pieces of n_piece bytes, the first of which is n_first long. */
static void expect_in_pieces(size_t c, size_t n_first, size_t n_piece)
{
	struct first_bytes first = { .n = 0 };
	size_t n = n_first;

	for (size_t at = 0; at < clients[c].n; at += n, n = n_piece) {
		enum speaks speaks;

		if (n > clients[c].n - at)
			n = clients[c].n - at;
		speaks = first_bytes_add(&first, clients[c].bytes + at, n);
		if (speaks != (at + n < clients[c].n_needed ? SPEAKS_UNKNOWN : clients[c].speaks))
			fail_msg("client %zu, %zu bytes: found %d", c, at + n, speaks);
	}
}

static void a_client_is_known_by_its_first_bytes_however_they_arrive(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CLIENTS; c++)
		for (size_t n_first = 1; n_first <= clients[c].n; n_first++)
			for (size_t n_piece = 1; n_piece <= clients[c].n; n_piece++)
				expect_in_pieces(c, n_first, n_piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_is_known_by_its_first_bytes_however_they_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
