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
	CLIENT("GET / HTTP/1.1\r\nHost: x\r\n\r\n", SPEAKS_HTTP1, 4),
	CLIENT("POST /v1/chat/completions HTTP/1.1\r\n", SPEAKS_HTTP1, 5),
	CLIENT("OPTIONS * HTTP/1.0\r\n", SPEAKS_HTTP1, 8),
	CLIENT("\x16\x03\x01\x02\x00\x01", SPEAKS_TLS, 2),
	CLIENT("\x16\x02\x01\x02\x00\x01", SPEAKS_OTHER, 2),
	CLIENT("get / http/1.1\r\n", SPEAKS_OTHER, 1),
	CLIENT(" GET / HTTP/1.1\r\n", SPEAKS_OTHER, 1),
	CLIENT("GET\t/ HTTP/1.1\r\n", SPEAKS_OTHER, 4),
	CLIENT("ABCDEFGHIJKLMNOPQRSTUVWXYZ", SPEAKS_OTHER, 17),
	CLIENT("\0\0\0\0\0", SPEAKS_OTHER, 1),
	CLIENT("SSH-2.0-OpenSSH_9.2\r\n", SPEAKS_OTHER, 4),
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

static const char *answer_to(const char *request, struct buf *answer)
{
	struct first_bytes first = { .n = 0 };
	const char nul = '\0';

	assert_int_equal(first_bytes_add(&first, request, strlen(request)), SPEAKS_HTTP1);
	assert_int_equal(first_bytes_answer(&first, "--listen", "[::1]:8080", answer), SC_OK);
	assert_int_equal(buf_add(answer, &nul, 1), SC_OK);
	return answer->data;
}

static void an_http_1_client_learns_what_this_is(void **state)
{
	struct buf answer = BUF_INIT;
	const char *text = answer_to("GET / HTTP/1.1\r\n\r\n", &answer), *body;
	unsigned length;

	(void)state;
	assert_int_equal(strncmp(text, "HTTP/1.1 400 ", 13), 0);
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Length: "));
	assert_int_equal(sscanf(strstr(text, "Content-Length: "), "Content-Length: %u", &length),
			 1);
	body = strstr(text, "\r\n\r\n") + 4;
	assert_int_equal(strlen(body), length);
	assert_non_null(strstr(body, "Stagecoach"));
	assert_non_null(strstr(body, "stagecoach generate --listen [::1]:8080 -p"));
	buf_deinit(&answer);
}

static void the_answer_to_head_has_no_body(void **state)
{
	struct buf answer = BUF_INIT;
	const char *text = answer_to("HEAD / HTTP/1.1\r\n\r\n", &answer);

	(void)state;
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	buf_deinit(&answer);
}

static void a_long_address_is_cut_with_its_text(void **state)
{
	struct first_bytes first = { .n = 0 };
	struct buf answer = BUF_INIT;
	char path[4000];

	(void)state;
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(first_bytes_add(&first, "GET ", 4), SPEAKS_HTTP1);
	assert_int_equal(first_bytes_answer(&first, "--socket", path, &answer), SC_OK);
	assert_in_range(answer.length, 1024, 1200);
	buf_deinit(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_is_known_by_its_first_bytes_however_they_arrive),
		cmocka_unit_test(an_http_1_client_learns_what_this_is),
		cmocka_unit_test(the_answer_to_head_has_no_body),
		cmocka_unit_test(a_long_address_is_cut_with_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
