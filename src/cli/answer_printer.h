/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_ANSWER_PRINTER_H
#define STAGECOACH_CLI_ANSWER_PRINTER_H
/*
 * answer_printer - one answer of a model on standard output as it comes, and, at its end, as a
 * message of a conversation.
 * Thread: one. Printing blocks until the reader takes the text.
 */
#include "base/buf.h"
#include "base/error.h"
#include "chat/chat.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct answer_style {
	FILE *file;		/* NULL: the answer is only collected */
	bool shows_reasoning;
	bool has_escapes;	/* a terminal that can dim text */
};

struct answer_printer {
	struct answer_style style;
	enum chat_delta_kind kind;	/* of the last text */
	bool has_text;
	bool is_line_open;
	bool is_call_open;
	struct buf content;
	struct buf reasoning;
	struct buf arguments;		/* of the call under way */
	json_t *calls;			/* array; NULL: none */
	int write_errno;		/* why the text could not be written; 0: it could */
};

void answer_printer_init(struct answer_printer *printer, const struct answer_style *style);
void answer_printer_deinit(struct answer_printer *printer);

/* A chat_delta_fn; arg is the printer. SC_E_NOMEM. SC_E_IO: printer->write_errno says why. */
enum sc_status answer_printer_add(void *arg, const struct chat_delta *delta);

/* Ends the line. Errors as above. */
must_check enum sc_status answer_printer_end(struct answer_printer *printer);

/* Nothing came but reasoning, or nothing at all. */
bool answer_printer_is_empty(const struct answer_printer *printer);
/* The message, which the caller owns. NULL: out of memory. */
json_t *answer_printer_message(const struct answer_printer *printer);

#endif
