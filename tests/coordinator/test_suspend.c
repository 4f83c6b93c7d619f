/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences that leave a scheduler in the middle of their lives and go on in another one: the same
 * tokens, nothing left behind, whatever happens in between. */
#include "tests/coordinator/step_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MAX_STORIES 40
#define MAX_CONTEXT 96
#define N_CLIENTS 4

/* A sequence, the only one of its job. */
struct story {
	struct sequence sequence;
	struct share_job job;
	uint32_t n_prompt;
	uint32_t end;		/* its number of tokens at its end */
	float scores[MAX_CONTEXT];
	bool is_live;		/* begun, and neither at its end nor cancelled */
};

static struct story stories[MAX_STORIES];
static unsigned n_stories;
static uint64_t random_state;
static unsigned long n_drawn, n_lost_in_flight;

static uint32_t draw(uint32_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((random_state >> 33) % below);
}

/* Of the test that runs: beside tables of whole contexts there are rings of 12 and of 20 blocks. */
static bool has_rings;

static int setup_rings(void **state)
{
	(void)state;
	has_rings = true;
	return 0;
}

static int teardown_rings(void **state)
{
	(void)state;
	has_rings = false;
	return 0;
}

static struct scheduler_config config_of(uint32_t n_blocks)
{
	struct scheduler_config config = {
		.limits = {
			.max_rows = 32, .max_sequences = 6, .n_groups = 1,
			.max_blocks = { n_blocks }, .table_blocks = { MAX_CONTEXT / 4 },
			.block_length = 4, .max_context = MAX_CONTEXT, .n_vocab = 256, .dim = 1,
		},
		.window = 3,
		.n_stages = 2,
		.prompt_chunk = 16,
		.n_spare = 1,
	};

	if (has_rings) {
		config.limits.n_groups = 3;
		config.limits.table_blocks[1] = 12;
		config.limits.table_blocks[2] = 20;
		config.limits.max_blocks[1] = (uint32_t)max_of(12, n_blocks - 4);
		config.limits.max_blocks[2] = (uint32_t)max_of(20, n_blocks - 1);
	}
	return config;
}

static void start(uint32_t n_blocks)
{
	const struct scheduler_config config = config_of(n_blocks);

	n_stories = 0;
	memset(stories, 0, sizeof stories);
	step_sim_start(&config);
}

static void stop(void)
{
	step_sim_stop();
	for (unsigned i = 0; i < n_stories; i++)
		sequence_deinit(&stories[i].sequence);
}

/* Does not add it to the scheduler. */
static struct story *begin(unsigned client, uint32_t n_prompt, uint32_t n_new)
{
	struct story *story = &stories[n_stories++];
	uint32_t prompt[MAX_CONTEXT] = { 0 };

	assert_true(n_stories <= MAX_STORIES && n_prompt + n_new <= MAX_CONTEXT);
	*story = (struct story){ .n_prompt = n_prompt, .end = n_prompt + n_new, .is_live = true };
	assert_int_equal(sequence_init(&story->sequence, prompt, n_prompt, n_prompt + n_new,
				       &sim.config.limits),
			 SC_OK);
	story->sequence.sampling = (struct sampling){ .seed = n_stories, .top_p = 1, SAMPLING_OFF };
	story->sequence.score_from = n_stories % 2;
	story->sequence.scores = story->scores;
	share_job_init(&story->job, &sim.clients[client]);
	story->sequence.share = &story->job;
	return story;
}

static struct story *add(unsigned client, uint32_t n_prompt, uint32_t n_new)
{
	struct story *story = begin(client, n_prompt, n_new);

	scheduler_add(sim.scheduler, &story->sequence);
	return story;
}

/* Each token is the one that the sequence has there whatever happened before. */
static bool take_token(void *arg, struct sequence *sequence, const struct token_record *record,
		       const struct token_top *tops)
{
	struct story *story = list_entry(sequence, struct story, sequence);

	(void)arg;
	(void)tops;
	assert_true(story->is_live);
	assert_int_equal(record->token, stage_checker_token(sequence->sampling.seed,
							    sequence->n_tokens - 1));
	for (uint32_t i = sequence->score_from; i && i < story->n_prompt; i++)
		assert_true(story->scores[i - sequence->score_from] == -(float)i);
	n_drawn++;
	story->is_live = sequence->n_tokens < story->end;
	return story->is_live;
}

/* All that the scheduler counts is what the sequences say. */
static void check(void)
{
	struct scheduler_counts counts = scheduler_counts(sim.scheduler);
	uint32_t n_blocks[N_CLIENTS][STEP_MAX_GROUPS] = { { 0 } }, n_running[N_CLIENTS] = { 0 };
	uint32_t n_waiting[N_CLIENTS] = { 0 }, n_all_blocks[STEP_MAX_GROUPS] = { 0 };

	for (unsigned i = 0; i < n_stories; i++) {
		const struct sequence *sequence = &stories[i].sequence;
		unsigned client = (unsigned)(stories[i].job.client - sim.clients);

		for (uint32_t g = 0; g < sim.config.limits.n_groups; g++) {
			n_blocks[client][g] += sequence->n_blocks[g];
			n_all_blocks[g] += sequence->n_blocks[g];
		}
		n_waiting[client] += sequence->state == SEQUENCE_WAITING;
		n_running[client] += sequence->state > SEQUENCE_WAITING;
		if (sequence->state <= SEQUENCE_WAITING)
			assert_int_equal(sequence->slot, SLOT_NONE);
	}
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		assert_memory_equal(sim.clients[i].n_blocks, n_blocks[i], sizeof n_blocks[i]);
		assert_int_equal(sim.clients[i].n_waiting, n_waiting[i]);
		assert_int_equal(sim.clients[i].n_running, n_running[i]);
	}
	for (uint32_t g = 0; g < sim.config.limits.n_groups; g++)
		assert_int_equal(counts.blocks_free[g] + n_all_blocks[g],
				 sim.config.limits.max_blocks[g]);
}

/* Nothing of a scheduler is left in the clients. */
static void check_clients_are_clean(void)
{
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		const struct share_client *client = &sim.clients[i];

		assert_int_equal(client->n_waiting + client->n_running, 0);
		for (uint32_t g = 0; g < STEP_MAX_GROUPS; g++)
			assert_int_equal(client->n_blocks[g], 0);
		assert_int_equal(client->n_passed + client->n_turn_rows, 0);
		assert_true(list_is_empty(&client->jobs) && list_is_empty(&client->sequences));
		assert_true(list_is_empty(&client->prompts));
		assert_true(list_is_empty(&client->node) && list_is_empty(&client->busy_node));
		assert_true(list_is_empty(&client->prompt_node));
	}
}

/* Those that had started come first, and each in the order of arrival. */
static void add_all(void)
{
	for (int has_run = 1; has_run >= 0; has_run--)
		for (unsigned i = 0; i < n_stories; i++) {
			struct sequence *sequence = &stories[i].sequence;

			if (stories[i].is_live && sequence->state == SEQUENCE_IDLE &&
			    sequence->is_preempted == has_run)
				scheduler_add(sim.scheduler, sequence);
		}
}

static void suspend_all(void)
{
	for (unsigned i = 0; i < n_stories; i++)
		n_lost_in_flight += scheduler_suspend(sim.scheduler, &stories[i].sequence);
	check();
	check_clients_are_clean();
	assert_int_equal(scheduler_counts(sim.scheduler).blocks_free[0],
			 sim.config.limits.max_blocks[0]);
}

static void lose(uint32_t n_blocks)
{
	const struct scheduler_config config = config_of(n_blocks);

	suspend_all();
	step_sim_replace(&config);
}

static unsigned n_live(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_stories; i++)
		n += stories[i].is_live;
	return n;
}

static void finish(void)
{
	for (unsigned n = 0; n_live(); n++) {
		assert_true(n < 100000);
		while (step_sim_make())
			check();
		step_sim_answer(take_token);
		check();
	}
	while (sim.n_flights)
		step_sim_answer(take_token);
	check_clients_are_clean();
}

static void a_sequence_goes_on_in_another_scheduler(void **state)
{
	struct story *story;

	(void)state;
	start(100);
	story = add(0, 20, 10);
	while (story->sequence.n_tokens < 25) {
		step_sim_make();
		step_sim_answer(take_token);
	}
	assert_non_null(step_sim_make());
	assert_true(scheduler_suspend(sim.scheduler, &story->sequence));
	assert_int_equal(story->sequence.state, SEQUENCE_IDLE);
	assert_int_equal(story->sequence.n_tokens, 25);
	assert_int_equal(story->sequence.n_done, 0);
	assert_true(story->sequence.is_preempted);
	/* It may be suspended again meanwhile: that changes nothing. */
	assert_false(scheduler_suspend(sim.scheduler, &story->sequence));
	assert_true(story->sequence.is_preempted);
	lose(100);
	add_all();
	finish();
	assert_int_equal(story->sequence.n_tokens, 30);
	stop();
}

static void sequences_keep_their_order_and_those_that_had_started_come_first(void **state)
{
	struct story *late, *early;

	(void)state;
	start(100);
	for (unsigned i = 0; i < 8; i++)
		add(0, 16, 4);
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(step_sim_make());
	early = &stories[0];
	late = &stories[7];
	assert_int_equal(early->sequence.state, SEQUENCE_IN_FLIGHT);
	assert_int_equal(late->sequence.state, SEQUENCE_WAITING);
	suspend_all();
	assert_true(early->sequence.is_preempted);
	assert_false(late->sequence.is_preempted);
	/* While there is no scheduler, another one comes. */
	begin(0, 16, 4);
	step_sim_replace(&sim.config);
	add_all();
	for (unsigned i = 1; i < n_stories; i++)
		assert_true(stories[i - 1].sequence.ticket < stories[i].sequence.ticket);
	assert_non_null(step_sim_make());
	assert_int_equal(early->sequence.state, SEQUENCE_IN_FLIGHT);
	finish();
	stop();
}

/* One that waits between two schedulers is nobody's: it may be ended there. */
static void a_suspended_sequence_may_be_dropped(void **state)
{
	struct story *story;

	(void)state;
	start(100);
	story = add(0, 16, 4);
	add(1, 16, 4);
	step_sim_make();
	lose(100);
	scheduler_remove(sim.scheduler, &story->sequence);
	story->is_live = false;
	add_all();
	finish();
	stop();
}

/* A sequence that was suspended may be preempted like any other, and is not for so long. */
static void a_smaller_pool_only_takes_longer(void **state)
{
	(void)state;
	start(100);
	for (unsigned i = 0; i < 6; i++)
		add(i % N_CLIENTS, 30, 60);
	for (unsigned i = 0; i < 40; i++) {
		step_sim_make();
		step_sim_answer(take_token);
	}
	lose(24);
	add_all();
	finish();
	assert_true(scheduler_counts(sim.scheduler).preemptions > 0);
	stop();
}

static void act_at_random(void)
{
	uint32_t dice = draw(100);

	if (dice < 8 && n_stories < MAX_STORIES) {
		add(draw(N_CLIENTS), 1 + draw(60), 1 + draw(30));
	} else if (dice < 10 && n_stories) {
		struct story *story = &stories[draw(n_stories)];

		scheduler_remove(sim.scheduler, &story->sequence);
		story->is_live = false;
	} else if (dice < 14) {
		lose(24 + draw(40));
		if (draw(2) && n_stories < MAX_STORIES)
			begin(draw(N_CLIENTS), 1 + draw(60), 1 + draw(30));
		add_all();
	} else if (dice < 60) {
		step_sim_make();
	} else if (sim.n_flights) {
		step_sim_answer(take_token);
	}
	check();
}

static void tokens_are_the_same_however_often_schedulers_are_lost(void **state)
{
	(void)state;
	n_drawn = n_lost_in_flight = 0;
	for (unsigned seed = 1; seed <= 300; seed++) {
		random_state = seed;
		start(24 + draw(40));
		for (unsigned i = 0; i < 400; i++)
			act_at_random();
		finish();
		for (unsigned i = 0; i < n_stories; i++)
			for (uint32_t k = stories[i].n_prompt; k < stories[i].sequence.n_tokens; k++)
				assert_int_equal(stories[i].sequence.tokens[k],
						 stage_checker_token(i + 1, k));
		stop();
	}
	assert_true(n_drawn > 50000);
	assert_true(n_lost_in_flight > 1000);
}

#define WITH_RINGS(name) cmocka_unit_test_setup_teardown(name, setup_rings, teardown_rings)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sequence_goes_on_in_another_scheduler),
		cmocka_unit_test(sequences_keep_their_order_and_those_that_had_started_come_first),
		cmocka_unit_test(a_suspended_sequence_may_be_dropped),
		cmocka_unit_test(a_smaller_pool_only_takes_longer),
		cmocka_unit_test(tokens_are_the_same_however_often_schedulers_are_lost),
		WITH_RINGS(a_sequence_goes_on_in_another_scheduler),
		WITH_RINGS(sequences_keep_their_order_and_those_that_had_started_come_first),
		WITH_RINGS(a_suspended_sequence_may_be_dropped),
		WITH_RINGS(a_smaller_pool_only_takes_longer),
		WITH_RINGS(tokens_are_the_same_however_often_schedulers_are_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
