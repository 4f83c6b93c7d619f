/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers are killed in the middle of their work, and jobs go on: the same tokens, from the same
 * bits of logits, as if nothing had happened.
 */
#include "tests/pipeline/troupe.h"
#include "tests/model/windows.h"
#include "tests/sanitizer.h"

#include "coordinator/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N_WANTED 8

static struct wanted wanted[N_WANTED];
static struct job *jobs[N_WANTED];
static struct job_watcher watchers[N_WANTED];
static struct troupe troupe;

static int run_alone(void **state)
{
	(void)state;
	wanted_make(wanted, N_WANTED);
	wanted_run_alone(wanted, N_WANTED, &rig_defaults);
	return 0;
}

static struct troupe_options options_of(unsigned n_stages)
{
	struct troupe_options options = { .rig = rig_defaults };

	options.rig.n_stages = n_stages;
	options.rig.prompt_chunk = 16;
	return options;
}

static uint32_t count_tokens(void)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < N_WANTED; i++)
		n += job_output(jobs[i], 0)->n_tokens;
	return n;
}

/* A turn of the loop may take many steps. So workers are killed by a watcher of the jobs, who is
 * called after each of them. */
static struct {
	bool is_set;
	uint32_t n_tokens;		/* when so many were drawn, in all */
	void (*act)(void);
} sabotage;

static void on_change(void *arg, struct job *job)
{
	(void)arg;
	(void)job;
	if (!sabotage.is_set || count_tokens() < sabotage.n_tokens)
		return;
	sabotage.is_set = false;
	sabotage.act();
}

static void submit_all(void)
{
	for (unsigned i = 0; i < N_WANTED; i++)
		jobs[i] = wanted_submit(&troupe.rig, &wanted[i]);
	for (unsigned i = 0; i < N_WANTED; i++) {
		watchers[i] = (struct job_watcher){ .on_change = on_change };
		job_watch(jobs[i], &watchers[i]);
	}
}

/* Submits all jobs; act is called when so many tokens were drawn; returns once an epoch was lost. */
static void submit_and_lose(uint32_t n_tokens, void (*act)(void))
{
	sabotage.is_set = true;
	sabotage.n_tokens = n_tokens;
	sabotage.act = act;
	submit_all();
	if (!n_tokens)
		on_change(NULL, jobs[0]);
	rig_wait(&troupe.rig, troupe.n_recovering);
	assert_false(sabotage.is_set);
}

static bool are_all_ended(void)
{
	for (unsigned i = 0; i < N_WANTED; i++)
		if (!job_is_ended(jobs[i]))
			return false;
	return true;
}

static void expect_all(void)
{
	rig_wait(&troupe.rig, are_all_ended());
	for (unsigned i = 0; i < N_WANTED; i++) {
		wanted_check(jobs[i], &wanted[i]);
		job_unwatch(jobs[i], &watchers[i]);
		job_release(jobs[i]);
	}
}

static void stop(void)
{
	troupe_stop(&troupe);
	troupe_check_logits(&troupe, wanted, N_WANTED);
	rig_free_logits(&troupe.rig);
}

static uint32_t epoch_now(void)
{
	struct coordinator_status status;

	engine_status(troupe.rig.engine, &status);
	return status.epoch;
}

static bool is_running(void)
{
	return troupe.rig.phase == COORDINATOR_READY;
}

/* A loss that comes to nothing would prove nothing. */
static void expect_epochs(uint32_t n)
{
	rig_wait(&troupe.rig, is_running());
	assert_int_equal(epoch_now(), n);
}

/* What a stage holds: "first-last" of all stages. */
static void expect_layers(const char *expected)
{
	const struct plan *plan = engine_plan(troupe.rig.engine);
	char text[128] = "";
	size_t n = 0;

	for (unsigned i = 0; i < plan->n_stages; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%u-%u", i ? " " : "",
				      plan->stages[i].first_layer,
				      plan->stages[i].first_layer + plan->stages[i].n_layers - 1);
	assert_string_equal(text, expected);
}

static unsigned victims[2], n_victims;

static void kill_victims(void)
{
	for (unsigned i = 0; i < n_victims; i++)
		troupe_kill(&troupe, victims[i]);
}

/* Kills the workers of one stage, or two, when so many tokens were drawn in all. */
static void lose_stages(unsigned a, unsigned b, uint32_t n_tokens)
{
	victims[0] = troupe_of_stage(&troupe, a);
	victims[1] = troupe_of_stage(&troupe, b);
	n_victims = a == b ? 1 : 2;
	submit_and_lose(n_tokens, kill_victims);
}

static void lose_one_of_three(unsigned stage, unsigned n_workers, uint32_t n_tokens)
{
	const struct troupe_options options = options_of(3);
	unsigned before[3];

	troupe_start(&troupe, &options, n_workers);
	for (unsigned i = 0; i < 3; i++)
		before[i] = troupe_of_stage(&troupe, i);
	lose_stages(stage, stage, n_tokens);
	rig_wait(&troupe.rig, is_running());
	if (n_workers > 3) {
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(troupe_of_stage(&troupe, i), i == stage ? 3 : before[i]);
	} else {
		assert_int_equal(troupe_n_stages(&troupe), 2);
	}
	expect_all();
	expect_epochs(2);
	stop();
}

static void a_spare_takes_the_place_of_any_stage(void **state)
{
	(void)state;
	for (unsigned stage = 0; stage < 3; stage++)
		lose_one_of_three(stage, 4, 10 + 10 * stage);
}

static void without_a_spare_the_others_take_all_layers(void **state)
{
	(void)state;
	for (unsigned stage = 0; stage < 3; stage++)
		lose_one_of_three(stage, 3, 10 + 10 * stage);
}

static void jobs_go_on_when_a_stage_is_lost_in_their_prompts(void **state)
{
	(void)state;
	lose_one_of_three(1, 4, 0);
}

static void the_only_stage_may_be_lost(void **state)
{
	const struct troupe_options options = options_of(1);

	(void)state;
	troupe_start(&troupe, &options, 2);
	lose_stages(0, 0, 20);
	expect_all();
	expect_epochs(2);
	stop();
}

static void first_and_last_stage_may_be_lost_together(void **state)
{
	const struct troupe_options options = options_of(3);
	unsigned first, last;

	(void)state;
	troupe_start(&troupe, &options, 5);
	expect_layers("0-2 3-5 6-7");
	first = troupe_of_stage(&troupe, 0);
	last = troupe_of_stage(&troupe, 2);
	lose_stages(0, 2, 20);
	expect_all();
	rig_wait(&troupe.rig, is_running());
	expect_layers("0-2 3-5 6-7");
	assert_int_not_equal(troupe_of_stage(&troupe, 0), first);
	assert_int_not_equal(troupe_of_stage(&troupe, 2), last);
	stop();
}

static void all_stages_may_be_lost_and_come_back(void **state)
{
	const struct troupe_options options = options_of(2);

	(void)state;
	troupe_start(&troupe, &options, 2);
	lose_stages(0, 1, 20);
	for (unsigned i = 0; i < 20; i++)
		loop_turn(troupe.rig.loop, false);
	assert_int_equal(troupe.rig.phase, COORDINATOR_RECOVERING);
	troupe_add(&troupe, 0);
	troupe_add(&troupe, 1);
	expect_all();
	stop();
}

/* Kills it first. A third loss would be that of a flapping worker. */
static void add_again(void)
{
	troupe_add(&troupe, 0);
}

static void a_worker_that_comes_back_is_taken_again(void **state)
{
	const struct troupe_options options = options_of(1);

	(void)state;
	troupe_start(&troupe, &options, 1);
	submit_and_lose(5, add_again);
	expect_all();
	expect_epochs(2);
	stop();
}

/* In quarantine, it is still the last resort when it comes. */
static void the_only_worker_may_be_lost_often(void **state)
{
	const struct troupe_options options = options_of(1);

	(void)state;
	troupe_start(&troupe, &options, 1);
	for (unsigned i = 1; i <= MEMBER_FLAPS + 1; i++) {
		troupe_kill(&troupe, 0);
		rig_wait(&troupe.rig, troupe.n_recovering == i);
		troupe_add(&troupe, 0);
		expect_epochs(i + 1);
	}
	submit_all();
	expect_all();
	stop();
}

/* Worker 0 was lost, and 2 takes its place. */
static void kill_newcomer(void)
{
	troupe.on_recovering = NULL;
	troupe_kill(&troupe, 2);
}

static void a_spare_may_be_lost_while_it_loads(void **state)
{
	const struct troupe_options options = options_of(2);

	(void)state;
	troupe_start(&troupe, &options, 4);
	troupe.on_recovering = kill_newcomer;
	lose_stages(0, 0, 10);
	expect_all();
	expect_epochs(3);
	stop();
}

static void without_workers_jobs_fail_after_the_time_limit(void **state)
{
	struct troupe_options options = options_of(1);

	(void)state;
	options.start_ms = 300;
	troupe_start(&troupe, &options, 1);
	lose_stages(0, 0, 5);
	rig_wait(&troupe.rig, troupe.rig.phase == COORDINATOR_FAILED);
	assert_int_equal(troupe.rig.error.status, SC_E_UNAVAILABLE);
	assert_non_null(strstr(troupe.rig.error.text, "stage 1 (worker worker.0"));
	assert_non_null(strstr(troupe.rig.error.text, "no other worker came within 300 ms"));
	for (unsigned i = 0; i < N_WANTED; i++) {
		assert_true(job_is_ended(jobs[i]));
		if (job_state(jobs[i]) == JOB_FAILED)
			assert_int_equal(job_error(jobs[i])->status, SC_E_UNAVAILABLE);
		job_unwatch(jobs[i], &watchers[i]);
		job_release(jobs[i]);
	}
	troupe_stop(&troupe);
	rig_free_logits(&troupe.rig);
}

static void a_worker_that_comes_later_gets_a_stage_once_nobody_waits(void **state)
{
	const struct troupe_options options = options_of(3);

	(void)state;
	troupe_start(&troupe, &options, 3);
	lose_stages(1, 1, 5);
	rig_wait(&troupe.rig, is_running());
	troupe_add(&troupe, 5);
	expect_all();
	rig_wait(&troupe.rig, troupe_n_stages(&troupe) == 3 && is_running());
	submit_all();
	expect_all();
	stop();
}

/* A worker with a stage or a spare; TROUPE_MAX_WORKERS: the one that was drawn is not there. */
static unsigned draw_victim(unsigned n_started)
{
	unsigned victim = wanted_draw(3) ? troupe_of_stage(&troupe, wanted_draw(3))
					 : wanted_draw(n_started);

	return victim < TROUPE_MAX_WORKERS && troupe.workers[victim] ? victim
								      : TROUPE_MAX_WORKERS;
}

static struct killer {
	unsigned n_started;
	unsigned n_killed;
	unsigned n_kills;	/* wanted */
	uint32_t n_tokens[N_WANTED];	/* of each job, at the last kill */
} killer;

/* A job that is in flight at three losses in a row, without a token in between, is failed as their
 * cause. So every job has drawn one before the next kill. */
static bool have_all_drawn(void)
{
	for (unsigned i = 0; i < N_WANTED; i++)
		if (!job_is_ended(jobs[i]) &&
		    job_output(jobs[i], 0)->n_tokens <= killer.n_tokens[i])
			return false;
	return true;
}

/* The dead are replaced under other names: nobody flaps. */
static void kill_at_random(void)
{
	unsigned victim = have_all_drawn() ? draw_victim(killer.n_started) : TROUPE_MAX_WORKERS;

	sabotage.is_set = true;
	sabotage.n_tokens = count_tokens() + 1;
	if (victim == TROUPE_MAX_WORKERS)
		return;
	for (unsigned i = 0; i < N_WANTED; i++)
		killer.n_tokens[i] = job_output(jobs[i], 0)->n_tokens;
	troupe_kill(&troupe, victim);
	troupe_add(&troupe, killer.n_started++);
	sabotage.is_set = ++killer.n_killed < killer.n_kills;
	sabotage.n_tokens += wanted_draw(20);
}

static void random_kills_change_no_token(void **state)
{
	enum { N_ROUNDS = 24 / SANITIZED_EVERY(4), N_WORKERS = 5, N_KILLS = 4 };
	const struct troupe_options options = options_of(3);
	unsigned n_killed = 0, n_losses = 0;

	(void)state;
	for (unsigned round = 0; round < N_ROUNDS; round++) {
		troupe_start(&troupe, &options, N_WORKERS);
		killer = (struct killer){ .n_started = N_WORKERS, .n_kills = N_KILLS };
		sabotage.act = kill_at_random;
		sabotage.n_tokens = wanted_draw(10);
		sabotage.is_set = true;
		submit_all();
		expect_all();
		sabotage.is_set = false;
		n_killed += killer.n_killed;
		n_losses += epoch_now() - 1;
		stop();
	}
	print_message("%u workers killed, %u epochs lost\n", n_killed, n_losses);
	assert_true(n_killed > N_ROUNDS && n_losses > N_ROUNDS);
}

/* The same with layers that keep a window, on whatever worker they come to be. */
static int run_alone_with_windows(void **state)
{
	static const uint32_t windows[] = { 5, 0, 20 };

	windows_set(rig_model()->model, windows, 3);
	return run_alone(state);
}

int main(void)
{
	const struct CMUnitTest windowed_tests[] = {
		cmocka_unit_test(without_a_spare_the_others_take_all_layers),
		cmocka_unit_test(jobs_go_on_when_a_stage_is_lost_in_their_prompts),
		cmocka_unit_test(the_only_worker_may_be_lost_often),
		cmocka_unit_test(random_kills_change_no_token),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spare_takes_the_place_of_any_stage),
		cmocka_unit_test(without_a_spare_the_others_take_all_layers),
		cmocka_unit_test(jobs_go_on_when_a_stage_is_lost_in_their_prompts),
		cmocka_unit_test(the_only_stage_may_be_lost),
		cmocka_unit_test(first_and_last_stage_may_be_lost_together),
		cmocka_unit_test(all_stages_may_be_lost_and_come_back),
		cmocka_unit_test(a_worker_that_comes_back_is_taken_again),
		cmocka_unit_test(the_only_worker_may_be_lost_often),
		cmocka_unit_test(a_spare_may_be_lost_while_it_loads),
		cmocka_unit_test(without_workers_jobs_fail_after_the_time_limit),
		cmocka_unit_test(a_worker_that_comes_later_gets_a_stage_once_nobody_waits),
		cmocka_unit_test(random_kills_change_no_token),
	};

	int n_failed = cmocka_run_group_tests(tests, run_alone, rig_model_teardown);

	return n_failed + cmocka_run_group_tests(windowed_tests, run_alone_with_windows,
						 rig_model_teardown);
}
