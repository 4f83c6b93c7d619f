/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_CONSOLE_H
#define STAGECOACH_BASE_CONSOLE_H
/*
 * console - standard error, without ever waiting for whoever reads it: a terminal that was stopped
 * with Ctrl-S, a launcher or a journal that hangs.
 * Text that finds no room is dropped, and counted in lines. "N lines dropped" comes before the next
 * text that finds room. No thread and no memory of ours stands in between: the room is the
 * kernel's, for a pipe 256 KiB. How a pipe is shared with other programs: base/outlet.h.
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum console_weight {
	CONSOLE_ANY,
	CONSOLE_LAST_WORDS,	/* kept, if only one: it is written when there is room again */
};

/* Text of at most 4096 bytes comes whole or not at all, also between other threads' texts; longer
 * text is cut there. */
void console_write(const char *text, size_t n_bytes, enum console_weight weight);

/* Text of any length, line by line. */
void console_print(const char *text);

/* The text of the format, cut to 2047 bytes. */
void console_printf(enum console_weight weight, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What begins the line "N lines dropped", as a log's lines begin. fn returns the length. fn is
 * called under the console's lock, so it must not write to the console. */
typedef int console_prefix_fn(char *text, size_t size);
void console_set_prefix(console_prefix_fn *fn);

/* Lines that were dropped since the start. */
uint64_t console_n_dropped(void);

/* Wait until what was kept is written: at most timeout_ms, and not where writing fails for another
 * reason than want of room (it is closed, or its disk is full). Only for the end of a program. */
void console_flush(unsigned timeout_ms);

#endif
