/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_gap - copies standard input to a file and tells the longest pause in it. With BYTES and
 * COMMAND it runs the shell command once so many bytes have come, so that a test can do something
 * in the middle of a text however fast the text is.
 *
 *	stream_gap OUTPUT [BYTES COMMAND]
 * Prints at the end: the longest time in milliseconds between two reads after the first one; with a
 * command, the longest one that ended after the command began. Exit code 1: the input ended before
 * the command was due.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	uint64_t due = argc == 4 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
	uint64_t n_bytes = 0, last_ms = 0, longest_ms = 0, read_ms;
	char buffer[4096];
	ssize_t n;
	int out;

	if (argc != 2 && argc != 4) {
		fputs("usage: stream_gap OUTPUT [BYTES COMMAND]\n", stderr);
		return 64;
	}
	out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (out < 0) {
		perror(argv[1]);
		return 1;
	}
	while ((n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
		read_ms = now_ms();
		if (last_ms && read_ms - last_ms > longest_ms)
			longest_ms = read_ms - last_ms;
		last_ms = read_ms;
		n_bytes += (uint64_t)n;
		if (write(out, buffer, (size_t)n) != n) {
			perror(argv[1]);
			return 1;
		}
		if (n_bytes < due)
			continue;
		due = UINT64_MAX;
		longest_ms = 0;
		if (system(argv[3]) != 0)
			fprintf(stderr, "stream_gap: failed: %s\n", argv[3]);
	}
	printf("%llu\n", (unsigned long long)longest_ms);
	return argc == 4 && due != UINT64_MAX;
}
