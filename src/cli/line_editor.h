/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_LINE_EDITOR_H
#define STAGECOACH_CLI_LINE_EDITOR_H
/*
 * line_editor - reads lines from standard input. On a terminal with libedit lines can be edited, and
 * earlier ones come back; without libedit the terminal's own editing remains. Elsewhere it only
 * reads.
 * Thread: the main thread. Blocks. While it reads, SIGINT, SIGTERM, SIGHUP and, on a terminal,
 * SIGTSTP and SIGWINCH are its own.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

/* Of a line, in bytes. */
#define LINE_MAX_BYTES ((size_t)16 << 20)

struct line_editor;

enum line_result {
	LINE_OK,
	LINE_END,		/* end of file; Ctrl-D on an empty line */
	LINE_INTERRUPTED,	/* Ctrl-C: what was typed is gone */
	LINE_TERMINATED,	/* another signal: line_editor_signal */
	LINE_FAILED,		/* err says why */
};

/* history: path of a file in which lines outlive the program; NULL: none. A history that cannot be
 * read or written is no failure. SC_E_NOMEM, SC_E_IO. */
must_check enum sc_status line_editor_create(const char *history,
					     struct line_editor **editor_out, struct error *err);
/* Writes the history. Accepts NULL. */
void line_editor_destroy(struct line_editor *editor);

/* Is standard input a terminal? */
bool line_editor_is_terminal(const struct line_editor *editor);

/* Reads a line, without its line feed, into line, whose old text is gone. prompt is shown on a
 * terminal. *goes_on_out: the line was pasted, and the paste has more lines. */
enum line_result line_editor_read(struct line_editor *editor, const char *prompt,
				  struct buf *line, bool *goes_on_out, struct error *err);
/* Remembers a line that was read. */
void line_editor_remember(struct line_editor *editor, const char *line);
int line_editor_signal(const struct line_editor *editor);

#endif
