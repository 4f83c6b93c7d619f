/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_PROGRESS_H
#define STAGECOACH_CLI_PROGRESS_H
/*
 * progress - tells a person who waits how far it is, on standard error.
 * On a terminal one line is rewritten a few times a second and taken away in the end. Elsewhere
 * there is a line every few seconds: a pipe or a log never gets "\r". Whoever does not wait long is
 * told nothing. Never blocks: see base/console.h.
 * The time is the caller's (any monotonic clock), so that tests can move it.
 * Thread: one.
 */
#include <stdbool.h>
#include <stdint.h>

enum progress_kind {
	PROGRESS_NONE,		/* --quiet */
	PROGRESS_LINES,		/* standard error is a pipe, a file or a journal */
	PROGRESS_TERMINAL,
};

/* Between two lines, and on a terminal between two looks of the line. */
#define PROGRESS_LINE_MS 5000
#define PROGRESS_REWRITE_MS 100
/* Elsewhere than on a terminal nobody is told of a wait that is shorter. */
#define PROGRESS_LEAST_MS 2000
/* Patience with prompts. */
#define PROGRESS_PROMPT_MS 2000
#define PROGRESS_MAX 256
#define PROGRESS_NOTE_MAX 640

struct progress {
	enum progress_kind kind;
	void (*rewrite)(const char *line);	/* console_show; NULL: away with it */
	void (*rewrite_below)(const char *line);	/* console_show_below */
	void (*say)(const char *line);		/* a line of its own; gets no newline */
	int width;		/* of the line at most; 0: the terminal's */
	bool is_waiting;
	bool is_shown;
	uint64_t next_ns;	/* nothing is told before */
};

/* For standard error as it is now; is_quiet: tell nothing. */
void progress_init(struct progress *progress, bool is_quiet);

/* Waiting begins. Who waits for less than patience_ms is told nothing. */
void progress_begin(struct progress *progress, uint64_t now_ns, uint64_t patience_ms);

/* Would progress_show show anything now? For callers to whom it takes work to say how far it is. */
bool progress_is_due(const struct progress *progress, uint64_t now_ns);

/* How far it is, if it is time to say so: a text without newline that fits into a line. Begins the
 * waiting, with no patience, if nobody has. */
void progress_show(struct progress *progress, uint64_t now_ns, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What a person must hear of at once, without newline: on a terminal in place of how far it is, until
 * progress_hide; elsewhere as a line. is_line_open: the line of the terminal where the cursor is has
 * text from standard output, which stays. */
void progress_note(struct progress *progress, bool is_line_open, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Take the line away that would be in the way of text on standard output; waiting goes on. */
void progress_hide(struct progress *progress);

/* Waiting is over. */
void progress_end(struct progress *progress);

#endif
