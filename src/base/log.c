/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/console.h"

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

/* systemd sets JOURNAL_STREAM to "device:inode" of the stream; a child whose stderr was
 * redirected inherits the variable too, so it is compared with what stderr really is: ours, or,
 * under a launcher that passes our lines on, the launcher's. */
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

void log_init(enum log_level level, const char *name)
{
	atomic_store(&current_level, level);
	snprintf(process_name, sizeof process_name, "%s%s", name, *name ? ": " : "");
	is_journal = is_stderr_journal();
}

void log_set_level(enum log_level level)
{
	atomic_store(&current_level, level);
}

static int format_prefix(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm tm;

	if (is_journal)
		return snprintf(line, size, "<%d>%s", levels[level].journal_priority, process_name);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	return snprintf(line, size, "%02d:%02d:%02d.%03ld %s: %s", tm.tm_hour, tm.tm_min,
			tm.tm_sec, now.tv_nsec / 1000000, levels[level].name, process_name);
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;
	int used;
	int n;

	if ((int)level > atomic_load(&current_level))
		return;
	used = format_prefix(line, sizeof line, level);
	va_start(args, format);
	n = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	used += n;
	if ((size_t)used > sizeof line - 2)
		used = sizeof line - 2;
	line[used++] = '\n';
	console_write(line, (size_t)used,
		      level == LOG_LEVEL_ERROR ? CONSOLE_LAST_WORDS : CONSOLE_ANY);
}
