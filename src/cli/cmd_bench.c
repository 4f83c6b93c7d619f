/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach bench - tokens per second, and how much of the machine's limit that is. */
#include "cli/bench_limits.h"
#include "cli/bench_output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/parse.h"
#include "base/resources.h"
#include "engine/wiring.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LIST 32
#define MAX_TESTS 256
#define QUEUED_PROMPTS 4

struct number_list {
	uint32_t n;
	uint32_t values[MAX_LIST];
};

struct bench {
	struct config config;
	struct opened_model opened;
	enum cpu_isa isa;	/* what it computes with */
	enum bench_format format;
	struct number_list prompts, generated, batches, depths, threads, stages;
	struct bench_test tests[MAX_TESTS];
	uint32_t n_tests;
	struct bench_subject subject;
	struct bench_limits limits;
	double *rates;		/* [repetitions] */
	struct progress progress;
	/* Of the test under way: */
	struct session *session;
	uint32_t test;		/* its number, of all that there will be */
	char name[BENCH_NAME_MAX];
	uint64_t first_row, n_rows;
};

/* --- what is asked for --- */

static enum sc_status read_list(const char *name, const char *text, uint32_t least, uint32_t most,
				bool zero_is_none, struct number_list *list_out, struct error *err)
{
	struct number_list list = { 0 };
	char word[32];

	while (*text) {
		size_t n = strcspn(text, ",");
		uint64_t value;

		snprintf(word, sizeof word, "%.*s", (int)n, text);
		if (!parse_u64(word, &value) || value < least || value > most)
			return error_set(err, SC_E_INVALID,
					 "--%s: expected whole numbers from %u to %u with commas "
					 "between them, found '%s'", name, least, most, word);
		if (list.n == MAX_LIST)
			return error_set(err, SC_E_INVALID, "--%s: expected at most %d "
					 "numbers, found more", name, MAX_LIST);
		if (value || !zero_is_none)
			list.values[list.n++] = (uint32_t)value;
		text += n + (text[n] == ',');
	}
	*list_out = list;
	return SC_OK;
}

static enum sc_status read_lists(struct bench *bench, struct error *err)
{
	const struct config *c = &bench->config;
	const struct {
		const char *name;
		const char *text;
		uint32_t least, most;
		struct number_list *list;
		bool zero_is_none;	/* as in llama-bench: -n 0 measures no generation */
	} lists[] = {
		{ "n-prompt", c->bench_prompts, 0, 1 << 20, &bench->prompts, true },
		{ "n-gen", c->bench_generated, 0, 1 << 20, &bench->generated, true },
		{ "sequences", c->bench_batches, 1, JOB_MAX_SEQUENCES, &bench->batches, false },
		{ "n-depth", c->bench_depths, 0, 1 << 23, &bench->depths, true },
		{ "threads", c->bench_threads, 0, 1024, &bench->threads, false },
		{ "stages", c->bench_stages, 1, 1024, &bench->stages, false },
	};
	enum sc_status status = SC_OK;

	for (size_t i = 0; status == SC_OK && i < sizeof lists / sizeof lists[0]; i++)
		status = read_list(lists[i].name, lists[i].text, lists[i].least, lists[i].most,
				   lists[i].zero_is_none, lists[i].list, err);
	if (status == SC_OK && (!bench->threads.n || !bench->stages.n))
		return error_set(err, SC_E_INVALID, "--%s: no number given, expected at least one",
				 bench->threads.n ? "stages" : "threads");
	return status;
}

static void choose_depths(struct bench *bench)
{
	static const uint32_t usual[] = { 2048, 8192, 32768 };
	uint32_t trained = bench->opened.model->hparams.n_context;

	for (unsigned i = 0; i < 3 && !*bench->config.bench_depths; i++)
		if (usual[i] <= trained)
			bench->depths.values[bench->depths.n++] = usual[i];
}

static enum sc_status add_test(struct bench *bench, struct bench_test test, struct error *err)
{
	if (bench->n_tests == MAX_TESTS)
		return error_set(err, SC_E_INVALID, "the lists give more than %d tests: shorten "
				 "them", MAX_TESTS);
	bench->tests[bench->n_tests++] = test;
	return SC_OK;
}

/* All tests of a kind, for each number of the lists that it goes by. */
static enum sc_status add_tests(struct bench *bench, const char *word, struct error *err)
{
	const struct number_list one = { .n = 1, .values = { 1 } }, none = { .n = 1 };
	const struct number_list *p = &bench->prompts, *g = &bench->generated;
	const struct {
		const char *word;
		enum bench_kind kind;
		const struct number_list *prompts, *generated, *sequences, *depths;
	} kinds[] = {
		{ "prompt", BENCH_PROMPT, p, &none, &one, &none },
		{ "queue", BENCH_QUEUE, p, &none, NULL, &none },
		{ "decode", BENCH_DECODE, &none, g, &one, &none },
		{ "mixed", BENCH_MIXED, p, g, &one, &none },
		{ "batch", BENCH_DECODE, &none, g, &bench->batches, &none },
		{ "depth", BENCH_DEEP_PROMPT, p, &none, &one, &bench->depths },
		{ "depth", BENCH_DEEP_DECODE, &none, g, &one, &bench->depths },
	};
	static const struct number_list queued = { .n = 1, .values = { QUEUED_PROMPTS } };
	enum sc_status status = SC_OK;
	bool is_known = false;

	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		const struct number_list *crowds = kinds[k].sequences ? kinds[k].sequences
								      : &queued;
		uint32_t n[4] = { kinds[k].prompts->n, kinds[k].generated->n, crowds->n,
				  kinds[k].depths->n };

		if (strcmp(word, kinds[k].word))
			continue;
		is_known = true;
		for (uint32_t i = 0; status == SC_OK && i < n[0] * n[1] * n[2] * n[3]; i++)
			status = add_test(bench, (struct bench_test){
				.kind = kinds[k].kind,
				.n_prompt = kinds[k].prompts->values[i % n[0]],
				.n_gen = kinds[k].generated->values[i / n[0] % n[1]],
				.n_sequences = crowds->values[i / n[0] / n[1] % n[2]],
				.depth = kinds[k].depths->values[i / n[0] / n[1] / n[2]],
			}, err);
	}
	if (!is_known)
		return error_set(err, SC_E_INVALID, "--tests: expected prompt, queue, decode, "
				 "mixed, batch or depth, found '%s'", word);
	return status;
}

static enum sc_status choose_tests(struct bench *bench, struct error *err)
{
	const char *text = bench->config.bench_tests;
	enum sc_status status = SC_OK;
	char word[32];

	while (status == SC_OK && *text) {
		size_t n = strcspn(text, ",");

		snprintf(word, sizeof word, "%.*s", (int)n, text);
		status = add_tests(bench, word, err);
		text += n + (text[n] == ',');
	}
	if (status == SC_OK && !bench->n_tests)
		return error_set(err, SC_E_INVALID,
				 "nothing to measure: choose other --tests, or give depths "
				 "with -d");
	return status;
}

static void choose_format(struct bench *bench)
{
	const char *word = bench->config.bench_output;

	if (bench->config.is_json)
		word = "json";
	bench->format = !strcmp(word, "csv") ? BENCH_CSV : !strcmp(word, "json") ? BENCH_JSON
										 : BENCH_MARKDOWN;
}

static enum sc_status set_up(struct bench *bench, struct error *err)
{
	const struct model_choice choice = model_choice_of(&bench->config);
	enum sc_status status = read_lists(bench, err);

	if (status == SC_OK)
		status = wire_isa(&bench->config, &bench->isa, err);
	if (status == SC_OK)
		status = cpu_isa_select(bench->isa, &bench->isa, err);
	if (status == SC_OK)
		status = opened_model_open(&bench->opened, &choice, err);
	if (status != SC_OK)
		return status;
	report_ignored_keys(bench->opened.model->gguf, bench->config.ignored_keys);
	choose_format(bench);
	choose_depths(bench);
	status = choose_tests(bench, err);
	if (status != SC_OK)
		return status;
	bench->subject = bench_subject_of(bench->opened.model, bench->config.backend,
					  cpu_isa_name(bench->isa));
	bench->rates = calloc(bench->config.repetitions, sizeof bench->rates[0]);
	if (!bench->rates)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return bench_limits_init(&bench->limits, bench->config.backend, bench->isa,
				 bench->config.repetitions, err);
}

/* --- running --- */

static uint32_t threads_of(uint32_t n_threads, uint32_t n_stages)
{
	uint32_t share = resources_processor_count() / n_stages;

	return n_threads ? n_threads : share ? share : 1;
}

/* A pipeline that has room for every test, and no more. */
static struct config sized_config(const struct bench *bench, uint32_t n_stages,
				  uint32_t n_threads)
{
	struct config config = bench->config;	/* its strings stay bench's */
	uint64_t most_positions = 0;

	config.stages = n_stages;
	config.threads = n_threads;
	config.context = 1;
	config.max_sequences = 1;
	for (uint32_t i = 0; i < bench->n_tests; i++) {
		const struct bench_test *test = &bench->tests[i];
		uint32_t n = bench_test_positions(test, config.repetitions, wire_prompt_chunk(&config));
		uint64_t n_all = (uint64_t)test->n_sequences * (n + config.block_length);

		if (n > config.context)
			config.context = n;
		if (test->n_sequences > config.max_sequences)
			config.max_sequences = test->n_sequences;
		if (n_all > most_positions)
			most_positions = n_all;
	}
	if (most_positions < config.context + config.block_length)
		most_positions = config.context + config.block_length;
	config.kv_positions = (uint32_t)most_positions;
	return config;
}

/* Bytes of the pools for an element of keys and values, in all stages. */
static double kv_element_bytes(struct session *session, const struct model *model)
{
	const struct plan *plan = engine_plan(session_engine(session));
	struct coordinator_status status;
	double n_bytes = 0, n_elements = 0;

	engine_status(session_engine(session), &status);
	for (unsigned i = 0; i < plan->n_stages; i++)
		n_bytes += (double)plan->stages[i].kv_bytes;
	for (uint32_t g = 0; g < model->n_groups; g++)
		n_elements += cost_kv_elements(&model->groups[g]) * status.groups[g].n_blocks *
			      status.block_length;
	return n_bytes / n_elements;
}

static uint64_t rows_done(const struct bench *bench)
{
	struct coordinator_status status;

	engine_status(session_engine(bench->session), &status);
	return status.rows;
}

static void begin_test(struct bench *bench, struct session *session,
		       const struct bench_test *test, const struct config *config)
{
	bench->session = session;
	bench->test++;
	bench_test_name(test, bench->name);
	bench->first_row = rows_done(bench);
	bench->n_rows = bench_test_rows(test, config->repetitions, wire_prompt_chunk(config));
}

/* Asks for numbers only when they are shown: this runs while tests are timed. */
static void show_test(void *arg)
{
	struct bench *bench = arg;
	uint64_t now_ns = clock_ns();
	double share;

	if (!progress_is_due(&bench->progress, now_ns))
		return;
	share = (double)(rows_done(bench) - bench->first_row) / (double)bench->n_rows;
	progress_show(&bench->progress, now_ns, "%s: test %u of %u, %.0f %%", bench->name,
		      bench->test, bench->n_tests * bench->stages.n * bench->threads.n,
		      fmin(99, floor(100 * share)));
}

/* As backend/cpu/isa/attention_int_avx512.h does it. */
static bool has_byte_attention(const struct config *config, enum cpu_isa isa)
{
	return config->kv_type && !strcmp(config->kv_type, "q8_0") && isa >= CPU_AVX512;
}

static void take_reading(void *arg)
{
	struct bench *bench = arg;

	bench_limits_read(&bench->limits);
}

static enum sc_status run_test(struct bench *bench, struct session *session,
			       const struct config *config, const struct cost *cost,
			       struct bench_line *line, struct error *err)
{
	const struct bench_run run = {
		.session = session,
		.n_vocab = bench->opened.model->hparams.n_vocab,
		.n_repetitions = config->repetitions,
		.n_chunk = wire_prompt_chunk(config),
		.between = take_reading,
		.on_turn = show_test,
		.arg = bench,
	};
	enum sc_status status = bench_limits_start(&bench->limits, line->test, config->stages,
						   config->threads, err);

	if (status == SC_OK)
		status = bench_test_run(line->test, &run, bench->rates, err);
	line->speed = bench_limits_stop(&bench->limits);
	if (status != SC_OK)
		return status;
	line->rates = spread_of(bench->rates, config->repetitions);
	line->is_in_cache = bench_is_in_cache(&bench->limits, line->test, cost, &line->speed,
					      run.n_chunk, line->rates.median);
	line->limit = line->is_in_cache ? 0 : bench_limit_of(line->test, cost, &line->speed,
							     run.n_chunk);
	return SC_OK;
}

static enum sc_status run_tests(struct bench *bench, struct session *session,
				const struct config *config, struct error *err)
{
	const struct model *model = bench->opened.model;
	struct cost cost = cost_of_model(model, kv_element_bytes(session, model),
					 has_byte_attention(config, bench->isa));
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; status == SC_OK && i < bench->n_tests; i++) {
		struct bench_line line = {
			.test = &bench->tests[i],
			.n_stages = config->stages,
			.n_threads = config->threads,
			.n_samples = config->repetitions,
		};

		begin_test(bench, session, line.test, config);
		show_test(bench);
		status = run_test(bench, session, config, &cost, &line, err);
		progress_hide(&bench->progress);
		if (status == SC_OK)
			bench_print_line(bench->format, &bench->subject, &line);
		fflush(stdout);
	}
	return status;
}

static enum sc_status run_pipeline(struct bench *bench, uint32_t n_stages, uint32_t n_threads,
				   struct error *err)
{
	struct config config = sized_config(bench, n_stages, n_threads);
	struct session *session = NULL;
	enum sc_status status = session_open(&config, &bench->opened, &session, err);

	if (status == SC_OK)
		status = run_tests(bench, session, &config, err);
	session_close(session);
	return status;
}

static enum sc_status measure_speed(struct bench *bench, unsigned n_threads, struct error *err)
{
	const struct machine_speed *speed;
	enum sc_status status;

	if (!bench->limits.is_known || bench_limits_speed(&bench->limits, n_threads))
		return SC_OK;
	progress_show(&bench->progress, clock_ns(), "measuring what %u thread%s can do", n_threads,
		      n_threads == 1 ? "" : "s");
	status = bench_limits_measure(&bench->limits, n_threads, &speed, err);
	progress_hide(&bench->progress);
	if (status == SC_OK && bench->format == BENCH_MARKDOWN)
		bench_print_speed(n_threads, speed);
	return status;
}

/* All that will be wanted, before the table begins. */
static enum sc_status measure_speeds(struct bench *bench, struct error *err)
{
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; i < bench->stages.n; i++)
		for (uint32_t k = 0; k < bench->threads.n; k++) {
			uint32_t n_stages = bench->stages.values[i];
			uint32_t n = threads_of(bench->threads.values[k], n_stages);

			for (uint32_t t = 0; status == SC_OK && t < bench->n_tests; t++)
				status = measure_speed(bench, n * bench_busy_stages(
							&bench->tests[t], n_stages), err);
		}
	return status;
}

static enum sc_status measure(struct bench *bench, struct error *err)
{
	enum sc_status status = set_up(bench, err);

	if (status != SC_OK)
		return status;
	progress_init(&bench->progress, bench->config.is_quiet);
	bench_print_head(bench->format, &bench->subject);
	fflush(stdout);
	status = measure_speeds(bench, err);
	if (status == SC_OK && bench->format == BENCH_MARKDOWN)
		bench_print_columns();
	fflush(stdout);
	for (uint32_t i = 0; i < bench->stages.n; i++)
		for (uint32_t k = 0; status == SC_OK && k < bench->threads.n; k++)
			status = run_pipeline(bench, bench->stages.values[i],
					      threads_of(bench->threads.values[k],
							 bench->stages.values[i]), err);
	progress_end(&bench->progress);
	return status;
}

static const char usage[] =
	"usage: stagecoach bench -m FILE [OPTION...]\n\n"
	"Measure the tokens per second of a model in this process, and compare them with the\n"
	"limit of this machine. The limit comes from reading every weight once per step, and from\n"
	"the multiply-adds of every row. The same run measures the speeds of both. LIST is\n"
	"numbers with commas between them. Every combination of the lists is measured.\n";

int cmd_bench(int argc, char **argv)
{
	struct bench *bench = calloc(1, sizeof *bench);
	int exit_code = EXIT_SUCCESS;
	struct error err;

	if (!bench) {
		error_set(&err, SC_E_NOMEM, "out of memory");
		report_error(&err);
		return sc_status_exit_code(err.status);
	}
	if (!verb_begin(&bench->config, PROGRAM_BENCH, usage, argc, argv, &exit_code)) {
		free(bench);
		return exit_code;
	}
	if (measure(bench, &err) != SC_OK) {
		if (err.status != SC_E_CANCELLED)
			report_error(&err);
		exit_code = session_exit_code(&err);
	} else {
		exit_code = report_flush();
	}
	free(bench->rates);
	bench_limits_deinit(&bench->limits);
	opened_model_close(&bench->opened);
	config_deinit(&bench->config);
	free(bench);
	return exit_code;
}
