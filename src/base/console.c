/* SPDX-License-Identifier: Apache-2.0 */
#include "base/console.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe takes so much whole, or nothing of it. */
#define MAX_TEXT PIPE_BUF
#define PIPE_BYTES (256 << 10)

enum kind {
	KIND_UNKNOWN,
	KIND_PLAIN,	/* a file: write does not wait for a reader */
	KIND_SOCKET,	/* the journal */
	KIND_OWN,	/* a pipe or terminal, through an O_NONBLOCK description of our own */
	KIND_SHARED,	/* the same, through descriptor 2 */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint_least64_t n_dropped;

/* All of this with the lock held. */
static struct {
	enum kind kind;
	dev_t device;	/* of descriptor 2 when it was looked at */
	ino_t inode;
	int own_fd;
	uint64_t n_untold;		/* lines dropped since the last "lines dropped" */
	char rest[MAX_TEXT];		/* half written, or last words: comes before all else */
	size_t n_rest;
} console = { .own_fd = -1 };

static enum kind kind_of(const struct stat *st)
{
	char path[32];
	int fd;

	if (S_ISSOCK(st->st_mode))
		return KIND_SOCKET;
	if (!S_ISFIFO(st->st_mode) && !isatty(STDERR_FILENO))
		return KIND_PLAIN;
	/* Another description of the same pipe or terminal, with flags of its own. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", STDERR_FILENO);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return KIND_SHARED;
	if (S_ISFIFO(st->st_mode) && fcntl(fd, F_GETPIPE_SZ) < PIPE_BYTES)
		(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
	console.own_fd = fd;
	return KIND_OWN;
}

/* Descriptor 2 may be replaced at any time. */
static void look(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0) {
		console.kind = KIND_PLAIN;	/* closed: writing fails at once */
		return;
	}
	if (console.kind && console.device == st.st_dev && console.inode == st.st_ino)
		return;
	if (console.own_fd >= 0)
		close(console.own_fd);
	console.own_fd = -1;
	console.kind = kind_of(&st);
	console.device = st.st_dev;
	console.inode = st.st_ino;
}

static int fd_of(void)
{
	return console.kind == KIND_OWN ? console.own_fd : STDERR_FILENO;
}

static bool wait_for_room(int fd, unsigned timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

	return poll(&poll_fd, 1, (int)timeout_ms) == 1 && poll_fd.revents == POLLOUT;
}

/* How much of it was written, without waiting. */
static size_t put(const char *text, size_t n_bytes)
{
	ssize_t n;

	if (console.kind == KIND_SOCKET)
		n = send(STDERR_FILENO, text, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (console.kind == KIND_PLAIN || wait_for_room(fd_of(), 0))
		n = write(fd_of(), text, n_bytes);
	else
		n = 0;
	return n < 0 ? 0 : (size_t)n;
}

static void set_rest(const char *text, size_t n_bytes)
{
	memmove(console.rest, text, n_bytes);
	console.n_rest = n_bytes;
}

/* True: nothing is left that had to come first. */
static bool put_rest(void)
{
	char note[64];
	size_t length, n;

	n = console.n_rest ? put(console.rest, console.n_rest) : 0;
	set_rest(console.rest + n, console.n_rest - n);
	if (console.n_rest || !console.n_untold)
		return !console.n_rest;
	length = (size_t)snprintf(note, sizeof note, "%llu lines dropped\n",
				  (unsigned long long)console.n_untold);
	n = put(note, length);
	if (!n)
		return false;
	console.n_untold = 0;
	set_rest(note + n, length - n);
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
	size_t n;

	if (n_bytes > MAX_TEXT)
		n_bytes = MAX_TEXT;
	pthread_mutex_lock(&lock);
	look();
	n = put_rest() ? put(text, n_bytes) : 0;
	if (n)
		set_rest(text + n, n_bytes - n);
	else if (weight == CONSOLE_LAST_WORDS && !console.n_rest)
		set_rest(text, n_bytes);
	else
		drop(text, n_bytes);
	pthread_mutex_unlock(&lock);
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

uint64_t console_n_dropped(void)
{
	return atomic_load(&n_dropped);
}

void console_flush(unsigned timeout_ms)
{
	uint64_t end_ns = clock_ns() + timeout_ms * NS_PER_MS;
	bool is_done;
	int fd;

	for (;;) {
		uint64_t now_ns = clock_ns();

		pthread_mutex_lock(&lock);
		look();
		is_done = put_rest();
		fd = fd_of();
		pthread_mutex_unlock(&lock);
		if (is_done || now_ns >= end_ns ||
		    !wait_for_room(fd, (unsigned)((end_ns - now_ns) / NS_PER_MS) + 1))
			return;
	}
}
