/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/answer_printer.h"

#include <errno.h>
#include <string.h>

#define DIM "\033[2m"
#define PLAIN "\033[0m"

void answer_printer_init(struct answer_printer *printer, const struct answer_style *style)
{
	*printer = (struct answer_printer){ .style = *style };
	buf_init(&printer->content);
	buf_init(&printer->reasoning);
	buf_init(&printer->arguments);
}

void answer_printer_deinit(struct answer_printer *printer)
{
	buf_deinit(&printer->content);
	buf_deinit(&printer->reasoning);
	buf_deinit(&printer->arguments);
	json_decref(printer->calls);
	printer->calls = NULL;
}

/* --- printing --- */

static void put(struct answer_printer *printer, const char *text, size_t n_bytes)
{
	if (!printer->style.file || !n_bytes)
		return;
	fwrite(text, 1, n_bytes, printer->style.file);
	printer->is_line_open = text[n_bytes - 1] != '\n';
}

static void put_string(struct answer_printer *printer, const char *text)
{
	put(printer, text, strlen(text));
}

/* Escapes move no cursor. */
static void put_escape(struct answer_printer *printer, const char *escape)
{
	if (printer->style.file && printer->style.has_escapes)
		fputs(escape, printer->style.file);
}

static void end_line(struct answer_printer *printer)
{
	if (printer->is_line_open)
		put_string(printer, "\n");
}

static enum sc_status flush(struct answer_printer *printer)
{
	FILE *file = printer->style.file;

	if (!file || (fflush(file) == 0 && !ferror(file)))
		return SC_OK;
	printer->write_errno = errno;
	return SC_E_IO;
}

/* What comes now is of another kind than what came before. */
static void change_kind(struct answer_printer *printer, enum chat_delta_kind kind)
{
	if (printer->has_text && printer->kind == kind)
		return;
	if (printer->has_text && printer->kind == CHAT_REASONING &&
	    printer->style.shows_reasoning) {
		put_escape(printer, PLAIN);
		end_line(printer);
		put_string(printer, "\n");
	}
	if (kind == CHAT_REASONING && printer->style.shows_reasoning)
		put_escape(printer, DIM);
	printer->kind = kind;
	printer->has_text = true;
}

/* --- tool calls --- */

/* Gives the arguments to the last call. */
static enum sc_status close_call(struct answer_printer *printer)
{
	json_t *last = json_array_get(printer->calls, json_array_size(printer->calls) - 1);
	struct buf *arguments = &printer->arguments;
	json_t *text;

	if (!printer->is_call_open)
		return SC_OK;
	printer->is_call_open = false;
	put_string(printer, ")\n");
	text = json_stringn(arguments->data, arguments->length);
	buf_truncate(arguments, 0);
	if (json_object_set_new(json_object_get(last, "function"), "arguments", text) < 0)
		return SC_E_NOMEM;
	return SC_OK;
}

static enum sc_status open_call(struct answer_printer *printer, const struct chat_delta *delta)
{
	enum sc_status status = close_call(printer);
	json_t *call;

	if (status != SC_OK)
		return status;
	if (!printer->calls)
		printer->calls = json_array();
	call = json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", delta->id, "type", "function",
			 "function", "name", delta->name, "arguments", "");
	if (json_array_append_new(printer->calls, call) < 0)
		return SC_E_NOMEM;
	printer->is_call_open = true;
	end_line(printer);
	put_string(printer, "tool call: ");
	put_string(printer, delta->name);
	put_string(printer, "(");
	return SC_OK;
}

/* --- all --- */

static enum sc_status add_text(struct answer_printer *printer, const struct chat_delta *delta,
			       struct buf *text, bool is_shown)
{
	change_kind(printer, delta->kind);
	if (is_shown)
		put(printer, delta->text, delta->n_bytes);
	return buf_add(text, delta->text, delta->n_bytes);
}

enum sc_status answer_printer_add(void *arg, const struct chat_delta *delta)
{
	struct answer_printer *printer = arg;
	enum sc_status status = SC_OK;

	switch (delta->kind) {
	case CHAT_CONTENT:
		status = close_call(printer);
		if (status == SC_OK)
			status = add_text(printer, delta, &printer->content, true);
		break;
	case CHAT_REASONING:
		status = add_text(printer, delta, &printer->reasoning,
				  printer->style.shows_reasoning);
		break;
	case CHAT_TOOL_BEGIN:
		change_kind(printer, CHAT_TOOL_BEGIN);
		status = open_call(printer, delta);
		break;
	case CHAT_TOOL_ARGUMENTS:
		put(printer, delta->text, delta->n_bytes);
		status = buf_add(&printer->arguments, delta->text, delta->n_bytes);
		break;
	}
	return status == SC_OK ? flush(printer) : status;
}

enum sc_status answer_printer_end(struct answer_printer *printer)
{
	enum sc_status status = close_call(printer);

	if (status != SC_OK)
		return status;
	if (printer->has_text && printer->kind == CHAT_REASONING &&
	    printer->style.shows_reasoning)
		put_escape(printer, PLAIN);
	end_line(printer);
	return flush(printer);
}

bool answer_printer_is_empty(const struct answer_printer *printer)
{
	return !printer->content.length && !printer->calls;
}

json_t *answer_printer_message(const struct answer_printer *printer)
{
	const struct buf *content = &printer->content, *reasoning = &printer->reasoning;
	json_t *message = json_pack("{s:s}", "role", "assistant");
	int rc;

	rc = json_object_set_new(message, "content", content->length || !printer->calls
				 ? json_stringn(content->data, content->length) : json_null());
	if (rc == 0 && reasoning->length)
		rc = json_object_set_new(message, "reasoning_content",
					 json_stringn(reasoning->data, reasoning->length));
	if (rc == 0 && printer->calls)
		rc = json_object_set_new(message, "tool_calls", json_deep_copy(printer->calls));
	if (rc == 0)
		return message;
	json_decref(message);
	return NULL;
}
