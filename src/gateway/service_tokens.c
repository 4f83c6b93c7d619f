/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenize and Detokenize: the model's vocabulary for clients. The answer is made where the request
 * is prepared, on a helper thread when it is long.
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
	unsigned flags = (message->add_special ? TOKENIZE_ADD_SPECIAL : 0) |
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

/* The bytes of all tokens one behind the other in text, and where each is in pieces. */
static enum sc_status cut_pieces(const struct tokenizer *tokenizer, const struct token_list *ids,
				 struct buf *text, ProtobufCBinaryData *pieces)
{
	size_t start = 0;

	for (size_t i = 0; i < ids->n; i++) {
		enum sc_status status = tokenizer_decode(tokenizer, &ids->ids[i], 1, true, text);

		if (status != SC_OK)
			return status;
		pieces[i].len = text->length - start;
		start = text->length;
	}
	start = 0;
	for (size_t i = 0; i < ids->n; i++) {
		pieces[i].data = (uint8_t *)text->data + start;
		start += pieces[i].len;
	}
	return SC_OK;
}

static enum sc_status add_pieces(const struct tokenizer *tokenizer, const struct token_list *ids,
				 struct buf *text, Stagecoach__V1__TokenizeResponse *response)
{
	enum sc_status status;

	response->pieces = calloc(ids->n ? ids->n : 1, sizeof *response->pieces);
	if (!response->pieces)
		return SC_E_NOMEM;
	status = cut_pieces(tokenizer, ids, text, response->pieces);
	if (status == SC_OK)
		response->n_pieces = ids->n;
	return status;
}

static enum sc_status pack_reply(struct request *request, const ProtobufCMessage *message,
				 struct error *err)
{
	enum sc_status status = proto_pack(message, &request->reply, err);

	return status == SC_E_OVERLOADED ? request_meets(request, LIMIT_REPLY, status) : status;
}

static enum sc_status tokenize(struct request *request, struct error *err)
{
	const Stagecoach__V1__TokenizeRequest *message =
		(const Stagecoach__V1__TokenizeRequest *)request->message;
	Stagecoach__V1__TokenizeResponse response = STAGECOACH__V1__TOKENIZE_RESPONSE__INIT;
	struct token_list ids = { 0 };
	struct buf text = BUF_INIT;
	enum sc_status status = encode(request->tokenizer, message, &ids, err);

	if (status == SC_OK && message->with_pieces)
		status = add_pieces(request->tokenizer, &ids, &text, &response);
	response.ids = ids.ids;
	response.n_ids = ids.n;
	if (status == SC_OK)
		status = pack_reply(request, &response.base, err);
	free(response.pieces);
	token_list_deinit(&ids);
	buf_deinit(&text);
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

static enum sc_status decode(const struct tokenizer *tokenizer,
			     const Stagecoach__V1__DetokenizeRequest *message, struct buf *raw,
			     struct error *err)
{
	enum sc_status status;

	for (size_t i = 0; i < message->n_ids; i++)
		if (message->ids[i] >= tokenizer_n_vocab(tokenizer))
			return error_set(err, SC_E_INVALID,
					 "ids[%zu]: expected less than %u, found %u", i,
					 tokenizer_n_vocab(tokenizer), message->ids[i]);
	status = tokenizer_decode(tokenizer, message->ids, message->n_ids, message->with_special,
				  raw);
	return status == SC_OK ? SC_OK : error_set(err, status, "the ids cannot be decoded");
}

static enum sc_status detokenize(struct request *request, struct error *err)
{
	Stagecoach__V1__DetokenizeResponse response = STAGECOACH__V1__DETOKENIZE_RESPONSE__INIT;
	struct buf raw = BUF_INIT;
	struct buf text = BUF_INIT;
	enum sc_status status = decode(request->tokenizer,
				       (const Stagecoach__V1__DetokenizeRequest *)request->message,
				       &raw, err);

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
