/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_MARKS_H
#define STAGECOACH_CHAT_MARKS_H
/*
 * marks - the texts by which families of models set off tool calls, reasoning and messages.
 * In most vocabularies many of them are control tokens. Such a mark is recognised only as that
 * token (between CHAT_MARK_BEGIN and CHAT_MARK_END), because an answer may also quote its name. A
 * mark that is no control token of the vocabulary is recognised as text.
 * Thread: read-only once initialised.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct tokenizer;

enum mark_id {
	MARK_NONE,
	/* reasoning */
	MARK_THINK, MARK_THINK_END,
	MARK_THINK_TOKEN, MARK_THINK_TOKEN_END,		/* Mistral: [THINK] */
	MARK_START_THINKING, MARK_END_THINKING,		/* Command-R7B */
	MARK_THOUGHT, MARK_RESPONSE,			/* Granite 3.2: sentences */
	MARK_SEED_THINK, MARK_SEED_THINK_END,
	/* what goes around the content */
	MARK_RESPONSE_TAG, MARK_RESPONSE_TAG_END,	/* Granite 3.3 */
	MARK_START_RESPONSE, MARK_END_RESPONSE,		/* Command-R7B */
	/* tool calls */
	MARK_TOOL_CALL, MARK_TOOL_CALL_END,
	MARK_SEED_CALL, MARK_SEED_CALL_END,
	MARK_MINIMAX_CALL, MARK_MINIMAX_CALL_END,
	MARK_INVOKE, MARK_INVOKE_END, MARK_NAMED_PARAMETER,	/* MiniMax-M2 */
	MARK_CALL_LIST, MARK_CALL_LIST_END,		/* Nemotron Nano 2 */
	MARK_CALLS_TAG, MARK_CALLS_TAG_END,		/* Apriel */
	MARK_LFM_CALL, MARK_LFM_CALL_END,		/* LFM 2 */
	MARK_FUNCTION, MARK_FUNCTION_END, MARK_PARAMETER, MARK_PARAMETER_END,
	MARK_ARG_KEY, MARK_ARG_KEY_END, MARK_ARG_VALUE, MARK_ARG_VALUE_END,
	MARK_BAR_TOOL_CALL, MARK_BAR_TOOL_CALL_END,	/* Granite, Phi-4-mini */
	MARK_FUNCTOOLS,					/* Phi-4-mini */
	MARK_PYTHON_TAG,				/* Llama 3 */
	MARK_PYTHON_START, MARK_PYTHON_END,		/* Llama 4 */
	MARK_TOOL_CALLS, MARK_CALL_ID, MARK_ARGS,	/* Mistral */
	MARK_DS_CALLS, MARK_DS_CALLS_END, MARK_DS_CALL, MARK_DS_CALL_END, MARK_DS_SEP,
	MARK_KIMI_CALLS, MARK_KIMI_CALLS_END, MARK_KIMI_CALL, MARK_KIMI_CALL_END, MARK_KIMI_SEP,
	MARK_ACTION,					/* Command-R */
	MARK_START_ACTION, MARK_END_ACTION,		/* Command-R7B */
	/* Harmony */
	MARK_START, MARK_CHANNEL, MARK_MESSAGE, MARK_CONSTRAIN, MARK_END, MARK_CALL, MARK_RETURN,
	N_MARKS
};

#define MARK_MAX_BYTES 48

struct mark {
	char text[MARK_MAX_BYTES];	/* as a parser sees it */
	uint8_t n_bytes;
	bool is_control;
};

/* marks: [N_MARKS]. tokenizer NULL: no mark is a control token. */
must_check enum sc_status marks_init(struct mark *marks, const struct tokenizer *tokenizer);

/* The text of a mark as a prompt has it. */
const char *mark_text(enum mark_id id);

enum mark_match { MARK_DIFFERS, MARK_BEGINS, MARK_MATCHES };

/* Compares the mark with n bytes of text. MARK_BEGINS: text ends within the mark. */
enum mark_match mark_compare(const struct mark *mark, const char *text, size_t n);

/* Adds text of a prompt to `out` as it would be if the model had written it. */
must_check enum sc_status marks_frame(const struct mark *marks, const char *text, size_t n_bytes,
				      struct buf *out);

/* Passes output on, without control tokens that are no mark: adds to `out`. */
struct mark_filter {
	char name[MARK_MAX_BYTES];
	size_t n_name;		/* may grow beyond the array: then it is no mark */
	bool is_inside;
};
must_check enum sc_status mark_filter_add(struct mark_filter *filter, const struct mark *marks,
					  const char *text, size_t n_bytes, struct buf *out);

#endif
