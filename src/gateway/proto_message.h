/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_PROTO_MESSAGE_H
#define STAGECOACH_GATEWAY_PROTO_MESSAGE_H
/*
 * proto_message - protobuf messages of calls, in and out.
 * An unpacked request has its own memory, bounded by the size of its bytes: a small message of many
 * empty fields cannot make the server allocate without limit.
 * Thread: the call's, except proto_request_* and proto_pack, which work on any one thread.
 */
#include "base/error.h"
#include "gateway/grpc_call.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* A decoded request may take this many bytes per byte of its message, plus the extra. Ordinary
 * messages take up to ten (protobuf-c makes four of an id of one byte). Messages of only unknown or
 * empty fields take more and are refused. */
#define PROTO_MEMORY_FACTOR 16
#define PROTO_MEMORY_EXTRA 65536

/* Replies are packed as a whole; larger ones are refused. */
#define PROTO_MAX_REPLY ((size_t)16 << 20)

struct proto_request {
	ProtobufCMessage *message;	/* NULL: not unpacked yet */
	ProtobufCAllocator allocator;
	size_t n_left;			/* bytes that may still be allocated */
	bool is_too_large;		/* n_left was not enough */
	struct proto_block *blocks;
};

/* SC_E_INVALID: not a message of this type, one that takes too much memory, or one with a NUL
 * character in a string. The caller calls proto_request_deinit, also on failure. */
must_check enum sc_status proto_request_unpack(struct proto_request *request,
					       const ProtobufCMessageDescriptor *type,
					       const uint8_t *bytes, size_t n_bytes,
					       struct error *err);
void proto_request_deinit(struct proto_request *request);

/* Text for a field of a message that only reads it. NULL becomes "". */
static inline char *proto_borrow(const char *text)
{
	return (char *)(uintptr_t)(text ? text : "");
}

/* Checks, before an answer is made, whether n_bytes would be refused. SC_E_OVERLOADED as
 * proto_send. */
must_check enum sc_status proto_check_room(const struct grpc_call *call, size_t n_bytes,
					   struct error *err);

/* Packs message after the call's other messages. SC_E_OVERLOADED: larger than PROTO_MAX_REPLY, or
 * the memory for clients is used up. */
must_check enum sc_status proto_send(struct grpc_call *call, const ProtobufCMessage *message,
				     struct error *err);

/* Sends the answer of a unary call and finishes the call. */
void proto_reply(struct grpc_call *call, const ProtobufCMessage *message);

/* The same in two steps. proto_pack works on any thread; packed must be empty. */
must_check enum sc_status proto_pack(const ProtobufCMessage *message, struct buf *packed,
				     struct error *err);
void proto_reply_packed(struct grpc_call *call, const struct buf *packed);

#endif
