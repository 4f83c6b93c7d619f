/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_BENCH_OUTPUT_H
#define STAGECOACH_CLI_BENCH_OUTPUT_H
/*
 * bench_output - what `stagecoach bench` prints: a table in Markdown for people, CSV, or a JSON
 * object per line. The last two repeat machine and model in every line, with the same names.
 */
#include "cli/bench_test.h"
#include "measure/cost.h"
#include "measure/statistics.h"

enum bench_format {
	BENCH_MARKDOWN,
	BENCH_CSV,
	BENCH_JSON,
};

/* What is the same for all lines. */
struct bench_subject {
	char cpu[128];
	unsigned n_processors;
	uint64_t memory_bytes;
	const char *isa;
	const char *backend;
	const char *model;
	const char *arch;
	const char *type;	/* that most of the weights have */
	uint64_t n_params;
	uint64_t n_bytes;	/* of all tensors */
};
struct bench_subject bench_subject_of(const struct model *model, const char *backend,
				      const char *isa);

struct bench_line {
	const struct bench_test *test;
	uint32_t n_stages;
	uint32_t n_threads;		/* of each stage */
	uint32_t n_samples;
	struct spread rates;		/* tokens per second */
	double limit;			/* 0: not known, or of no meaning: */
	bool is_in_cache;		/* what is read lies in the processors' caches */
	struct machine_speed speed;	/* of the threads that work at once; zeros: not known */
};

/* To standard output. The head of CSV and Markdown. */
void bench_print_head(enum bench_format format, const struct bench_subject *subject);
/* The speeds behind the limits, in Markdown; the other formats have them in each line. */
void bench_print_speed(unsigned n_threads, const struct machine_speed *speed);
void bench_print_columns(void);
void bench_print_line(enum bench_format format, const struct bench_subject *subject,
		      const struct bench_line *line);

#endif
