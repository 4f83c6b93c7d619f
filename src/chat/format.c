/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/format.h"

#include "chat/chat.h"
#include "model/gguf.h"

#include <stdlib.h>
#include <string.h>

#define KEY_TEMPLATE "tokenizer.chat_template"
#define KEY_TOOL_USE "tokenizer.chat_template.tool_use"

/* The name of a special token, or "". Adds to `name`. */
static enum sc_status token_name(const struct tokenizer *tokenizer, uint32_t token,
				 struct buf *name)
{
	const char *piece;
	size_t n;

	if (token == TOKEN_NONE)
		return SC_OK;
	piece = tokenizer_piece(tokenizer, token, &n);
	return buf_add(name, piece, n);
}

static enum sc_status load(struct chat_format *format, struct chat_template *tmpl,
			   const char *text, size_t n_bytes, struct error *err)
{
	struct buf bos = BUF_INIT, eos = BUF_INIT;
	enum sc_status status = token_name(format->tokenizer, tokenizer_bos(format->tokenizer),
					   &bos);

	if (!status)
		status = token_name(format->tokenizer, tokenizer_eos(format->tokenizer), &eos);
	if (!status)
		status = chat_template_init(tmpl, text, n_bytes, bos.data, eos.data, err);
	buf_deinit(&bos);
	buf_deinit(&eos);
	return status;
}

/* A template that is missing, or faulty, is noted in `fault`. */
static enum sc_status load_usual(struct chat_format *format, const struct gguf *gguf,
				 const char *override)
{
	struct gguf_string text = { .data = override, .length = override ? strlen(override) : 0 };
	struct error err = { .status = SC_OK };
	enum sc_status status = SC_OK;

	if (!override && !gguf_has(gguf, KEY_TEMPLATE)) {
		error_set(&format->fault, SC_E_UNSUPPORTED, "the model file has no chat template "
			  "(key '" KEY_TEMPLATE "'): give one with --chat-template, or use "
			  "the endpoint for completions");
		return SC_OK;
	}
	if (!override)
		status = gguf_get_string(gguf, KEY_TEMPLATE, &text, &err);
	if (!status)
		status = load(format, &format->usual, text.data, text.length, &err);
	if (status == SC_E_NOMEM || !status)
		return status;
	error_set(&format->fault, SC_E_UNSUPPORTED, "the model's chat template cannot be used: %s",
		  err.text);
	return SC_OK;
}

/* A faulty template for tools counts as missing: the usual one may know tools. */
static enum sc_status load_for_tools(struct chat_format *format, const struct gguf *gguf)
{
	struct gguf_string text;
	struct error err;
	enum sc_status status;

	if (!gguf_has(gguf, KEY_TOOL_USE) || gguf_get_string(gguf, KEY_TOOL_USE, &text, &err))
		return SC_OK;
	status = load(format, &format->for_tools, text.data, text.length, &err);
	return status == SC_E_NOMEM ? status : SC_OK;
}

static enum sc_status find_family(struct chat_format *format)
{
	struct buf text = BUF_INIT;
	enum sc_status status = SC_OK;

	if (format->for_tools.text)
		status = buf_add_string(&text, format->for_tools.text);
	if (!status && format->usual.text)
		status = buf_add_string(&text, format->usual.text);
	if (!status)
		status = format_find_family(format, text.data, format->tokenizer);
	buf_deinit(&text);
	return status;
}

enum sc_status chat_format_create(const struct gguf *gguf, const struct tokenizer *tokenizer,
				  const char *override, struct chat_format **format_out,
				  struct error *err)
{
	struct chat_format *format = calloc(1, sizeof *format);
	enum sc_status status;

	if (!format)
		return error_set(err, SC_E_NOMEM, "no memory for a chat format");
	format->tokenizer = tokenizer;
	status = load_usual(format, gguf, override);
	if (!status && !override)
		status = load_for_tools(format, gguf);
	if (!status)
		status = find_family(format);
	if (status) {
		chat_format_destroy(format);
		return error_set(err, status, "no memory for a chat format");
	}
	*format_out = format;
	return SC_OK;
}

void chat_format_destroy(struct chat_format *format)
{
	if (!format)
		return;
	chat_template_deinit(&format->usual);
	chat_template_deinit(&format->for_tools);
	free(format);
}

enum sc_status chat_format_check(const struct chat_format *format, struct error *err)
{
	if (format->usual.parsed)
		return SC_OK;
	return error_set(err, SC_E_UNSUPPORTED, "%s", format->fault.text);
}

const char *chat_format_template(const struct chat_format *format)
{
	return format->usual.text ? format->usual.text : "";
}

const char *chat_format_name(const struct chat_format *format)
{
	return format->family->name;
}

bool chat_format_has_tools(const struct chat_format *format)
{
	const struct chat_family *family = format->family;

	return family->prefill && (format->usual.abilities.tools ||
				   format->for_tools.abilities.tools ||
				   (family->suffix && format->usual.abilities.has_system));
}

const char *chat_format_reasoning_open(const struct chat_format *format)
{
	if (format->family == &family_harmony)
		return "<|channel|>analysis<|message|>";
	return format->reasoning_open ? mark_text(format->reasoning_open) : NULL;
}

const char *chat_format_reasoning_close(const struct chat_format *format)
{
	if (format->family == &family_harmony)
		return "<|end|>";
	return format->reasoning_close ? mark_text(format->reasoning_close) : NULL;
}
