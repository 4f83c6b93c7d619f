/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/transport/child.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX_ARGUMENTS 8

void must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

void write_all(int fd, const void *data, size_t n)
{
	must(write(fd, data, n) == (ssize_t)n, "write");
}

void read_all(int fd, void *data, size_t n)
{
	must(recv(fd, data, n, MSG_WAITALL) == (ssize_t)n, "read");
}

struct child child_start(const char *first, ...)
{
	char name[] = "child", fd_text[16];
	char *argv[MAX_ARGUMENTS] = { name, fd_text };
	struct child child;
	va_list args;
	int fds[2], n = 2;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	snprintf(fd_text, sizeof fd_text, "%d", fds[1]);
	va_start(args, first);
	for (const char *text = first; text && n < MAX_ARGUMENTS - 1; text = va_arg(args, char *))
		argv[n++] = (char *)(uintptr_t)text;
	va_end(args);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		close(fds[0]);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(fds[1]);
	child.fd = fds[0];
	return child;
}

void child_end(const struct child *child, bool is_killed)
{
	int status;

	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	if (is_killed)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		assert_int_equal(status, 0);
	close(child->fd);
}

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	must(dir != NULL, "/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static unsigned count_shared(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	must(file != NULL, "/proc/self/maps");
	while (fgets(line, sizeof line, file))
		n += strstr(line, "rw-s") || strstr(line, "r--s");
	fclose(file);
	return n;
}

static size_t resident_bytes(void)
{
	unsigned long n_total, n_resident;
	FILE *file = fopen("/proc/self/statm", "re");

	must(file && fscanf(file, "%lu %lu", &n_total, &n_resident) == 2, "/proc/self/statm");
	fclose(file);
	return n_resident * (size_t)sysconf(_SC_PAGESIZE);
}

struct holdings count_holdings(void)
{
	return (struct holdings){ count_descriptors(), count_shared(), resident_bytes() };
}
