/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_LOG_H
#define STAGECOACH_BASE_LOG_H
/*
 * log - one line per event on stderr.
 * Under systemd (JOURNAL_STREAM is set) lines start with "<n>", the journal's priority; elsewhere
 * with the local time as ISO 8601 has it ("2026-02-28T17:05:59.123+01:00") and the level. Lines of several threads never mix. Logging never waits for whoever
 * reads the log: lines that find no room are dropped and counted (base/console.h).
 * Volume: error, a thing failed and is given up; warning, it goes on but someone should look;
 * info, a handful per start and per job; debug, as much as helps, never on by default.
 * Thread: any. base, config, wire, model and backend log at debug only.
 */

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Set the level and a name that starts each message ("coordinator", "stage 2"); "" for none. */
void log_init(enum log_level level, const char *process_name);

/* Change the level alone: any thread, at any time. */
void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An error of a process that the caller then ends by _exit: waits until it is written, but at most
 * timeout_ms. No other thread can hold the caller up for longer, not even one that hangs while it
 * writes to standard error. */
void log_last_words(unsigned timeout_ms, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
