/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tls_filter.h"

#include "tests/gateway/certificates.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <gnutls/gnutls.h>

static char directory[] = "/tmp/stagecoach-tls.XXXXXX";

/* --- files --- */

static const char *path(const char *name)
{
	static char paths[8][128];
	static unsigned at;
	char *text = paths[at++ % 8];

	if (!*name)
		return "";
	snprintf(text, sizeof paths[0], "%s/%s", directory, name);
	return text;
}

static struct tls_files files(const char *cert, const char *key, const char *ca)
{
	return (struct tls_files){ path(cert), path(key), path(ca) };
}

static struct tls_credentials *serve(const char *name, const char *ca)
{
	struct tls_credentials *credentials = NULL;
	struct error err = { .text = "" };
	char cert[32], key[32];
	struct tls_files read;

	snprintf(cert, sizeof cert, "%s.crt", name);
	snprintf(key, sizeof key, "%s.key", name);
	read = files(cert, key, ca);
	if (tls_credentials_serve(&read, &credentials, &err) != SC_OK)
		fail_msg("%s", err.text);
	return credentials;
}

static struct tls_credentials *dial(const char *cert, const char *key, const char *ca)
{
	struct tls_credentials *credentials = NULL;
	struct tls_files read = files(cert, key, ca);
	struct error err = { .text = "" };

	if (tls_credentials_dial(&read, &credentials, &err) != SC_OK)
		fail_msg("%s", err.text);
	return credentials;
}

/* --- two ends --- */

struct end {
	struct tls_filter *filter;
	struct buf plain;
	enum sc_status status;
	struct error err;
};

struct ends {
	struct end server, client;
};

static void open_ends(struct ends *ends, struct tls_credentials *server,
		      struct tls_credentials *client, const char *host)
{
	*ends = (struct ends){ .server = { .plain = BUF_INIT }, .client = { .plain = BUF_INIT } };
	assert_int_equal(tls_filter_serve(server, &ends->server.filter), SC_OK);
	assert_int_equal(tls_filter_dial(client, host, &ends->client.filter), SC_OK);
	/* The filters keep them. */
	tls_credentials_unref(server);
	tls_credentials_unref(client);
}

static void close_ends(struct ends *ends)
{
	struct end *both[] = { &ends->server, &ends->client };

	for (int i = 0; i < 2; i++) {
		tls_filter_destroy(both[i]->filter);
		buf_deinit(&both[i]->plain);
	}
}

/* In pieces of at most n_piece bytes. Returns false if there was nothing to move. */
static bool move(struct end *from, struct end *to, size_t n_piece)
{
	struct buf *output = tls_filter_output(from->filter);
	const bool had_any = output->length;

	while (output->length) {
		size_t n = output->length < n_piece ? output->length : n_piece;

		if (to->status == SC_OK)
			to->status = tls_filter_receive(to->filter, output->data, n, &to->plain,
							&to->err);
		buf_consume(output, n);
	}
	return had_any;
}

static void talk(struct ends *ends, size_t n_piece)
{
	while (move(&ends->client, &ends->server, n_piece) |
	       move(&ends->server, &ends->client, n_piece))
		;
}

static void say(struct end *from, const char *text)
{
	assert_int_equal(tls_filter_send(from->filter, text, strlen(text)), SC_OK);
}

/* --- tests --- */

static void both_ends_read_what_the_other_writes(void **state)
{
	static const size_t pieces[] = { 1, 7, 1000, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		struct ends ends;

		open_ends(&ends, serve("server", ""), dial("", "", "ca.crt"), "localhost");
		assert_false(tls_filter_is_secure(ends.server.filter));
		talk(&ends, pieces[i]);
		assert_true(tls_filter_is_secure(ends.server.filter));
		assert_true(tls_filter_is_secure(ends.client.filter));
		assert_int_equal(tls_filter_alpn(ends.server.filter), TLS_ALPN_HTTP2);
		assert_int_equal(tls_filter_alpn(ends.client.filter), TLS_ALPN_HTTP2);
		say(&ends.client, "question");
		say(&ends.server, "an");
		say(&ends.server, "swer");
		talk(&ends, pieces[i]);
		assert_string_equal(ends.server.plain.data, "question");
		assert_string_equal(ends.client.plain.data, "answer");
		close_ends(&ends);
	}
}

static void long_texts_pass_whole(void **state)
{
	const size_t n_bytes = 1000000;
	char *text = malloc(n_bytes);
	struct ends ends;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < n_bytes; i++)
		text[i] = (char)(i * 7 + i / 1000);
	open_ends(&ends, serve("server", ""), dial("", "", "ca.crt"), "127.0.0.1");
	talk(&ends, 4096);
	assert_int_equal(tls_filter_send(ends.server.filter, text, n_bytes), SC_OK);
	talk(&ends, 1024);
	assert_int_equal(ends.client.plain.length, n_bytes);
	assert_memory_equal(ends.client.plain.data, text, n_bytes);
	close_ends(&ends);
	free(text);
}

static void the_end_is_told(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends, serve("server", ""), dial("", "", "ca.crt"), "::1");
	talk(&ends, 1000);
	say(&ends.server, "last words");
	tls_filter_say_bye(ends.server.filter);
	talk(&ends, 1000);
	assert_int_equal(ends.client.status, SC_E_CLOSED);
	assert_string_equal(ends.client.plain.data, "last words");
	assert_int_equal(ends.server.status, SC_OK);
	close_ends(&ends);
}

struct mismatch {
	const char *server, *host, *ca, *said;
};

static void a_client_says_what_is_wrong_with_a_certificate(void **state)
{
	static const struct mismatch mismatches[] = {
		{ "other", "localhost", "ca.crt", "not signed by an authority of the --ca file" },
		{ "other", "localhost", "", "that this machine trusts. Give with --ca FILE" },
		{ "expired", "localhost", "ca.crt", "certificate has expired" },
		{ "server", "server.example", "ca.crt",
		  "not for 'server.example' but for localhost" },
		{ "name", "127.0.0.1", "ca.crt", "not for '127.0.0.1' but for server.example" },
		{ "client", "localhost", "ca.crt", "not meant for TLS servers" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof mismatches / sizeof mismatches[0]; i++) {
		const struct mismatch *m = &mismatches[i];
		struct ends ends;

		open_ends(&ends, serve(m->server, ""), dial("", "", m->ca), m->host);
		talk(&ends, 1000);
		assert_int_equal(ends.client.status, SC_E_PROTOCOL);
		if (!strstr(ends.client.err.text, m->said))
			fail_msg("row %zu: %s", i, ends.client.err.text);
		assert_false(tls_filter_is_secure(ends.client.filter));
		/* The server is told, by an alert. */
		assert_int_equal(ends.server.status, SC_E_PROTOCOL);
		assert_non_null(strstr(ends.server.err.text, "the client refused TLS"));
		close_ends(&ends);
	}
}

static void a_certificate_may_be_trusted_itself(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends, serve("other", ""), dial("", "", "other.crt"), "localhost");
	talk(&ends, 1000);
	assert_int_equal(ends.client.status, SC_OK);
	assert_true(tls_filter_is_secure(ends.client.filter));
	close_ends(&ends);
}

static void a_server_may_demand_certificates(void **state)
{
	static const struct {
		const char *cert, *key, *said;
	} clients[] = {
		{ "client.crt", "client.key", NULL },
		{ "", "", "shows no certificate" },
		{ "other.crt", "other.key", "shows no certificate" },
		{ "server.crt", "server.key", "not meant for TLS clients" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
		struct ends ends;

		open_ends(&ends, serve("server", "ca.crt"),
			  dial(clients[i].cert, clients[i].key, "ca.crt"), "localhost");
		talk(&ends, 1000);
		assert_int_equal(ends.server.status, clients[i].said ? SC_E_PROTOCOL : SC_OK);
		assert_int_equal(tls_filter_is_secure(ends.server.filter), !clients[i].said);
		if (clients[i].said && !strstr(ends.server.err.text, clients[i].said))
			fail_msg("client %zu: %s", i, ends.server.err.text);
		if (clients[i].said) {
			assert_int_equal(ends.client.status, SC_E_PROTOCOL);
			assert_non_null(strstr(ends.client.err.text, "the server refused TLS"));
		}
		close_ends(&ends);
	}
}

static void bytes_that_are_not_tls_are_refused(void **state)
{
	static const char *const strange[] = { "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n",
					       "\x80\x2e\x01\x03\x01" };

	(void)state;
	for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
		struct ends ends;

		open_ends(&ends, serve("server", ""), dial("", "", "ca.crt"), "localhost");
		ends.server.status = tls_filter_receive(ends.server.filter, strange[i],
							strlen(strange[i]), &ends.server.plain,
							&ends.server.err);
		assert_int_equal(ends.server.status, SC_E_PROTOCOL);
		ends.client.status = tls_filter_receive(ends.client.filter, "HTTP/1.1 400\r\n", 14,
							&ends.client.plain, &ends.client.err);
		assert_int_equal(ends.client.status, SC_E_PROTOCOL);
		assert_string_equal(ends.client.err.text, "the peer does not speak TLS");
		assert_int_equal(tls_filter_receive(ends.server.filter, "x", 1,
						    &ends.server.plain, &ends.server.err),
				 SC_E_CLOSED);
		close_ends(&ends);
	}
}

static void a_handshake_without_end_is_ended(void **state)
{
	/* Fragments of a ClientHello that says it has 60,000 bytes, in records of 1000. */
	static const uint8_t hello[] = { 22, 3, 1, 3, 0xe8, 1, 0, 0xea, 0x60 };
	uint8_t record[5 + 1000] = { 22, 3, 1, 3, 0xe8 };
	size_t n_sent = 0;
	struct ends ends;

	(void)state;
	open_ends(&ends, serve("server", ""), dial("", "", "ca.crt"), "localhost");
	memcpy(record, hello, sizeof hello);
	while (ends.server.status == SC_OK && n_sent < 2 * TLS_FILTER_MAX_HANDSHAKE) {
		ends.server.status = tls_filter_receive(ends.server.filter, record, sizeof record,
							&ends.server.plain, &ends.server.err);
		n_sent += sizeof record;
		memset(record + 5, 0, 4);
	}
	assert_int_equal(ends.server.status, SC_E_PROTOCOL);
	assert_true(n_sent <= TLS_FILTER_MAX_HANDSHAKE + sizeof record);
	assert_int_equal(ends.server.plain.length, 0);
	close_ends(&ends);
}

static void damaged_records_end_the_filter(void **state)
{
	struct ends ends;
	struct buf *output;

	(void)state;
	open_ends(&ends, serve("server", ""), dial("", "", "ca.crt"), "localhost");
	talk(&ends, 1000);
	say(&ends.client, "question");
	output = tls_filter_output(ends.client.filter);
	output->data[output->length - 1] ^= 1;
	talk(&ends, 1000);
	assert_int_equal(ends.server.status, SC_E_PROTOCOL);
	assert_int_equal(ends.server.plain.length, 0);
	assert_int_equal(tls_filter_send(ends.server.filter, "x", 1), SC_E_CLOSED);
	close_ends(&ends);
}

static void write_text(const char *name, const char *text)
{
	FILE *file = fopen(path(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void faulty_files_are_named(void **state)
{
	static const struct {
		const char *cert, *key, *ca, *said;
	} rows[] = {
		{ "server.crt", "second.key", "", "second.key is not the key of the first" },
		{ "server.crt", "", "", "is given alone" },
		{ "", "server.key", "", "is given alone" },
		{ "none.crt", "server.key", "", "none.crt: No such file" },
		{ "server.crt", "none.key", "", "none.key: No such file" },
		{ "junk", "server.key", "", "junk: expected a certificate in PEM form" },
		{ "server.crt", "junk", "", "junk: expected a private key in PEM form" },
		{ "server.key", "server.key", "", "expected a certificate" },
		{ "server.crt", "server.key", "junk", "junk: expected certificates" },
	};

	(void)state;
	write_text("junk", "this is no certificate\n");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct tls_files read = files(rows[i].cert, rows[i].key, rows[i].ca);
		struct tls_credentials *credentials = NULL;
		struct error err = { .text = "" };
		enum sc_status status = tls_credentials_serve(&read, &credentials, &err);

		assert_true(status == SC_E_CONFIG || status == SC_E_NOT_FOUND);
		if (!strstr(err.text, rows[i].said))
			fail_msg("row %zu: %s", i, err.text);
	}
}

static void credentials_tell_of_expiry_and_mode(void **state)
{
	struct tls_credentials *good = serve("server", ""), *old = serve("expired", "");

	(void)state;
	assert_true(tls_credentials_expiry(good) > time(NULL));
	assert_true(tls_credentials_expiry(old) < time(NULL));
	assert_false(tls_credentials_key_is_public(good));
	tls_credentials_unref(good);
	tls_credentials_unref(old);
	assert_int_equal(chmod(path("server.key"), 0644), 0);
	good = serve("server", "");
	assert_true(tls_credentials_key_is_public(good));
	tls_credentials_unref(good);
	assert_int_equal(chmod(path("server.key"), 0600), 0);
}

/* --- a client of GnuTLS alone, which offers what it likes --- */

struct raw {
	gnutls_session_t tls;
	struct buf in, out;
};

static ssize_t raw_push(gnutls_transport_ptr_t arg, const void *bytes, size_t n_bytes)
{
	struct raw *raw = arg;

	assert_int_equal(buf_add(&raw->out, bytes, n_bytes), SC_OK);
	return (ssize_t)n_bytes;
}

static ssize_t raw_pull(gnutls_transport_ptr_t arg, void *bytes, size_t n_bytes)
{
	struct raw *raw = arg;
	size_t n = raw->in.length < n_bytes ? raw->in.length : n_bytes;

	if (!n) {
		gnutls_transport_set_errno(raw->tls, EAGAIN);
		return -1;
	}
	memcpy(bytes, raw->in.data, n);
	buf_consume(&raw->in, n);
	return (ssize_t)n;
}

static void open_raw(struct raw *raw, gnutls_certificate_credentials_t x509,
		     const char *priorities)
{
	*raw = (struct raw){ .in = BUF_INIT, .out = BUF_INIT };
	assert_int_equal(gnutls_init(&raw->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_priority_set_direct(raw->tls, priorities, NULL), 0);
	assert_int_equal(gnutls_credentials_set(raw->tls, GNUTLS_CRD_CERTIFICATE, x509), 0);
	gnutls_transport_set_ptr(raw->tls, raw);
	gnutls_transport_set_push_function(raw->tls, raw_push);
	gnutls_transport_set_pull_function(raw->tls, raw_pull);
}

static void close_raw(struct raw *raw)
{
	gnutls_deinit(raw->tls);
	buf_deinit(&raw->in);
	buf_deinit(&raw->out);
}

/* Returns what the client's gnutls_handshake last said. */
static int shake(struct raw *raw, struct end *server)
{
	int rc = GNUTLS_E_AGAIN;

	for (int i = 0; i < 10 && server->status == SC_OK; i++) {
		struct buf *output = tls_filter_output(server->filter);

		if (rc == GNUTLS_E_AGAIN)
			rc = gnutls_handshake(raw->tls);
		server->status = tls_filter_receive(server->filter, raw->out.data, raw->out.length,
						    &server->plain, &server->err);
		buf_truncate(&raw->out, 0);
		assert_int_equal(buf_add(&raw->in, output->data, output->length), SC_OK);
		buf_truncate(output, 0);
	}
	return rc;
}

static void open_server(struct end *server)
{
	struct tls_credentials *credentials = serve("server", "");

	*server = (struct end){ .plain = BUF_INIT };
	assert_int_equal(tls_filter_serve(credentials, &server->filter), SC_OK);
	tls_credentials_unref(credentials);
}

static void close_end(struct end *end)
{
	tls_filter_destroy(end->filter);
	buf_deinit(&end->plain);
}

static gnutls_certificate_credentials_t no_certificate(void)
{
	gnutls_certificate_credentials_t x509;

	assert_int_equal(gnutls_certificate_allocate_credentials(&x509), 0);
	return x509;
}

/* names have commas between them. */
static enum tls_alpn agree(const char *names)
{
	gnutls_certificate_credentials_t x509 = no_certificate();
	gnutls_datum_t offered[4];
	unsigned n_offered = 0;
	char copy[64];
	enum tls_alpn alpn;
	struct end server;
	struct raw raw;

	snprintf(copy, sizeof copy, "%s", names);
	for (char *name = strtok(copy, ","); name; name = strtok(NULL, ","))
		offered[n_offered++] = (gnutls_datum_t){ (unsigned char *)name,
							 (unsigned)strlen(name) };
	open_server(&server);
	open_raw(&raw, x509, "NORMAL");
	if (n_offered)
		assert_int_equal(gnutls_alpn_set_protocols(raw.tls, offered, n_offered, 0), 0);
	assert_int_equal(shake(&raw, &server), 0);
	assert_true(tls_filter_is_secure(server.filter));
	alpn = tls_filter_alpn(server.filter);
	close_raw(&raw);
	close_end(&server);
	gnutls_certificate_free_credentials(x509);
	return alpn;
}

static void a_client_that_speaks_both_gets_http1(void **state)
{
	(void)state;
	assert_int_equal(agree("h2,http/1.1"), TLS_ALPN_HTTP1);
	assert_int_equal(agree("http/1.1"), TLS_ALPN_HTTP1);
	assert_int_equal(agree("h2"), TLS_ALPN_HTTP2);
	assert_int_equal(agree("grpc-exp,h2"), TLS_ALPN_HTTP2);
	assert_int_equal(agree("spdy/3"), TLS_ALPN_NONE);
	assert_int_equal(agree(""), TLS_ALPN_NONE);
}

static void old_versions_and_ciphers_are_refused(void **state)
{
	static const struct {
		const char *priorities;
		bool is_accepted;
	} clients[] = {
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.3", true },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.2", true },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.1:+SHA1:+SIGN-RSA-SHA1:%VERIFY_ALLOW_SIGN_WITH_SHA1",
		  false },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC", false },
	};
	gnutls_certificate_credentials_t x509 = no_certificate();

	(void)state;
	for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
		struct end server;
		struct raw raw;

		open_server(&server);
		open_raw(&raw, x509, clients[i].priorities);
		(void)shake(&raw, &server);
		if (tls_filter_is_secure(server.filter) != clients[i].is_accepted)
			fail_msg("%s: %s", clients[i].priorities, server.err.text);
		close_raw(&raw);
		close_end(&server);
	}
	gnutls_certificate_free_credentials(x509);
}

static void renegotiation_is_refused(void **state)
{
	gnutls_certificate_credentials_t x509 = no_certificate();
	struct end server;
	struct raw raw;

	(void)state;
	open_server(&server);
	open_raw(&raw, x509, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
	assert_int_equal(shake(&raw, &server), 0);
	assert_int_equal(gnutls_handshake(raw.tls), GNUTLS_E_AGAIN);
	(void)shake(&raw, &server);
	assert_int_equal(server.status, SC_E_PROTOCOL);
	close_raw(&raw);
	close_end(&server);
	gnutls_certificate_free_credentials(x509);
}

/* Without a bound, every new key that a client asks for would add an answer that it does not read.
 * GnuTLS ends a session with too many of them. */
static void new_keys_without_end_are_refused(void **state)
{
	gnutls_certificate_credentials_t x509 = no_certificate();
	struct end server;
	struct raw raw;

	(void)state;
	open_server(&server);
	open_raw(&raw, x509, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
	assert_int_equal(shake(&raw, &server), 0);
	for (int i = 0; i < 10000 && server.status == SC_OK; i++) {
		assert_int_equal(gnutls_session_key_update(raw.tls, GNUTLS_KU_PEER), 0);
		server.status = tls_filter_receive(server.filter, raw.out.data, raw.out.length,
						   &server.plain, &server.err);
		buf_truncate(&raw.out, 0);
	}
	assert_int_equal(server.status, SC_E_PROTOCOL);
	assert_true(tls_filter_output(server.filter)->length < 2 * TLS_FILTER_MAX_OUTPUT);
	close_raw(&raw);
	close_end(&server);
	gnutls_certificate_free_credentials(x509);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(directory) ? certificates_write(directory) : -1;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -r '%s'", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_read_what_the_other_writes),
		cmocka_unit_test(long_texts_pass_whole),
		cmocka_unit_test(the_end_is_told),
		cmocka_unit_test(a_client_says_what_is_wrong_with_a_certificate),
		cmocka_unit_test(a_certificate_may_be_trusted_itself),
		cmocka_unit_test(a_server_may_demand_certificates),
		cmocka_unit_test(bytes_that_are_not_tls_are_refused),
		cmocka_unit_test(a_handshake_without_end_is_ended),
		cmocka_unit_test(damaged_records_end_the_filter),
		cmocka_unit_test(faulty_files_are_named),
		cmocka_unit_test(credentials_tell_of_expiry_and_mode),
		cmocka_unit_test(a_client_that_speaks_both_gets_http1),
		cmocka_unit_test(old_versions_and_ciphers_are_refused),
		cmocka_unit_test(renegotiation_is_refused),
		cmocka_unit_test(new_keys_without_end_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
