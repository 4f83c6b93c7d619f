/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/line_editor.h"

#include "cli/edit_line.h"
#include "cli/key_input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line_editor {
	struct key_input input;
	bool is_terminal;
	bool marks_pastes;		/* the terminal can */
	FILE *screen;			/* where the prompt goes: standard output, or else standard
					 * error */
	struct edit_line *edit;		/* NULL: plain reading */
};

static bool has_screen(void)
{
	const char *type = getenv("TERM");

	return type && *type && strcmp(type, "dumb") != 0;
}

enum sc_status line_editor_create(const char *history, struct line_editor **editor_out,
				  struct error *err)
{
	struct line_editor *editor = calloc(1, sizeof *editor);
	enum sc_status status;

	if (!editor)
		return error_set(err, SC_E_NOMEM, "out of memory");
	status = key_input_open(&editor->input, STDIN_FILENO, err);
	if (status != SC_OK) {
		line_editor_destroy(editor);
		return status;
	}
	editor->is_terminal = isatty(STDIN_FILENO);
	editor->screen = isatty(STDOUT_FILENO) ? stdout : stderr;
	if (editor->is_terminal && isatty(fileno(editor->screen)) && has_screen())
		editor->edit = edit_line_create(&editor->input, editor->screen, history);
	editor->marks_pastes = editor->edit != NULL;
	*editor_out = editor;
	return SC_OK;
}

void line_editor_destroy(struct line_editor *editor)
{
	if (!editor)
		return;
	edit_line_destroy(editor->edit);
	key_input_close(&editor->input);
	free(editor);
}

bool line_editor_is_terminal(const struct line_editor *editor)
{
	return editor->is_terminal;
}

int line_editor_signal(const struct line_editor *editor)
{
	(void)editor;
	return key_input_signal();
}

void line_editor_remember(struct line_editor *editor, const char *line)
{
	if (editor->edit && *line)
		edit_line_remember(editor->edit, line);
}

/* --- plain reading --- */

static enum key_result read_plain(struct line_editor *editor, struct buf *line)
{
	enum key_result result;
	unsigned char byte;

	for (;;) {
		result = key_input_get(&editor->input, &byte);
		if (result == KEY_STOPPED)
			key_input_stop(&editor->input);
		if (result == KEY_STOPPED || result == KEY_RESIZED)
			continue;
		if (result == KEY_END && line->length)
			return KEY_OK;	/* the last line has no line feed */
		if (result != KEY_OK || byte == '\n')
			return result;
		if (line->length >= LINE_MAX_BYTES) {
			errno = E2BIG;
			return KEY_FAILED;
		}
		if (buf_add(line, &byte, 1) != SC_OK) {
			errno = ENOMEM;
			return KEY_FAILED;
		}
	}
}

/* --- both --- */

static enum line_result result_of(enum key_result result, struct error *err)
{
	switch (result) {
	case KEY_OK:
		return LINE_OK;
	case KEY_INTERRUPTED:
		return LINE_INTERRUPTED;
	case KEY_TERMINATED:
		return LINE_TERMINATED;
	case KEY_FAILED:
		error_errno(err, SC_E_IO, errno, "standard input");
		return LINE_FAILED;
	default:
		return LINE_END;
	}
}

static enum key_result read_line(struct line_editor *editor, const char *prompt,
				 struct buf *line)
{
	enum key_result result;

	if (editor->edit)
		return edit_line_read(editor->edit, prompt, line);
	if (editor->is_terminal) {
		fputs(prompt, editor->screen);
		fflush(editor->screen);
	}
	result = read_plain(editor, line);
	if (editor->is_terminal && result != KEY_OK)
		fputs("\n", editor->screen);
	return result;
}

static void mark_pastes(const struct line_editor *editor, bool is_on)
{
	if (!editor->marks_pastes)
		return;
	fputs(is_on ? "\033[?2004h" : "\033[?2004l", editor->screen);
	fflush(editor->screen);
}

enum line_result line_editor_read(struct line_editor *editor, const char *prompt,
				  struct buf *line, bool *goes_on_out, struct error *err)
{
	enum key_result result;

	buf_truncate(line, 0);
	key_input_begin(&editor->input, editor->is_terminal);
	mark_pastes(editor, true);
	result = read_line(editor, prompt, line);
	mark_pastes(editor, false);
	key_input_end(&editor->input);
	*goes_on_out = result == KEY_OK && editor->input.is_pasting;
	return result_of(result, err);
}
