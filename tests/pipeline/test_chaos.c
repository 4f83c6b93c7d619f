/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever goes wrong and whenever: jobs give the tokens of an undisturbed run, none is lost, and
 * nothing is left behind.
 *
 * Odd seeds have a model with sliding windows.
 *	test_chaos			a few hundred seeds
 *	CHAOS_SEEDS=5000 test_chaos	the first 5000
 *	CHAOS_FIRST=5001 ...		from there on
 *	test_chaos 42			only this one, with its log. Seeds that are "strict" repeat
 *					exactly, the others as far as threads allow
 */
#include "base/log.h"
#include "coordinator/members.h"

#include "tests/pipeline/chaos.h"
#include "tests/sanitizer.h"

#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { N_SEEDS = 400, N_WARM = 50, SECONDS_PER_SEED = 120 };
/* Between two seeds, after the first N_WARM: threads may keep some memory for themselves. */
#define MAX_GROWTH_BYTES (256 * 1024)

static uint64_t first_seed = 1, n_seeds = N_SEEDS / SANITIZED_EVERY(3);
static bool is_single;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* 0 if a sanitizer has replaced malloc. */
static size_t used_bytes(void)
{
	return mallinfo2().uordblks;
}

static unsigned n_fired(const struct chaos_stats *stats, unsigned action)
{
	unsigned n = 0;

	for (unsigned phase = 0; phase < COORDINATOR_N_PHASES; phase++)
		n += stats->n_fired[action][phase];
	return n;
}

static void print_stats(const struct chaos_stats *stats)
{
	printf("%u runs: %llu deliveries, %llu rounds (%llu with something held), %llu epochs, "
	       "%llu lost after they ran; jobs: %u done, %u cancelled, %u suspects, %u lost\n",
	       stats->n_runs, (unsigned long long)stats->n_deliveries,
	       (unsigned long long)stats->n_rounds, (unsigned long long)stats->n_held,
	       (unsigned long long)stats->n_epochs, (unsigned long long)stats->n_recoveries,
	       stats->n_done, stats->n_cancelled, stats->n_suspects, stats->n_lost);
	printf("%-20s %9s", "fault", "missed");
	for (enum coordinator_phase phase = 0; phase < COORDINATOR_N_PHASES; phase++)
		printf(" %10s", coordinator_phase_name(phase));
	printf("\n");
	for (unsigned action = 0; action < CHAOS_N_ACTIONS; action++) {
		printf("%-20s %9u", chaos_action_name((enum chaos_action)action),
		       stats->n_missed[action]);
		for (unsigned phase = 0; phase < COORDINATOR_N_PHASES; phase++)
			printf(" %10u", stats->n_fired[action][phase]);
		printf("\n");
	}
	fflush(stdout);
}

/* Chaos that misses its moment proves nothing. */
static void check_fired(const struct chaos_stats *stats)
{
	for (unsigned action = 0; action < CHAOS_N_ACTIONS; action++) {
		const unsigned *in = stats->n_fired[action];

		if (!n_fired(stats, action))
			fail_msg("\"%s\" has never fired",
				 chaos_action_name((enum chaos_action)action));
		if (action < CHAOS_RESTART &&
		    (!in[COORDINATOR_READY] || !in[COORDINATOR_RECOVERING]))
			fail_msg("\"%s\" has not fired both while ready and while recovering",
				 chaos_action_name((enum chaos_action)action));
	}
	assert_true(stats->n_recoveries > stats->n_runs / 2);
	/* Most jobs end well; the exceptions stay exceptions. */
	assert_true(stats->n_suspects * 20 < stats->n_done);
}

static void use_model(bool has_windows)
{
	chaos_release();
	chaos_prepare(has_windows);
}

static void jobs_survive_chaos(void **state)
{
	struct chaos_stats stats = { 0 };
	size_t warm_bytes = 0;
	unsigned n_run = 0;

	(void)state;
	for (uint64_t is_odd = 0; is_odd < 2; is_odd++) {
		use_model(is_odd);
		for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++) {
			if (seed % 2 != is_odd)
				continue;
			alarm(SECONDS_PER_SEED);
			chaos_run(seed, &stats);
			if (n_run++ == N_WARM)
				warm_bytes = used_bytes();
		}
	}
	alarm(0);
	print_stats(&stats);
	if (n_seeds >= N_SEEDS) {
		printf("memory in use: %zu bytes after %d runs, %zu at the end\n", warm_bytes,
		       N_WARM, used_bytes());
		assert_true(used_bytes() <= warm_bytes + MAX_GROWTH_BYTES);
		check_fired(&stats);
	}
}

/* Its losses put it into quarantine, but without it there are too few workers. */
static void a_worker_may_flap_before_the_first_epoch(void **state)
{
	const struct chaos_fault kill_before_welcome = {
		.trigger = CHAOS_AT_MESSAGE, .where = 1, .n = 1,
		.action = CHAOS_KILL, .ticks = 2 * CHAOS_ROUND_TICKS,
	};
	struct chaos_scenario scenario = {
		.n_stages = 2, .n_workers = 2, .is_strict = true, .kv_positions = 1024,
		.n_jobs = 1, .n_faults = MEMBER_FLAPS,
	};
	struct chaos_stats stats = { 0 };

	(void)state;
	for (unsigned i = 0; i < scenario.n_faults; i++)
		scenario.faults[i] = kill_before_welcome;
	chaos_run_scenario(&scenario, &stats);
	assert_int_equal(stats.n_fired[CHAOS_KILL][COORDINATOR_CONNECTING], MEMBER_FLAPS);
}

/* A failed assertion, a crash or a run that hangs says what it was doing. */
static void on_signal(int signum)
{
	chaos_print_log_of_dead();
	signal(signum == SIGALRM ? SIGABRT : signum, SIG_DFL);
	raise(signum == SIGALRM ? SIGABRT : signum);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static int set_up(void **state)
{
	(void)state;
	chaos_prepare(false);
	if (is_single)
		chaos_be_loud();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	chaos_release();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_may_flap_before_the_first_epoch),
		cmocka_unit_test(jobs_survive_chaos),
	};
	const char *level = getenv("CHAOS_LOG");

	log_init(LOG_LEVEL_ERROR, "");
	first_seed = number_of("CHAOS_FIRST", first_seed);
	n_seeds = number_of("CHAOS_SEEDS", n_seeds);
	if (argc > 1) {
		first_seed = strtoull(argv[1], NULL, 10);
		n_seeds = 1;
		is_single = true;
		log_set_level(level ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	}
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(chaos_print_log_of_dead);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
