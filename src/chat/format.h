/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_FORMAT_H
#define STAGECOACH_CHAT_FORMAT_H
/*
 * format - what is known of a model's way to chat: its templates, what they can do, the family of
 * its tool calls, and the marks of its reasoning. Private to chat.
 */
#include "base/error.h"
#include "chat/family.h"
#include "chat/marks.h"
#include "chat/template.h"

struct chat_format {
	const struct tokenizer *tokenizer;	/* borrowed */
	struct chat_template usual;
	struct chat_template for_tools;		/* the named template tool_use */
	struct error fault;			/* why the model cannot chat */
	const struct chat_family *family;
	struct mark marks[N_MARKS];
	enum mark_id reasoning_open;		/* MARK_NONE: the format has no reasoning */
	enum mark_id reasoning_close;
};

/* Finds family and reasoning by the template's text, and the marks in the vocabulary. tokenizer
 * NULL: no mark is a control token. SC_E_NOMEM. */
must_check enum sc_status format_find_family(struct chat_format *format, const char *text,
					     const struct tokenizer *tokenizer);

#endif
