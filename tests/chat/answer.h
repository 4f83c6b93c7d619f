/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_CHAT_ANSWER_H
#define STAGECOACH_TESTS_CHAT_ANSWER_H
/*
 * answer - what a model wrote, and what must come out of it, written as one text:
 *	C{content} R{reasoning} name{arguments}
 * Deltas of one kind in a row are joined. Fails the test (or aborts) when something differs.
 */
#include "base/buf.h"
#include "chat/chat.h"
#include "chat/format.h"

struct answer {
	const char *template;		/* words by which the family is found */
	const char *tools;		/* JSON; NULL: tools of this file */
	bool has_no_tools;
	enum chat_tool_choice choice;
	const char *tool_name;
	const char *prompt;		/* NULL: "" */
	bool starts_in_reasoning;
	const char *output;		/* marks as text */
	const char *expected;
	const char *expected_control;	/* if it differs when marks are control tokens */
};

/* Tools: get_weather(city: string, days: integer, flags: object, exact: boolean, units: string or
 * null) and get_time(). */
extern const char answer_tools[];

/* The mark as a control token, unless it is a text that is no token in any vocabulary. */
struct mark answer_control_mark(enum mark_id id);

/* Reads the answer in one piece, byte by byte and in random pieces, with marks as text and with
 * marks as control tokens: always the same comes out. */
void expect_answer(const struct answer *answer);

/* Reads output that may be any bytes, instead of the answer's own. */
struct buf read_output(const struct answer *answer, const struct buf *output, uint64_t pieces,
		       bool with_control);

/* Reads one answer. pieces: a seed for random pieces; 0: one piece; 1: single bytes. Returns the
 * text, which the caller deinits. */
struct buf read_answer(const struct answer *answer, uint64_t pieces, bool with_control);

#endif
