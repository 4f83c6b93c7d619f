/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /tokenize, /detokenize and /apply-template, GET /tokenizer_info: the model's vocabulary for
 * clients, by the names of vLLM and of llama.cpp. Answers are made in prepare, so a long one is
 * made on a helper thread.
 */
#include "openai/chat_body.h"
#include "openai/json_writer.h"
#include "openai/model_field.h"

#include "base/utf8.h"
#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>


static const struct tokenizer *tokenizer_of(const struct api_request *request)
{
	return engine_tokenizer(request->openai->engine);
}

static enum sc_status check_reply(struct api_request *request, const struct json_writer *writer)
{
	if (json_put_status(writer) != SC_OK)
		return api_request_fail(request, SC_E_NOMEM, NULL, "out of memory");
	if (request->reply.length <= OPENAI_MAX_REPLY)
		return SC_OK;
	request->error.has_met_limit = true;
	request->error.met_limit = LIMIT_REPLY;
	return api_request_fail(request, SC_E_TOO_LARGE, NULL, "the answer exceeds the limit of %zu"
				" MiB: send less at once", OPENAI_MAX_REPLY >> 20);
}

/* --- tokenize --- */

struct tokenize {
	struct chat_body chat;	/* with messages */
	bool has_chat;
	struct token_list ids;
	bool adds_special;
	bool parses_special;
	bool with_pieces;	/* llama.cpp: objects {id, piece} */
	bool with_strings;	/* vLLM: token_strs */
};

static void destroy_tokenize(struct api_request *request)
{
	struct tokenize *tokenize = request->body;

	if (tokenize->has_chat)
		chat_body_deinit(&tokenize->chat);
	token_list_deinit(&tokenize->ids);
	free(tokenize);
}

static void put_piece(struct json_writer *writer, const struct tokenizer *tokenizer, uint32_t id,
		      bool is_bytes)
{
	size_t n_bytes;
	const char *piece = tokenizer_piece(tokenizer, id, &n_bytes);

	if (!is_bytes || utf8_valid_length(piece, n_bytes) == n_bytes) {
		json_put_text(writer, piece, n_bytes);
		return;
	}
	json_put_open(writer, '[');
	for (size_t i = 0; i < n_bytes; i++)
		json_put_uint(writer, (uint8_t)piece[i]);
	json_put_close(writer, ']');
}

static enum sc_status write_tokens(struct api_request *request, const struct tokenize *tokenize)
{
	const struct tokenizer *tokenizer = tokenizer_of(request);
	const struct token_list *ids = &tokenize->ids;
	struct json_writer writer;

	json_put_init(&writer, &request->reply);
	json_put_open(&writer, '{');
	json_put_member_uint(&writer, "count", ids->n);
	json_put_member_uint(&writer, "max_model_len", request->max_context);
	json_put_key(&writer, "tokens");
	json_put_open(&writer, '[');
	for (size_t i = 0; i < ids->n; i++) {
		if (!tokenize->with_pieces) {
			json_put_uint(&writer, ids->ids[i]);
			continue;
		}
		json_put_open(&writer, '{');
		json_put_member_uint(&writer, "id", ids->ids[i]);
		json_put_key(&writer, "piece");
		put_piece(&writer, tokenizer, ids->ids[i], true);
		json_put_close(&writer, '}');
	}
	json_put_close(&writer, ']');
	json_put_key(&writer, "token_strs");
	if (tokenize->with_strings) {
		json_put_open(&writer, '[');
		for (size_t i = 0; i < ids->n && request->reply.length <= OPENAI_MAX_REPLY; i++)
			put_piece(&writer, tokenizer, ids->ids[i], false);
		json_put_close(&writer, ']');
	} else {
		json_put_null(&writer);
	}
	json_put_close(&writer, '}');
	return check_reply(request, &writer);
}

static void tokenize_messages(struct api_request *request, struct tokenize *tokenize)
{
	chat_body_init(&tokenize->chat, request->openai->chat, request->is_brief);
	tokenize->has_chat = true;
	chat_body_read_messages(&tokenize->chat, &request->reader);
	if (!tokenize->chat.has_prompt)
		return;
	tokenize->ids = tokenize->chat.prompt.tokens;
	tokenize->chat.prompt.tokens = (struct token_list){ 0 };
}

/* "prompt" is vLLM's name, "content" llama.cpp's. */
static void tokenize_text(struct api_request *request, struct tokenize *tokenize)
{
	struct json_reader *reader = &request->reader;
	const json_t *text = json_read(reader, "prompt");
	const json_t *content = json_read(reader, "content");
	struct error err;

	if (!text)
		text = content;
	if (reader->status != SC_OK)
		return;
	if (!json_is_string(text))
		json_reader_fail(reader, content ? "content" : "prompt", SC_E_INVALID,
				 "expected a text in prompt or content, or messages");
	else if (tokenizer_encode(tokenizer_of(request), json_string_value(text),
				  json_string_length(text),
				  (tokenize->adds_special ? TOKENIZE_ADD_BOS : 0) |
				  (tokenize->parses_special ? TOKENIZE_PARSE_SPECIAL : 0),
				  &tokenize->ids, &err) != SC_OK)
		json_reader_fail(reader, "prompt", err.status == SC_E_TOO_LARGE ? SC_E_INVALID
				 : err.status, "%s", err.text);
}

/* vLLM adds BOS by default, llama.cpp does not. */
static enum sc_status prepare_tokenize(struct api_request *request)
{
	struct json_reader *reader = &request->reader;
	struct tokenize *tokenize = calloc(1, sizeof *tokenize);

	if (!tokenize)
		return api_request_fail(request, SC_E_NOMEM, NULL, "out of memory");
	request->body = tokenize;
	if (model_field_check(request) != SC_OK)
		return request->error.error.status;
	tokenize->adds_special = json_object_get(reader->object, "prompt") != NULL;
	tokenize->parses_special = true;
	json_read_bool(reader, "add_special", &tokenize->adds_special);
	json_read_bool(reader, "add_special_tokens", &tokenize->adds_special);
	json_read_bool(reader, "parse_special", &tokenize->parses_special);
	json_read_bool(reader, "with_pieces", &tokenize->with_pieces);
	json_read_bool(reader, "return_token_strs", &tokenize->with_strings);
	if (json_object_get(reader->object, "messages"))
		tokenize_messages(request, tokenize);
	else
		tokenize_text(request, tokenize);
	if (api_request_check(request) != SC_OK)
		return request->error.error.status;
	return write_tokens(request, tokenize);
}

static void start_tokenize(struct http_call *call)
{
	static const struct api_request_ops ops = {
		.prepare = prepare_tokenize, .destroy = destroy_tokenize,
	};

	api_request_start(call, &ops);
}

/* --- detokenize --- */

static void read_ids(struct api_request *request, struct token_list *ids)
{
	struct json_reader *reader = &request->reader;
	const json_t *tokens = json_read_array(reader, "tokens");
	uint32_t n_vocab = tokenizer_n_vocab(tokenizer_of(request));

	if (!tokens)
		json_reader_fail(reader, "tokens", SC_E_INVALID, "missing: expected token ids");
	for (size_t i = 0; i < json_array_size(tokens) && reader->status == SC_OK; i++) {
		const json_t *item = json_array_get(tokens, i);
		json_int_t id = json_integer_value(item);

		if (!json_is_integer(item) || id < 0 || id >= n_vocab)
			json_reader_fail(reader, "tokens", SC_E_INVALID,
					 "item %zu: expected an id below %u", i, n_vocab);
		else if (token_list_add(ids, (uint32_t)id) != SC_OK)
			json_reader_fail(reader, "tokens", SC_E_NOMEM, "out of memory");
	}
}

/* A token may stand for a hundred times as much text, so the text is limited to what an answer can
 * hold, which has it twice. */
static enum sc_status write_text(struct api_request *request, const struct token_list *ids)
{
	struct buf text = BUF_INIT;
	struct json_writer writer;
	enum sc_status status;

	json_put_init(&writer, &request->reply);
	status = tokenizer_decode_within(tokenizer_of(request), ids->ids, ids->n, true,
					 OPENAI_MAX_REPLY / 2, &text);
	if (status == SC_OK) {
		json_put_open(&writer, '{');
		json_put_key(&writer, "prompt");
		json_put_text(&writer, text.data, text.length);
		json_put_key(&writer, "content");
		json_put_text(&writer, text.data, text.length);
		json_put_close(&writer, '}');
		status = check_reply(request, &writer);
	} else {
		api_request_fail(request, status, "tokens", status == SC_E_TOO_LARGE
				 ? "the text would be too long: send fewer tokens at once"
				 : "out of memory");
	}
	buf_deinit(&text);
	return status;
}

static enum sc_status prepare_detokenize(struct api_request *request)
{
	struct token_list ids = { 0 };
	enum sc_status status = model_field_check(request);

	if (status == SC_OK) {
		read_ids(request, &ids);
		status = api_request_check(request);
	}
	if (status == SC_OK)
		status = write_text(request, &ids);
	token_list_deinit(&ids);
	return status;
}

static void start_detokenize(struct http_call *call)
{
	static const struct api_request_ops ops = { .prepare = prepare_detokenize };

	api_request_start(call, &ops);
}

/* --- apply-template --- */

static enum sc_status write_prompt(struct api_request *request, const struct chat_body *body)
{
	struct json_writer writer;

	json_put_init(&writer, &request->reply);
	json_put_open(&writer, '{');
	json_put_key(&writer, "prompt");
	json_put_text(&writer, body->prompt.text.data, body->prompt.text.length);
	json_put_close(&writer, '}');
	return check_reply(request, &writer);
}

static enum sc_status prepare_template(struct api_request *request)
{
	struct chat_body body;
	enum sc_status status;

	chat_body_init(&body, request->openai->chat, request->is_brief);
	status = model_field_check(request);
	if (status == SC_OK) {
		chat_body_read_messages(&body, &request->reader);
		status = api_request_check(request);
	}
	if (status == SC_OK)
		status = write_prompt(request, &body);
	chat_body_deinit(&body);
	return status;
}

static void start_template(struct http_call *call)
{
	static const struct api_request_ops ops = { .prepare = prepare_template };

	api_request_start(call, &ops);
}

/* --- tokenizer_info --- */

static void put_name(struct json_writer *writer, const char *name,
		     const struct tokenizer *tokenizer, uint32_t id)
{
	json_put_key(writer, name);
	if (id == TOKEN_NONE)
		json_put_null(writer);
	else
		put_piece(writer, tokenizer, id, false);
}

static void start_info(struct http_call *call)
{
	const struct openai *openai = http_call_context(call);
	const struct tokenizer *tokenizer = engine_tokenizer(openai->engine);
	struct buf text = BUF_INIT;
	struct json_writer writer;

	json_put_init(&writer, &text);
	json_put_open(&writer, '{');
	json_put_member_string(&writer, "tokenizer_class", "stagecoach");
	put_name(&writer, "bos_token", tokenizer, tokenizer_bos(tokenizer));
	put_name(&writer, "eos_token", tokenizer, tokenizer_eos(tokenizer));
	json_put_member_null(&writer, "pad_token");
	json_put_member_bool(&writer, "add_bos_token", tokenizer_adds_bos(tokenizer));
	json_put_member_uint(&writer, "vocab_size", tokenizer_n_vocab(tokenizer));
	json_put_member_uint(&writer, "model_max_length", engine_max_context(openai->engine));
	json_put_member_string(&writer, "chat_template", openai->chat
			       ? chat_format_template(openai->chat) : NULL);
	json_put_close(&writer, '}');
	if (json_put_status(&writer) == SC_OK)
		api_answer(call, &text);
	else
		http_call_fail(call, SC_E_NOMEM, NULL);
	buf_deinit(&text);
}

const struct http_call_ops openai_tokenize = { .start = start_tokenize };
const struct http_call_ops openai_detokenize = { .start = start_detokenize };
const struct http_call_ops openai_apply_template = { .start = start_template };
const struct http_call_ops openai_tokenizer_info = { .start = start_info };
