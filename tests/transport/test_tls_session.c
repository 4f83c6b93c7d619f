/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes without sockets: two sessions, or a session and a stranger, exchange bytes. */
#include "transport/tls_session.h"

#include "tests/transport/odd_dialler.h"

#include <gnutls/gnutls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define KEY_A "a:000102030405060708090a0b0c0d0e0f"
#define KEY_A_WRONG "a:ff0102030405060708090a0b0c0d0e0f"
#define KEY_B "b:101112131415161718191a1b1c1d1e1f"

/* One side, and what it has got. */
struct side {
	struct tls_context *context;
	struct tls_session *session;
	struct buf plain;
	enum sc_status status;
	struct error err;
};

static struct tls_context *context_of(const char *keys_text)
{
	struct tls_context *context;
	struct cluster_keys keys;
	struct error err;

	assert_int_equal(cluster_keys_parse(keys_text, strlen(keys_text), "keys", &keys, &err),
			 SC_OK);
	assert_int_equal(tls_context_create(&keys, &context, &err), SC_OK);
	return context;
}

static void side_open(struct side *side, const char *keys, enum tls_role role, unsigned key)
{
	*side = (struct side){ .context = context_of(keys) };
	buf_init(&side->plain);
	assert_int_equal(tls_session_create(side->context, role, key, &side->session), SC_OK);
	/* The session keeps the context. */
	tls_context_destroy(side->context);
}

static void side_close(struct side *side)
{
	tls_session_destroy(side->session);
	buf_deinit(&side->plain);
}

static void side_take(struct side *side, const void *bytes, size_t n_bytes)
{
	if (side->status == SC_OK)
		side->status = tls_session_receive(side->session, bytes, n_bytes, &side->plain,
						   &side->err);
}

/* Moves output of one side into the other, at most n_chunk bytes at a time. */
static bool carry(struct side *from, struct side *to, size_t n_chunk)
{
	struct buf *output = tls_session_output(from->session);

	if (!output->length)
		return false;
	while (output->length) {
		size_t n = output->length < n_chunk ? output->length : n_chunk;

		side_take(to, output->data, n);
		buf_consume(output, n);
	}
	return true;
}

static void talk(struct side *a, struct side *b, size_t n_chunk)
{
	while (carry(a, b, n_chunk) || carry(b, a, n_chunk))
		continue;
}

static void both_sides_have_the_key(void **state)
{
	static const size_t chunks[] = { 1, 7, 100000 };
	struct side dialler, listener;

	(void)state;
	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
		side_open(&dialler, KEY_A, TLS_DIALS, 0);
		side_open(&listener, KEY_A, TLS_LISTENS, 0);
		talk(&dialler, &listener, chunks[i]);
		assert_true(tls_session_is_secure(dialler.session));
		assert_true(tls_session_is_secure(listener.session));
		assert_string_equal(tls_session_key_id(listener.session), "a");
		assert_int_equal(tls_session_send(dialler.session, "hello", 5), SC_OK);
		assert_int_equal(tls_session_send(listener.session, "welcome", 7), SC_OK);
		talk(&dialler, &listener, chunks[i]);
		assert_string_equal(listener.plain.data, "hello");
		assert_string_equal(dialler.plain.data, "welcome");
		side_close(&dialler);
		side_close(&listener);
	}
}

/* More than one record, in one flight with the end of the handshake. */
static void long_messages_arrive_whole(void **state)
{
	const size_t n_bytes = 70000;
	struct side dialler, listener;
	char *bytes = malloc(n_bytes);

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < n_bytes; i++)
		bytes[i] = (char)(i * 7);
	side_open(&dialler, KEY_A, TLS_DIALS, 0);
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	carry(&dialler, &listener, 100000);
	carry(&listener, &dialler, 100000);
	assert_true(tls_session_is_secure(dialler.session));
	assert_int_equal(tls_session_send(dialler.session, bytes, n_bytes), SC_OK);
	assert_true(tls_session_output(dialler.session)->length > TLS_MAX_HANDSHAKE_BYTES);
	talk(&dialler, &listener, 100000);
	assert_int_equal(listener.status, SC_OK);
	assert_int_equal(listener.plain.length, n_bytes);
	assert_memory_equal(listener.plain.data, bytes, n_bytes);
	free(bytes);
	side_close(&dialler);
	side_close(&listener);
}

static void either_of_two_keys_will_do(void **state)
{
	struct side dialler, listener;

	(void)state;
	for (unsigned key = 0; key < 2; key++) {
		side_open(&dialler, KEY_A "\n" KEY_B, TLS_DIALS, key);
		side_open(&listener, KEY_B "\n" KEY_A, TLS_LISTENS, 0);
		talk(&dialler, &listener, 100000);
		assert_true(tls_session_is_secure(listener.session));
		assert_string_equal(tls_session_key_id(listener.session), key ? "b" : "a");
		side_close(&dialler);
		side_close(&listener);
	}
}

static void assert_listener_refuses(struct side *listener, const char *why)
{
	assert_int_equal(listener->status, SC_E_PROTOCOL);
	assert_non_null(strstr(listener->err.text, why));
	assert_false(tls_session_is_secure(listener->session));
	assert_int_equal(listener->plain.length, 0);
	assert_int_equal(tls_session_output(listener->session)->length, 0);
	/* It stays over. */
	assert_int_equal(tls_session_receive(listener->session, "x", 1, &listener->plain, NULL),
			 SC_E_CLOSED);
}

static void an_unknown_key_id_and_a_wrong_key_look_alike(void **state)
{
	struct side wrong, unknown, listener;
	size_t n_bytes;

	(void)state;
	side_open(&wrong, KEY_A_WRONG, TLS_DIALS, 0);
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	n_bytes = tls_session_output(wrong.session)->length;
	/* To the last byte of the hello, nothing is said. */
	side_take(&listener, tls_session_output(wrong.session)->data, n_bytes - 1);
	assert_int_equal(listener.status, SC_OK);
	assert_int_equal(tls_session_output(listener.session)->length, 0);
	side_take(&listener, tls_session_output(wrong.session)->data + n_bytes - 1, 1);
	assert_listener_refuses(&listener, "key ids are equal");
	side_close(&listener);

	side_open(&unknown, KEY_B, TLS_DIALS, 0);
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	assert_int_equal(tls_session_output(unknown.session)->length, n_bytes);
	side_take(&listener, tls_session_output(unknown.session)->data, n_bytes - 1);
	assert_int_equal(listener.status, SC_OK);
	assert_int_equal(tls_session_output(listener.session)->length, 0);
	side_take(&listener, tls_session_output(unknown.session)->data + n_bytes - 1, 1);
	assert_listener_refuses(&listener, "not in our key file");
	side_close(&listener);
	side_close(&wrong);
	side_close(&unknown);
}

static void a_dialler_refuses_a_listener_without_the_key(void **state)
{
	struct side dialler, listener;
	char flight[4096];
	size_t n_flight;

	(void)state;
	/* The flight of a good listener, with one bit of its last record turned: as of a listener
	 * that cannot prove that it has the key. */
	side_open(&dialler, KEY_A, TLS_DIALS, 0);
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	carry(&dialler, &listener, 100000);
	n_flight = tls_session_output(listener.session)->length;
	assert_in_range(n_flight, 100, sizeof flight);
	memcpy(flight, tls_session_output(listener.session)->data, n_flight);
	flight[n_flight - 1] ^= 1;
	side_take(&dialler, flight, n_flight);
	assert_int_equal(dialler.status, SC_E_PROTOCOL);
	assert_false(tls_session_is_secure(dialler.session));
	assert_int_equal(tls_session_output(dialler.session)->length, 0);
	side_close(&dialler);
	side_close(&listener);
}

/* A stranger repeats all that a member once sent. Its hello is good, even the proof in it; the end
 * of the handshake is not. */
static void a_recorded_handshake_does_not_open_a_session(void **state)
{
	struct side dialler, listener;
	struct buf record = BUF_INIT, *output;

	(void)state;
	side_open(&dialler, KEY_A, TLS_DIALS, 0);
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	output = tls_session_output(dialler.session);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(buf_add(&record, output->data, output->length), SC_OK);
		carry(&dialler, &listener, 100000);
		carry(&listener, &dialler, 100000);
	}
	assert_int_equal(tls_session_send(dialler.session, "join", 4), SC_OK);
	assert_int_equal(buf_add(&record, output->data, output->length), SC_OK);
	carry(&dialler, &listener, 100000);
	assert_string_equal(listener.plain.data, "join");
	side_close(&listener);

	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	side_take(&listener, record.data, record.length);
	assert_listener_refuses(&listener, "handshake failed");
	side_close(&listener);
	/* Byte by byte, so that nothing depends on how it is cut. */
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	for (size_t i = 0; i < record.length; i++)
		side_take(&listener, record.data + i, 1);
	assert_listener_refuses(&listener, "handshake failed");
	side_close(&listener);
	side_close(&dialler);
	buf_deinit(&record);
}

static void junk_is_refused_with_silence(void **state)
{
	static const char *const junk[] = { "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM",
		"\x16\x03\x01\xff\xff and a record that is too long", "\x80\x2e\x01\x03\x01",
		"\x17\x03\x03\x00\x05 data", "\x14\x03\x03\x00\x01\x01\x14\x03\x03\x00\x01\x01" };
	uint8_t noise[512];
	struct side listener;
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
		side_open(&listener, KEY_A, TLS_LISTENS, 0);
		side_take(&listener, junk[i], strlen(junk[i]));
		assert_false(tls_session_is_secure(listener.session));
		assert_int_equal(tls_session_output(listener.session)->length, 0);
		assert_int_equal(listener.plain.length, 0);
		side_close(&listener);
	}
	for (int i = 0; i < 200; i++) {
		for (size_t j = 0; j < sizeof noise; j++)
			noise[j] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
		side_open(&listener, KEY_A, TLS_LISTENS, 0);
		side_take(&listener, noise, sizeof noise);
		assert_false(tls_session_is_secure(listener.session));
		assert_int_equal(tls_session_output(listener.session)->length, 0);
		side_close(&listener);
	}
}

/* A handshake message that says it is n_bytes long, in records of 16 KiB, of which n_sent are
 * sent. */
static void send_long_hello(struct side *listener, size_t n_bytes, size_t n_sent)
{
	uint8_t record[5 + 16384] = { 0x16, 3, 1, 0x40, 0 };

	record[5] = 1;
	record[6] = (uint8_t)(n_bytes >> 16);
	record[7] = (uint8_t)(n_bytes >> 8);
	record[8] = (uint8_t)n_bytes;
	while (n_sent) {
		size_t n = n_sent < sizeof record ? n_sent : sizeof record;

		side_take(listener, record, n);
		memset(record + 5, 0, 4);
		n_sent -= n;
	}
}

static void a_hello_over_16_kib_is_refused_as_soon_as_that_is_known(void **state)
{
	struct side listener;

	(void)state;
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	send_long_hello(&listener, 16000000, 40000);
	assert_listener_refuses(&listener, "handshake failed");
	side_close(&listener);
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	send_long_hello(&listener, 16384 - 100, TLS_MAX_HANDSHAKE_BYTES);
	assert_int_not_equal(listener.status, SC_OK);
	side_close(&listener);
}

/* Small records that never end a message. */
static void a_handshake_that_goes_on_and_on_ends_at_16_kib(void **state)
{
	/* One byte of a handshake message in each record: the message is 8 KiB long. */
	uint8_t record[] = { 0x16, 3, 1, 0, 1, 1 };
	const uint8_t head[] = { 1, 0, 0x20, 0 };
	struct side listener;
	size_t n_sent = 0;

	(void)state;
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	for (unsigned i = 0; listener.status == SC_OK && n_sent < 100000; i++) {
		record[5] = i < sizeof head ? head[i] : 0;
		side_take(&listener, record, sizeof record);
		n_sent += sizeof record;
	}
	assert_in_range(n_sent, 0, TLS_MAX_HANDSHAKE_BYTES + sizeof record);
	assert_listener_refuses(&listener, "handshake failed");
	side_close(&listener);
}

static void try_odd(const char *priorities, const char *identity, unsigned flags,
		    struct side *listener)
{
	static const uint8_t secret[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	const struct odd_config config = { .priorities = priorities, .identity = identity,
					   .secret = secret, .n_secret = sizeof secret,
					   .flags = flags };
	struct odd_dialler *odd = odd_dialler_create(&config);
	struct buf *sent = odd_dialler_output(odd);
	int rc = 1;

	side_open(listener, KEY_A, TLS_LISTENS, 0);
	while (sent->length && listener->status == SC_OK && rc >= 0) {
		struct buf *answer = tls_session_output(listener->session);

		side_take(listener, sent->data, sent->length);
		buf_consume(sent, sent->length);
		if (answer->length) {
			rc = odd_dialler_receive(odd, answer->data, answer->length);
			buf_consume(answer, answer->length);
		}
	}
	odd_dialler_destroy(odd);
}

static void only_tls_1_3_with_our_suite_and_exchange_is_accepted(void **state)
{
	static const char *const refused[] = {
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2",
		"NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1",
		"NONE:+VERS-TLS1.3:+AES-256-GCM:+AEAD:+ECDHE-PSK:+GROUP-X25519:+SIGN-ALL",
		"NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+PSK:+GROUP-X25519:+SIGN-ALL",
		"NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+ECDHE-PSK:+GROUP-SECP256R1:+SIGN-ALL",
		"NORMAL",
	};
	struct side listener;

	(void)state;
	/* The odd dialler is able to: with our own priorities it is a member. */
	try_odd(ODD_SAME, TLS_IDENTITY_PREFIX "a", 0, &listener);
	assert_int_equal(listener.status, SC_OK);
	assert_true(tls_session_is_secure(listener.session));
	side_close(&listener);
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		try_odd(refused[i], TLS_IDENTITY_PREFIX "a", 0, &listener);
		assert_listener_refuses(&listener, "handshake failed");
		side_close(&listener);
	}
	try_odd("NORMAL", NULL, 0, &listener);
	assert_listener_refuses(&listener, "handshake failed");
	side_close(&listener);
}

static void identities_that_are_almost_ours_are_refused(void **state)
{
	static const char *const identities[] = { "a", "stagecoach/1/", "stagecoach/1/aa",
						  "stagecoach/2/a", "stagecoach/1/A", "x" };
	struct side listener;

	(void)state;
	for (size_t i = 0; i < sizeof identities / sizeof identities[0]; i++) {
		try_odd(ODD_SAME, identities[i], 0, &listener);
		assert_listener_refuses(&listener, "not in our key file");
		side_close(&listener);
	}
}

/* CVE-2025-6395 is in the code that reads a second ClientHello. */
static void nobody_is_asked_for_a_second_hello(void **state)
{
	struct side listener;

	(void)state;
	/* Offers X25519, but with a key share of another group. */
	try_odd("NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+ECDHE-PSK:+GROUP-SECP256R1:+GROUP-X25519:"
		"+SIGN-EDDSA-ED25519", TLS_IDENTITY_PREFIX "a", GNUTLS_KEY_SHARE_TOP, &listener);
	assert_listener_refuses(&listener, "handshake failed");
	side_close(&listener);
}

static void a_changed_byte_ends_the_session(void **state)
{
	struct side dialler, listener;
	struct buf *output;

	(void)state;
	side_open(&dialler, KEY_A, TLS_DIALS, 0);
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	talk(&dialler, &listener, 100000);
	assert_int_equal(tls_session_send(dialler.session, "hello", 5), SC_OK);
	output = tls_session_output(dialler.session);
	output->data[output->length - 3] ^= 0x40;
	carry(&dialler, &listener, 100000);
	assert_int_equal(listener.status, SC_E_PROTOCOL);
	assert_int_equal(listener.plain.length, 0);
	side_close(&dialler);
	side_close(&listener);
}

static void a_goodbye_is_told_from_a_cut(void **state)
{
	struct side dialler, listener;

	(void)state;
	side_open(&dialler, KEY_A, TLS_DIALS, 0);
	side_open(&listener, KEY_A, TLS_LISTENS, 0);
	talk(&dialler, &listener, 100000);
	assert_int_equal(tls_session_send(dialler.session, "last", 4), SC_OK);
	tls_session_say_bye(dialler.session);
	carry(&dialler, &listener, 100000);
	assert_string_equal(listener.plain.data, "last");
	assert_int_equal(listener.status, SC_E_CLOSED);
	side_close(&dialler);
	side_close(&listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_have_the_key),
		cmocka_unit_test(long_messages_arrive_whole),
		cmocka_unit_test(either_of_two_keys_will_do),
		cmocka_unit_test(an_unknown_key_id_and_a_wrong_key_look_alike),
		cmocka_unit_test(a_dialler_refuses_a_listener_without_the_key),
		cmocka_unit_test(a_recorded_handshake_does_not_open_a_session),
		cmocka_unit_test(junk_is_refused_with_silence),
		cmocka_unit_test(a_hello_over_16_kib_is_refused_as_soon_as_that_is_known),
		cmocka_unit_test(a_handshake_that_goes_on_and_on_ends_at_16_kib),
		cmocka_unit_test(only_tls_1_3_with_our_suite_and_exchange_is_accepted),
		cmocka_unit_test(identities_that_are_almost_ours_are_refused),
		cmocka_unit_test(nobody_is_asked_for_a_second_hello),
		cmocka_unit_test(a_changed_byte_ends_the_session),
		cmocka_unit_test(a_goodbye_is_told_from_a_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
