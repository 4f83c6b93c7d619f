/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_EVENT_PRINTER_H
#define STAGECOACH_CLI_EVENT_PRINTER_H
/*
 * event_printer - the events of a job as a person or a program reads them: the text as it comes, or
 * JSON Lines. run, generate and watch share it, so the same events give the same bytes. Several
 * sequences come at the same time: each line of text is printed once it is whole, and begins with
 * its sequence, "[1] ".
 * It writes nothing itself: the caller takes the bytes from `out` to standard output at its own
 * pace.
 * Thread: any one.
 */
#include "base/buf.h"
#include "base/error.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdbool.h>

#define EVENT_STOPPED_MAX 256

struct event_printer {
	bool is_json;
	bool is_line_open;		/* the text does not end with a newline */
	struct buf out;			/* for standard output; the caller consumes it */
	struct buf *lines;		/* [n_sequences] begun lines when there are several, else
					 * NULL */
	uint32_t n_sequences;
	uint32_t n_prompt_tokens;
	char stopped[EVENT_STOPPED_MAX];	/* why, once the job is done; "": not done */
};

void event_printer_init(struct event_printer *printer, bool is_json);
void event_printer_deinit(struct event_printer *printer);

/* Append what the event prints to out. SC_E_NOMEM. SC_E_PROTOCOL: the event contradicts earlier
 * ones. */
must_check enum sc_status event_printer_add(struct event_printer *printer,
					    const Stagecoach__V1__GenerateResponse *event,
					    struct error *err);

/* Append the lines that were begun: for a job that is given up. Finished does it by itself. */
must_check enum sc_status event_printer_end(struct event_printer *printer, struct error *err);

#endif
