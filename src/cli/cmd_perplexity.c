/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach perplexity - how well a model knows a text. */
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include "base/clock.h"
#include "measure/perplexity.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TEXT_BYTES (1u << 30)
#define MAX_JOBS 8
/* Before that the time that is left is anybody's guess. */
#define PATIENCE_MS 1000

/* Chunks are jobs, a few at a time so that no stage waits, and counted in their order. */
struct perplexity_run {
	struct config config;
	struct opened_model opened;
	struct token_list tokens;
	uint32_t n_chunks;
	struct session *session;
	struct job *jobs[MAX_JOBS];	/* a ring: chunk i at i % MAX_JOBS */
	uint32_t n_submitted;
	uint32_t n_done;
	struct perplexity perplexity;
	uint64_t started_ns;
	struct progress progress;
	uint64_t first_row;	/* rows that were computed before */
};

static enum sc_status read_text(const char *path, struct buf *text, struct error *err)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "r") : stdin;
	enum sc_status status = SC_OK;
	size_t n;

	if (!file)
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno, "%s",
				   path);
	do {
		if (buf_reserve(text, BUFSIZ) != SC_OK) {
			status = error_set(err, SC_E_NOMEM, "%s: out of memory", path);
			goto out;
		}
		n = fread(text->data + text->length, 1, BUFSIZ, file);
		text->length += n;
	} while (n && text->length <= MAX_TEXT_BYTES);
	text->data[text->length] = '\0';
	if (ferror(file))
		status = error_errno(err, SC_E_IO, errno, "%s", path);
	else if (text->length > MAX_TEXT_BYTES)
		status = error_set(err, SC_E_TOO_LARGE, "%s: more than %u bytes", path,
				   MAX_TEXT_BYTES);
out:
	if (file != stdin)
		fclose(file);
	return status;
}

static enum sc_status tokenize(struct perplexity_run *run, struct error *err)
{
	const uint32_t length = run->config.chunk_length;
	struct buf text = BUF_INIT;
	enum sc_status status;

	if (!*run->config.text_file)
		return error_set(err, SC_E_INVALID, "no text: give a file with -f FILE");
	status = read_text(run->config.text_file, &text, err);
	if (status == SC_OK)
		status = tokenizer_encode(run->opened.tokenizer, text.data, text.length,
					  TOKENIZE_ADD_BOS, &run->tokens, err);
	buf_deinit(&text);
	if (status != SC_OK)
		return status;
	/* One chunk may be nothing but the text's beginning: a mean over it says little. */
	if (run->tokens.n < 2 * (size_t)length)
		return error_set(err, SC_E_INVALID,
				 "%s: the text has %zu tokens, but at least two chunks of %u are "
				 "needed. Give a longer text or a smaller -c",
				 run->config.text_file, run->tokens.n, length);
	run->n_chunks = (uint32_t)(run->tokens.n / length);
	if (run->config.n_chunks >= 0 && run->config.n_chunks < run->n_chunks)
		run->n_chunks = (uint32_t)run->config.n_chunks;
	if (!run->n_chunks)
		return error_set(err, SC_E_INVALID, "--chunks: expected 1 or more, or -1");
	for (uint32_t i = 0; tokenizer_adds_bos(run->opened.tokenizer) && i < run->n_chunks; i++)
		run->tokens.ids[(size_t)i * length] = tokenizer_bos(run->opened.tokenizer);
	return SC_OK;
}

static enum sc_status open_session(struct perplexity_run *run, struct error *err)
{
	struct config *config = &run->config;
	uint32_t n_jobs = config->stages + 1;

	if (n_jobs > MAX_JOBS)
		n_jobs = MAX_JOBS;
	/* A job draws one token, which needs its position. */
	report_length(&run->opened, config->chunk_length);
	config->context = config->chunk_length + 1;
	config->max_sequences = n_jobs;
	config->kv_positions = n_jobs * (config->context + config->block_length);
	return session_open(config, &run->opened, &run->session, err);
}

static enum sc_status submit_chunk(struct perplexity_run *run, struct error *err)
{
	const uint32_t length = run->config.chunk_length;
	const uint32_t slot = run->n_submitted % MAX_JOBS;
	const struct job_request request = {
		.prompt_tokens = run->tokens.ids + (size_t)run->n_submitted * length,
		.n_prompt_tokens = length,
		.max_tokens = 1,
		.ignore_end = true,
		.top_p = 1.0f,
		.score_from = perplexity_first_scored(length),
	};
	enum sc_status status = session_submit(run->session, &request, &run->jobs[slot], err);

	if (status == SC_OK)
		run->n_submitted++;
	return status;
}

static double seconds_since_start(const struct perplexity_run *run)
{
	return clock_seconds(clock_ns() - run->started_ns);
}

/* The time that is left follows from the tokens that were computed: chunks take long. */
static void show_progress(struct perplexity_run *run)
{
	double n_all = (double)run->n_chunks * run->config.chunk_length, n_done;
	uint64_t now_ns = clock_ns();
	struct coordinator_status status;
	char left[48] = "", so_far[80] = "";

	if (!progress_is_due(&run->progress, now_ns))
		return;
	engine_status(session_engine(run->session), &status);
	n_done = (double)(status.rows - run->first_row);
	if (run->n_done)
		snprintf(so_far, sizeof so_far, ", PPL %.4f after %u of %u chunks",
			 perplexity_value(&run->perplexity), run->n_done, run->n_chunks);
	if (n_done > 0)
		snprintf(left, sizeof left, ", about %.0f s left",
			 seconds_since_start(run) * (n_all - n_done) / n_done);
	progress_show(&run->progress, now_ns, "%.0f of %.0f tokens%s%s", n_done, n_all, left,
		      so_far);
}

static enum sc_status take_chunk(struct perplexity_run *run, struct error *err)
{
	struct job *job = run->jobs[run->n_done % MAX_JOBS];
	const float *scores;
	uint32_t n_scores;

	if (job_state(job) != JOB_DONE) {
		*err = *job_error(job);
		return err->status;
	}
	scores = job_prompt_scores(job, &n_scores);
	perplexity_add(&run->perplexity, scores, n_scores);
	session_forget(run->session, job);
	run->n_done++;
	return SC_OK;
}

static enum sc_status run_chunks(struct perplexity_run *run, struct error *err)
{
	struct coordinator_status before;
	enum sc_status status = SC_OK;

	run->started_ns = clock_ns();
	engine_status(session_engine(run->session), &before);
	run->first_row = before.rows;
	progress_begin(&run->progress, run->started_ns, PATIENCE_MS);
	while (status == SC_OK && run->n_done < run->n_chunks) {
		if (run->n_submitted < run->n_chunks &&
		    run->n_submitted - run->n_done < run->config.max_sequences)
			status = submit_chunk(run, err);
		else if (job_is_ended(run->jobs[run->n_done % MAX_JOBS]))
			status = take_chunk(run, err);
		else
			status = session_turn(run->session, err);
		show_progress(run);
	}
	progress_end(&run->progress);
	return status;
}

static enum sc_status print_result(const struct perplexity_run *run, struct error *err)
{
	double value = perplexity_value(&run->perplexity);
	double error = perplexity_error(&run->perplexity);
	double seconds = seconds_since_start(run);
	double n_tokens = (double)run->n_chunks * run->config.chunk_length;
	json_t *json;

	if (!run->config.is_json) {
		printf("PPL = %.4f +/- %.5f\n", value, error);
		if (!run->config.is_quiet)
			fprintf(stderr, "%.0f tokens in %.1f s, %.1f tokens/s\n", n_tokens, seconds,
				n_tokens / seconds);
		return SC_OK;
	}
	json = json_pack("{s:s, s:s, s:i, s:i, s:I, s:f, s:f, s:f}", "model",
			 run->opened.model->name, "file", run->config.model, "chunks",
			 (int)run->n_chunks, "chunk_tokens", (int)run->config.chunk_length,
			 "scored_tokens", (json_int_t)run->perplexity.n, "ppl", value, "ppl_error",
			 error, "seconds", seconds);
	if (!json)
		return error_set(err, SC_E_INVALID, "cannot write the result as JSON: the file "
				 "name \"%s\" is not UTF-8, or memory ran out", run->config.model);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return SC_OK;
}

static const char usage[] =
	"usage: stagecoach perplexity -m FILE -f TEXT [OPTION...]\n\n"
	"Measure the perplexity of a text: how well a model predicts it. The rules are those of\n"
	"llama-perplexity of llama.cpp. The result goes to standard output. Progress goes to\n"
	"standard error.\n";

static enum sc_status measure(struct perplexity_run *run, struct error *err)
{
	const struct model_choice choice = model_choice_of(&run->config);
	enum sc_status status;

	progress_init(&run->progress, run->config.is_quiet);
	status = opened_model_open(&run->opened, &choice, err);
	if (status != SC_OK)
		return status;
	report_ignored_keys(run->opened.model->gguf, run->config.ignored_keys);
	status = tokenize(run, err);
	if (status == SC_OK)
		status = open_session(run, err);
	if (status == SC_OK)
		status = run_chunks(run, err);
	if (status == SC_OK)
		status = print_result(run, err);
	return status;
}

static void clean_up(struct perplexity_run *run)
{
	session_close(run->session);
	token_list_deinit(&run->tokens);
	opened_model_close(&run->opened);
	config_deinit(&run->config);
}

int cmd_perplexity(int argc, char **argv)
{
	struct perplexity_run run = { .n_chunks = 0 };
	int exit_code = EXIT_SUCCESS;
	struct error err;

	if (!verb_begin(&run.config, PROGRAM_PERPLEXITY, usage, argc, argv, &exit_code))
		return exit_code;
	if (measure(&run, &err) != SC_OK) {
		if (err.status != SC_E_CANCELLED)
			report_error(&err);
		exit_code = session_exit_code(&err);
	} else {
		exit_code = report_flush();
	}
	clean_up(&run);
	return exit_code;
}
