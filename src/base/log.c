/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/console.h"
#include "base/log_line.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
static atomic_int current_format = LOG_TEXT;
static char process_name[64];
static bool is_journal;

/* What the thread handles. */
static _Thread_local struct {
	const char *id;
	const char *trace_id;
} request;

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

/* A line with what the parts hold, and with time, level and process; size is at least 256. */
static size_t format_line(char *line, size_t size, enum log_level level, struct log_line *parts);

static size_t write_note(char *text, size_t size, uint64_t n_lines)
{
	char message[64];
	/* Without the request that is being handled: the lines may have been of others. */
	struct log_line parts = { .message = message };

	snprintf(message, sizeof message, "%llu lines dropped", (unsigned long long)n_lines);
	return format_line(text, size, LOG_LEVEL_WARNING, &parts);
}

void log_init(enum log_level level, const char *name)
{
	atomic_store(&current_level, level);
	snprintf(process_name, sizeof process_name, "%s", name);
	is_journal = is_stderr_journal();
	console_set_note(write_note);
}

void log_set_level(enum log_level level)
{
	atomic_store(&current_level, level);
}

void log_set_format(enum log_format format)
{
	atomic_store(&current_format, format);
}

void log_set_request(const char *request_id, const char *trace_id)
{
	request.id = request_id;
	request.trace_id = trace_id;
}

/* Local time in ISO 8601. */
static void format_time(char *text, size_t size)
{
	struct timespec now;
	char time[32], zone[8];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof zone, "%z", &tm);		/* "+0530"; ISO 8601 has a colon in it */
	snprintf(text, size, "%s.%03ld%.3s:%s", time, now.tv_nsec / 1000000, zone, zone + 3);
}

static size_t format_line(char *line, size_t size, enum log_level level, struct log_line *parts)
{
	const char *colon = *process_name ? ": " : "";
	char priority[8] = "", prefix[160], time[64];
	size_t n;

	parts->prefix = prefix;
	parts->time = time;
	parts->level = levels[level].name;
	parts->process = process_name;

	if (is_journal)
		snprintf(priority, sizeof priority, "<%d>", levels[level].journal_priority);
	format_time(time, sizeof time);
	if (atomic_load(&current_format) == LOG_JSON) {
		n = (size_t)snprintf(line, size, "%s", priority);
		return n + log_line_json(parts, line + n, size - n);
	}
	/* The journal notes the time itself. */
	if (is_journal)
		snprintf(prefix, sizeof prefix, "%s%s%s", priority, process_name, colon);
	else
		snprintf(prefix, sizeof prefix, "%s %s: %s%s", time, levels[level].name,
			 process_name, colon);
	return log_line_text(parts, line, size);
}

__attribute__((format(printf, 4, 0)))
static void write_line(enum log_level level, const struct log_field *fields, size_t n_fields,
		       const char *format, va_list args)
{
	char message[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
	struct log_line parts = {
		.fields = fields, .n_fields = n_fields, .request_id = request.id,
		.trace_id = request.trace_id, .message = message,
	};
	size_t n_bytes;

	if (vsnprintf(message, sizeof message, format, args) < 0)
		return;
	n_bytes = format_line(line, sizeof line, level, &parts);
	console_write(line, n_bytes, level == LOG_LEVEL_ERROR ? CONSOLE_LAST_WORDS : CONSOLE_ANY);
}

void log_write(enum log_level level, const char *format, ...)
{
	va_list args;

	if ((int)level > atomic_load(&current_level))
		return;
	va_start(args, format);
	write_line(level, NULL, 0, format, args);
	va_end(args);
}

void log_write_fields(enum log_level level, const struct log_field *fields, size_t n_fields,
		      const char *format, ...)
{
	va_list args;

	if ((int)level > atomic_load(&current_level))
		return;
	va_start(args, format);
	write_line(level, fields, n_fields, format, args);
	va_end(args);
}

void log_print(const char *text)
{
	if (atomic_load(&current_format) != LOG_JSON) {
		console_print(text);
		return;
	}
	while (*text) {
		size_t n = strcspn(text, "\n");

		log_info("%.*s", (int)n, text);
		text += n + (text[n] == '\n');
	}
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
	char message[LINE_MAX_BYTES];
	struct log_line parts = { .message = message };
	va_list args;

	if (!words)
		return;
	words->timeout_ms = timeout_ms;
	va_start(args, format);
	if (vsnprintf(message, sizeof message, format, args) < 0)
		message[0] = '\0';
	va_end(args);
	words->n_bytes = format_line(words->line, sizeof words->line, LOG_LEVEL_ERROR, &parts);
	/* The words are not freed while the thread may still read them. */
	if (pthread_create(&thread, NULL, write_last_words, words) ||
	    ends_in_time(thread, timeout_ms))
		free(words);
}
