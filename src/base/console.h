/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_CONSOLE_H
#define STAGECOACH_BASE_CONSOLE_H
/*
 * console - writes to standard error and never waits for its reader. The reader may hang: a
 * terminal that was stopped with Ctrl-S, a launcher, a journal.
 * Text that does not fit into the kernel's buffer (256 KiB for a pipe) is dropped, and its lines
 * are counted. The line "N lines dropped" is written before the next text that fits. There is no
 * buffer and no thread in this process. base/outlet.h says how a pipe is shared with other
 * programs.
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum console_weight {
	CONSOLE_ANY,
	CONSOLE_LAST_WORDS,	/* not dropped: written as soon as there is
				 * room; only the first such text is kept */
};

/* Writes text without mixing it with texts of other threads. Text of up to 4096 bytes is written
 * whole or dropped whole; longer text is cut at 4096 bytes. */
void console_write(const char *text, size_t n_bytes, enum console_weight weight);

/* Writes text of any length, line by line. */
void console_print(const char *text);

/* Writes the formatted text, cut at 2047 bytes. */
void console_printf(enum console_weight weight, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Shows a line without newline, of at most 255 bytes, that the next console_show replaces. Any
 * other text first takes the line away. NULL only takes it away. If there is no room, the line is
 * left out and not counted as dropped, because the next line says more. For terminals: "\r" and
 * escape sequences move the cursor. */
void console_show(const char *line);
/* The same below the line that the cursor is in, for a terminal whose line was begun by somebody
 * else. The cursor stays where it is. */
void console_show_below(const char *line);

/* Sets the function that writes the line "N lines dropped", newline included, so that it looks like
 * a log line. fn returns the length of what it wrote. fn runs under the console's lock, so it must
 * not write to the console. */
typedef size_t console_note_fn(char *text, size_t size, uint64_t n_lines);
void console_set_note(console_note_fn *fn);

/* The number of lines dropped since the program started. */
uint64_t console_n_dropped(void);

/* Blocks until the pending text is written, for at most timeout_ms. Call it only at the end of a
 * program. */
void console_flush(unsigned timeout_ms);

#endif
