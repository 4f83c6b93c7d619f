/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/clock.h"
#include "base/console.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define USUAL_WIDTH 80

static void say(const char *line)
{
	console_printf(CONSOLE_ANY, "%s\n", line);
}

void progress_init(struct progress *progress, bool is_quiet)
{
	*progress = (struct progress){
		.kind = is_quiet ? PROGRESS_NONE :
			isatty(STDERR_FILENO) ? PROGRESS_TERMINAL : PROGRESS_LINES,
		.rewrite = console_show,
		.rewrite_below = console_show_below,
		.say = say,
	};
}

void progress_begin(struct progress *progress, uint64_t now_ns, uint64_t patience_ms)
{
	if (progress->kind == PROGRESS_LINES && patience_ms < PROGRESS_LEAST_MS)
		patience_ms = PROGRESS_LEAST_MS;
	progress->is_waiting = true;
	progress->next_ns = now_ns + patience_ms * NS_PER_MS;
}

bool progress_is_due(const struct progress *progress, uint64_t now_ns)
{
	if (progress->kind == PROGRESS_NONE)
		return false;
	return progress->is_waiting ? now_ns >= progress->next_ns :
				      progress->kind == PROGRESS_TERMINAL;
}

/* A line that is broken could not be rewritten: columns of the terminal, which may change. */
static int line_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return USUAL_WIDTH;
}

/* Shows as much of the line as the terminal is wide. */
static void rewrite(struct progress *progress, void (*show)(const char *line), const char *line)
{
	char cut[PROGRESS_MAX];

	snprintf(cut, sizeof cut, "%.*s", (progress->width ? progress->width : line_width()) - 1,
		 line);
	show(cut);
	progress->is_shown = true;
}

void progress_show(struct progress *progress, uint64_t now_ns, const char *format, ...)
{
	char line[PROGRESS_MAX];
	va_list args;

	if (!progress->is_waiting)
		progress_begin(progress, now_ns, 0);
	if (!progress_is_due(progress, now_ns))
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	progress->next_ns = now_ns + NS_PER_MS * (progress->kind == PROGRESS_TERMINAL ?
						  PROGRESS_REWRITE_MS : PROGRESS_LINE_MS);
	if (progress->kind == PROGRESS_LINES)
		progress->say(line);
	else
		rewrite(progress, progress->rewrite, line);
}

void progress_note(struct progress *progress, bool is_line_open, const char *format, ...)
{
	char line[PROGRESS_NOTE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (progress->kind == PROGRESS_LINES)
		progress->say(line);
	else if (progress->kind == PROGRESS_TERMINAL)
		rewrite(progress, is_line_open ? progress->rewrite_below : progress->rewrite, line);
}

void progress_hide(struct progress *progress)
{
	if (progress->is_shown)
		progress->rewrite(NULL);
	progress->is_shown = false;
}

void progress_end(struct progress *progress)
{
	progress_hide(progress);
	progress->is_waiting = false;
}
