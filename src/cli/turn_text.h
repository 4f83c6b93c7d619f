/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_TURN_TEXT_H
#define STAGECOACH_CLI_TURN_TEXT_H
/*
 * turn_text - the lines of input that make up what a person says in one turn. One line, unless
 *	- it ends with a backslash, which stands for a line feed;
 *	- it begins with """: then everything up to the next """ at the end of a line;
 *	- it was pasted, and the paste goes on.
 * Thread: any.
 */
#include "base/buf.h"

#include <stdbool.h>

/* No context is longer. */
#define TURN_TEXT_MAX ((size_t)16 << 20)

struct turn_text {
	struct buf text;
	bool is_begun;		/* the text goes on in the next line */
	bool is_quoted;		/* between """ and """ */
	bool is_literal;	/* was quoted or pasted: never a command */
};

void turn_text_init(struct turn_text *turn);
void turn_text_deinit(struct turn_text *turn);
/* Forgets the lines. */
void turn_text_reset(struct turn_text *turn);

/* Adds a line without its line feed. goes_on: a paste has more lines. Then is_begun says whether
 * the text is whole. SC_E_NOMEM. SC_E_TOO_LARGE. */
must_check enum sc_status turn_text_add(struct turn_text *turn, const char *line, size_t n_bytes,
					bool goes_on);

#endif
