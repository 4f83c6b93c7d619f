/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_BENCH_TEST_H
#define STAGECOACH_CLI_BENCH_TEST_H
/*
 * bench_test - one line of `stagecoach bench`: what is asked of the pipeline, how large that makes
 * the pipeline, and asking it.
 */
#include "cli/session.h"

enum bench_kind {
	BENCH_PROMPT,	/* one prompt, from its submission to its first token */
	BENCH_QUEUE,	/* several prompts that wait for each other: no stage ever does */
	BENCH_DECODE,	/* tokens of sequences that generate together */
	BENCH_MIXED,	/* one prompt and what is generated from it, as one */
	BENCH_DEEP_PROMPT,	/* n_prompt tokens behind depth others */
	BENCH_DEEP_DECODE,
};

struct bench_test {
	enum bench_kind kind;
	uint32_t n_prompt;	/* 0: none to speak of */
	uint32_t n_gen;
	uint32_t n_sequences;
	uint32_t depth;		/* positions in the context before what is measured */
};

/* "pp512", "tg64 x8", "pp512 @ d2048". */
#define BENCH_NAME_MAX 64
void bench_test_name(const struct bench_test *test, char name[BENCH_NAME_MAX]);

/* Positions that one of its sequences comes to hold, and how many sequences there are. */
uint32_t bench_test_positions(const struct bench_test *test, uint32_t n_repetitions,
			      uint32_t n_chunk);

/* Rows that all runs of a test come to compute, more or less. */
uint64_t bench_test_rows(const struct bench_test *test, uint32_t n_repetitions, uint32_t n_chunk);

struct bench_run {
	struct session *session;
	uint32_t n_vocab;
	uint32_t n_repetitions;
	uint32_t n_chunk;		/* prompt rows of a step at most */
	/* Called before each repetition and after the last, while the pipeline rests; at a depth,
	 * where all parts are one run, before and after all. */
	void (*between)(void *arg);
	/* Called while waiting, after each turn of the loop; must be quick. */
	void (*on_turn)(void *arg);
	void *arg;
};

/* Runs it once to warm up and then n_repetitions times, or at a depth once with as many parts:
 * tokens per second in rates_out[n_repetitions]. */
must_check enum sc_status bench_test_run(const struct bench_test *test,
					 const struct bench_run *run, double *rates_out,
					 struct error *err);

#endif
