/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody between a client and a server of TLS, who may change all that they say.
 * The input is a script of two bytes a step: what is done, and how much. Bytes of insertions follow
 * their step. At the end, each side must have read a beginning of what the other side wrote, and
 * nothing else.
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/tls_filter.h"
#include "tests/gateway/certificates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_STEPS 200

enum act {
	ACT_CLIENT_TO_SERVER,	/* passes on so many bytes; 255: all */
	ACT_SERVER_TO_CLIENT,
	ACT_CLIENT_WRITES,	/* so many bytes */
	ACT_SERVER_WRITES,
	ACT_CLIENT_LEAVES,
	ACT_FLIP,		/* a bit of what the client has said */
	ACT_DROP,		/* the first bytes of what the client has said */
	ACT_INSERT,		/* bytes of the input in front of what the client has said */
	ACT_FLIP_SERVER,
	ACT_BOTH_TALK,		/* until nobody has anything to say */
	N_ACTS,
};

struct end {
	struct tls_filter *filter;
	struct buf plain;	/* read */
	struct buf said;	/* written */
	enum sc_status status;
};

static struct tls_credentials *server_credentials, *client_credentials;

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void remove_files(const char *directory)
{
	char command[128];

	snprintf(command, sizeof command, "rm -r '%s'", directory);
	check(system(command) == 0);
}

static void open_credentials(void)
{
	char directory[] = "/tmp/stagecoach-fuzz.XXXXXX", paths[3][64];
	struct tls_files files = { .cert = paths[0], .key = paths[1], .ca = "" };

	if (server_credentials)
		return;
	check(mkdtemp(directory) && certificates_write(directory) == 0);
	snprintf(paths[0], sizeof paths[0], "%s/server.crt", directory);
	snprintf(paths[1], sizeof paths[1], "%s/server.key", directory);
	snprintf(paths[2], sizeof paths[2], "%s/ca.crt", directory);
	check(tls_credentials_serve(&files, &server_credentials, NULL) == SC_OK);
	files = (struct tls_files){ .cert = "", .key = "", .ca = paths[2] };
	check(tls_credentials_dial(&files, &client_credentials, NULL) == SC_OK);
	remove_files(directory);
}

static void deliver(struct end *from, struct end *to, size_t n_bytes)
{
	struct buf *output = tls_filter_output(from->filter);
	struct error err = { .text = "" };

	if (n_bytes > output->length)
		n_bytes = output->length;
	if (!n_bytes)
		return;
	if (to->status == SC_OK) {
		to->status = tls_filter_receive(to->filter, output->data, n_bytes, &to->plain,
						&err);
		check(to->status == SC_OK || err.text[0]);
		check(tls_filter_is_secure(to->filter) || !to->plain.length);
		check(tls_filter_output(to->filter)->length < 2 * TLS_FILTER_MAX_OUTPUT);
	}
	buf_consume(output, n_bytes);
}

static void talk(struct end *client, struct end *server)
{
	while (tls_filter_output(client->filter)->length ||
	       tls_filter_output(server->filter)->length) {
		deliver(client, server, SIZE_MAX);
		deliver(server, client, SIZE_MAX);
	}
}

static void write_some(struct end *end, size_t n_bytes)
{
	char text[256];

	if (!tls_filter_is_secure(end->filter))
		return;
	for (size_t i = 0; i < n_bytes; i++)
		text[i] = (char)('a' + (end->said.length + i) % 26);
	if (tls_filter_send(end->filter, text, n_bytes) == SC_OK)
		check(buf_add(&end->said, text, n_bytes) == SC_OK);
}

static void flip(struct end *end, size_t at)
{
	struct buf *output = tls_filter_output(end->filter);

	if (output->length)
		output->data[at * 7 % output->length] ^= (char)(1 << at % 8);
}

static void insert(struct end *end, const uint8_t *bytes, size_t n_bytes)
{
	struct buf *output = tls_filter_output(end->filter);

	check(buf_reserve(output, n_bytes) == SC_OK);
	memmove(output->data + n_bytes, output->data, output->length);
	memcpy(output->data, bytes, n_bytes);
	output->length += n_bytes;
}

/* Returns how many bytes of rest the act has used. */
static size_t act(struct end *client, struct end *server, enum act act, size_t n,
		  const uint8_t *rest, size_t n_rest)
{
	const size_t n_moved = n == 255 ? SIZE_MAX : n;

	switch (act) {
	case ACT_CLIENT_TO_SERVER:
		deliver(client, server, n_moved);
		break;
	case ACT_SERVER_TO_CLIENT:
		deliver(server, client, n_moved);
		break;
	case ACT_CLIENT_WRITES:
		write_some(client, n);
		break;
	case ACT_SERVER_WRITES:
		write_some(server, n);
		break;
	case ACT_CLIENT_LEAVES:
		tls_filter_say_bye(client->filter);
		break;
	case ACT_FLIP:
		flip(client, n);
		break;
	case ACT_DROP:
		buf_consume(tls_filter_output(client->filter), n);
		break;
	case ACT_INSERT:
		n = n < n_rest ? n : n_rest;
		insert(client, rest, n);
		return n;
	case ACT_FLIP_SERVER:
		flip(server, n);
		break;
	case ACT_BOTH_TALK:
		talk(client, server);
		break;
	case N_ACTS:
		break;
	}
	return 0;
}

static void check_read(const struct end *reader, const struct end *writer)
{
	check(reader->plain.length <= writer->said.length);
	check(!memcmp(reader->plain.data, writer->said.data, reader->plain.length));
}

static void close_end(struct end *end)
{
	tls_filter_destroy(end->filter);
	buf_deinit(&end->plain);
	buf_deinit(&end->said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct end server = { .plain = BUF_INIT, .said = BUF_INIT };
	struct end client = { .plain = BUF_INIT, .said = BUF_INIT };
	size_t at = 0;

	if (size > 4096)
		return 0;
	open_credentials();
	check(tls_filter_serve(server_credentials, &server.filter) == SC_OK);
	check(tls_filter_dial(client_credentials, "localhost", &client.filter) == SC_OK);
	for (unsigned i = 0; i < MAX_STEPS && size - at >= 2; i++) {
		at += 2;
		at += act(&client, &server, (enum act)(data[at - 2] % N_ACTS), data[at - 1],
			  data + at, size - at);
		check_read(&server, &client);
		check_read(&client, &server);
	}
	close_end(&server);
	close_end(&client);
	return 0;
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
#define SEED(text) { text, sizeof text - 1 }
	static const struct { const char *bytes; size_t n_bytes; } seeds[] = {
		/* all goes well */
		SEED("\x09\x00\x02\x40\x03\x40\x09\x00\x02\x01\x04\x00\x09\x00"),
		/* in pieces */
		SEED("\x00\x64\x00\xff\x01\x03\x01\xff\x00\x20\x00\xff\x01\xff\x02\xf0\x00\x05\x00\xff"),
		/* changed before, in the middle of, and after the handshake */
		SEED("\x05\x03\x09\x00\x02\x10\x09\x00"),
		SEED("\x00\xff\x08\x20\x01\xff\x00\xff\x02\x10\x09\x00"),
		SEED("\x09\x00\x02\xff\x05\x11\x09\x00\x03\x10\x09\x00"),
		SEED("\x09\x00\x02\xff\x06\x03\x09\x00"),
		/* other bytes instead: HTTP, an alert, a hello of SSL 2, records of odd lengths */
		SEED("\x06\xff\x06\xff\x07\x12GET / HTTP/1.1\r\n\r\n\x09\x00"),
		SEED("\x07\x07\x15\x03\x03\x00\x02\x02\x28\x09\x00\x02\x10\x09\x00"),
		SEED("\x06\xff\x06\xff\x07\x05\x80\x2e\x01\x03\x01\x09\x00"),
		SEED("\x09\x00\x07\x05\x17\x03\x03\xff\xff\x00\xff\x02\x10\x09\x00"),
		SEED("\x09\x00\x07\x06\x16\x03\x03\x00\x01\x00\x09\x00"),
		SEED("\x09\x00\x07\x06\x14\x03\x03\x00\x01\x01\x02\x05\x09\x00"),
	};
#undef SEED

	return i < sizeof seeds / sizeof seeds[0] &&
	       buf_add(seed, seeds[i].bytes, seeds[i].n_bytes) == SC_OK;
}
