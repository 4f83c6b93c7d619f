/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenize - times texts that are hard for tokenizers, and checks that the time grows linearly.
 *   build/bench/tokenize [-k KIND] [-r RUNS] [-q] VOCAB.gguf...
 * For each vocabulary and kind of text it prints milliseconds for 1 MiB and 4 MiB (medians of RUNS,
 * by default 5), their quotient, and the ids of 4 MiB. -q prints only the slowest and steepest
 * kind. Exit status 1: a quotient above 4.5.
 */
#include "model/gguf.h"
#include "model/tokenizer.h"
#include "tests/model/hard_texts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_SHORT ((size_t)1 << 20)
#define N_LONG (4 * N_SHORT)
#define MAX_RUNS 101
#define MAX_QUOTIENT 4.5

struct options {
	const char *kind;
	int n_runs;
	bool is_quiet;
};

struct result {
	double short_ms, long_ms, quotient;
	size_t n_ids;		/* of the long text */
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Milliseconds of this thread for one encoding. */
static double encode(const struct tokenizer *tokenizer, const char *text, size_t n_bytes,
		     size_t *n_ids_out)
{
	struct token_list ids = { 0 };
	struct error err;
	double start = now_ms();

	if (tokenizer_encode(tokenizer, text, n_bytes, TOKENIZE_PARSE_SPECIAL, &ids, &err)) {
		fprintf(stderr, "tokenize: %s\n", err.text);
		exit(2);
	}
	*n_ids_out = ids.n;
	token_list_deinit(&ids);
	return now_ms() - start;
}

static double median(double *times, int n)
{
	qsort(times, (size_t)n, sizeof times[0], compare);
	return times[n / 2];
}

/* Times both lengths in turn, so that other load on the machine slows both down. */
static struct result measure(const struct tokenizer *tokenizer, const struct hard_text *kind,
			     int n_runs, char *text)
{
	double short_ms[MAX_RUNS], long_ms[MAX_RUNS];
	struct result result;
	size_t n_ids;

	for (int run = 0; run < n_runs; run++) {
		hard_text_fill(kind, text, N_SHORT);
		short_ms[run] = encode(tokenizer, text, N_SHORT, &n_ids);
		hard_text_fill(kind, text, N_LONG);
		long_ms[run] = encode(tokenizer, text, N_LONG, &result.n_ids);
	}
	result.short_ms = median(short_ms, n_runs);
	result.long_ms = median(long_ms, n_runs);
	result.quotient = result.long_ms / result.short_ms;
	return result;
}

/* Returns true if no kind exceeds the quotient. */
static bool measure_vocab(const char *path, const struct options *options, char *text)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *slowest = "", *steepest = "";
	double slowest_ms = 0, quotient_max = 0;
	struct tokenizer *tokenizer = NULL;
	struct gguf *gguf = NULL;
	struct error err;

	if (gguf_open(path, &gguf, &err) || tokenizer_create(gguf, &tokenizer, &err)) {
		printf("%s\n", err.text);
		gguf_close(gguf);
		return err.status == SC_E_UNSUPPORTED;
	}
	for (const struct hard_text *kind = hard_texts; kind->name; kind++) {
		struct result result;

		if (options->kind && strcmp(options->kind, kind->name))
			continue;
		result = measure(tokenizer, kind, options->n_runs, text);
		if (!options->is_quiet)
			printf("%-20s %-24s %8.1f %8.1f %6.2f %9zu%s\n", name, kind->name,
			       result.short_ms, result.long_ms, result.quotient, result.n_ids,
			       result.quotient > MAX_QUOTIENT ? "  <- too steep" : "");
		if (result.long_ms > slowest_ms) {
			slowest_ms = result.long_ms;
			slowest = kind->name;
		}
		if (result.quotient > quotient_max) {
			quotient_max = result.quotient;
			steepest = kind->name;
		}
	}
	printf("%-20s slowest %.0f ms (%s), steepest %.2f (%s)\n", name, slowest_ms, slowest,
	       quotient_max, steepest);
	fflush(stdout);
	tokenizer_destroy(tokenizer);
	gguf_close(gguf);
	return quotient_max <= MAX_QUOTIENT;
}

int main(int argc, char **argv)
{
	struct options options = { .n_runs = 5 };
	char *text = malloc(N_LONG);
	bool is_good = true;
	int option;

	while ((option = getopt(argc, argv, "k:r:q")) != -1) {
		if (option == 'k')
			options.kind = optarg;
		else if (option == 'r')
			options.n_runs = atoi(optarg);
		else if (option == 'q')
			options.is_quiet = true;
		else
			return 2;
	}
	if (!text || optind == argc || options.n_runs < 1 || options.n_runs > MAX_RUNS) {
		fprintf(stderr, "usage: tokenize [-k KIND] [-r RUNS] [-q] VOCAB.gguf...\n");
		return 2;
	}
	if (!options.is_quiet)
		printf("%-20s %-24s %8s %8s %6s %9s\n", "vocabulary", "text", "1 MiB ms",
		       "4 MiB ms", "ratio", "ids");
	for (int i = optind; i < argc; i++)
		is_good = measure_vocab(argv[i], &options, text) && is_good;
	free(text);
	return is_good ? 0 : 1;
}
