/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_EDIT_LINE_H
#define STAGECOACH_CLI_EDIT_LINE_H
/*
 * edit_line - lines that are edited on a terminal, with libedit. In a build without libedit there is
 * none.
 * Thread: the main thread.
 */
#include "base/buf.h"
#include "cli/key_input.h"

#include <stdio.h>

struct edit_line;

/* Borrows input and screen until destroy. history: a file, or NULL. NULL: this build or this
 * terminal has no editing. */
struct edit_line *edit_line_create(struct key_input *input, FILE *screen, const char *history);
/* Writes the history. Accepts NULL. */
void edit_line_destroy(struct edit_line *edit);

/* Appends a line without its line feed. The terminal is as before when it returns. */
enum key_result edit_line_read(struct edit_line *edit, const char *prompt, struct buf *line);
void edit_line_remember(struct edit_line *edit, const char *line);

#endif
