/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process_usage.h"

#include "base/clock.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Fields of /proc/self/stat behind the name, see proc(5). */
struct stat_fields {
	unsigned long long n_threads, start_ticks, virtual_bytes, resident_pages;
};

/* The name of the program is in parentheses and may contain any byte, so parsing begins behind the
 * last parenthesis. */
static int read_stat(struct stat_fields *fields)
{
	char text[1024];
	const char *at;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t n;

	if (!file)
		return 0;
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	at = strrchr(text, ')');
	return at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
			    "%*d %*d %llu %*d %llu %llu %llu", &fields->n_threads,
			    &fields->start_ticks, &fields->virtual_bytes,
			    &fields->resident_pages) == 4;
}

static uint32_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	uint32_t n = 0;

	if (!directory)
		return 0;
	while (readdir(directory))
		n++;
	closedir(directory);
	return n > 3 ? n - 3 : 0;	/* without ".", ".." and the directory itself */
}

static double start_seconds;
static pthread_once_t start_once = PTHREAD_ONCE_INIT;

/* Once, because the clock of the day may be set while the process runs. */
static void find_start(void)
{
	struct timespec boot, day;
	struct stat_fields fields;
	double age;

	if (!read_stat(&fields))
		return;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &day);
	age = (double)boot.tv_sec + (double)boot.tv_nsec * 1e-9 -
	      (double)fields.start_ticks / (double)sysconf(_SC_CLK_TCK);
	start_seconds = (double)day.tv_sec + (double)day.tv_nsec * 1e-9 - age;
}

void process_usage_read(struct process_usage *usage)
{
	struct stat_fields fields = { 0 };
	struct rlimit limit;

	pthread_once(&start_once, find_start);
	if (!read_stat(&fields))
		fields = (struct stat_fields){ 0 };
	*usage = (struct process_usage){
		.cpu_seconds = clock_seconds(clock_process_ns()),
		.start_seconds = start_seconds,
		.resident_bytes = fields.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE),
		.virtual_bytes = fields.virtual_bytes,
		.n_threads = (uint32_t)fields.n_threads,
		.n_descriptors = count_descriptors(),
	};
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		usage->max_descriptors = limit.rlim_cur;
}
