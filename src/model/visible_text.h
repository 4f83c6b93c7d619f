/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_VISIBLE_TEXT_H
#define STAGECOACH_MODEL_VISIBLE_TEXT_H
/*
 * visible_text - a text as patterns see it: each byte that is not UTF-8 looks like U+001A, a control
 * character (no space, letter, number, punctuation or symbol). All offsets stay.
 * Thread: none of its own.
 */
#include "base/status.h"

#include <stddef.h>

struct visible_text {
	const char *data;	/* the text itself, or copy */
	char *copy;		/* owned; NULL if the text is UTF-8 */
};

/* Borrows text. SC_E_NOMEM. */
must_check enum sc_status visible_text_init(struct visible_text *visible, const char *text,
					    size_t n_bytes);
void visible_text_deinit(struct visible_text *visible);

#endif
