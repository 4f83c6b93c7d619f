/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What strangers and members send over a control connection.
 * Byte 0 chooses who reads: 0 a listener that waits for a handshake, 1 a dialler that does, 2 the
 * framing of messages behind the handshake. Byte 1 is how many bytes come at a time; 0: all.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/tls_records.h"
#include "transport/tls_session.h"
#include "wire/control.h"

#include <stdlib.h>
#include <string.h>

#define KEY "a:000102030405060708090a0b0c0d0e0f"

enum reader {
	READER_LISTENER,
	READER_DIALLER,
	READER_FRAMING,
	N_READERS,
};

static struct tls_context *context;

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void open_context(void)
{
	struct cluster_keys keys;

	if (context)
		return;
	check(cluster_keys_parse(KEY, sizeof KEY - 1, "key", &keys, NULL) == SC_OK);
	check(tls_context_create(&keys, &context, NULL) == SC_OK);
}

/* No input has the proof that it knows the key, because the other side's random is new each time. */
static void check_is_stranger(struct tls_session *session, enum sc_status status,
			      const struct buf *plain, size_t n_taken)
{
	check(!tls_session_is_secure(session));
	check(!plain->length);
	if (status != SC_OK)
		check(!tls_session_output(session)->length);
	else
		check(n_taken <= TLS_MAX_HANDSHAKE_BYTES);
	check(tls_session_output(session)->length < 4096);
}

static void try_handshake(enum tls_role role, const uint8_t *bytes, size_t n_bytes, size_t n_chunk)
{
	struct tls_session *session;
	struct buf plain = BUF_INIT;
	enum sc_status status = SC_OK;
	struct error err;

	open_context();
	check(tls_session_create(context, role, 0, &session) == SC_OK);
	buf_truncate(tls_session_output(session), 0);
	for (size_t at = 0; at < n_bytes && status == SC_OK; at += n_chunk) {
		size_t n = n_bytes - at < n_chunk ? n_bytes - at : n_chunk;

		err.text[0] = '\0';
		status = tls_session_receive(session, bytes + at, n, &plain, &err);
		check(status == SC_OK || err.text[0]);
		check_is_stranger(session, status, &plain, at + n);
	}
	tls_session_destroy(session);
	buf_deinit(&plain);
}

/* Takes messages as a channel does. Returns a hash of what came. */
static uint64_t take_messages(const uint8_t *bytes, size_t n_bytes, size_t n_chunk)
{
	struct buf input = BUF_INIT;
	enum sc_status status = SC_AGAIN;
	uint64_t hash = 1;

	for (size_t at = 0; at < n_bytes && status == SC_AGAIN; at += n_chunk) {
		Stagecoach__Cluster__V1__Control *message;
		struct error err = { .text = "" };
		size_t n_used = 0;

		check(buf_add(&input, bytes + at, n_bytes - at < n_chunk ? n_bytes - at : n_chunk)
		      == SC_OK);
		while ((status = control_take(input.data, input.length, &message, &n_used, &err)) ==
		       SC_OK) {
			check(n_used >= 5 && n_used <= input.length);
			check(n_used <= 4 + CONTROL_MAX_BYTES);
			hash = hash * 31 + n_used * 64 + (uint64_t)message->body_case;
			control_free(message);
			buf_consume(&input, n_used);
		}
		check(status == SC_AGAIN || (status == SC_E_PROTOCOL && err.text[0]));
		/* What waits is part of one message. */
		check(status != SC_AGAIN || input.length < 4 + CONTROL_MAX_BYTES);
	}
	buf_deinit(&input);
	return hash * 2 + (status == SC_AGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n_chunk;

	if (size <= 2 || size > (1 << 18))
		return 0;
	n_chunk = data[1] ? data[1] : size;
	switch ((enum reader)(data[0] % N_READERS)) {
	case READER_LISTENER:
		try_handshake(TLS_LISTENS, data + 2, size - 2, n_chunk);
		break;
	case READER_DIALLER:
		try_handshake(TLS_DIALS, data + 2, size - 2, n_chunk);
		break;
	case READER_FRAMING:
		check(take_messages(data + 2, size - 2, n_chunk) ==
		      take_messages(data + 2, size - 2, size));
		break;
	case N_READERS:
		break;
	}
	return 0;
}

static void add(struct buf *seed, const void *bytes, size_t n_bytes)
{
	check(buf_add(seed, bytes, n_bytes) == SC_OK);
}

static void begin(struct buf *seed, enum reader reader, uint8_t n_chunk)
{
	const uint8_t head[] = { (uint8_t)reader, n_chunk };

	add(seed, head, sizeof head);
}

static void add_messages(struct buf *seed)
{
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	Stagecoach__Cluster__V1__Failed failed = STAGECOACH__CLUSTER__V1__FAILED__INIT;
	Stagecoach__Cluster__V1__Control message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	char text[] = "line\none";

	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT;
	message.heartbeat = &heartbeat;
	check(control_add(&message, seed) == SC_OK);
	heartbeat.epoch = 70000;
	check(control_add(&message, seed) == SC_OK);
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED;
	message.failed = &failed;
	failed.text = text;
	check(control_add(&message, seed) == SC_OK);
}

static void add_second_hello(struct buf *seed)
{
	begin(seed, READER_LISTENER, 0);
	add(seed, hello_of_another_group, sizeof hello_of_another_group);
	add(seed, hello_without_key, sizeof hello_without_key);
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const struct { const uint8_t *bytes; size_t n_bytes; enum reader reader; } flights[] = {
		{ hello_of_a_member, sizeof hello_of_a_member, READER_LISTENER },
		{ hello_of_another_group, sizeof hello_of_another_group, READER_LISTENER },
		{ hello_without_key, sizeof hello_without_key, READER_LISTENER },
		{ hello_of_tls_1_2, sizeof hello_of_tls_1_2, READER_LISTENER },
		{ flight_of_a_listener, sizeof flight_of_a_listener, READER_DIALLER },
	};
	const unsigned n_flights = sizeof flights / sizeof flights[0];

	if (i < n_flights) {
		begin(seed, flights[i].reader, i % 2 ? 50 : 0);
		add(seed, flights[i].bytes, flights[i].n_bytes);
	} else if (i == n_flights) {
		/* A member's hello, and then junk where its Finished should be. */
		begin(seed, READER_LISTENER, 0);
		add(seed, hello_of_a_member, sizeof hello_of_a_member);
		add(seed, "\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x14--------------------", 31);
	} else if (i == n_flights + 1) {
		add_second_hello(seed);
	} else if (i == n_flights + 2) {
		begin(seed, READER_FRAMING, 3);
		add_messages(seed);
	} else {
		return false;
	}
	return true;
}
