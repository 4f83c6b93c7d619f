/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_PROTO_MESSAGE_H
#define STAGECOACH_GATEWAY_PROTO_MESSAGE_H
/*
 * proto_message - protobuf messages in and out of calls.
 * An unpacked request lives in its own memory, which is bounded by the size of its bytes: a small
 * message of many empty fields cannot make the server allocate without end.
 * Thread: the call's, except for proto_request and proto_pack, which work on any one thread.
 */
#include "base/error.h"
#include "gateway/grpc_call.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* A request may take so many bytes of memory for each byte of its message, and so many besides.
 * Ordinary messages take up to ten for each (protobuf-c makes four of an id of one byte); messages
 * of nothing but unknown or empty fields take more, and are refused. */
#define PROTO_MEMORY_FACTOR 16
#define PROTO_MEMORY_EXTRA 65536

/* Replies are packed whole; more than this is refused. */
#define PROTO_MAX_REPLY ((size_t)16 << 20)

struct proto_request {
	ProtobufCMessage *message;	/* NULL: not unpacked */
	ProtobufCAllocator allocator;
	size_t n_left;			/* bytes that may still be allocated */
	bool is_too_large;		/* that was not enough */
	struct proto_block *blocks;
};

/* SC_E_INVALID: not such a message, or one that takes too much memory. Destroyed by the caller
 * with proto_request_deinit, also when this fails. */
must_check enum sc_status proto_request_unpack(struct proto_request *request,
					       const ProtobufCMessageDescriptor *type,
					       const uint8_t *bytes, size_t n_bytes,
					       struct error *err);
void proto_request_deinit(struct proto_request *request);

/* Before an answer is made: would one of n_bytes be refused? SC_E_OVERLOADED, as proto_send. */
must_check enum sc_status proto_check_room(const struct grpc_call *call, size_t n_bytes,
					   struct error *err);

/* Pack message behind the call's other messages. SC_E_OVERLOADED: over PROTO_MAX_REPLY, or
 * the server holds too much. */
must_check enum sc_status proto_send(struct grpc_call *call, const ProtobufCMessage *message,
				     struct error *err);

/* Send and finish: the whole answer of a unary call. */
void proto_reply(struct grpc_call *call, const ProtobufCMessage *message);

/* The same in two parts. Pack works on any thread; packed is empty before. */
must_check enum sc_status proto_pack(const ProtobufCMessage *message, struct buf *packed,
				     struct error *err);
void proto_reply_packed(struct grpc_call *call, const struct buf *packed);

#endif
