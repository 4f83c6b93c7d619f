/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/ancestor.h"

#include "transport/process.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_DEPTH 64

/* Environment variables that a launcher sets only for its ranks. The first of them that is set here
 * decides. If a launcher is itself a rank of another launcher, the two have different values. */
static const char *const marks[] = { "PMIX_NAMESPACE", "OMPI_COMM_WORLD_RANK", "PMI_RANK" };

static const char *find_mark(const char **value_out)
{
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		*value_out = getenv(marks[i]);
		if (*value_out)
			return marks[i];
	}
	return NULL;
}

static FILE *open_proc(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

/* Searches the environment that the process was started with: strings that end in a zero byte. */
static bool has_variable(pid_t pid, const char *name, const char *value)
{
	FILE *file = open_proc(pid, "environ");
	size_t n_name = strlen(name), capacity = 0;
	char *line = NULL;
	bool is_found = false;

	if (!file)
		return false;
	while (!is_found && getdelim(&line, &capacity, '\0', file) > 0)
		is_found = !strncmp(line, name, n_name) && line[n_name] == '=' &&
			   !strcmp(line + n_name + 1, value);
	free(line);
	fclose(file);
	return is_found;
}

/* Returns 0 if the parent is unknown. */
static pid_t parent_of(pid_t pid)
{
	uint64_t started;
	pid_t parent;

	return process_read_stat(pid, &parent, &started) ? parent : 0;
}

struct ancestor ancestor_find(void)
{
	const char *value;
	const char *name = find_mark(&value);
	struct ancestor ancestor = { .pid = getppid(), .child = getpid() };

	for (int depth = 0; name && depth < MAX_DEPTH; depth++) {
		pid_t parent;

		if (!has_variable(ancestor.pid, name, value))
			break;
		parent = parent_of(ancestor.pid);
		if (parent <= 0)
			break;
		ancestor = (struct ancestor){ .pid = parent, .child = ancestor.pid };
	}
	return ancestor;
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

bool ancestor_is_alive(const struct ancestor *ancestor)
{
	pid_t parent;

	if (ancestor->child == getpid())
		return getppid() == ancestor->pid;
	parent = parent_of(ancestor->child);
	/* An unreadable /proc proves nothing (all descriptors may be in use), so probe the
	 * processes themselves. */
	if (!parent)
		return !is_gone(ancestor->child) && !is_gone(ancestor->pid);
	return parent == ancestor->pid;
}

bool ancestor_is_open_mpi(pid_t pid)
{
	/* mpirun and mpiexec are symbolic links to the first name. */
	static const char *const names[] = { "orterun", "orted", "prterun", "prted", "prte" };
	char link[64], path[PATH_MAX];
	const char *name;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
	n = readlink(link, path, sizeof path - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	name = strrchr(path, '/');
	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (!strcmp(name + 1, names[i]))
			return true;
	return false;
}

void ancestor_name(pid_t pid, char name_out[ANCESTOR_NAME_BYTES])
{
	FILE *file = open_proc(pid, "comm");

	if (!file || !fgets(name_out, ANCESTOR_NAME_BYTES, file))
		snprintf(name_out, ANCESTOR_NAME_BYTES, "unknown");
	name_out[strcspn(name_out, "\n")] = '\0';
	if (file)
		fclose(file);
}
