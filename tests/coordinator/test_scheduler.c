/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that the scheduler makes, judged by what a stage would say to them, and what becomes of
 * the sequences in them. */
#include "tests/coordinator/step_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>

#define MAX_SEQUENCES 48
#define MAX_CLIENTS 5
#define MAX_CONTEXT 96

/* A sequence, the only one of its job, and when it is over. */
struct story {
	struct sequence sequence;
	struct share_job job;
	uint32_t n_prompt;
	uint32_t end;		/* tokens in all at which it ends */
	float scores[MAX_CONTEXT];
	struct token_top score_tops[MAX_CONTEXT * 3];
	bool is_ended;
};

static struct plot {
	struct story stories[MAX_SEQUENCES];
	uint32_t n_stories;
	const struct story *spoilt;		/* its records have a fault */
	uint32_t spoilt_from;			/* from this position on */
	uint32_t n_started;			/* told since the last step */
} plot;

static uint64_t random_state;

enum { N_VOCAB = 256 };

/* Of every token, for sequences that have some. */
static struct sampling_bias biases[N_VOCAB];
static uint32_t bans[N_VOCAB];

static uint32_t draw(uint32_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((random_state >> 33) % below);
}

static struct scheduler_config roomy(void)
{
	return (struct scheduler_config){
		.limits = {
			.max_rows = 32, .max_sequences = 16, .n_groups = 1,
			.max_blocks = { 400 }, .table_blocks = { MAX_CONTEXT / 4 },
			.block_length = 4,
			.max_context = MAX_CONTEXT, .n_vocab = N_VOCAB, .dim = 1,
		},
		.window = 3,
		.n_stages = 2,
		.prompt_chunk = 16,
	};
}

static void note_started(void *arg, struct sequence *sequence)
{
	(void)arg;
	assert_int_equal(sequence->n_issued, 0);
	plot.n_started++;
}

/* The n likeliest tokens are those of position. */
static void check_tops(const struct token_top *tops, uint32_t n, uint32_t position)
{
	for (uint32_t k = 0; k < n; k++) {
		struct token_top expected = stage_checker_top(position, k);

		assert_int_equal(tops[k].token, expected.token);
		assert_true(tops[k].logprob == expected.logprob);
	}
}

static void sim_start(const struct scheduler_config *config)
{
	struct scheduler_config told = *config;

	told.on_started = note_started;
	plot = (struct plot){ .n_stories = 0 };
	random_state = 42;
	for (uint32_t i = 0; i < N_VOCAB; i++) {
		biases[i] = (struct sampling_bias){ i, (float)i };
		bans[i] = i;
	}
	step_sim_start(&told);
}

static void sim_stop(void)
{
	step_sim_stop();
	for (uint32_t i = 0; i < plot.n_stories; i++)
		sequence_deinit(&plot.stories[i].sequence);
}

static void begin(struct story *story, uint32_t client, uint32_t n_prompt, uint32_t n_new)
{
	static uint64_t seed;
	uint32_t prompt[MAX_CONTEXT] = { 0 };

	for (uint32_t i = 0; i < n_prompt; i++)
		prompt[i] = draw(256);
	*story = (struct story){ .n_prompt = n_prompt, .end = n_prompt + n_new };
	assert_int_equal(sequence_init(&story->sequence, prompt, n_prompt, n_prompt + n_new,
				       &sim.config.limits), SC_OK);
	story->sequence.sampling = (struct sampling){
		.seed = ++seed, .top_p = 1, SAMPLING_OFF,
		.flags = seed % 2 ? SAMPLING_LOGPROB : 0, .n_tops = seed % 4,
		.n_biases = seed % 5 ? 0 : draw(N_VOCAB + 1),
		.n_bans = seed % 7 ? 0 : draw(STEP_MAX_BANS + 1),
	};
	story->sequence.is_long = seed % 2;
	story->sequence.biases = biases;
	story->sequence.bans = bans;
	/* Some have none of their prompt scored, some a part, some all of it. */
	if (n_prompt > 1 && seed % 3)
		story->sequence.score_from = seed % 3 == 1 ? 1 : n_prompt / 2;
	story->sequence.scores = story->scores;
	story->sequence.score_tops = story->score_tops;
	share_job_init(&story->job, &sim.clients[client]);
	story->sequence.share = &story->job;
	scheduler_add(sim.scheduler, &story->sequence);
}

static struct story *add_for(uint32_t client, uint32_t n_prompt, uint32_t n_new)
{
	struct story *story = &plot.stories[plot.n_stories++];

	assert_true(plot.n_stories <= MAX_SEQUENCES);
	begin(story, client, n_prompt, n_new);
	return story;
}

static struct story *add(uint32_t n_prompt, uint32_t n_new)
{
	return add_for(0, n_prompt, n_new);
}

static void end(struct story *story)
{
	scheduler_remove(sim.scheduler, &story->sequence);
	story->is_ended = true;
}

/* Every block is free or one sequence's, every sequence is counted once. */
static void check_counts(void)
{
	struct scheduler_counts counts = scheduler_counts(sim.scheduler);
	uint32_t n_blocks[STEP_MAX_GROUPS] = { 0 }, n_running = 0, n_waiting = 0;

	for (uint32_t i = 0; i < plot.n_stories; i++) {
		const struct sequence *sequence = &plot.stories[i].sequence;

		for (uint32_t g = 0; g < sim.config.limits.n_groups; g++)
			n_blocks[g] += sequence->n_blocks[g];
		n_waiting += sequence->state == SEQUENCE_WAITING;
		n_running += sequence->state > SEQUENCE_WAITING;
		if (sequence->state <= SEQUENCE_WAITING)
			assert_int_equal(sequence->slot, SLOT_NONE);
	}
	for (uint32_t g = 0; g < sim.config.limits.n_groups; g++)
		assert_int_equal(counts.blocks_free[g] + n_blocks[g],
				 sim.config.limits.max_blocks[g]);
	assert_int_equal(counts.running, n_running);
	assert_int_equal(counts.waiting, n_waiting);
	assert_int_equal(counts.in_flight, sim.n_flights);
	assert_true(counts.in_flight <= sim.config.window);
	assert_true(n_running <= sim.config.limits.max_sequences);
}

static uint32_t prompt_rows(const struct step *step)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < step->n_segments; i++)
		if (step->segments[i].n_rows > 1 || (step->segments[i].flags & SEGMENT_NEW))
			n += step->segments[i].n_rows;
	return n;
}

/* A step of few rows is small, however long the prompts are whose rows it has. */
static void check_blocks(const struct step *step)
{
	assert_true(step->n_blocks <= step_max_blocks(&sim.config.limits));
	for (uint32_t i = 0; i < step->n_segments; i++)
		assert_true(step->segments[i].n_blocks <=
			    step->segments[i].n_rows * sim.config.limits.n_groups);
}

static const struct story *find_story(uint32_t slot)
{
	for (uint32_t i = 0; i < plot.n_stories; i++)
		if (plot.stories[i].sequence.slot == slot)
			return &plot.stories[i];
	fail_msg("slot %u is nobody's", slot);
	return NULL;
}

/* Whoever has its first rows in the step was told to start, and nobody else. A sequence is long, or
 * not, each time that it starts. */
static void check_started(const struct step *step)
{
	uint32_t n_new = 0;

	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];

		if (!(segment->flags & SEGMENT_NEW))
			continue;
		n_new++;
		assert_int_equal(!!(segment->flags & SEGMENT_LONG),
				 find_story(segment->sequence)->sequence.is_long);
	}
	assert_int_equal(plot.n_started, n_new);
	plot.n_started = 0;
}

static void spoil_records(struct sim_flight *flight)
{
	uint32_t n_tops = 0, n_kept = 0;

	for (uint32_t i = 0; i < flight->tokens.n_records; i++) {
		struct token_record *record = &flight->records[i];
		bool is_spoilt = record->sequence == plot.spoilt->sequence.slot &&
				 record->position >= plot.spoilt_from;

		for (uint32_t k = 0; k < record->n_tops; k++, n_tops++)
			if (!is_spoilt)
				flight->tops[n_kept++] = flight->tops[n_tops];
		if (is_spoilt) {
			record->fault = TOKEN_FAULT_NAN;
			record->logprob = 0;
			record->n_tops = 0;
		}
	}
	flight->tokens.n_tops = n_kept;
}

/* False: no step can be made now. */
static bool make_step(void)
{
	struct sim_flight *flight = step_sim_make();

	if (!flight) {
		assert_int_equal(plot.n_started, 0);
		return false;
	}
	check_started(&sim.step);
	assert_true(sim.step.n_rows > 0 && sim.step.n_rows <= SIM_MAX_ROWS);
	assert_true(prompt_rows(&sim.step) <= sim.config.prompt_chunk);
	check_blocks(&sim.step);
	if (plot.spoilt)
		spoil_records(flight);
	check_counts();
	return true;
}

/* Tokens are the sequence's own, each once and in order, however often it started over. */
static bool take_token(void *arg, struct sequence *sequence, const struct token_record *record,
		       const struct token_top *tops)
{
	struct story *story = (struct story *)((char *)sequence - offsetof(struct story, sequence));

	uint32_t n_tops = sequence->sampling.n_tops;

	(void)arg;
	assert_false(story->is_ended);
	if (record->fault) {
		assert_ptr_equal(story, plot.spoilt);
		assert_true(record->position >= plot.spoilt_from);
		story->is_ended = true;
		return true;	/* it ends all the same */
	}
	assert_int_equal(record->token, stage_checker_token(sequence->sampling.seed,
						    sequence->n_tokens - 1));
	for (uint32_t i = sequence->score_from; i && i < story->n_prompt; i++)
		assert_true(story->scores[i - sequence->score_from] == -(float)i);
	for (uint32_t i = sequence->score_from; i && i < story->n_prompt; i++)
		check_tops(story->score_tops + (i - sequence->score_from) * n_tops, n_tops, i);
	assert_int_equal(record->n_tops, sequence->sampling.flags ? n_tops : 0);
	check_tops(tops, record->n_tops, record->position);
	story->is_ended = sequence->n_tokens == story->end;
	return !story->is_ended;
}

static void answer(void)
{
	step_sim_answer(take_token);
	check_counts();
}

static bool are_all_ended(void)
{
	for (uint32_t i = 0; i < plot.n_stories; i++)
		if (!plot.stories[i].is_ended)
			return false;
	return true;
}

static void finish_all(void)
{
	for (unsigned n = 0; !are_all_ended(); n++) {
		assert_true(n < 1000000);
		while (make_step())
			;
		answer();
	}
	while (sim.n_flights)
		answer();
	assert_int_equal(scheduler_counts(sim.scheduler).blocks_free[0],
			 sim.config.limits.max_blocks[0]);
}

static void a_sequence_runs_from_its_prompt_to_its_end(void **state)
{
	struct scheduler_config config = roomy();
	struct story *story;

	(void)state;
	sim_start(&config);
	story = add(40, 10);
	assert_true(make_step());
	assert_int_equal(sim.step.n_rows, 16);
	assert_true(sim.step.segments[0].flags & SEGMENT_NEW);
	assert_true(make_step());
	assert_int_equal(sim.step.segments[0].first_position, 16);
	assert_true(make_step());
	assert_int_equal(sim.step.n_rows, 8);
	assert_true(sim.step.segments[0].flags & SEGMENT_SAMPLE);
	finish_all();
	assert_int_equal(story->sequence.n_tokens, 50);
	sim_stop();
}

static void the_window_is_never_exceeded(void **state)
{
	struct scheduler_config config = roomy();

	(void)state;
	sim_start(&config);
	add(90, 5);
	for (uint32_t i = 0; i < config.window; i++)
		assert_true(make_step());
	assert_false(make_step());
	answer();
	assert_true(make_step());
	assert_false(make_step());
	finish_all();
	sim_stop();
}

static void start_with_stages(uint32_t n_stages)
{
	struct scheduler_config config = roomy();

	config.limits.max_rows = SIM_MAX_ROWS;
	config.prompt_chunk = 128;
	config.n_stages = n_stages;
	config.window = SIM_MAX_WINDOW;
	sim_start(&config);
}

/* The first steps of n_prompts prompts of 90 rows each all have `expected` rows. */
static void check_chunk(uint32_t n_stages, uint32_t n_prompts, uint32_t expected)
{
	uint32_t n_left = n_prompts * 90, n_steps = (n_left + expected - 1) / expected;

	start_with_stages(n_stages);
	for (uint32_t i = 0; i < n_prompts; i++)
		add(90, 1);
	while (make_step()) {
		assert_int_equal(sim.step.n_rows, n_left < expected ? n_left : expected);
		n_left -= sim.step.n_rows;
	}
	assert_int_equal(sim.n_steps, n_steps < SIM_MAX_WINDOW ? n_steps : SIM_MAX_WINDOW);
	sim_stop();
}

static void short_prompts_are_cut_finer_the_more_stages(void **state)
{
	(void)state;
	check_chunk(1, 1, 90);
	check_chunk(1, 10, 128);
	check_chunk(2, 1, 32);
	check_chunk(2, 10, 64);
	check_chunk(2, 16, 96);
	check_chunk(2, 40, 128);	/* most of which wait for a slot */
	check_chunk(4, 10, 64);
	check_chunk(8, 10, 32);
}

static void steps_grow_with_prompts_that_come_and_shrink_once_there_are_none(void **state)
{
	(void)state;
	start_with_stages(2);
	add(90, 1);
	assert_true(make_step());
	assert_int_equal(sim.step.n_rows, 32);
	for (uint32_t i = 0; i < 15; i++)
		add(90, 1);
	assert_true(make_step());
	assert_int_equal(sim.step.n_rows, 96);
	finish_all();
	assert_false(make_step());
	add(90, 1);
	assert_true(make_step());
	assert_int_equal(sim.step.n_rows, 32);
	finish_all();
	/* The last of them may fill the window. */
	for (uint32_t i = 0; i < 6; i++)
		add(90, 1);
	add(SIM_MAX_WINDOW * 64 - 6 * 90, 1);
	for (uint32_t i = 0; i < SIM_MAX_WINDOW; i++) {
		assert_true(make_step());
		assert_int_equal(sim.step.n_rows, 64);
	}
	add(90, 1);
	assert_false(make_step());
	answer();
	assert_true(make_step());
	assert_int_equal(sim.step.n_rows, 32);
	finish_all();
	sim_stop();
}

static uint32_t groups_of(uint32_t n_stages, uint32_t n)
{
	if (n_stages == 1)
		return 1;
	return n / 5 <= n_stages ? n_stages : n_stages + 1;
}

/* n sequences that begin one after the other. Steps are made until none can be, then the oldest is
 * answered. */
static void check_spread(uint32_t n_stages, uint32_t n)
{
	struct scheduler_config config = roomy();
	uint32_t least = UINT32_MAX, most = 0, n_groups = groups_of(n_stages, n);

	config.n_stages = n_stages;
	config.window = n_stages + 1;
	sim_start(&config);
	/* Long enough for the groups to form. */
	for (uint32_t round = 0; round < 60; round++) {
		if (round < n)
			add(1 + draw(5), MAX_CONTEXT - 6);
		while (make_step())
			if (round >= 50) {
				least = sim.step.n_rows < least ? sim.step.n_rows : least;
				most = sim.step.n_rows > most ? sim.step.n_rows : most;
			}
		answer();
	}
	if (most != (n + n_groups - 1) / n_groups || (n >= n_groups && most - least > 1))
		fail_msg("%u stages: %u sequences in steps of %u to %u rows", n_stages, n, least,
			 most);
	sim_stop();
}

static void decoding_sequences_go_together_one_group_to_a_stage(void **state)
{
	(void)state;
	for (uint32_t n_stages = 1; n_stages <= 4; n_stages++)
		for (uint32_t n = 1; n <= 16; n++)
			check_spread(n_stages, n);
}

/* A decoding row, then a part of a prompt. */
static void expect_row_beside_chunk(uint32_t slot, uint32_t n_rows)
{
	assert_int_equal(sim.step.n_segments, 2);
	assert_int_equal(sim.step.segments[0].sequence, slot);
	assert_int_equal(sim.step.segments[0].n_rows, 1);
	assert_int_equal(sim.step.segments[1].n_rows, n_rows);
}

static void decoding_rows_wait_for_their_group_but_not_beside_prompts(void **state)
{
	struct scheduler_config config = roomy();

	(void)state;
	config.n_stages = 1;		/* one group */
	config.window = 4;
	config.limits.max_sequences = 3;
	sim_start(&config);
	add(2, 20);
	assert_true(make_step());
	answer();
	assert_true(make_step());	/* the first one's row */
	add(2, 20);
	assert_true(make_step());
	answer();
	assert_true(make_step());	/* the first one's, while the second's prompt runs */
	answer();
	assert_false(make_step());	/* so the second's waits */

	add(40, 2);			/* can be admitted */
	assert_true(make_step());
	expect_row_beside_chunk(1, 16);
	answer();
	assert_true(make_step());	/* has more to run */
	expect_row_beside_chunk(0, 16);
	assert_true(make_step());
	assert_int_equal(sim.step.n_rows, 8);
	answer();
	assert_false(make_step());
	add(3, 2);			/* finds no slot */
	assert_false(make_step());
	finish_all();
	sim_stop();
}

static void prompts_run_one_after_the_other(void **state)
{
	/* Rows of each slot in each step. Slot 1 is the other client's, which has the second
	 * turn. */
	static const uint32_t expected[][3] = {
		{ 16 }, { 16 }, { 8, 8 }, { 0, 16 }, { 0, 16 }, { 0, 0, 16 },
	};
	struct scheduler_config config = roomy();

	(void)state;
	config.window = SIM_MAX_WINDOW;
	sim_start(&config);
	add_for(1, 40, 2);
	add_for(1, 40, 2);
	add_for(2, 40, 2);
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		assert_true(make_step());
		for (uint32_t k = 0; k < sim.step.n_segments; k++)
			assert_int_equal(sim.step.segments[k].n_rows,
					 expected[i][sim.step.segments[k].sequence]);
		assert_int_equal(sim.step.n_rows, 16);
	}
	finish_all();
	sim_stop();
}

static void what_a_short_prompt_leaves_goes_to_the_others(void **state)
{
	struct scheduler_config config = roomy();

	(void)state;
	sim_start(&config);
	add(2, 2);
	add(40, 2);
	assert_true(make_step());
	assert_int_equal(sim.step.segments[0].n_rows, 2);
	assert_int_equal(sim.step.segments[1].n_rows, 14);
	finish_all();
	sim_stop();
}

/* A machine: ns that a step of n_rows rows takes in all stages together. */
#define STEP_NS 10000000
#define ROW_NS 1000000

static uint64_t machine_ns(uint32_t n_rows)
{
	return STEP_NS + (uint64_t)n_rows * ROW_NS;
}

/* The machine's stages, all equally fast, each busy until then. */
static uint64_t busy_until[4];

/* When the step that is sent now comes out of the last stage. */
static uint64_t pass_stages(uint32_t n_rows)
{
	uint64_t t = sim.now_ns;

	for (uint32_t i = 0; i < sim.config.n_stages; i++) {
		t = t > busy_until[i] ? t : busy_until[i];
		t += machine_ns(n_rows) / sim.config.n_stages;
		busy_until[i] = t;
	}
	return t;
}

/* Prompt rows beside a decode row in one step, but for the first two steps. */
static uint32_t most_beside_decodes;

static void note_step(unsigned i)
{
	if (i == 0)
		most_beside_decodes = 0;
	else if (i > 1 && sim.step.n_segments > 1 && sim.step.n_rows - 1 > most_beside_decodes)
		most_beside_decodes = sim.step.n_rows - 1;
}

/* Lets the machine run, which makes steps as soon as it can. Returns the longest time between two
 * tokens of the talker. Ends when `until` has a token. */
static uint64_t longest_gap(struct story *talker, const struct story *until)
{
	uint64_t due[SIM_MAX_WINDOW], last_ns = sim.now_ns, longest = 0;
	uint32_t first = 0, n = 0, n_tokens = talker->sequence.n_tokens;

	memset(busy_until, 0, sizeof busy_until);
	while (sim.n_flights)
		answer();
	for (unsigned i = 0; until->sequence.n_tokens == until->n_prompt; i++) {
		assert_true(i < 10000);
		while (make_step()) {
			note_step(i);
			due[(first + n++) % SIM_MAX_WINDOW] = pass_stages(sim.step.n_rows);
		}
		assert_true(n > 0);
		sim.now_ns = due[first];
		first = (first + 1) % SIM_MAX_WINDOW;
		n--;
		answer();
		if (talker->sequence.n_tokens == n_tokens)
			continue;
		n_tokens = talker->sequence.n_tokens;
		longest = sim.now_ns - last_ns > longest ? sim.now_ns - last_ns : longest;
		last_ns = sim.now_ns;
	}
	return longest;
}

/* The longest gap while the first of n_prompts prompts of 90 rows runs, after the machine became
 * known. */
static uint64_t gap_beside_prompts(uint32_t n_stages, uint64_t max_gap_ns, uint32_t n_prompts)
{
	struct scheduler_config config = roomy();
	struct story *talker, *prompt;
	uint64_t gap;

	config.limits.max_rows = config.prompt_chunk = 64;
	config.n_stages = n_stages;
	config.window = n_stages + 1;
	config.max_gap_ns = max_gap_ns;
	sim_start(&config);
	talker = add(2, 90);
	for (uint32_t n_rows = 4; n_rows <= 64; n_rows *= 4)
		(void)longest_gap(talker, add(n_rows, 1));
	prompt = add(90, 1);
	for (uint32_t i = 1; i < n_prompts; i++)
		add(90, 1);
	gap = longest_gap(talker, prompt);
	finish_all();
	sim_stop();
	return gap;
}

static uint64_t gap_beside_prompt(uint32_t n_stages, uint64_t max_gap_ns)
{
	return gap_beside_prompts(n_stages, max_gap_ns, 1);
}

static void prompts_leave_gaps_as_long_as_asked_for(void **state)
{
	uint64_t wide = gap_beside_prompt(1, UINT64_MAX / 2);

	(void)state;
	assert_int_equal(wide, machine_ns(64));
	for (uint64_t max = 30000000; max <= 60000000; max += 15000000) {
		uint64_t gap = gap_beside_prompt(1, max);

		if (gap > max + max / 10 || gap < max - max / 10)
			fail_msg("gaps of %g ms, asked for %g", (double)gap / 1e6,
				 (double)max / 1e6);
	}
}

/* With two stages steps go out two by two. A step spends the gap in both stages together. */
static void stages_share_a_gap(void **state)
{
	uint64_t gap = gap_beside_prompt(2, 30000000);

	(void)state;
	if (gap > 33000000 || gap < 27000000)
		fail_msg("gaps of %g ms, asked for 30", (double)gap / 1e6);
	assert_true(gap < gap_beside_prompt(2, UINT64_MAX / 2));
}

/* The gap is too short for eight more rows in the step of the decode row. The other step takes as
 * many as there is time for. */
static void the_least_of_a_prompt_goes_beside_no_decode_row(void **state)
{
	(void)state;
	(void)gap_beside_prompt(2, 12000000);
	assert_in_range(most_beside_decodes, 0, 3);
}

static void by_itself_a_gap_is_a_multiple_of_a_step(void **state)
{
	double gap = (double)gap_beside_prompt(1, 0);
	double expected = SCHEDULER_GAP_STEPS * (double)machine_ns(1);

	(void)state;
	if (gap > 1.1 * expected || gap < 0.9 * expected)
		fail_msg("gaps of %g ms, expected %g", gap / 1e6, expected / 1e6);
}

static void by_itself_a_gap_is_wider_beside_more_prompts(void **state)
{
	double expected = sqrt(2) * SCHEDULER_GAP_STEPS * (double)machine_ns(1);
	double gap = (double)gap_beside_prompts(1, 0, 2);

	(void)state;
	if (gap > 1.1 * expected || gap < 0.9 * expected)
		fail_msg("gaps of %g ms, expected %g", gap / 1e6, expected / 1e6);
	assert_true(gap_beside_prompts(1, 30000000, 2) <= 33000000);
}

static void prompts_come_to_their_end_however_short_the_gap(void **state)
{
	(void)state;
	/* Eight rows of a prompt and one that decodes. */
	assert_int_equal(gap_beside_prompt(1, 1), machine_ns(9));
}

static void decode_rows_leave_room_for_prompts(void **state)
{
	struct scheduler_config config = roomy();

	(void)state;
	for (uint32_t max_rows = 1; max_rows <= 6; max_rows++) {
		struct story *prompt;

		config.limits.max_rows = config.prompt_chunk = max_rows;
		sim_start(&config);
		for (int i = 0; i < 6; i++)
			add(1, 90);
		for (int i = 0; i < 20; i++) {
			assert_true(make_step());
			answer();
		}
		prompt = add(10, 1);
		for (int i = 0; prompt->sequence.n_tokens == prompt->n_prompt; i++) {
			assert_true(i < 30);
			assert_true(make_step());
			answer();
		}
		finish_all();
		sim_stop();
	}
}

/* As the coordinator does: as many steps as there are places in flight, then the oldest answer. */
static void pump(uint32_t n_answers)
{
	while (n_answers--) {
		while (make_step())
			;
		if (!sim.n_flights)
			return;
		sim.now_ns += machine_ns(1);
		answer();
	}
}

static uint32_t count_without_token(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < plot.n_stories; i++)
		n += plot.stories[i].sequence.n_tokens == plot.stories[i].n_prompt;
	return n;
}

/* Streams last longer than prompts may wait. Steps that hold decode rows alone must not take every
 * place in flight for as long. */
static void prompts_beside_a_full_pipeline_come_to_their_end(void **state)
{
	struct scheduler_config config = roomy();
	uint32_t n_starved = 0;

	(void)state;
	for (uint32_t n_stages = 1; n_stages <= 3; n_stages++)
		for (uint32_t max_rows = 1; max_rows <= 16; max_rows++) {
			config.n_stages = n_stages;
			config.window = n_stages + 1;
			config.limits.max_rows = config.prompt_chunk = max_rows;
			sim_start(&config);
			for (uint32_t i = 0; i < 5; i++)
				add_for(i, 1 + 3 * i, 80);
			pump(100);
			if (count_without_token())
				print_message("%u stages, %u rows: %u prompts wait\n", n_stages,
					      max_rows, count_without_token());
			n_starved += count_without_token();
			finish_all();
			sim_stop();
		}
	assert_int_equal(n_starved, 0);
}

static void a_long_prompt_holds_up_nobody_who_decodes(void **state)
{
	struct scheduler_config config = roomy();
	struct story *talker;
	uint32_t n_tokens;

	(void)state;
	config.prompt_chunk = 4;
	sim_start(&config);
	talker = add(2, 60);
	while (make_step())
		;
	answer();
	add(90, 2);
	n_tokens = talker->sequence.n_tokens;
	for (int round = 0; round < 15; round++) {
		while (make_step())
			;
		answer();
	}
	/* One in `window` rounds, while the prompt takes all of them. */
	assert_true(talker->sequence.n_tokens >= n_tokens + 15 / config.window);
	finish_all();
	sim_stop();
}

static void a_sequence_may_be_removed_at_any_point_of_its_life(void **state)
{
	(void)state;
	for (uint32_t when = 0; when < 60; when++) {
		struct scheduler_config config = roomy();
		struct story *victim, *other;
		uint32_t n = 0;

		config.limits.max_sequences = 2;
		sim_start(&config);
		victim = add(40, 8);
		other = add(20, 8);
		add(5, 8);	/* waits for a slot */
		while (!are_all_ended()) {
			bool is_made = make_step();

			if (n++ == when && !victim->is_ended)
				end(victim);
			if (!is_made)
				answer();
			check_counts();
		}
		assert_int_equal(other->sequence.n_tokens, 28);
		finish_all();
		sim_stop();
	}
}

/* In a score of the prompt's first or later chunks, in the first token or a later one, with chunks
 * of the same sequence still in flight. */
static void a_fault_ends_its_sequence_and_nothing_else(void **state)
{
	struct scheduler_config config = roomy();

	(void)state;
	for (uint32_t n = 0; n < 3 * 48; n++) {
		struct story *spoilt, *others[3];

		config.limits.max_blocks[0] = n % 2 ? 30 : 400;	/* 30: some start over */
		config.limits.max_sequences = 3;
		sim_start(&config);
		others[0] = add(20, 30);
		spoilt = add(40, 8);
		others[1] = add(33, 20);
		others[2] = add(5, 8);
		plot.spoilt = spoilt;
		plot.spoilt_from = 1 + n % 48;
		finish_all();
		assert_true(spoilt->is_ended);
		assert_int_equal(spoilt->sequence.state, SEQUENCE_IDLE);
		assert_true(spoilt->sequence.n_tokens <= 40 ||
			    spoilt->sequence.n_tokens <= plot.spoilt_from);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(others[i]->sequence.n_tokens, others[i]->end);
		sim_stop();
	}
}

static void removing_twice_or_before_the_start_does_nothing(void **state)
{
	struct scheduler_config config = roomy();
	struct story *story;

	(void)state;
	sim_start(&config);
	story = add(3, 3);
	end(story);
	end(story);
	assert_false(make_step());
	check_counts();
	sim_stop();
}

static void a_freed_slot_is_told_before_it_is_used_again(void **state)
{
	struct scheduler_config config = roomy();
	struct story *first;

	(void)state;
	config.limits.max_sequences = 1;
	sim_start(&config);
	first = add(3, 8);
	add(3, 8);
	assert_true(make_step());
	assert_false(make_step());
	end(first);
	assert_true(make_step());
	assert_int_equal(sim.step.n_frees, 1);
	assert_int_equal(sim.step.frees[0], 0);
	assert_int_equal(sim.step.segments[0].sequence, 0);
	finish_all();
	sim_stop();
}

/* The oldest of those that have not ended never goes back to waiting once it runs. */
static void finish_all_watching_the_oldest(void)
{
	const struct story *running = NULL;

	for (unsigned n = 0; !are_all_ended(); n++) {
		const struct story *oldest = NULL;

		assert_true(n < 1000000);
		for (uint32_t i = 0; i < plot.n_stories; i++)
			if (!plot.stories[i].is_ended && !oldest)
				oldest = &plot.stories[i];
		if (running == oldest)
			assert_true(oldest->sequence.state > SEQUENCE_WAITING);
		running = oldest->sequence.state > SEQUENCE_WAITING ? oldest : NULL;
		if (!make_step())
			answer();
	}
}

static void the_oldest_sequence_never_starves_and_all_end(void **state)
{
	(void)state;
	for (uint32_t window = 1; window <= 5; window++) {
		struct scheduler_config config = roomy();

		config.window = window;
		config.n_stages = window > 1 ? window - 1 : 1;
		config.limits.max_blocks[0] = MAX_CONTEXT / config.limits.block_length;
		sim_start(&config);
		for (int i = 0; i < 12; i++) {
			uint32_t n_prompt = 1 + draw(MAX_CONTEXT - 2);

			add(n_prompt, i % 3 ? 1 + draw(MAX_CONTEXT - n_prompt)
					    : MAX_CONTEXT - n_prompt);
		}
		finish_all_watching_the_oldest();
		finish_all();
		assert_true(scheduler_counts(sim.scheduler).preemptions > 0);
		sim_stop();
	}
}

static void a_pool_smaller_than_a_context_is_refused(void **state)
{
	struct scheduler_config config = roomy();
	struct scheduler *scheduler;
	struct error err;

	(void)state;
	config.limits.max_blocks[0] = MAX_CONTEXT / config.limits.block_length - 1;
	assert_int_equal(scheduler_create(&config, &scheduler, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "23 blocks of 4"));
	assert_non_null(strstr(err.text, "raise --kv-positions or lower --ctx-size"));
}

static void is_refused(const struct tokens *tokens, const char *text)
{
	struct error err;

	assert_int_equal(scheduler_take(sim.scheduler, 0, tokens, take_token, NULL, &err),
			 SC_E_PROTOCOL);
	if (!strstr(err.text, text))
		fail_msg("expected \"%s\", found: %s", text, err.text);
}

static void answers_to_something_else_are_refused(void **state)
{
	struct scheduler_config config = roomy();
	struct token_record record;
	struct token_top tops[2];
	struct tokens tokens;
	struct story *story;

	(void)state;
	sim_start(&config);
	story = add(3, 3);
	story->sequence.score_from = 0;	/* one record, whichever tests ran before */
	story->sequence.sampling.flags = SAMPLING_LOGPROB;
	story->sequence.sampling.n_tops = 2;
	tokens = (struct tokens){ .step_id = 1 };
	is_refused(&tokens, "no step is in flight");
	assert_true(make_step());
	record = sim.flights[0].records[0];
	memcpy(tops, sim.flights[0].tops, sizeof tops);
	tokens = (struct tokens){ .step_id = 2, .n_records = 1, .records = &record, .tops = tops };
	is_refused(&tokens, "step 2");
	tokens = (struct tokens){ .step_id = 1, .n_records = 0, .records = &record, .tops = tops };
	is_refused(&tokens, "0 records");
	tokens.n_records = 1;
	record.sequence++;
	is_refused(&tokens, "slot 1");
	record.sequence--;
	record.position++;
	is_refused(&tokens, "position 4");
	record.position--;
	record.n_tops = 1;
	is_refused(&tokens, "record 0 has 1 likeliest tokens, expected 2");
	/* None of this changed anything. */
	finish_all();
	sim_stop();
}

static void soak(uint32_t n_steps)
{
	while (sim.n_steps < n_steps) {
		uint32_t i = draw(MAX_SEQUENCES);
		struct story *story = &plot.stories[i];

		if (!draw(3) && (i >= plot.n_stories || story->is_ended)) {
			uint32_t n_prompt = 1 + draw(draw(4) ? 12 : MAX_CONTEXT - 1);

			if (i >= plot.n_stories)
				story = &plot.stories[plot.n_stories++];
			else
				sequence_deinit(&story->sequence);
			begin(story, draw(MAX_CLIENTS), n_prompt,
			      1 + draw(MAX_CONTEXT - n_prompt));
		} else if (!draw(40) && i < plot.n_stories && !story->is_ended) {
			end(story);
		}
		if (sim.n_flights && !draw(3))
			answer();
		if (draw(4))
			make_step();
		check_counts();
	}
}

/* Half of the rounds have rings beside the tables of whole contexts. */
static void a_hundred_thousand_random_steps_are_what_a_stage_expects(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 80; round++) {
		struct scheduler_config config = roomy();

		random_state = round;
		config.window = 1 + draw(SIM_MAX_WINDOW);
		config.n_stages = 1 + draw(SIM_MAX_WINDOW);
		config.limits.max_rows = 1 + draw(40);
		config.prompt_chunk = 1 + draw(config.limits.max_rows);
		config.limits.max_sequences = 1 + draw(MAX_SEQUENCES);
		config.n_spare = draw(config.limits.max_sequences);
		config.limits.block_length = 1 + draw(9);
		config.limits.table_blocks[0] = (MAX_CONTEXT + config.limits.block_length - 1) /
						config.limits.block_length;
		config.limits.max_blocks[0] = config.limits.table_blocks[0] * (1 + draw(4));
		if (round >= 40) {
			config.limits.max_rows = 1 + draw(12);
			config.prompt_chunk = config.limits.max_rows;
			stage_checker_add_rings(&config.limits, 1 + draw(STEP_MAX_GROUPS - 1),
						draw);
		}
		sim_start(&config);
		random_state = round;
		soak(1250);
		finish_all();
		sim_stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sequence_runs_from_its_prompt_to_its_end),
		cmocka_unit_test(the_window_is_never_exceeded),
		cmocka_unit_test(short_prompts_are_cut_finer_the_more_stages),
		cmocka_unit_test(
			steps_grow_with_prompts_that_come_and_shrink_once_there_are_none),
		cmocka_unit_test(decoding_sequences_go_together_one_group_to_a_stage),
		cmocka_unit_test(decoding_rows_wait_for_their_group_but_not_beside_prompts),
		cmocka_unit_test(prompts_run_one_after_the_other),
		cmocka_unit_test(what_a_short_prompt_leaves_goes_to_the_others),
		cmocka_unit_test(prompts_leave_gaps_as_long_as_asked_for),
		cmocka_unit_test(stages_share_a_gap),
		cmocka_unit_test(the_least_of_a_prompt_goes_beside_no_decode_row),
		cmocka_unit_test(by_itself_a_gap_is_a_multiple_of_a_step),
		cmocka_unit_test(
			by_itself_a_gap_is_wider_beside_more_prompts),
		cmocka_unit_test(prompts_come_to_their_end_however_short_the_gap),
		cmocka_unit_test(decode_rows_leave_room_for_prompts),
		cmocka_unit_test(prompts_beside_a_full_pipeline_come_to_their_end),
		cmocka_unit_test(a_long_prompt_holds_up_nobody_who_decodes),
		cmocka_unit_test(a_sequence_may_be_removed_at_any_point_of_its_life),
		cmocka_unit_test(a_fault_ends_its_sequence_and_nothing_else),
		cmocka_unit_test(removing_twice_or_before_the_start_does_nothing),
		cmocka_unit_test(a_freed_slot_is_told_before_it_is_used_again),
		cmocka_unit_test(the_oldest_sequence_never_starves_and_all_end),
		cmocka_unit_test(a_pool_smaller_than_a_context_is_refused),
		cmocka_unit_test(answers_to_something_else_are_refused),
		cmocka_unit_test(a_hundred_thousand_random_steps_are_what_a_stage_expects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
