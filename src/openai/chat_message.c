/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/chat_message.h"

/* How models write it themselves, for the most part. */
#define REASONING_OPEN "<think>\n"
#define REASONING_CLOSE "\n</think>\n\n"

void chat_message_init(struct chat_message *message, bool is_delta, bool inlines_reasoning)
{
	*message = (struct chat_message){ .is_delta = is_delta,
					  .inlines_reasoning = inlines_reasoning };
	buf_init(&message->content);
	buf_init(&message->reasoning);
	buf_init(&message->calls);
	json_put_init(&message->writer, &message->calls);
}

void chat_message_deinit(struct chat_message *message)
{
	buf_deinit(&message->content);
	buf_deinit(&message->reasoning);
	buf_deinit(&message->calls);
}

bool chat_message_is_empty(const struct chat_message *message)
{
	return !message->content.length && !message->reasoning.length && !message->calls.length;
}

/* --- tool calls --- */

static void close_call(struct chat_message *message)
{
	struct json_writer *writer = &message->writer;

	if (!message->has_open_call)
		return;
	message->has_open_call = false;
	json_put_text_end(writer);
	json_put_close(writer, '}');
	json_put_close(writer, '}');
}

/* id and name: NULL where the call goes on. */
static void open_call(struct chat_message *message, const struct chat_delta *delta, bool is_new)
{
	struct json_writer *writer = &message->writer;

	close_call(message);
	json_put_open(writer, '{');
	if (message->is_delta)
		json_put_member_uint(writer, "index", delta->index);
	if (is_new) {
		json_put_member_string(writer, "id", delta->id);
		json_put_member_string(writer, "type", "function");
	}
	json_put_key(writer, "function");
	json_put_open(writer, '{');
	if (is_new)
		json_put_member_string(writer, "name", delta->name);
	json_put_key(writer, "arguments");
	json_put_text_begin(writer);
	message->has_open_call = true;
	message->open_index = delta->index;
}

static void add_arguments(struct chat_message *message, const struct chat_delta *delta)
{
	if (!message->has_open_call || message->open_index != delta->index)
		open_call(message, delta, false);
	json_put_text_part(&message->writer, delta->text, delta->n_bytes);
}

/* --- reasoning --- */

/* Reasoning as a part of the content. */
static enum sc_status add_inline(struct chat_message *message, const struct chat_delta *delta)
{
	if (!message->is_in_reasoning &&
	    buf_add_string(&message->content, REASONING_OPEN) != SC_OK)
		return SC_E_NOMEM;
	message->is_in_reasoning = true;
	return buf_add(&message->content, delta->text, delta->n_bytes);
}

static enum sc_status close_reasoning(struct chat_message *message)
{
	if (!message->is_in_reasoning)
		return SC_OK;
	message->is_in_reasoning = false;
	return buf_add_string(&message->content, REASONING_CLOSE);
}

/* --- all --- */

enum sc_status chat_message_add(void *arg, const struct chat_delta *delta)
{
	struct chat_message *message = arg;

	if (delta->kind != CHAT_REASONING && close_reasoning(message) != SC_OK)
		return SC_E_NOMEM;
	switch (delta->kind) {
	case CHAT_CONTENT:
		return buf_add(&message->content, delta->text, delta->n_bytes);
	case CHAT_REASONING:
		if (message->inlines_reasoning)
			return add_inline(message, delta);
		return buf_add(&message->reasoning, delta->text, delta->n_bytes);
	case CHAT_TOOL_BEGIN:
		open_call(message, delta, true);
		break;
	case CHAT_TOOL_ARGUMENTS:
		add_arguments(message, delta);
		break;
	}
	return json_put_status(&message->writer);
}

enum sc_status chat_message_put(struct chat_message *message, struct json_writer *writer)
{
	close_call(message);
	if (message->content.length || (!message->is_delta && !message->calls.length)) {
		json_put_key(writer, "content");
		json_put_text(writer, message->content.data, message->content.length);
	} else if (!message->is_delta) {
		json_put_member_null(writer, "content");
	}
	if (message->reasoning.length) {
		json_put_key(writer, "reasoning_content");
		json_put_text(writer, message->reasoning.data, message->reasoning.length);
	}
	if (message->calls.length) {
		json_put_key(writer, "tool_calls");
		json_put_open(writer, '[');
		json_put_raw(writer, message->calls.data, message->calls.length);
		json_put_close(writer, ']');
	}
	buf_truncate(&message->content, 0);
	buf_truncate(&message->reasoning, 0);
	buf_truncate(&message->calls, 0);
	message->writer.needs_comma = false;
	return json_put_status(&message->writer);
}
