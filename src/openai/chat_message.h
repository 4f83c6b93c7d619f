/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_CHAT_MESSAGE_H
#define STAGECOACH_OPENAI_CHAT_MESSAGE_H
/*
 * chat_message - collects what a chat_parser gives: content, reasoning and tool calls, until they
 * are written as a message, or as the delta of one.
 * Thread: one at a time, any.
 */
#include "chat/chat.h"
#include "openai/json_writer.h"

struct chat_message {
	struct buf content;
	struct buf reasoning;
	struct buf calls;	/* elements of the array tool_calls, as JSON */
	struct json_writer writer;	/* to calls */
	bool is_delta;		/* calls carry their index, and may go on later */
	bool inlines_reasoning;	/* reasoning is a part of content, between <think> and </think> */
	bool is_in_reasoning;	/* with inlines_reasoning: </think> is to come */
	bool has_open_call;	/* the last element of calls is not finished */
	uint32_t open_index;
};

void chat_message_init(struct chat_message *message, bool is_delta, bool inlines_reasoning);
void chat_message_deinit(struct chat_message *message);

/* A chat_delta_fn; arg is the message. */
enum sc_status chat_message_add(void *arg, const struct chat_delta *delta);

bool chat_message_is_empty(const struct chat_message *message);
/* Writes the members of what was collected. A whole message always has content: a text, or null
 * beside tool calls. Then the message is empty. SC_E_NOMEM. */
must_check enum sc_status chat_message_put(struct chat_message *message,
					   struct json_writer *writer);

#endif
