/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_H
#define STAGECOACH_CLI_CLIENT_H
/*
 * client - calls the server over gRPC, one call at a time, waiting for its end.
 * While the server is silent it is pinged: one that does not answer, because its host, its network
 * or its event loop is gone, is given up after the target's silence_ms.
 * Thread: the main thread; everything blocks, but SIGINT and SIGTERM (client_signal.h) end a wait.
 */
#include "base/error.h"
#include "cli/client_target.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

struct client;

/* Borrows the strings of target until the client is closed. SC_E_UNAVAILABLE: nobody there. Other
 * errors as of client_wire_open. */
must_check enum sc_status client_open(const struct client_target *target,
				      struct client **client_out, struct error *err);
void client_close(struct client *client);

/* A message of the answer, to be freed with protobuf_c_message_free_unpacked. false ends the call:
 * the server is told that it is cancelled. */
typedef bool client_message_fn(void *arg, ProtobufCMessage *message);

struct client_call {
	const char *method;	/* "Generate", of stagecoach.v1.Stagecoach */
	const ProtobufCMessage *request;
	const ProtobufCMessageDescriptor *response;
	client_message_fn *on_message;
	void *arg;
	uint64_t timeout_ms;	/* of the call, for both ends; 0: none */
};

/* The server's status, as far as we have one like it, with its words; SC_E_CANCELLED after a
 * signal or when on_message said so. SC_E_DEADLINE. SC_E_CLOSED: the connection broke.
 * SC_E_UNAVAILABLE, also when the server gives no sign of life.
 * SC_E_PROTOCOL. */
must_check enum sc_status client_run(struct client *client, const struct client_call *call,
				     struct error *err);

/* A call with one answer: caller frees it, as above. timeout_ms 0: none. */
must_check enum sc_status client_ask(struct client *client, const char *method,
				     const ProtobufCMessage *request, uint64_t timeout_ms,
				     const ProtobufCMessageDescriptor *response,
				     ProtobufCMessage **answer_out, struct error *err);

#endif
