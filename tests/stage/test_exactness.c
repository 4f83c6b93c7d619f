/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same tokens and the same bits of every logit, however layers are split into stages, prompts
 * into chunks, and sequences into steps; on every instruction set that this processor has.
 */
#include "tests/stage/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N_PROMPT 67
#define N_GENERATED 12
#define N_JOBS CHAIN_MAX_SEQUENCES
#define MAX_VOCAB 300

/* One sequence: when it comes, and how its prompt is cut. */
struct job {
	uint32_t prompt[N_PROMPT];
	uint32_t n_prompt;
	struct sampling sampling;
	uint32_t arrival;		/* number of the step */
	uint32_t chunk;
};

struct output {
	struct token_record records[N_GENERATED];
	float logits[N_GENERATED][MAX_VOCAB];
};

struct setup {
	unsigned n_stages;
	unsigned n_threads;
	bool is_in_place;
};

static const struct setup simple = { .n_stages = 1, .n_threads = 1 };

struct player {
	const struct job *jobs;
	uint32_t n_jobs;
	uint32_t n_fed[N_JOBS];		/* tokens of prompt and answer that went in */
	uint32_t n_drawn[N_JOBS];
	struct output *outputs;		/* [n_jobs] */
};

/* The slot is the job's number, turned around so that slots and jobs are in different order. */
static uint32_t slot_of(uint32_t job)
{
	return N_JOBS - 1 - job;
}

static void keep_logits(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			uint32_t n_vocab)
{
	struct player *player = arg;
	uint32_t job = slot_of(sequence), n = player->n_drawn[job];

	assert_true(n_vocab <= MAX_VOCAB);
	assert_int_equal(position, player->jobs[job].n_prompt + n);
	memcpy(player->outputs[job].logits[n], logits, n_vocab * sizeof *logits);
}

/* The next segment of a job; false: it is finished or not there yet. */
static bool next_segment(struct player *player, uint32_t number, uint32_t step,
			 struct chain_segment *segment_out)
{
	const struct job *job = &player->jobs[number];
	uint32_t n_fed = player->n_fed[number], left = job->n_prompt - n_fed;
	uint32_t n_drawn = player->n_drawn[number];

	if (step < job->arrival || n_drawn == N_GENERATED)
		return false;
	*segment_out = (struct chain_segment){
		.sequence = slot_of(number),
		.sampling = n_fed ? NULL : &job->sampling,
		.tokens = job->prompt + n_fed,
		.n_rows = left < job->chunk ? left : job->chunk,
	};
	if (n_drawn) {
		segment_out->tokens = &player->outputs[number].records[n_drawn - 1].token;
		segment_out->n_rows = 1;
	}
	segment_out->is_sampling = n_drawn || segment_out->n_rows == left;
	player->n_fed[number] += segment_out->n_rows;
	return true;
}

static void take_records(struct player *player, const struct token_record *records, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t job = slot_of(records[i].sequence);

		assert_int_equal(records[i].position,
				 player->jobs[job].n_prompt + player->n_drawn[job]);
		player->outputs[job].records[player->n_drawn[job]++] = records[i];
	}
}

/* Run all jobs to their end, with as many of them in each step as are there. */
static void play(const struct model *model, struct setup setup, const struct job *jobs,
		 uint32_t n_jobs, struct output *outputs)
{
	struct player player = { .jobs = jobs, .n_jobs = n_jobs, .outputs = outputs };
	const struct chain_config config = {
		.model = model, .n_stages = setup.n_stages, .n_threads = setup.n_threads,
		.max_rows = N_JOBS * N_PROMPT, .max_context = N_PROMPT + N_GENERATED,
		.is_in_place = setup.is_in_place, .on_logits = keep_logits, .arg = &player,
	};
	struct chain *chain = chain_create(&config);
	struct chain_segment segments[N_JOBS];
	uint32_t frees[N_JOBS], n_frees = 0, n_finished = 0;
	bool is_freed[N_JOBS] = { false };

	memset(outputs, 0, n_jobs * sizeof *outputs);
	for (uint32_t step = 0; n_finished < n_jobs; step++) {
		uint32_t n_segments = 0, n_records;
		const struct token_record *records;

		for (uint32_t i = 0; i < n_jobs; i++)
			n_segments += next_segment(&player, (i + step) % n_jobs, step,
						   &segments[n_segments]);
		records = chain_step(chain, segments, n_segments, frees, n_frees, &n_records);
		take_records(&player, records, n_records);
		n_frees = 0;
		for (uint32_t i = 0; i < n_jobs; i++) {
			if (is_freed[i] || player.n_drawn[i] < N_GENERATED)
				continue;
			is_freed[i] = true;
			frees[n_frees++] = slot_of(i);
			n_finished++;
		}
	}
	chain_destroy(chain);
}

/* Most jobs depend on the tokens before: these must be the same in every stage's pool. */
static void add_samplers(struct sampling *s, uint32_t job)
{
	s->presence_penalty = job == 1 || job == 2 ? 1.5f : 0;
	s->frequency_penalty = job == 4 ? 0.8f : 0;
	s->repetition_penalty = job == 0 || job == 3 ? 1.4f : 1;
	s->penalty_last_n = job == 3 ? 9 : 0;
	s->dry_multiplier = job == 0 || job == 6 ? 3 : 0;
	s->dry_base = 1.75f;
	s->dry_allowed_length = 1;
	s->xtc_probability = job == 7 ? 0.5f : 0;
	s->xtc_threshold = 0.01f;
	s->typical_p = job == 5 ? 0.8f : 1;
}

static void make_jobs(const struct model *model, struct job *jobs)
{
	uint32_t random = 12345;

	for (uint32_t i = 0; i < N_JOBS; i++) {
		jobs[i] = (struct job){
			.n_prompt = i ? 1 + i * 9 : N_PROMPT,
			.chunk = N_PROMPT,
			.sampling = { .seed = 99, .stream = i, .top_p = 1, SAMPLING_OFF,
				      .temperature = i % 2 ? 0.8f : 0,
				      .flags = i == 6 ? 0 : SAMPLING_LOGPROB },
		};
		jobs[i].sampling.n_prompt = jobs[i].n_prompt;
		add_samplers(&jobs[i].sampling, i);
		if (i % 4 == 3)
			jobs[i].sampling.top_k = 40;
		if (i == 5)
			jobs[i].sampling.top_p = 0.9f;
		for (uint32_t j = 0; j < jobs[i].n_prompt; j++) {
			random = random * 1664525 + 1013904223;
			jobs[i].prompt[j] = (random >> 8) % model->hparams.n_vocab;
		}
	}
}

static void assert_same(const struct output *a, const struct output *b, const char *what,
			uint32_t number)
{
	if (memcmp(a->logits, b->logits, sizeof a->logits))
		fail_msg("logits differ: %s %u", what, number);
	for (uint32_t i = 0; i < N_GENERATED; i++) {
		assert_int_equal(a->records[i].token, b->records[i].token);
		assert_memory_equal(&a->records[i].logprob, &b->records[i].logprob, sizeof(float));
	}
}

/* Every kind of matrix and of architecture; the second has layers for four stages. */
static const char *const names[] = {
	"llama-mha", "llama-gqa3-4layers", "llama-mqa", "llama-rope-llama3", "qwen2-bias",
	"qwen2-tied", "llama-f16", "llama-bf16", "llama-q8_0", "llama-q4_0",
};
#define N_NAMES (sizeof names / sizeof names[0])

static struct output baseline[N_JOBS], outputs[N_JOBS];
static struct job jobs[N_JOBS];

static struct model *open_model(const char *name)
{
	struct model *model = chain_open_reference(name);

	make_jobs(model, jobs);
	return model;
}

static void stages_do_not_change_a_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NAMES; i++) {
		struct model *model = open_model(names[i]);

		play(model, simple, jobs, 2, baseline);
		for (unsigned n = 2; n <= model->hparams.n_layers; n++) {
			struct setup setup = { .n_stages = n, .n_threads = 1 };

			for (unsigned in_place = 0; in_place < 2; in_place++) {
				setup.is_in_place = in_place;
				play(model, setup, jobs, 2, outputs);
				assert_same(&baseline[0], &outputs[0], "stages", n);
				assert_same(&baseline[1], &outputs[1], "stages", n);
			}
		}
		model_close(model);
	}
}

static void threads_do_not_change_a_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NAMES; i++) {
		struct model *model = open_model(names[i]);

		play(model, simple, jobs, 2, baseline);
		for (unsigned n = 2; n <= 3; n++) {
			play(model, (struct setup){ .n_stages = 1, .n_threads = n }, jobs, 2,
			     outputs);
			assert_same(&baseline[0], &outputs[0], "threads", n);
			assert_same(&baseline[1], &outputs[1], "threads", n);
		}
		model_close(model);
	}
}

static void chunks_of_a_prompt_do_not_change_a_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NAMES; i++) {
		struct model *model = open_model(names[i]);

		play(model, simple, jobs, 1, baseline);
		/* Every length for one model, some for the others. */
		for (uint32_t chunk = 1; chunk <= 64; chunk += i == 1 ? 1 : 1 + chunk / 2) {
			jobs[0].chunk = chunk;
			play(model, simple, jobs, 1, outputs);
			assert_same(&baseline[0], &outputs[0], "chunk", chunk);
		}
		model_close(model);
	}
}

static void other_sequences_in_the_step_do_not_change_a_bit(void **state)
{
	static const uint32_t arrivals[][N_JOBS] = {
		{ 0 }, { 5, 0, 2, 9, 0, 14, 3, 1 }, { 0, 1, 2, 3, 4, 5, 6, 7 },
	};

	(void)state;
	for (size_t i = 0; i < N_NAMES; i++) {
		struct model *model = open_model(names[i]);
		/* Teams of threads are slow where processors are few: one model is enough. */
		struct setup setup = { .n_stages = model->hparams.n_layers,
				       .n_threads = i ? 1 : 2 };

		for (uint32_t j = 0; j < N_JOBS; j++)
			play(model, simple, &jobs[j], 1, &baseline[j]);
		for (size_t a = 0; a < sizeof arrivals / sizeof arrivals[0]; a++) {
			for (uint32_t j = 0; j < N_JOBS; j++) {
				jobs[j].arrival = arrivals[a][j];
				jobs[j].chunk = 1 + (j * 7 + (uint32_t)a * 5) % 23;
			}
			play(model, setup, jobs, N_JOBS, outputs);
			for (uint32_t j = 0; j < N_JOBS; j++)
				assert_same(&baseline[j], &outputs[j], "sequence", j);
		}
		model_close(model);
	}
}

/* The rows that a sequence was drawn from, once more as a text that is known, cut in two. */
static void a_scored_row_says_what_was_said_of_the_drawn_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NAMES; i++) {
		struct model *model = open_model(names[i]);
		const struct chain_config config = {
			.model = model, .n_stages = 2, .n_threads = 1,
			.max_rows = 128, .max_context = 128,
		};
		uint32_t text[N_PROMPT + N_GENERATED], cut = N_PROMPT + 3, n_records;
		struct chain *chain = chain_create(&config);
		const struct token_record *records;
		struct chain_segment segment = {
			.sampling = &jobs[0].sampling, .tokens = text, .n_rows = cut,
			.n_scored = 4,
		};

		play(model, simple, jobs, 1, baseline);
		memcpy(text, jobs[0].prompt, sizeof jobs[0].prompt);
		for (uint32_t k = 0; k < N_GENERATED; k++)
			text[N_PROMPT + k] = baseline[0].records[k].token;
		segment.next_token = text[cut];
		records = chain_step(chain, &segment, 1, NULL, 0, &n_records);
		assert_int_equal(n_records, 4);
		for (uint32_t k = 0; k < 4; k++) {
			assert_int_equal(records[k].position, N_PROMPT + k);
			assert_int_equal(records[k].token, text[N_PROMPT + k]);
			assert_memory_equal(&records[k].logprob, &baseline[0].records[k].logprob,
					    sizeof(float));
		}
		segment = (struct chain_segment){
			.tokens = text + cut, .n_rows = N_GENERATED - 4, .is_sampling = true,
			.n_scored = N_GENERATED - 5,
		};
		records = chain_step(chain, &segment, 1, NULL, 0, &n_records);
		assert_int_equal(n_records, N_GENERATED - 4);
		for (uint32_t k = 4; k < N_GENERATED; k++)
			assert_memory_equal(&records[k - 4].logprob,
					    &baseline[0].records[k].logprob, sizeof(float));
		chain_destroy(chain);
		model_close(model);
	}
}

/* As after a preemption: prompt and some of the output are computed again, in another slot, as one
 * text. */
static void a_sequence_that_starts_over_draws_the_same_tokens(void **state)
{
	const uint32_t n_kept = 7;

	(void)state;
	for (uint32_t j = 0; j < N_JOBS; j++) {
		struct model *model = open_model(names[j % 2]);
		const struct chain_config config = {
			.model = model, .n_stages = 2, .n_threads = 1,
			.max_rows = 128, .max_context = 128,
		};
		struct chain *chain = chain_create(&config);
		uint32_t text[N_PROMPT + N_GENERATED], n_prompt = jobs[j].n_prompt, n_records;
		struct chain_segment segment = {
			.sequence = 3, .sampling = &jobs[j].sampling, .tokens = text,
			.n_rows = n_prompt + n_kept, .is_sampling = true,
		};

		play(model, simple, &jobs[j], 1, baseline);
		memcpy(text, jobs[j].prompt, sizeof jobs[j].prompt);
		for (uint32_t k = 0; k < N_GENERATED; k++)
			text[n_prompt + k] = baseline[0].records[k].token;
		for (uint32_t k = n_kept; k < N_GENERATED; k++) {
			const struct token_record *records = chain_step(chain, &segment, 1, NULL,
									0, &n_records);

			assert_int_equal(n_records, 1);
			assert_int_equal(records[0].token, text[n_prompt + k]);
			segment = (struct chain_segment){
				.sequence = 3, .tokens = text + n_prompt + k, .n_rows = 1,
				.is_sampling = true,
			};
		}
		chain_destroy(chain);
		model_close(model);
	}
}

/* The samplers that look at tokens have something to do. */
static void penalties_change_the_output(void **state)
{
	struct model *model = open_model(names[0]);
	uint32_t n_changed = 0;

	(void)state;
	for (uint32_t j = 0; j < N_JOBS; j++) {
		play(model, simple, &jobs[j], 1, baseline);
		jobs[j].sampling.repetition_penalty = jobs[j].sampling.typical_p = 1;
		jobs[j].sampling.presence_penalty = jobs[j].sampling.frequency_penalty = 0;
		jobs[j].sampling.dry_multiplier = jobs[j].sampling.xtc_probability = 0;
		play(model, simple, &jobs[j], 1, outputs);
		n_changed += memcmp(baseline[0].records, outputs[0].records,
				    sizeof baseline[0].records) != 0;
	}
	assert_int_equal(n_changed, N_JOBS);
	model_close(model);
}

/* The tests above would pass on outputs that never differ. */
static void prompts_and_seeds_do_change_the_output(void **state)
{
	struct model *model = open_model(names[0]);

	(void)state;
	play(model, simple, jobs, 2, baseline);
	jobs[0].prompt[3] ^= 1;
	jobs[1].sampling.seed++;
	play(model, simple, jobs, 2, outputs);
	assert_memory_not_equal(baseline[0].logits[0], outputs[0].logits[0],
				sizeof baseline[0].logits[0]);
	assert_memory_equal(baseline[1].logits[0], outputs[1].logits[0],
			    sizeof baseline[1].logits[0]);
	assert_memory_not_equal(baseline[1].records, outputs[1].records,
				sizeof baseline[1].records);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stages_do_not_change_a_bit),
		cmocka_unit_test(threads_do_not_change_a_bit),
		cmocka_unit_test(chunks_of_a_prompt_do_not_change_a_bit),
		cmocka_unit_test(other_sequences_in_the_step_do_not_change_a_bit),
		cmocka_unit_test(a_scored_row_says_what_was_said_of_the_drawn_token),
		cmocka_unit_test(a_sequence_that_starts_over_draws_the_same_tokens),
		cmocka_unit_test(penalties_change_the_output),
		cmocka_unit_test(prompts_and_seeds_do_change_the_output),
	};
	int n_failed = 0;

	for (enum cpu_isa isa = CPU_SCALAR; isa < CPU_N_ISAS; isa++)
		if (chain_use_isa(isa))
			n_failed += cmocka_run_group_tests_name(cpu_isa_name(isa), tests, NULL,
								NULL);
	return n_failed;
}
