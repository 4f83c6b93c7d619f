/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/edit_line.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 1000

struct edit_line {
	struct key_input *input;
	FILE *screen;
	EditLine *edit;
	History *history;
	char *path;			/* of the history; NULL: none */
	const char *prompt;
	mbstate_t character;		/* whose bytes come */
	enum key_result result;		/* of the line under way */
};

static char *show_prompt(EditLine *edit)
{
	struct edit_line *self;

	el_get(edit, EL_CLIENTDATA, &self);
	return (char *)(uintptr_t)self->prompt;
}

/* The process is stopped with the terminal as it was, and edits again when it goes on. */
static void stop(struct edit_line *self)
{
	el_set(self->edit, EL_PREP_TERM, 0);
	key_input_stop(self->input);
	el_set(self->edit, EL_PREP_TERM, 1);
	el_set(self->edit, EL_REFRESH);
}

/* The next character: 1, or 0 where the line is over without one. */
static int get_character(EditLine *edit, wchar_t *out)
{
	struct edit_line *self;
	unsigned char byte;

	el_get(edit, EL_CLIENTDATA, &self);
	for (;;) {
		size_t n;

		self->result = key_input_get(self->input, &byte);
		if (self->result == KEY_RESIZED)
			el_resize(edit);
		else if (self->result == KEY_STOPPED)
			stop(self);
		else if (self->result != KEY_OK)
			return 0;
		else if ((n = mbrtowc(out, (char *)&byte, 1, &self->character)) == (size_t)-1)
			memset(&self->character, 0, sizeof self->character);
		else if (n <= 1)
			return 1;
	}
}

static void load_history(struct edit_line *self)
{
	HistEvent event;

	history(self->history, &event, H_SETSIZE, HISTORY_LINES);
	history(self->history, &event, H_SETUNIQUE, 1);
	if (self->path)
		history(self->history, &event, H_LOAD, self->path);
}

/* For its owner alone: it has what somebody said. */
static void save_history(struct edit_line *self)
{
	HistEvent event;
	int fd = open(self->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (!file)
		return;
	history(self->history, &event, H_SAVE_FP, file);
	fclose(file);
}

/* Characters of more than one byte need a locale; a terminal of today shows UTF-8. */
static void choose_locale(void)
{
	setlocale(LC_CTYPE, "");
	if (MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
}

static bool set_up(struct edit_line *self)
{
	self->edit = el_init("stagecoach", stdin, self->screen, stderr);
	self->history = history_init();
	if (!self->edit || !self->history)
		return false;
	el_set(self->edit, EL_CLIENTDATA, self);
	el_set(self->edit, EL_PROMPT, show_prompt);
	el_set(self->edit, EL_SIGNAL, 0);
	el_set(self->edit, EL_EDITOR, "emacs");
	el_set(self->edit, EL_BIND, "^I", "ed-insert", NULL);
	el_set(self->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_set(self->edit, EL_HIST, history, self->history);
	el_wset(self->edit, EL_GETCFN, get_character);
	el_source(self->edit, NULL);
	load_history(self);
	return true;
}

struct edit_line *edit_line_create(struct key_input *input, FILE *screen, const char *path)
{
	struct edit_line *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	choose_locale();
	self->input = input;
	self->screen = screen;
	self->path = path ? strdup(path) : NULL;
	if (set_up(self))
		return self;
	edit_line_destroy(self);
	return NULL;
}

void edit_line_destroy(struct edit_line *self)
{
	if (!self)
		return;
	if (self->path && self->history)
		save_history(self);
	if (self->edit)
		el_end(self->edit);
	if (self->history)
		history_end(self->history);
	free(self->path);
	free(self);
}

enum key_result edit_line_read(struct edit_line *self, const char *prompt, struct buf *line)
{
	const char *text;
	int n = 0;

	self->prompt = prompt;
	self->result = KEY_OK;
	memset(&self->character, 0, sizeof self->character);
	/* el_gets shows the prompt before it takes the terminal over: what is typed in between, a
	 * Ctrl-D for one, would go to the terminal's own line. */
	el_set(self->edit, EL_PREP_TERM, 1);
	text = el_gets(self->edit, &n);
	if (self->result != KEY_OK) {
		fputs("\n", self->screen);
		return self->result;
	}
	if (!text || n <= 0) {		/* Ctrl-D */
		fputs("\n", self->screen);
		return KEY_END;
	}
	n -= text[n - 1] == '\n';
	if (buf_add(line, text, (size_t)n) == SC_OK)
		return KEY_OK;
	errno = ENOMEM;
	return KEY_FAILED;
}

void edit_line_remember(struct edit_line *self, const char *line)
{
	HistEvent event;

	history(self->history, &event, H_ENTER, line);
}
