/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_CHAT_H
#define STAGECOACH_CHAT_CHAT_H
/*
 * chat - how a model takes part in a conversation: messages become its prompt by the chat template
 * of the model file, and its output becomes content, reasoning and tool calls again.
 * Thread: a chat_format is read-only after creation. Everything else: one thread at a time, any.
 */
#include "base/buf.h"
#include "base/error.h"
#include "model/tokenizer.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf;

/* --- the format --- */

struct chat_format;

/* Reads tokenizer.chat_template and the named ones (tokenizer.chat_template.NAME). Borrows
 * tokenizer. override: the text of a template to use instead; NULL: that of the file.
 * A template that is missing or cannot be parsed is no failure: chat_format_check then says what is
 * wrong, and texts can still be continued. SC_E_NOMEM. */
must_check enum sc_status chat_format_create(const struct gguf *gguf,
					     const struct tokenizer *tokenizer,
					     const char *override, struct chat_format **format_out,
					     struct error *err);
/* Accepts NULL. */
void chat_format_destroy(struct chat_format *format);

/* SC_OK: the model can chat. SC_E_UNSUPPORTED: it has no template, or a faulty one. */
must_check enum sc_status chat_format_check(const struct chat_format *format, struct error *err);
/* Text of the default template; "" without one. */
const char *chat_format_template(const struct chat_format *format);
/* Name of the format of tool calls and reasoning: "hermes", "llama3", "mistral" ...; "plain":
 * neither is known. */
const char *chat_format_name(const struct chat_format *format);
bool chat_format_has_tools(const struct chat_format *format);

/* --- messages to prompt --- */

enum chat_tool_choice {
	CHAT_TOOLS_AUTO,
	CHAT_TOOLS_NONE,	/* the template is told of no tools */
	CHAT_TOOLS_REQUIRED,	/* some tool: the answer's beginning is given */
	CHAT_TOOLS_NAMED,
};

/* What the OpenAI API has, as JSON values of the request. All are borrowed. */
struct chat_request {
	const json_t *messages;		/* array of {role, content, ...} */
	const json_t *tools;		/* array of {type: function, function: {...}}, or NULL */
	enum chat_tool_choice tool_choice;
	const char *tool_name;		/* of CHAT_TOOLS_NAMED */
	const json_t *template_kwargs;	/* object, or NULL: more variables for the template */
	const char *reasoning_effort;	/* or NULL */
	uint32_t max_prompt_tokens;	/* a text that must have more is refused before it is
					 * tokenized; 0: any number */
	bool continues_final_message;	/* the last message is a beginning that goes on */
	bool leaves_open;		/* add_generation_prompt is false: the prompt ends with
					 * the last message */
	bool is_brief;			/* give up if the template takes more than about two
					 * milliseconds, for a thread that must not be kept */
	int64_t now_unix;		/* seconds */
	uint64_t id_seed;		/* ids of tool calls come from this number and the prompt:
					 * give each choice of one request another number */
};

struct chat_prompt {
	struct buf text;
	struct buf from_template;	/* as jinja_output has it */
	struct token_list tokens;	/* without a BOS of the tokenizer's own: the template
					 * writes it. Control tokens come only from what the
					 * template wrote */
	bool starts_in_reasoning;	/* the prompt ends inside of a reasoning part */
	const char *prefill;		/* text that belongs to the answer and was put into the
					 * prompt (for CHAT_TOOLS_REQUIRED and _NAMED); "" */
	struct buf prefill_text;	/* holds it */
};
void chat_prompt_deinit(struct chat_prompt *prompt);

/* SC_E_INVALID: the messages are not what the API or the template allows; err says which and why.
 * SC_E_UNSUPPORTED: tools, but the model's family has no format for them. SC_E_TOO_LARGE. SC_AGAIN:
 * the request is brief, and this takes longer: render it on a helper thread.
 * *param_out: the name of the field that is wrong ("messages", "tools"), static, or NULL. Time
 * grows with the messages: call it on a helper thread for long ones. */
must_check enum sc_status chat_render(const struct chat_format *format,
				      const struct chat_request *request,
				      struct chat_prompt *prompt_out, const char **param_out,
				      struct error *err);

/* --- output to messages --- */

enum chat_delta_kind {
	CHAT_CONTENT,
	CHAT_REASONING,
	CHAT_TOOL_BEGIN,	/* index, id and name are set; no text */
	CHAT_TOOL_ARGUMENTS,	/* index, and text: the next part of the arguments' JSON */
};

struct chat_delta {
	enum chat_delta_kind kind;
	uint32_t index;		/* of the tool call, from 0 */
	const char *id;		/* nine letters and digits */
	const char *name;
	const char *text;
	size_t n_bytes;
};

/* deltas come in order; their strings are borrowed during the call. */
typedef enum sc_status chat_delta_fn(void *arg, const struct chat_delta *delta);

struct chat_parser;

/* request and prompt: what the output answers. They are read now; the request's tools are borrowed
 * until destroy. */
must_check enum sc_status chat_parser_create(const struct chat_format *format,
					     const struct chat_request *request,
					     const struct chat_prompt *prompt, chat_delta_fn *fn,
					     void *arg, struct chat_parser **parser_out);
void chat_parser_destroy(struct chat_parser *parser);
/* Text of the output, in pieces of any size; how it is cut changes nothing about what comes out,
 * but the sizes of text. Names of control tokens are written between CHAT_MARK_BEGIN and
 * CHAT_MARK_END (job_request.special: SPECIAL_MARKED), bytes that no UTF-8 contains. */
must_check enum sc_status chat_parser_add(struct chat_parser *parser, const char *text,
					  size_t n_bytes);
/* The output is over: what was held back comes out. */
must_check enum sc_status chat_parser_finish(struct chat_parser *parser);
uint32_t chat_parser_n_tool_calls(const struct chat_parser *parser);

#define CHAT_MARK_BEGIN '\xff'
#define CHAT_MARK_END '\xfe'

/* Where reasoning begins and ends in the output, so that stop strings do not end an answer that the
 * client does not see yet (job_request.hidden_open, hidden_close). As stop strings see it: names of
 * control tokens stand there as they are, without the marks of SPECIAL_MARKED. NULL: the format has
 * none. */
const char *chat_format_reasoning_open(const struct chat_format *format);
const char *chat_format_reasoning_close(const struct chat_format *format);

#endif
