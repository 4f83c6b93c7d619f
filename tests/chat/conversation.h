/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_CHAT_CONVERSATION_H
#define STAGECOACH_TESTS_CHAT_CONVERSATION_H
/*
 * conversation - a model with a chat template and a small vocabulary, and requests to it as JSON.
 * Control tokens: <s>, </s>, <|im_start|>, <|im_end|>, [TOOL_CALLS], <|user|>, <|end|>.
 * User-defined tokens: <think>, </think>, <tool_call>, </tool_call>. Fails the test when something
 * that must work does not.
 */
#include "chat/chat.h"
#include "tests/model/tiny_vocab.h"

struct conversation {
	struct tiny_tokenizer tiny;
	struct chat_format *format;
	json_t *json;			/* of the last request */
	struct chat_request request;
	struct chat_prompt prompt;	/* of the last request, if it succeeded */
	const char *param;
	struct error err;
};

/* Templates: NULL: the file has none. */
void conversation_init(struct conversation *conversation, const char *template,
		       const char *for_tools);
void conversation_deinit(struct conversation *conversation);

/* Renders a request: {"messages", "tools", "tool_choice" (a string, or an object with a name),
 * "kwargs", "effort", "continue", "open", "most" (tokens of the prompt)}, with ' for ". */
enum sc_status conversation_render(struct conversation *conversation, const char *request);

/* Renders one request to a model of its own. The text of the prompt, or "ERROR[param]: text", must
 * be as expected. */
void expect_prompt(const char *template, const char *request, const char *expected);

#endif
