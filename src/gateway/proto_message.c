/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/proto_message.h"

#include <stdlib.h>

/* protobuf-c takes up to some ten times the bytes of honest messages (ids in one byte each become
 * four); a message of nothing but unknown or empty fields takes more, and is refused. */
#define MEMORY_FACTOR 16
#define MEMORY_EXTRA 65536

struct proto_block {
	struct proto_block *next;
	max_align_t data[];
};

static void *request_alloc(void *arg, size_t n_bytes)
{
	struct proto_request *request = arg;
	struct proto_block *block;

	if (n_bytes > request->n_left || sizeof *block > request->n_left - n_bytes)
		return NULL;
	block = malloc(sizeof *block + n_bytes);
	if (!block)
		return NULL;
	request->n_left -= sizeof *block + n_bytes;
	block->next = request->blocks;
	request->blocks = block;
	return block->data;
}

/* All goes at once, in deinit. */
static void request_free(void *arg, void *data)
{
	(void)arg;
	(void)data;
}

enum sc_status proto_request_unpack(struct proto_request *request,
				    const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				    size_t n_bytes, struct error *err)
{
	*request = (struct proto_request){
		.allocator = { request_alloc, request_free, request },
		.n_left = n_bytes * MEMORY_FACTOR + MEMORY_EXTRA,
	};
	request->message = protobuf_c_message_unpack(type, &request->allocator, n_bytes, bytes);
	if (!request->message)
		return error_set(err, SC_E_INVALID, "the request is no valid %s", type->name);
	return SC_OK;
}

void proto_request_deinit(struct proto_request *request)
{
	while (request->blocks) {
		struct proto_block *block = request->blocks;

		request->blocks = block->next;
		free(block);
	}
	request->message = NULL;
}

void proto_start(struct grpc_call *call, const ProtobufCMessageDescriptor *type,
		 const uint8_t *bytes, size_t n_bytes, proto_start_fn *fn)
{
	struct proto_request request;
	struct error err = { .status = SC_OK };
	enum sc_status status = proto_request_unpack(&request, type, bytes, n_bytes, &err);

	if (status == SC_OK)
		status = fn(call, request.message, &err);
	if (status != SC_OK)
		grpc_call_fail(call, status, &err);
	proto_request_deinit(&request);
}

enum sc_status proto_send(struct grpc_call *call, const ProtobufCMessage *message,
			  struct error *err)
{
	size_t n_bytes = protobuf_c_message_get_packed_size(message);
	enum sc_status status;
	uint8_t *space;

	if (n_bytes > PROTO_MAX_REPLY)
		return error_set(err, SC_E_OVERLOADED,
				 "the answer of %zu bytes is over the limit of %zu", n_bytes,
				 PROTO_MAX_REPLY);
	status = grpc_call_add_message(call, n_bytes, &space);
	if (status == SC_E_OVERLOADED)
		return error_set(err, status, "the server holds too much for its clients: no room "
				 "for %zu bytes, retry later", n_bytes);
	if (status != SC_OK)
		return error_set(err, status, "no memory for an answer of %zu bytes", n_bytes);
	protobuf_c_message_pack(message, space);
	return SC_OK;
}

void proto_reply(struct grpc_call *call, const ProtobufCMessage *message)
{
	struct error err;
	enum sc_status status = proto_send(call, message, &err);

	if (status == SC_OK)
		grpc_call_finish(call, GRPC_OK, NULL);
	else
		grpc_call_fail(call, status, &err);
}
