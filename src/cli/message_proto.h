/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_MESSAGE_PROTO_H
#define STAGECOACH_CLI_MESSAGE_PROTO_H
/*
 * message_proto - the messages of a conversation as the Chat of a GenerateRequest.
 * Thread: any.
 */
#include "base/error.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <jansson.h>

struct message_proto {
	Stagecoach__V1__Chat chat;
	Stagecoach__V1__ChatMessage *messages;
	Stagecoach__V1__ChatMessage **list;
	Stagecoach__V1__ToolCall *calls;	/* of all messages */
	Stagecoach__V1__ToolCall **call_list;
};

/* messages: an array as conversation.h makes them, whose texts are borrowed until deinit.
 * SC_E_NOMEM. deinit also after a failure. */
must_check enum sc_status message_proto_init(struct message_proto *proto, const json_t *messages,
					     struct error *err);
void message_proto_deinit(struct message_proto *proto);

#endif
