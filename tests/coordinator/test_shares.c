/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets slots and KV blocks when several clients want them. Time is counted in steps; every step
 * is judged by what a stage would say to it. */
#include "tests/coordinator/step_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define MAX_JOBS 64

/* Sequences alike, of one client; each has its share_job's address as sequence.share. */
struct test_job {
	struct share_job share;
	struct sequence sequences[64];
	uint32_t n_sequences;
	uint32_t n_new;
	uint32_t n_left;	/* sequences that have not ended */
};

static struct load {
	struct test_job *jobs[MAX_JOBS];
	uint32_t n_jobs;
	uint64_t n_tokens;	/* drawn */
} load;

/* The group that has few blocks where a test makes blocks few: 0, or 2, then with plenty in all
 * others. */
static uint32_t scarce;

static int setup_scarce(void **state)
{
	(void)state;
	scarce = 2;
	return 0;
}

static int teardown_scarce(void **state)
{
	(void)state;
	scarce = 0;
	return 0;
}

static struct scheduler_config thirty_two_slots(uint32_t n_stages)
{
	return (struct scheduler_config){
		.limits = {
			.max_rows = SIM_MAX_ROWS, .max_sequences = 32, .n_groups = scarce + 1,
			.max_blocks = { 4096, 4000, 4096 }, .table_blocks = { 64, 64, 64 },
			.block_length = 16, .max_context = 1024, .n_vocab = 256, .dim = 1,
		},
		.window = n_stages + 1,
		.n_stages = n_stages,
		.prompt_chunk = 128,
	};
}

static void sim_start(const struct scheduler_config *config)
{
	load = (struct load){ .n_jobs = 0 };
	step_sim_start(config);
}

static void sim_stop(void)
{
	step_sim_stop();
	for (uint32_t i = 0; i < load.n_jobs; i++) {
		for (uint32_t k = 0; k < load.jobs[i]->n_sequences; k++)
			sequence_deinit(&load.jobs[i]->sequences[k]);
		free(load.jobs[i]);
	}
}

static struct test_job *add(uint32_t client, uint32_t n_sequences, uint32_t n_prompt,
			    uint32_t n_new)
{
	struct test_job *job = calloc(1, sizeof *job);
	uint32_t prompt[1024] = { 0 };

	assert_non_null(job);
	assert_true(load.n_jobs < MAX_JOBS);
	load.jobs[load.n_jobs++] = job;
	share_job_init(&job->share, &sim.clients[client]);
	job->n_sequences = job->n_left = n_sequences;
	job->n_new = n_new;
	for (uint32_t i = 0; i < n_sequences; i++) {
		struct sequence *sequence = &job->sequences[i];

		assert_int_equal(sequence_init(sequence, prompt, n_prompt, n_prompt + n_new,
					       &sim.config.limits), SC_OK);
		sequence->sampling = (struct sampling){
			.seed = load.n_jobs * 64 + i, .top_p = 1, SAMPLING_OFF,
		};
		sequence->share = &job->share;
		scheduler_add(sim.scheduler, sequence);
	}
	return job;
}

static bool take_token(void *arg, struct sequence *sequence, const struct token_record *record,
		       const struct token_top *tops)
{
	struct test_job *job = list_entry(sequence->share, struct test_job, share);

	(void)arg;
	(void)tops;
	assert_int_equal(record->token, stage_checker_token(sequence->sampling.seed,
							    sequence->n_tokens - 1));
	load.n_tokens++;
	if (sequence->n_tokens < sequence->n_prompt + job->n_new)
		return true;
	job->n_left--;
	return false;
}

static void fill_window(void)
{
	while (step_sim_make())
		;
}

static void answer(void)
{
	step_sim_answer(take_token);
}

static void turn(void)
{
	fill_window();
	if (sim.n_flights)
		answer();
}

static void turns(uint32_t n)
{
	while (n--)
		turn();
}

/* How many steps are made until the job has ended. */
static uint64_t steps_until_ended(const struct test_job *job)
{
	uint64_t first = sim.n_steps;

	while (job->n_left) {
		turn();
		assert_true(sim.n_steps - first < 1000000);
	}
	return sim.n_steps - first;
}

static uint64_t n_preemptions(void)
{
	return scheduler_counts(sim.scheduler).preemptions;
}

static uint32_t n_running(uint32_t client)
{
	return sim.clients[client].n_running;
}

static bool has_waiting(const struct test_job *job)
{
	for (uint32_t i = 0; i < job->n_sequences; i++)
		if (job->sequences[i].state == SEQUENCE_WAITING)
			return true;
	return false;
}

/* Everything ends, and nothing is left over. */
static void finish_all(void)
{
	for (uint32_t i = 0; i < load.n_jobs; i++)
		steps_until_ended(load.jobs[i]);
	while (sim.n_flights)
		turn();
	assert_int_equal(scheduler_counts(sim.scheduler).blocks_free[0],
			 sim.config.limits.max_blocks[0]);
	for (uint32_t i = 0; i < SIM_MAX_CLIENTS; i++) {
		assert_int_equal(sim.clients[i].n_waiting, 0);
		assert_int_equal(sim.clients[i].n_running, 0);
		assert_int_equal(sim.clients[i].n_blocks[0], 0);
	}
}

/* --- slots --- */

/* A job of three tokens comes while one of 64 x 500 tokens has all slots. Each of its tokens needs
 * a step of the group that it is in, and it may come just after a window of others was sent. */
static void check_newcomer(const struct scheduler_config *config)
{
	struct test_job *short_job;
	uint64_t n_steps;

	sim_start(config);
	add(0, 64, 10, 500);
	turns(200);
	assert_int_equal(n_running(0), 32);
	short_job = add(1, 1, 10, 3);
	n_steps = steps_until_ended(short_job);
	if (n_steps > 4 * config->window + 2)
		fail_msg("%u stages: %u steps", config->n_stages, (unsigned)n_steps);
	finish_all();
	sim_stop();
}

static void a_short_job_does_not_wait_for_the_long_one_of_another_client(void **state)
{
	(void)state;
	for (uint32_t n_stages = 1; n_stages <= 4; n_stages++) {
		struct scheduler_config config = thirty_two_slots(n_stages);

		check_newcomer(&config);
		config.limits.max_sequences = 36;
		config.n_spare = 4;
		check_newcomer(&config);
	}
}

/* All blocks are taken, slots are free. */
static void a_short_job_gets_blocks_of_the_client_that_has_them_all(void **state)
{
	(void)state;
	for (uint32_t n_stages = 1; n_stages <= 4; n_stages++) {
		struct scheduler_config config = thirty_two_slots(n_stages);
		struct test_job *short_job;
		uint64_t n_steps;

		config.limits.max_blocks[scarce] = 64;
		sim_start(&config);
		add(0, 64, 10, 500);
		while (scheduler_counts(sim.scheduler).blocks_free[scarce])
			turn();
		short_job = add(1, 1, 100, 3);
		n_steps = steps_until_ended(short_job);
		if (n_steps > 5 * config.window + 2)
			fail_msg("%u stages: %u steps", n_stages, (unsigned)n_steps);
		finish_all();
		sim_stop();
	}
}

static void a_client_alone_has_all_slots_but_the_spare_ones(void **state)
{
	struct scheduler_config config = thirty_two_slots(2);

	(void)state;
	config.n_spare = 4;
	sim_start(&config);
	add(0, 64, 10, 50);
	turns(20);
	assert_int_equal(n_running(0), 28);
	/* A spare slot costs nobody anything. */
	steps_until_ended(add(1, 1, 10, 3));
	assert_int_equal(n_preemptions(), 0);
	finish_all();
	assert_int_equal(n_preemptions(), 0);
	sim_stop();
}

static void two_clients_soon_have_half_of_the_slots_each(void **state)
{
	struct scheduler_config config = thirty_two_slots(2);

	(void)state;
	sim_start(&config);
	add(0, 64, 10, 500);
	turns(100);
	add(1, 64, 10, 500);
	turns(40);
	assert_int_equal(n_running(0), 16);
	assert_int_equal(n_running(1), 16);
	/* One for each that was started, and none since. */
	assert_int_equal(n_preemptions(), 16);
	turns(400);
	assert_int_equal(n_preemptions(), 16);
	finish_all();
	sim_stop();
}

static void a_slot_that_comes_free_goes_to_the_client_with_the_fewest(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);

	(void)state;
	config.limits.max_sequences = 4;
	sim_start(&config);
	for (uint32_t i = 0; i < 3; i++)
		add(i, 8, 4, 20 + i);
	turns(10);
	/* A share is one slot; the fourth goes to whoever is first. */
	for (uint32_t i = 0; i < 3; i++)
		assert_in_range(n_running(i), 1, 2);
	for (int i = 0; i < 60; i++) {
		fill_window();
		for (uint32_t k = 0; k < 3; k++)
			assert_true(n_running(k) || !sim.clients[k].n_waiting);
		answer();
	}
	finish_all();
	sim_stop();
}

static void jobs_of_a_client_take_turns(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);
	struct test_job *large, *small;

	(void)state;
	config.limits.max_sequences = 4;
	sim_start(&config);
	large = add(0, 40, 4, 20);
	turns(3);
	small = add(0, 1, 4, 20);
	/* The first four end at once; one of their slots is the small job's. */
	steps_until_ended(small);
	assert_in_range(large->n_left, 40 - 8, 40 - 4);
	finish_all();
	sim_stop();
}

static void more_clients_than_slots_take_turns(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);

	(void)state;
	config.limits.max_sequences = 4;
	sim_start(&config);
	add(0, 40, 4, 10);
	for (uint32_t i = 1; i < SIM_MAX_CLIENTS; i++)
		add(i, 1, 4, 10);
	/* The heavy client's later sequences wait for everybody's first. */
	for (uint32_t i = 1; i < SIM_MAX_CLIENTS; i++)
		steps_until_ended(load.jobs[i]);
	assert_true(load.jobs[0]->n_left >= 32);
	finish_all();
	sim_stop();
}

/* As many clients with one endless sequence each as there are slots: nobody has more than a share.
 * A newcomer waits for the end of a turn, not of a sequence. */
static void slots_go_round_when_there_are_more_clients_than_slots(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);
	struct test_job *last;

	(void)state;
	config.limits.max_sequences = 8;
	sim_start(&config);
	for (uint32_t i = 0; i < 8; i++)
		add(i, 1, 10, 1000);
	turns(20);
	last = add(8, 1, 10, 3);
	assert_in_range(steps_until_ended(last), 230, 300);
	assert_int_equal(n_preemptions(), 1);
	for (uint32_t i = 9; i < 24; i++)
		add(i, 1, 10, 1000);
	/* Three clients to a slot: three turns, and everybody has had one. */
	turns(3 * 270);
	for (uint32_t i = 0; i < 24; i++)
		assert_true(!load.jobs[i]->n_left ||
			    load.jobs[i]->sequences[0].n_tokens > 200);
	finish_all();
	/* A turn is 256 tokens at least, and costs four rows a token at most. */
	assert_true(n_preemptions() <= 24 * 4);
	assert_true(scheduler_counts(sim.scheduler).rows <
		    (1 + 4) * load.n_tokens + 24 * 10);
	sim_stop();
}

/* A short job every ten steps beside a long one. The rows of a step are the cost. */
static void short_jobs_in_a_row_cost_the_long_one_little(void **state)
{
	for (uint32_t n_spare = 0; n_spare <= 4; n_spare += 4) {
		struct scheduler_config config = thirty_two_slots(1);
		struct test_job *long_job;
		uint64_t n_rows;

		(void)state;
		config.limits.max_sequences += n_spare;
		config.n_spare = n_spare;
		sim_start(&config);
		long_job = add(0, 64, 10, 500);
		turns(100);
		for (uint32_t i = 0; i < 50; i++) {
			struct test_job *job = add(1, 1, 10, 3);

			turns(10);
			/* Without spare slots all may wait to make up for what was computed
			 * twice. */
			if (n_spare)
				assert_int_equal(job->n_left, 0);
		}
		assert_true(long_job->n_left > 0);
		n_rows = scheduler_counts(sim.scheduler).rows;
		/* With spare slots no row is computed twice: there are prompts and tokens. */
		if (n_spare)
			assert_true(n_rows <= load.n_tokens + 10 * (64 + 50));
		else
			assert_true(n_rows <= 2 * load.n_tokens);
		finish_all();
		sim_stop();
	}
}

static void rows_count_once_their_step_is_answered(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);

	(void)state;
	sim_start(&config);
	add(0, 2, 10, 5);
	fill_window();
	assert_int_equal(scheduler_counts(sim.scheduler).rows, 0);
	answer();
	assert_int_equal(scheduler_counts(sim.scheduler).rows, 20);
	finish_all();
	/* The last token of a sequence is never run. */
	assert_int_equal(scheduler_counts(sim.scheduler).rows, 2 * (10 + 4));
	assert_int_equal(scheduler_counts(sim.scheduler).steps, 5);
	sim_stop();
}

/* --- blocks --- */

/* The heavy client's sequences need ever more blocks. They get them of each other. */
static void a_light_client_never_pays_for_a_heavy_one(void **state)
{
	(void)state;
	for (uint32_t n_stages = 1; n_stages <= 4; n_stages++) {
		struct scheduler_config config = thirty_two_slots(n_stages);
		struct test_job *light;

		config.limits.max_blocks[scarce] = 128;
		sim_start(&config);
		add(0, 32, 10, 500);
		turns(60);
		light = add(1, 2, 10, 400);
		while (has_waiting(light))
			turn();
		while (light->n_left) {
			turn();
			assert_false(has_waiting(light));
		}
		assert_true(n_preemptions() > 0);
		finish_all();
		sim_stop();
	}
}

/* A prompt of half the pool, beside clients whose small jobs never end. */
static void a_large_prompt_is_passed_by_small_ones_but_does_not_starve(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);
	struct test_job *large, *small[3];
	uint32_t n_small = 0;

	(void)state;
	config.limits.max_blocks[scarce] = 64;
	sim_start(&config);
	for (uint32_t i = 0; i < 3; i++)
		small[i] = add(i, 8, 30, 60);
	turns(30);
	large = add(3, 1, 900, 3);
	while (has_waiting(large)) {
		turn();
		for (uint32_t i = 0; i < 3; i++) {
			if (small[i]->n_left || load.n_jobs == MAX_JOBS)
				continue;
			small[i] = add(i, 8, 30, 60);
			n_small++;
		}
		assert_true(load.n_jobs < MAX_JOBS);
	}
	assert_true(n_small > 0);
	finish_all();
	sim_stop();
}

/* Every sequence could fill the pool alone, so all of them start over again and again. */
static void clients_that_each_need_the_whole_pool_all_get_to_their_end(void **state)
{
	(void)state;
	for (uint32_t n_stages = 1; n_stages <= 4; n_stages++) {
		struct scheduler_config config = thirty_two_slots(n_stages);

		config.limits.max_blocks[scarce] = 64;
		sim_start(&config);
		for (uint32_t i = 0; i < 12; i++)
			add(i, 1 + i % 3, 10 + 70 * i, 1014 - 70 * i);
		finish_all();
		/* Each token at most nine times, see sequence_is_settled; and the prompts. */
		assert_true(scheduler_counts(sim.scheduler).rows <
			    9 * load.n_tokens + 24 * config.limits.max_context);
		sim_stop();
	}
}

/* A newcomer needs a slot, which one client has too many of, and blocks, which another client has
 * too many of but must keep: its sequence has just been started over. */
static void no_slot_is_taken_for_a_sequence_that_finds_no_blocks(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);
	struct test_job *large, *newcomer;

	(void)state;
	config.limits.max_sequences = 5;
	config.limits.max_blocks[scarce] = 64;
	sim_start(&config);
	large = add(0, 1, 850, 170);
	turns(10);
	steps_until_ended(add(1, 1, 200, 3));
	assert_true(large->sequences[0].is_preempted || large->sequences[0].is_restarted);
	turns(10);
	add(2, 4, 4, 100);
	turns(3);
	assert_int_equal(n_running(0), 1);
	assert_int_equal(n_running(2), 4);
	assert_false(sequence_is_settled(&large->sequences[0]));
	assert_int_equal(n_preemptions(), 1);
	newcomer = add(3, 1, 120, 3);
	turns(5);
	assert_true(has_waiting(newcomer));
	assert_int_equal(n_preemptions(), 1);
	/* It is started once both can be had. */
	assert_in_range(steps_until_ended(newcomer), 1, 150);
	finish_all();
	sim_stop();
}

/* --- many clients whose next sequence finds too few blocks --- */

#define N_LARGE 12

/* Each needs more blocks than are free, and more than its share. */
static void add_large_clients(void)
{
	for (uint32_t i = 1; i <= N_LARGE; i++)
		add(i, 1, 300, 3);
}

static void many_large_prompts_do_not_keep_a_small_one_from_free_blocks(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);
	struct test_job *small;

	(void)state;
	config.limits.max_blocks[scarce] = 64;
	sim_start(&config);
	add(0, 1, 800, 200);
	turns(10);
	add_large_clients();
	turns(3);
	small = add(N_LARGE + 1, 1, 10, 3);
	assert_in_range(steps_until_ended(small), 1, 5);
	assert_int_equal(n_preemptions(), 0);
	finish_all();
	sim_stop();
}

static void many_large_prompts_do_not_keep_a_small_one_from_its_share(void **state)
{
	struct scheduler_config config = thirty_two_slots(1);
	struct test_job *small;

	(void)state;
	config.limits.max_blocks[scarce] = 64;
	sim_start(&config);
	add(0, 64, 10, 500);
	while (scheduler_counts(sim.scheduler).blocks_free[scarce])
		turn();
	add_large_clients();
	turns(3);
	small = add(N_LARGE + 1, 1, 10, 3);
	assert_in_range(steps_until_ended(small), 1, 10);
	finish_all();
	sim_stop();
}

#define OF_ANOTHER_GROUP(name) cmocka_unit_test_setup_teardown(name, setup_scarce, teardown_scarce)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_job_does_not_wait_for_the_long_one_of_another_client),
		cmocka_unit_test(a_short_job_gets_blocks_of_the_client_that_has_them_all),
		cmocka_unit_test(a_client_alone_has_all_slots_but_the_spare_ones),
		cmocka_unit_test(two_clients_soon_have_half_of_the_slots_each),
		cmocka_unit_test(a_slot_that_comes_free_goes_to_the_client_with_the_fewest),
		cmocka_unit_test(jobs_of_a_client_take_turns),
		cmocka_unit_test(more_clients_than_slots_take_turns),
		cmocka_unit_test(slots_go_round_when_there_are_more_clients_than_slots),
		cmocka_unit_test(short_jobs_in_a_row_cost_the_long_one_little),
		cmocka_unit_test(rows_count_once_their_step_is_answered),
		cmocka_unit_test(a_light_client_never_pays_for_a_heavy_one),
		cmocka_unit_test(a_large_prompt_is_passed_by_small_ones_but_does_not_starve),
		cmocka_unit_test(clients_that_each_need_the_whole_pool_all_get_to_their_end),
		cmocka_unit_test(no_slot_is_taken_for_a_sequence_that_finds_no_blocks),
		cmocka_unit_test(many_large_prompts_do_not_keep_a_small_one_from_free_blocks),
		cmocka_unit_test(many_large_prompts_do_not_keep_a_small_one_from_its_share),
		OF_ANOTHER_GROUP(a_short_job_gets_blocks_of_the_client_that_has_them_all),
		OF_ANOTHER_GROUP(a_light_client_never_pays_for_a_heavy_one),
		OF_ANOTHER_GROUP(a_large_prompt_is_passed_by_small_ones_but_does_not_starve),
		OF_ANOTHER_GROUP(clients_that_each_need_the_whole_pool_all_get_to_their_end),
		OF_ANOTHER_GROUP(no_slot_is_taken_for_a_sequence_that_finds_no_blocks),
		OF_ANOTHER_GROUP(many_large_prompts_do_not_keep_a_small_one_from_free_blocks),
		OF_ANOTHER_GROUP(many_large_prompts_do_not_keep_a_small_one_from_its_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
