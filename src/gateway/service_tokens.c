/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenize and Detokenize: the model's vocabulary for clients. The answer is made in prepare, so a
 * long one is made on a helper thread.
 */
#include "gateway/service.h"

#include "gateway/plain_text.h"
#include "gateway/request.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdlib.h>
#include <string.h>

static enum sc_status encode(const struct tokenizer *tokenizer,
			     const Stagecoach__V1__TokenizeRequest *message,
			     struct token_list *ids, struct error *err)
{
	unsigned flags = (message->add_special ? TOKENIZE_ADD_BOS : 0) |
			 (message->parse_special ? TOKENIZE_PARSE_SPECIAL : 0);

	if (message->input_case == STAGECOACH__V1__TOKENIZE_REQUEST__INPUT_TEXT)
		return tokenizer_encode(tokenizer, message->text, strlen(message->text), flags,
					ids, err);
	if (message->input_case == STAGECOACH__V1__TOKENIZE_REQUEST__INPUT_RAW_TEXT)
		return tokenizer_encode(tokenizer, message->raw_text.data ?
					(char *)message->raw_text.data : "",
					message->raw_text.len, flags, ids, err);
	return error_set(err, SC_E_INVALID, "input: expected text or raw_text");
}

static enum sc_status too_large(struct request *request, struct error *err)
{
	error_set(err, SC_E_OVERLOADED, "the answer exceeds the limit of %zu bytes: send less at "
		  "once", PROTO_MAX_REPLY);
	return request_meets(request, LIMIT_REPLY, err->status);
}

static enum sc_status pack_reply(struct request *request, const ProtobufCMessage *message,
				 struct error *err)
{
	enum sc_status status = proto_pack(message, &request->reply, err);

	return status == SC_E_OVERLOADED ? too_large(request, err) : status;
}

/* Appends a field `bytes pieces = 2`. Source: the protobuf encoding's length-delimited record. */
static enum sc_status add_piece(struct buf *reply, const struct buf *piece)
{
	uint8_t head[1 + 10] = { 2 << 3 | 2 };
	size_t n_head = 1;
	size_t n = piece->length;

	for (; n >= 0x80; n >>= 7)
		head[n_head++] = (uint8_t)(n | 0x80);
	head[n_head++] = (uint8_t)n;
	if (buf_reserve(reply, n_head + piece->length) != SC_OK ||
	    buf_add(reply, head, n_head) != SC_OK)
		return SC_E_NOMEM;
	return buf_add(reply, piece->data, piece->length);
}

/* Appends the text of each token after the packed ids. Pieces are written into the answer as they
 * are made; an array of them would take several times the memory of the answer. */
static enum sc_status add_pieces(struct request *request, const struct token_list *ids,
				 struct error *err)
{
	struct buf piece = BUF_INIT;
	enum sc_status status = SC_OK;

	for (size_t i = 0; status == SC_OK && i < ids->n; i++) {
		buf_truncate(&piece, 0);
		status = tokenizer_decode(request->tokenizer, &ids->ids[i], 1, true, &piece);
		if (status == SC_OK)
			status = add_piece(&request->reply, &piece);
		if (status == SC_OK && request->reply.length > PROTO_MAX_REPLY)
			status = too_large(request, err);
	}
	buf_deinit(&piece);
	return status;
}

static enum sc_status tokenize(struct request *request, struct error *err)
{
	const Stagecoach__V1__TokenizeRequest *message =
		(const Stagecoach__V1__TokenizeRequest *)request->message;
	Stagecoach__V1__TokenizeResponse response = STAGECOACH__V1__TOKENIZE_RESPONSE__INIT;
	struct token_list ids = { 0 };
	enum sc_status status = encode(request->tokenizer, message, &ids, err);

	response.ids = ids.ids;
	response.n_ids = ids.n;
	if (status == SC_OK)
		status = pack_reply(request, &response.base, err);
	if (status == SC_OK && message->with_pieces)
		status = add_pieces(request, &ids, err);
	token_list_deinit(&ids);
	return status;
}

static enum sc_status reply(struct request *request, struct error *err)
{
	(void)err;
	proto_reply_packed(request->call, &request->reply);
	return SC_OK;
}

static void tokenize_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = {
		.type = &stagecoach__v1__tokenize_request__descriptor,
		.prepare = tokenize,
		.finish = reply,
	};

	request_start(call, &ops, bytes, n_bytes);
}

static enum sc_status check_ids(const struct tokenizer *tokenizer,
				const Stagecoach__V1__DetokenizeRequest *message,
				struct error *err)
{
	for (size_t i = 0; i < message->n_ids; i++)
		if (message->ids[i] >= tokenizer_n_vocab(tokenizer))
			return error_set(err, SC_E_INVALID,
					 "ids[%zu]: expected less than %u, found %u", i,
					 tokenizer_n_vocab(tokenizer), message->ids[i]);
	return SC_OK;
}

/* Four bytes of ids may mean a hundred times as much text, so the text is limited to what an answer
 * can hold. The answer contains the text twice, as bytes and as a string. */
static enum sc_status decode(struct request *request, struct buf *raw, struct error *err)
{
	const Stagecoach__V1__DetokenizeRequest *message =
		(const Stagecoach__V1__DetokenizeRequest *)request->message;
	enum sc_status status = check_ids(request->tokenizer, message, err);

	if (status != SC_OK)
		return status;
	status = tokenizer_decode_within(request->tokenizer, message->ids, message->n_ids,
					 message->with_special, PROTO_MAX_REPLY / 2, raw);
	if (status == SC_E_TOO_LARGE)
		return too_large(request, err);
	return status == SC_OK ? SC_OK : error_set(err, status, "no memory for the text");
}

static enum sc_status detokenize(struct request *request, struct error *err)
{
	Stagecoach__V1__DetokenizeResponse response = STAGECOACH__V1__DETOKENIZE_RESPONSE__INIT;
	struct buf raw = BUF_INIT;
	struct buf text = BUF_INIT;
	enum sc_status status = decode(request, &raw, err);

	if (status == SC_OK)
		status = plain_text_set(&text, raw.data, raw.length);
	response.text = text.data;
	response.raw_text.data = (uint8_t *)raw.data;
	response.raw_text.len = raw.length;
	if (status == SC_OK)
		status = pack_reply(request, &response.base, err);
	buf_deinit(&raw);
	buf_deinit(&text);
	return status;
}

static void detokenize_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = {
		.type = &stagecoach__v1__detokenize_request__descriptor,
		.prepare = detokenize,
		.finish = reply,
	};

	request_start(call, &ops, bytes, n_bytes);
}

const struct grpc_call_ops service_tokenize = { .start = tokenize_start };
const struct grpc_call_ops service_detokenize = { .start = detokenize_start };
