/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/process.h"

#include "base/resources.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool process_read_stat(pid_t pid, pid_t *parent_out, uint64_t *started_out)
{
	char path[64], text[1024];
	const char *end;
	FILE *file;
	size_t n;
	int parent;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	/* Reads fields 4 and 22. Field 2 is in parentheses and may contain any characters. */
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %*c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				    "%*s %*s %*s %*s %" SCNu64, &parent, started_out) != 2)
		return false;
	*parent_out = parent;
	return true;
}

static void read_host(struct process_id *id_out)
{
	struct stat st;

	(void)resources_boot_id("", id_out->boot, sizeof id_out->boot);
	if (stat("/proc/self/ns/pid", &st) == 0)
		id_out->pid_namespace = st.st_ino;
}

void process_id_of_self(struct process_id *id_out)
{
	pid_t parent;

	memset(id_out, 0, sizeof *id_out);
	read_host(id_out);
	id_out->pid = getpid();
	(void)process_read_stat(getpid(), &parent, &id_out->started);
}

/* An unreadable /proc proves nothing: all descriptors may be in use, or /proc may be hidden. */
static bool is_another(const struct process_id *id)
{
	uint64_t started;
	pid_t parent;

	return id->started && process_read_stat((pid_t)id->pid, &parent, &started) &&
	       started != id->started;
}

void process_watch_open(struct process_watch *watch, const struct process_id *id)
{
	struct process_id here = { 0 };
	*watch = (struct process_watch){ .fd = -1 };
	read_host(&here);
	if (!id->pid_namespace || id->pid_namespace != here.pid_namespace ||
	    memcmp(id->boot, here.boot, sizeof here.boot))
		return;
	watch->fd = (int)syscall(SYS_pidfd_open, (pid_t)id->pid, 0);
	watch->is_ended = watch->fd < 0 && errno == ESRCH;
	/* Checked after pidfd_open, because from then on the descriptor stays with one process. */
	if (watch->fd >= 0)
		watch->is_ended = is_another(id);
}

bool process_watch_is_ended(struct process_watch *watch)
{
	struct pollfd ended = { .fd = watch->fd, .events = POLLIN };

	if (!watch->is_ended && watch->fd >= 0)
		watch->is_ended = poll(&ended, 1, 0) > 0;
	return watch->is_ended;
}

void process_watch_close(struct process_watch *watch)
{
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}
