/* SPDX-License-Identifier: Apache-2.0 */
#include "base/console.h"

#include "base/clock.h"
#include "base/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kernel writes up to PIPE_BUF bytes to a pipe atomically: all of them or none. */
#define MAX_TEXT PIPE_BUF
#define MAX_NOTE 384
#define PIPE_BYTES (256 << 10)
#define MAX_SHOWN 255
/* To the beginning of the line; and to there, erasing all of it. */
#define REWIND "\r"
#define ERASE_END "\033[K"
/* For a line below the cursor. Down and up again scrolls a screen that ends here. */
#define BEGIN_BELOW "\033D\033M" "\0337" "\r\n"
#define END_BELOW ERASE_END "\0338"
#define ERASE_BELOW "\033[J"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint_least64_t n_dropped;

/* The lock guards all of this. */
static struct {
	struct outlet outlet;
	console_note_fn *note;		/* writes the line "N lines dropped"; may be NULL */
	uint64_t n_untold;		/* lines dropped and not reported yet */
	char rest[MAX_TEXT];		/* the rest of a half-written text, or last
					 * words; written before anything else */
	size_t n_rest;
	const char *eraser;		/* takes away what console_show shows; NULL: nothing */
	bool is_broken;			/* the last write failed, and not for want of room */
} console = { .outlet = OUTLET_INIT(STDERR_FILENO, true) };

static void look(void)
{
	struct outlet *outlet = &console.outlet;

	if (!outlet_look(outlet) || outlet->kind != OUTLET_OWN)
		return;
	if (fcntl(outlet_fd(outlet), F_GETPIPE_SZ) < PIPE_BYTES)
		(void)fcntl(outlet_fd(outlet), F_SETPIPE_SZ, PIPE_BYTES);
}

/* Writes without waiting. Returns the number of bytes written. */
static size_t put(const char *text, size_t n_bytes)
{
	ssize_t n = outlet_write(&console.outlet, text, n_bytes);

	console.is_broken = n < 0 && errno != EAGAIN && errno != EINTR;
	return n < 0 ? 0 : (size_t)n;
}

static void set_rest(const char *text, size_t n_bytes)
{
	memmove(console.rest, text, n_bytes);
	console.n_rest = n_bytes;
}

/* Writes text, and keeps the end of it for later if there is no room for all. The caller has called
 * put_rest. False: nothing was written. */
static bool put_or_keep(const char *text, size_t n_bytes)
{
	size_t n = put(text, n_bytes);

	if (n)
		set_rest(text + n, n_bytes - n);
	return n;
}

/* Takes the line of console_show away. False: there was no room for that. */
static bool erase_line(void)
{
	if (console.eraser && !put_or_keep(console.eraser, strlen(console.eraser)))
		return false;
	console.eraser = NULL;
	return !console.n_rest;
}

/* Writes the pending rest and the report of dropped lines. Returns true if nothing of them is
 * left. */
static bool put_rest(void)
{
	char note[MAX_NOTE];
	size_t length, n;

	n = console.n_rest ? put(console.rest, console.n_rest) : 0;
	set_rest(console.rest + n, console.n_rest - n);
	if (console.n_rest || !console.n_untold)
		return !console.n_rest;
	if (!erase_line())
		return false;
	if (console.note)
		length = console.note(note, sizeof note, console.n_untold);
	else
		length = (size_t)snprintf(note, sizeof note, "%llu lines dropped\n",
					  (unsigned long long)console.n_untold);
	if (!put_or_keep(note, length))
		return false;
	console.n_untold = 0;
	return !console.n_rest;
}

static void drop(const char *text, size_t n_bytes)
{
	uint64_t n_lines = n_bytes && text[n_bytes - 1] != '\n';

	for (size_t i = 0; i < n_bytes; i++)
		n_lines += text[i] == '\n';
	console.n_untold += n_lines;
	atomic_fetch_add(&n_dropped, n_lines);
}

void console_write(const char *text, size_t n_bytes, enum console_weight weight)
{
	if (n_bytes > MAX_TEXT)
		n_bytes = MAX_TEXT;
	pthread_mutex_lock(&lock);
	look();
	if (put_rest() && erase_line() && put_or_keep(text, n_bytes))
		;	/* written, or all but its end */
	else if (weight == CONSOLE_LAST_WORDS && !console.n_rest)
		set_rest(text, n_bytes);
	else
		drop(text, n_bytes);
	pthread_mutex_unlock(&lock);
}

static void show(const char *begin, const char *line, const char *end, const char *eraser)
{
	char text[MAX_SHOWN + sizeof BEGIN_BELOW END_BELOW];
	int n;

	pthread_mutex_lock(&lock);
	look();
	if (!put_rest()) {
		;	/* no room: the next line says more than this one */
	} else if (!line) {
		erase_line();
	} else if (console.eraser == eraser || erase_line()) {
		n = snprintf(text, sizeof text, "%s%.*s%s", begin, MAX_SHOWN, line, end);
		if (put_or_keep(text, (size_t)n))
			console.eraser = eraser;
	}
	pthread_mutex_unlock(&lock);
}

void console_show(const char *line)
{
	static const char eraser[] = REWIND ERASE_END;

	show(REWIND, line, ERASE_END, eraser);
}

void console_show_below(const char *line)
{
	static const char eraser[] = ERASE_BELOW;

	show(BEGIN_BELOW, line, END_BELOW, eraser);
}

void console_print(const char *text)
{
	while (*text) {
		size_t n_bytes = strcspn(text, "\n");

		n_bytes += text[n_bytes] == '\n';
		console_write(text, n_bytes, CONSOLE_ANY);
		text += n_bytes;
	}
}

void console_printf(enum console_weight weight, const char *format, ...)
{
	char text[2048];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n > 0)
		console_write(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1, weight);
}

void console_set_note(console_note_fn *fn)
{
	pthread_mutex_lock(&lock);
	console.note = fn;
	pthread_mutex_unlock(&lock);
}

uint64_t console_n_dropped(void)
{
	return atomic_load(&n_dropped);
}

void console_flush(unsigned timeout_ms)
{
	uint64_t end_ns = clock_ns() + timeout_ms * NS_PER_MS;
	struct outlet outlet;
	bool is_over;

	for (;;) {
		uint64_t now_ns = clock_ns();

		pthread_mutex_lock(&lock);
		look();
		is_over = put_rest() || console.is_broken;
		outlet = console.outlet;
		pthread_mutex_unlock(&lock);
		if (is_over || now_ns >= end_ns ||
		    !outlet_wait(&outlet, (unsigned)((end_ns - now_ns) / NS_PER_MS) + 1))
			return;
	}
}
