/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/proto_message.h"

#include <stdlib.h>
#include <string.h>

/* Fields of all kinds are stored one after the other in a few large blocks, so a message of many
 * small fields takes no longer than one of a few large fields. */
#define BLOCK_BYTES 4096
#define MAX_BLOCK_BYTES ((size_t)1 << 20)

struct proto_block {
	struct proto_block *next;
	size_t n_bytes;
	size_t n_used;
	max_align_t data[];
};

static struct proto_block *add_block(struct proto_request *request, size_t n_bytes)
{
	size_t n_wanted = request->blocks ? 2 * request->blocks->n_bytes : BLOCK_BYTES;
	struct proto_block *block;

	if (n_wanted > MAX_BLOCK_BYTES)
		n_wanted = MAX_BLOCK_BYTES;
	if (n_wanted < n_bytes)
		n_wanted = n_bytes;
	block = malloc(sizeof *block + n_wanted);
	if (!block)
		return NULL;
	block->next = request->blocks;
	block->n_bytes = n_wanted;
	block->n_used = 0;
	request->blocks = block;
	return block;
}

static void *request_alloc(void *arg, size_t n_bytes)
{
	struct proto_request *request = arg;
	struct proto_block *block = request->blocks;
	void *data;

	/* Checked before and after, because rounding up may overflow. */
	request->is_too_large |= n_bytes > request->n_left;
	n_bytes = (n_bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	request->is_too_large |= n_bytes > request->n_left;
	if (request->is_too_large)
		return NULL;
	if (!block || n_bytes > block->n_bytes - block->n_used)
		block = add_block(request, n_bytes);
	if (!block)
		return NULL;
	data = (char *)block->data + block->n_used;
	block->n_used += n_bytes;
	request->n_left -= n_bytes;
	return data;
}

/* Memory is freed all at once, in deinit. */
static void request_free(void *arg, void *data)
{
	(void)arg;
	(void)data;
}

/* --- strings that C would cut --- */

struct span {
	const uint8_t *next, *end;
};

/* What was unpacked is valid, so the bytes are only guarded against their end. */
static uint64_t take_varint(struct span *span)
{
	uint64_t value = 0;

	for (unsigned shift = 0; span->next < span->end && shift < 64; shift += 7) {
		uint8_t byte = *span->next++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	return value;
}

static struct span take_bytes(struct span *span, uint64_t n_bytes)
{
	size_t n_left = (size_t)(span->end - span->next);
	struct span taken = { span->next, span->next + (n_bytes < n_left ? n_bytes : n_left) };

	span->next = taken.end;
	return taken;
}

/* The next field and what it holds; empty for numbers. */
static const ProtobufCFieldDescriptor *take_field(struct span *span,
						  const ProtobufCMessageDescriptor *type,
						  struct span *value_out)
{
	uint64_t key = take_varint(span);

	*value_out = (struct span){ span->next, span->next };
	switch (key & 7) {
	case 0:
		(void)take_varint(span);
		break;
	case 1:
		(void)take_bytes(span, 8);
		break;
	case 2:
		*value_out = take_bytes(span, take_varint(span));
		break;
	case 5:
		(void)take_bytes(span, 4);
		break;
	default:	/* groups are not unpacked */
		span->next = span->end;
	}
	return protobuf_c_message_descriptor_get_field(type, (unsigned)(key >> 3));
}

/* A string ends at its first NUL once it is unpacked, so one with NUL is refused. Messages do not
 * nest in themselves, so the depth is that of the schema. */
static enum sc_status check_strings(const ProtobufCMessageDescriptor *type, struct span span,
				    struct error *err)
{
	enum sc_status status = SC_OK;

	while (status == SC_OK && span.next < span.end) {
		struct span value;
		const ProtobufCFieldDescriptor *field = take_field(&span, type, &value);

		if (!field)
			continue;
		if (field->type == PROTOBUF_C_TYPE_MESSAGE)
			status = check_strings(field->descriptor, value, err);
		else if (field->type == PROTOBUF_C_TYPE_STRING &&
			 memchr(value.next, '\0', (size_t)(value.end - value.next)))
			status = error_set(err, SC_E_INVALID, "%s: expected a text without NUL "
					   "characters", field->name);
	}
	return status;
}

enum sc_status proto_request_unpack(struct proto_request *request,
				    const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				    size_t n_bytes, struct error *err)
{
	*request = (struct proto_request){
		.allocator = { request_alloc, request_free, request },
		.n_left = n_bytes * PROTO_MEMORY_FACTOR + PROTO_MEMORY_EXTRA,
	};
	request->message = protobuf_c_message_unpack(type, &request->allocator, n_bytes, bytes);
	if (request->is_too_large)
		return error_set(err, SC_E_INVALID, "the decoded request takes more than %zu "
				 "bytes: expected fewer empty or unknown fields",
				 n_bytes * PROTO_MEMORY_FACTOR + PROTO_MEMORY_EXTRA);
	if (!request->message)
		return error_set(err, SC_E_INVALID, "the request is not a valid %s message",
				 type->name);
	return check_strings(type, (struct span){ bytes, bytes + n_bytes }, err);
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

static enum sc_status check_size(size_t n_bytes, struct error *err)
{
	if (n_bytes > PROTO_MAX_REPLY)
		return error_set(err, SC_E_OVERLOADED,
				 "the answer has %zu bytes, the limit is %zu: ask for less (a job "
				 "without_outputs, or its tokens from Watch)", n_bytes,
				 PROTO_MAX_REPLY);
	return SC_OK;
}

static enum sc_status refuse_for_room(size_t n_bytes, struct error *err)
{
	return error_set(err, SC_E_OVERLOADED, "the server's memory for clients is in use: no room "
			 "for %zu bytes, retry later", n_bytes);
}

enum sc_status proto_check_room(const struct grpc_call *call, size_t n_bytes, struct error *err)
{
	enum sc_status status = check_size(n_bytes, err);

	if (status != SC_OK) {
		limit_refuse(grpc_call_limits(call), LIMIT_REPLY);
	} else if (!grpc_call_can_add(call, n_bytes)) {
		limit_refuse(grpc_call_limits(call), LIMIT_BUDGET);
		status = refuse_for_room(n_bytes, err);
	}
	return status;
}

static enum sc_status add_space(struct grpc_call *call, size_t n_bytes, uint8_t **space_out,
				struct error *err)
{
	enum sc_status status = grpc_call_add_message(call, n_bytes, space_out);

	if (status == SC_E_OVERLOADED)
		return refuse_for_room(n_bytes, err);
	if (status != SC_OK)
		return error_set(err, status, "no memory for an answer of %zu bytes", n_bytes);
	return SC_OK;
}

enum sc_status proto_send(struct grpc_call *call, const ProtobufCMessage *message,
			  struct error *err)
{
	size_t n_bytes = protobuf_c_message_get_packed_size(message);
	enum sc_status status = check_size(n_bytes, err);
	uint8_t *space;

	if (status != SC_OK)
		limit_refuse(grpc_call_limits(call), LIMIT_REPLY);
	if (status == SC_OK)
		status = add_space(call, n_bytes, &space, err);
	if (status == SC_OK)
		protobuf_c_message_pack(message, space);
	return status;
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

enum sc_status proto_pack(const ProtobufCMessage *message, struct buf *packed, struct error *err)
{
	size_t n_bytes = protobuf_c_message_get_packed_size(message);
	enum sc_status status = check_size(n_bytes, err);

	if (status != SC_OK)
		return status;
	if (buf_reserve(packed, n_bytes) != SC_OK)
		return error_set(err, SC_E_NOMEM, "no memory for an answer of %zu bytes", n_bytes);
	packed->length = protobuf_c_message_pack(message, (uint8_t *)packed->data);
	return SC_OK;
}

void proto_reply_packed(struct grpc_call *call, const struct buf *packed)
{
	struct error err;
	uint8_t *space;
	enum sc_status status = add_space(call, packed->length, &space, &err);

	if (status != SC_OK) {
		grpc_call_fail(call, status, &err);
		return;
	}
	memcpy(space, packed->data, packed->length);
	grpc_call_finish(call, GRPC_OK, NULL);
}
