/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_LOG_H
#define STAGECOACH_BASE_LOG_H
/*
 * log - one line per event on standard error.
 * Under systemd (JOURNAL_STREAM is set) a line starts with "<n>", the journal's priority; elsewhere
 * with the local time in ISO 8601 ("2026-02-28T17:05:59.123+01:00") and the level.
 * With log_set_format it is a JSON object.
 * Lines of several threads never mix. Logging never waits for the reader of the log: lines that do
 * not fit are dropped and counted (base/console.h).
 * Levels:
 * - error: something failed and was given up.
 * - warning: the program goes on, but someone should look.
 * - info: a handful of lines per start and per job.
 * - debug: as many lines as help. Never on by default.
 * Thread: any. base, config, wire, model and backend log at debug only.
 */

#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* How lines look: as above, or as one JSON object per line, with the members time, level, process,
 * message, request_id and trace_id, and those of the line's fields. */
enum log_format {
	LOG_TEXT,
	LOG_JSON,
};
/* May be called at any time, on any thread. */
void log_set_format(enum log_format format);

/* Sets the level and a name that starts each message ("coordinator", "stage 2"), or "" for none.
 * Call it once, at start. */
void log_init(enum log_level level, const char *process_name);

/* Changes the level only. May be called at any time, on any thread. */
void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A value that programs look for in lines. */
struct log_field {
	const char *name;	/* of lower-case letters and "_" */
	const char *text;	/* NULL: it is a number */
	double number;
};
/* A line with fields. Control characters in texts are escaped. */
void log_write_fields(enum log_level level, const struct log_field *fields, size_t n_fields,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Text for people, of several lines: as it is, or at level info with a line of the log for each
 * line of text if the log is for programs. */
void log_print(const char *text);

/* The request that this thread handles from now on, which its lines name; NULL: none. Borrowed
 * until the next call. trace_id: of the client's traceparent, or NULL. */
void log_set_request(const char *request_id, const char *trace_id);

/* Logs the last error of a process that then calls _exit. Blocks until the line is written, for at
 * most timeout_ms, even if another thread hangs while it writes to standard error. */
void log_last_words(unsigned timeout_ms, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
