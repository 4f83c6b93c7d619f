/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/chat/conversation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct tiny_token tokens[] = {
	{ "<s>", 0, T_CONTROL }, { "</s>", 0, T_CONTROL }, { "<|im_start|>", 0, T_CONTROL },
	{ "<|im_end|>", 0, T_CONTROL }, { "[TOOL_CALLS]", 0, T_CONTROL },
	{ "<think>", 0, T_USER_DEFINED }, { "</think>", 0, T_USER_DEFINED },
	{ "<tool_call>", 0, T_USER_DEFINED }, { "</tool_call>", 0, T_USER_DEFINED },
	{ "ab", 0, T_NORMAL }, { "<|user|>", 0, T_CONTROL }, { "<|end|>", 0, T_CONTROL },
};

void conversation_init(struct conversation *conversation, const char *template,
		       const char *for_tools)
{
	static const char *const merges[] = { "a b" };
	struct gguf_writer w;

	*conversation = (struct conversation){ 0 };
	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, NULL, tokens, sizeof tokens / sizeof *tokens, merges, 1);
	gguf_writer_u32(&w, "tokenizer.ggml.bos_token_id", TINY_BPE_FIRST);
	gguf_writer_u32(&w, "tokenizer.ggml.eos_token_id", TINY_BPE_FIRST + 1);
	gguf_writer_bool(&w, "tokenizer.ggml.add_bos_token", true);
	if (template)
		gguf_writer_string(&w, "tokenizer.chat_template", template);
	if (for_tools)
		gguf_writer_string(&w, "tokenizer.chat_template.tool_use", for_tools);
	assert_int_equal(tiny_tokenizer_create(&conversation->tiny, &w, &conversation->err), SC_OK);
	assert_int_equal(chat_format_create(conversation->tiny.gguf, conversation->tiny.tokenizer,
					    NULL, &conversation->format, &conversation->err),
			 SC_OK);
}

static void end_request(struct conversation *conversation)
{
	if (conversation->prompt.text.data)
		chat_prompt_deinit(&conversation->prompt);
	conversation->prompt = (struct chat_prompt){ 0 };
	json_decref(conversation->json);
	conversation->json = NULL;
}

void conversation_deinit(struct conversation *conversation)
{
	end_request(conversation);
	chat_format_destroy(conversation->format);
	tiny_tokenizer_destroy(&conversation->tiny);
}

static json_t *read_json(const char *text)
{
	char *copy = strdup(text);
	json_t *json;

	assert_non_null(copy);
	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json = json_loads(copy, 0, NULL);
	assert_non_null(json);
	free(copy);
	return json;
}

enum sc_status conversation_render(struct conversation *conversation, const char *text)
{
	struct chat_request *request = &conversation->request;
	const json_t *json, *choice;
	const char *word;
	enum sc_status status;

	end_request(conversation);
	json = conversation->json = read_json(text);
	choice = json_object_get(json, "tool_choice");
	word = json_string_value(choice) ? json_string_value(choice) : "auto";
	*request = (struct chat_request){
		.messages = json_object_get(json, "messages"),
		.tools = json_object_get(json, "tools"),
		.tool_choice = json_is_object(choice) ? CHAT_TOOLS_NAMED
			       : !strcmp(word, "required") ? CHAT_TOOLS_REQUIRED
			       : !strcmp(word, "none") ? CHAT_TOOLS_NONE : CHAT_TOOLS_AUTO,
		.tool_name = json_string_value(json_object_get(choice, "name")),
		.template_kwargs = json_object_get(json, "kwargs"),
		.reasoning_effort = json_string_value(json_object_get(json, "effort")),
		.continues_final_message = json_is_true(json_object_get(json, "continue")),
		.is_brief = json_is_true(json_object_get(json, "brief")),
		.leaves_open = json_is_true(json_object_get(json, "open")),
		.max_prompt_tokens = (uint32_t)json_integer_value(json_object_get(json, "most")),
	};
	conversation->param = "";
	status = chat_render(conversation->format, request, &conversation->prompt,
			     &conversation->param, &conversation->err);
	if (status)
		conversation->prompt = (struct chat_prompt){ 0 };
	return status;
}

void expect_prompt(const char *template, const char *request, const char *expected)
{
	struct conversation conversation;
	char found[4096];

	conversation_init(&conversation, template, NULL);
	if (conversation_render(&conversation, request))
		snprintf(found, sizeof found, "ERROR[%s]: %s", conversation.param,
			 conversation.err.text);
	else
		snprintf(found, sizeof found, "%s", conversation.prompt.text.data);
	if (strcmp(found, expected))
		fail_msg("%s: expected\n%s\nfound\n%s", request, expected, found);
	conversation_deinit(&conversation);
}
