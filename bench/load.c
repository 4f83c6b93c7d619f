/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - compares loading a model with reading its file.
 * Usage: load FILE [threads [times]]
 * Each way is timed warm (the file is in the kernel's cache), then cold (dropped from it), `times`
 * times in turn. The fastest run counts. Printed are seconds and CPU seconds; other programs
 * disturb the latter less.
 *   read     read() into a buffer of 1 MiB, again and again
 *   touch    a byte of each page of a mapping
 *   copy     read() into fresh memory of the file's size: the least work for an engine that keeps
 *            weights in its own memory
 *   load     the weights of all layers on the CPU backend
 * The last column is the growth of the process's memory beyond the size of the weights.
 */
#include "base/clock.h"
#include "stage/weights.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20, MAX_THREADS = 64 };

struct source {
	const char *path;
	int fd;
	size_t n_bytes;
	unsigned n_threads;
	struct model *model;
	uint8_t *mapping;	/* of the file, or fresh memory */
};

struct share {
	const struct source *source;
	unsigned thread;
};

static void stop(const char *why)
{
	fprintf(stderr, "load: %s\n", why);
	exit(1);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* A field of /proc/self/status, in bytes. */
static double memory_now(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	double n = 0;

	while (file && fgets(line, sizeof line, file))
		if (!strncmp(line, field, strlen(field)))
			n = strtod(line + strlen(field) + 1, NULL) * 1024;
	if (file)
		fclose(file);
	return n;
}

/* From here on VmHWM is the peak. */
static void forget_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY);

	if (fd < 0 || write(fd, "5", 1) != 1)
		fputs("load: cannot reset the peak of memory\n", stderr);
	close(fd);
}

/* Threads take turns piece by piece, so that the file is read about in its order. */
static void *read_share(void *arg)
{
	const struct share *share = arg;
	const struct source *s = share->source;
	uint8_t *buffer = aligned_alloc(4096, PIECE);

	for (size_t at = (size_t)share->thread * PIECE; at < s->n_bytes;
	     at += (size_t)s->n_threads * PIECE)
		if (pread(s->fd, s->mapping ? s->mapping + at : buffer, PIECE, (off_t)at) <= 0)
			stop("cannot read");
	free(buffer);
	return NULL;
}

static void *touch_share(void *arg)
{
	const struct share *share = arg;
	const struct source *s = share->source;
	volatile uint8_t sum = 0;

	for (size_t at = (size_t)share->thread * PIECE; at < s->n_bytes;
	     at += (size_t)s->n_threads * PIECE)
		for (size_t i = 0; i < PIECE && at + i < s->n_bytes; i += 4096)
			sum = (uint8_t)(sum + s->mapping[at + i]);
	return NULL;
}

static void run_shares(const struct source *source, void *(*run)(void *))
{
	struct share shares[MAX_THREADS];
	pthread_t threads[MAX_THREADS];

	for (unsigned i = 0; i < source->n_threads; i++) {
		shares[i] = (struct share){ source, i };
		if (pthread_create(&threads[i], NULL, run, &shares[i]))
			stop("cannot start a thread");
	}
	for (unsigned i = 0; i < source->n_threads; i++)
		pthread_join(threads[i], NULL);
}

static void read_file(struct source *source)
{
	run_shares(source, read_share);
}

static void map(struct source *source, int protection, int flags, int fd)
{
	source->mapping = mmap(NULL, source->n_bytes, protection, flags, fd, 0);
	if (source->mapping == MAP_FAILED)
		stop("cannot map");
}

static void unmap(struct source *source)
{
	munmap(source->mapping, source->n_bytes);
	source->mapping = NULL;
}

static void touch_file(struct source *source)
{
	map(source, PROT_READ, MAP_PRIVATE, source->fd);
	run_shares(source, touch_share);
	unmap(source);
}

static void copy_file(struct source *source)
{
	map(source, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	(void)madvise(source->mapping, source->n_bytes, MADV_HUGEPAGE);
	run_shares(source, read_share);
	unmap(source);
}

static struct backend *backend;

static void load_file(struct source *source)
{
	struct error err = { .text = "" };
	struct weights weights;
	const struct weights_range all = { .n_layers = source->model->hparams.n_layers };
	double before = memory_now("VmRSS:"), n_bytes;

	forget_peak();
	if (weights_init(&weights, backend, source->model, &err) ||
	    weights_change(&weights, &all, &err))
		stop(err.text);
	n_bytes = (double)weights.n_bytes;
	printf("   peak %+6.2f %%", ((memory_now("VmHWM:") - before) / n_bytes - 1) * 100);
	weights_deinit(&weights);
}

static void time_one(const char *name, struct source *source, void (*run)(struct source *),
		     bool is_cold, double *best, double *best_cpu)
{
	uint64_t start;
	double cpu, seconds;

	if (is_cold)
		(void)posix_fadvise(source->fd, 0, 0, POSIX_FADV_DONTNEED);
	printf("%-5s %-6s", is_cold ? "cold" : "warm", name);
	start = clock_ns();
	cpu = cpu_seconds();
	run(source);
	cpu = cpu_seconds() - cpu;
	seconds = clock_seconds(clock_ns() - start);
	printf(" %7.3f s, cpu %7.3f s\n", seconds, cpu);
	*best = seconds < *best ? seconds : *best;
	*best_cpu = cpu < *best_cpu ? cpu : *best_cpu;
}

static void time_all(struct source *source, unsigned n_times, bool is_cold)
{
	static const struct {
		const char *name;
		void (*run)(struct source *source);
	} ways[] = {
		{ "read", read_file }, { "touch", touch_file }, { "copy", copy_file },
		{ "load", load_file },
	};
	double best[4], best_cpu[4];

	for (unsigned w = 0; w < 4; w++)
		best[w] = best_cpu[w] = 1e9;
	for (unsigned i = 0; i < n_times; i++)
		for (unsigned w = 0; w < 4; w++)
			time_one(ways[w].name, source, ways[w].run, is_cold, &best[w],
				 &best_cpu[w]);
	for (unsigned w = 0; w < 4; w++)
		printf("%s %-6s best %.3f s (%.2f GB/s), cpu %.3f s; of load: %.2f, cpu %.2f\n",
		       is_cold ? "cold" : "warm", ways[w].name, best[w],
		       (double)source->n_bytes / best[w] * 1e-9, best_cpu[w], best[w] / best[3],
		       best_cpu[w] / best_cpu[3]);
}

int main(int argc, char **argv)
{
	struct source source = { .n_threads = argc > 2 ? (unsigned)atoi(argv[2]) : 1 };
	unsigned n_times = argc > 3 ? (unsigned)atoi(argv[3]) : 3;
	struct backend_config config = { .n_threads = source.n_threads, .max_rows = 16,
					 .max_width = 1 << 17 };
	struct error err = { .text = "" };
	struct stat st;

	if (argc < 2 || !source.n_threads || source.n_threads > MAX_THREADS)
		stop("usage: load FILE [threads [times]]");
	source.path = argv[1];
	source.fd = open(source.path, O_RDONLY | O_CLOEXEC);
	if (source.fd < 0 || fstat(source.fd, &st))
		stop("cannot open the file");
	source.n_bytes = (size_t)st.st_size;
	if (model_open(source.path, &source.model, &err) ||
	    backend_cpu.open(0, &config, &backend, &err))
		stop(err.text);
	printf("%s: %zu bytes, %u threads\n", source.path, source.n_bytes, source.n_threads);
	time_all(&source, n_times, false);
	time_all(&source, n_times, true);
	backend_cpu.close(backend);
	model_close(source.model);
	close(source.fd);
	return 0;
}
