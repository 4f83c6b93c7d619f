/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/message_proto.h"

#include <stdint.h>
#include <stdlib.h>

/* protobuf-c has no const. "" for what is no text. */
static char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return (char *)(uintptr_t)(text ? text : "");
}

static void set_call(Stagecoach__V1__ToolCall *out, const json_t *call)
{
	const json_t *function = json_object_get(call, "function");

	stagecoach__v1__tool_call__init(out);
	out->id = text_of(call, "id");
	out->name = text_of(function, "name");
	out->arguments = text_of(function, "arguments");
}

/* first: number of the message's first call among all calls. */
static void set_message(struct message_proto *proto, size_t i, const json_t *message, size_t first)
{
	const json_t *calls = json_object_get(message, "tool_calls");
	Stagecoach__V1__ChatMessage *out = &proto->messages[i];

	stagecoach__v1__chat_message__init(out);
	out->role = text_of(message, "role");
	out->content = text_of(message, "content");
	out->reasoning_content = text_of(message, "reasoning_content");
	out->tool_call_id = text_of(message, "tool_call_id");
	out->name = text_of(message, "name");
	out->n_tool_calls = json_array_size(calls);
	out->tool_calls = &proto->call_list[first];
	for (size_t k = 0; k < out->n_tool_calls; k++) {
		set_call(&proto->calls[first + k], json_array_get(calls, k));
		out->tool_calls[k] = &proto->calls[first + k];
	}
	proto->list[i] = out;
}

static size_t count_calls(const json_t *messages)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(messages); i++)
		n += json_array_size(json_object_get(json_array_get(messages, i), "tool_calls"));
	return n;
}

enum sc_status message_proto_init(struct message_proto *proto, const json_t *messages,
				  struct error *err)
{
	size_t n = json_array_size(messages), n_calls = count_calls(messages), first = 0;

	/* One more of each: nothing at all might come as NULL. */
	*proto = (struct message_proto){
		.chat = STAGECOACH__V1__CHAT__INIT,
		.messages = calloc(n + 1, sizeof proto->messages[0]),
		.list = calloc(n + 1, sizeof proto->list[0]),
		.calls = calloc(n_calls + 1, sizeof proto->calls[0]),
		.call_list = calloc(n_calls + 1, sizeof proto->call_list[0]),
	};
	if (!proto->messages || !proto->list || !proto->calls || !proto->call_list)
		return error_set(err, SC_E_NOMEM, "out of memory for the conversation");
	for (size_t i = 0; i < n; i++) {
		set_message(proto, i, json_array_get(messages, i), first);
		first += proto->messages[i].n_tool_calls;
	}
	proto->chat.n_messages = n;
	proto->chat.messages = proto->list;
	return SC_OK;
}

void message_proto_deinit(struct message_proto *proto)
{
	free(proto->messages);
	free(proto->list);
	free(proto->calls);
	free(proto->call_list);
}
