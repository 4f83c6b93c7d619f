/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_BENCH_LIMITS_H
#define STAGECOACH_CLI_BENCH_LIMITS_H
/*
 * bench_limits - what the machine allows at most, for each line of `stagecoach bench`.
 *
 * Arithmetic is as fast as it was in the best of many tries. Memory is shared with whatever else
 * runs on the machine, and in a cloud with other machines: in tests that decode, which it bounds,
 * it is measured between the repetitions (at a depth before and after them); the median counts.
 * Thread: one; cpu_meter starts others.
 */
#include "base/cpu.h"
#include "cli/bench_test.h"
#include "measure/cost.h"

struct cpu_meter;

struct bench_limits {
	enum cpu_isa isa;	/* what the CPU backend computes with */
	double cache_bytes;	/* of the processors; 0: not known */
	bool is_known;		/* false: a backend of which nobody has measured what it can do */
	struct known_speed *speeds;	/* [n_speeds] */
	uint32_t n_speeds;
	/* During a test: */
	struct machine_speed speed;	/* of the threads that work at once; zeros: not known */
	struct cpu_meter *meter;	/* NULL: memory is not measured */
	double *readings;		/* [max_readings], bytes a second */
	uint32_t n_readings;
	uint32_t max_readings;
};

/* Caller deinits, also after an error. */
must_check enum sc_status bench_limits_init(struct bench_limits *limits, const char *backend,
					    enum cpu_isa isa, uint32_t n_repetitions,
					    struct error *err);
void bench_limits_deinit(struct bench_limits *limits);

/* Of so many threads, until the next is measured; NULL: not measured. */
const struct machine_speed *bench_limits_speed(const struct bench_limits *limits,
					       unsigned n_threads);
/* Takes about a second. SC_E_NOMEM, and what cpu_meter_create says. */
must_check enum sc_status bench_limits_measure(struct bench_limits *limits, unsigned n_threads,
					       const struct machine_speed **speed_out,
					       struct error *err);

/* Stages that can work at once: a lone sequence that decodes is only ever in one of them. */
uint32_t bench_busy_stages(const struct bench_test *test, uint32_t n_stages);

/* Before a test, whose speeds have been measured; between its repetitions, n_repetitions + 1 times
 * at most; after it, also if it failed: the speeds behind its limit. */
must_check enum sc_status bench_limits_start(struct bench_limits *limits,
					     const struct bench_test *test, uint32_t n_stages,
					     uint32_t n_threads, struct error *err);
void bench_limits_read(struct bench_limits *limits);
struct machine_speed bench_limits_stop(struct bench_limits *limits);

/* Tokens per second; 0: not known. Prompts are taken to go in steps of n_chunk rows; over stages
 * steps may be shorter and read the weights more often. */
double bench_limit_of(const struct bench_test *test, const struct cost *cost,
		      const struct machine_speed *speed, uint32_t n_chunk);

/* The limit is that of memory, but the weights and keys and values that the test reads lie in the
 * processors' caches, so that it does not apply. */
bool bench_is_in_cache(const struct bench_limits *limits, const struct bench_test *test,
		       const struct cost *cost, const struct machine_speed *speed,
		       uint32_t n_chunk, double rate);

#endif
