/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_FAMILY_H
#define STAGECOACH_CHAT_FAMILY_H
/*
 * family - how a group of models writes tool calls, as data: which marks open a call, which state
 * of the parser reads what is behind, and how a call begins that the model shall be made to make.
 * Private to chat. Thread: read-only.
 */
#include "base/buf.h"
#include "chat/marks.h"

struct chat_parser;

/* What a state of the parser did. */
enum progress {
	PROGRESS_ON,	/* took some text, or went to another state: look again */
	PROGRESS_MORE,	/* the text at hand does not decide what follows */
};
typedef enum progress parser_state(struct chat_parser *parser);

#define FAMILY_MAX_MARKS 4

struct chat_family {
	const char *name;
	enum mark_id opens[FAMILY_MAX_MARKS];	/* begin a call wherever they are */
	enum mark_id drops[FAMILY_MAX_MARKS];	/* go around the content, and are not shown */
	bool drops_follow_reasoning;	/* without reasoning, these marks are content */
	parser_state *on_open;		/* reads behind the mark */
	parser_state *on_start;		/* reads an answer that begins with a call without a mark;
					 * NULL: there are none */
	parser_state *first;		/* the first state, if it is not the usual one */
	/* How a call begins, up to the name of its tool; "": with the name itself. NULL: the family
	 * has no calls. */
	const char *prefill;
	const char *prefill_arguments;	/* what is between the name and the arguments */
	const char *suffix;		/* what is behind the arguments; NULL: they are no JSON */
};

extern const struct chat_family family_plain, family_hermes, family_qwen_coder, family_seed,
	family_glm45, family_llama3, family_llama4, family_mistral, family_mistral_args,
	family_mistral_blank, family_deepseek, family_deepseek31, family_kimi, family_command_r,
	family_command_r7b, family_minimax, family_nemotron, family_apriel, family_lfm2,
	family_harmony, family_granite, family_phi4, family_glm4, family_llama4_pythonic;

/* Adds a call with arguments that are JSON. The family must have a suffix. */
must_check enum sc_status family_write_call(const struct chat_family *family, const char *name,
					    const char *arguments, struct buf *text);

/* By the text of a template; family_plain if none fits. */
const struct chat_family *family_find(const char *text);

#endif
