/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/console.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static const struct {
	const char *name;
	int journal_priority;	/* as in sd-daemon(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARNING] = { "warning", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static atomic_int current_level = LOG_LEVEL_INFO;
static char process_name[64];
static bool is_journal;

/* Whether standard error ends in systemd's journal. systemd sets JOURNAL_STREAM to "device:inode"
 * of the stream. A child whose standard error was redirected inherits the variable, so the variable
 * must match a descriptor that really exists: our standard error or, under a launcher that passes
 * our lines on, the launcher's. */
static bool is_stderr_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	char path[64];
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	if (fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode)
		return true;
	snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getppid(), STDERR_FILENO);
	return getenv("OMPI_COMM_WORLD_RANK") && stat(path, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

static int format_prefix(char *line, size_t size, enum log_level level);

static int prefix_note(char *text, size_t size)
{
	return format_prefix(text, size, LOG_LEVEL_WARNING);
}

void log_init(enum log_level level, const char *name)
{
	atomic_store(&current_level, level);
	snprintf(process_name, sizeof process_name, "%s%s", name, *name ? ": " : "");
	is_journal = is_stderr_journal();
	console_set_prefix(prefix_note);
}

void log_set_level(enum log_level level)
{
	atomic_store(&current_level, level);
}

static int format_prefix(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	char time[32], zone[8];
	struct tm tm;

	/* The journal notes the time itself. */
	if (is_journal)
		return snprintf(line, size, "<%d>%s", levels[level].journal_priority, process_name);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof zone, "%z", &tm);		/* "+0530"; ISO 8601 has a colon in it */
	return snprintf(line, size, "%s.%03ld%.3s:%s %s: %s", time, now.tv_nsec / 1000000, zone,
			zone + 3, levels[level].name, process_name);
}

/* Returns the length of the line, or 0 if formatting failed. */
static size_t format_line(char line[LINE_MAX_BYTES], enum log_level level, const char *format,
			  va_list args)
{
	size_t used = (size_t)format_prefix(line, LINE_MAX_BYTES, level);
	int n = vsnprintf(line + used, LINE_MAX_BYTES - used - 1, format, args);

	if (n < 0)
		return 0;
	used += (size_t)n;
	if (used > LINE_MAX_BYTES - 2)
		used = LINE_MAX_BYTES - 2;
	line[used++] = '\n';
	return used;
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t n_bytes;
	va_list args;

	if ((int)level > atomic_load(&current_level))
		return;
	va_start(args, format);
	n_bytes = format_line(line, level, format, args);
	va_end(args);
	console_write(line, n_bytes, level == LOG_LEVEL_ERROR ? CONSOLE_LAST_WORDS : CONSOLE_ANY);
}

struct last_words {
	unsigned timeout_ms;
	size_t n_bytes;
	char line[LINE_MAX_BYTES];
};

static void *write_last_words(void *arg)
{
	const struct last_words *words = arg;

	console_write(words->line, words->n_bytes, CONSOLE_LAST_WORDS);
	console_flush(words->timeout_ms);
	return NULL;
}

static bool ends_in_time(pthread_t thread, unsigned timeout_ms)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += timeout_ms / 1000;
	end.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000L;
	}
	return !pthread_timedjoin_np(thread, NULL, &end);
}

/* The write happens in a thread of its own: if write() hangs, that thread is left behind and the
 * caller goes on. */
void log_last_words(unsigned timeout_ms, const char *format, ...)
{
	struct last_words *words = malloc(sizeof *words);
	pthread_t thread;
	va_list args;

	if (!words)
		return;
	words->timeout_ms = timeout_ms;
	va_start(args, format);
	words->n_bytes = format_line(words->line, LOG_LEVEL_ERROR, format, args);
	va_end(args);
	/* The words are not freed while the thread may still read them. */
	if (pthread_create(&thread, NULL, write_last_words, words) ||
	    ends_in_time(thread, timeout_ms))
		free(words);
}
