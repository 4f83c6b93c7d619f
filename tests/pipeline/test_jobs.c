/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to jobs: their states, their ends, and what they leave behind. */
#include "tests/pipeline/rig.h"
#include "tests/sanitizer.h"

#include "event/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct rig rig;
static struct error err;

static int start(void **state)
{
	struct rig_options options = rig_defaults;

	(void)state;
	options.max_sequences = 4;
	options.max_queue = 4;
	rig_start(&rig, &options);
	return rig.phase != COORDINATOR_READY;
}

static int stop(void **state)
{
	(void)state;
	rig_stop(&rig);
	rig_free_logits(&rig);
	return 0;
}

/* The same pipeline with little room for jobs, until start_again. */
static void start_small(void)
{
	struct rig_options options = rig_defaults;

	options.max_job_bytes = 16 << 10;
	stop(NULL);
	rig_start(&rig, &options);
}

static void start_again(void)
{
	stop(NULL);
	start(NULL);
}

static struct job_request greedy(const char *prompt, uint32_t max_tokens)
{
	return (struct job_request){
		.prompt = prompt,
		.prompt_bytes = strlen(prompt),
		.max_tokens = max_tokens,
		.ignore_end = true,
		.top_p = 1.0f,
	};
}

static struct job *submit(const struct job_request *request)
{
	struct job *job;

	if (engine_submit(rig.engine, request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	return job;
}

static void all_blocks_are_free(void)
{
	struct coordinator_status status;

	engine_status(rig.engine, &status);
	assert_int_equal(status.n_blocks_free, status.n_blocks);
	assert_int_equal(status.jobs_running, 0);
	assert_int_equal(status.jobs_queued, 0);
}

static void a_job_ends_at_its_limit_and_can_be_found_later(void **state)
{
	struct job_request request = greedy("To be", 10);
	struct job *job = submit(&request), *found;

	(void)state;
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(job_output(job, 0)->n_tokens, 10);
	assert_int_equal(job_output(job, 0)->finish, FINISH_LENGTH);
	assert_int_equal(engine_find(rig.engine, job_id(job), &found, &err), SC_OK);
	assert_ptr_equal(found, job);
	job_release(found);
	job_release(job);
	assert_int_equal(engine_find(rig.engine, "job-nothing", &found, &err), SC_E_NOT_FOUND);
	all_blocks_are_free();
}

static void a_job_without_new_tokens_reads_its_prompt(void **state)
{
	struct job_request request = greedy("To be", 0);
	struct job *job = submit(&request);
	struct coordinator_status status;

	(void)state;
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(job_output(job, 0)->n_tokens, 0);
	assert_int_equal(job_output(job, 0)->text.length, 0);
	assert_int_equal(job_output(job, 0)->finish, FINISH_LENGTH);
	assert_true(job_times(job).first_token_ms);
	engine_status(rig.engine, &status);
	assert_true(status.prompt_tokens >= job_n_prompt_tokens(job));
	job_release(job);
	all_blocks_are_free();
}

static void a_job_says_that_the_context_is_full(void **state)
{
	const uint32_t context = engine_max_context(rig.engine);
	struct job_request request = greedy("To be", JOB_UNLIMITED);
	struct job *job = submit(&request);
	uint32_t room = context - job_n_prompt_tokens(job);

	(void)state;
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_output(job, 0)->n_tokens, room);
	assert_int_equal(job_output(job, 0)->finish, FINISH_CONTEXT);
	job_release(job);
	for (uint32_t extra = 0; extra < 2; extra++) {
		request.max_tokens = room + extra;
		job = submit(&request);
		rig_wait(&rig, job_is_ended(job));
		assert_int_equal(job_output(job, 0)->n_tokens, room);
		assert_int_equal(job_output(job, 0)->finish,
				 extra ? FINISH_CONTEXT : FINISH_LENGTH);
		job_release(job);
	}
	all_blocks_are_free();
}

static void a_prompt_of_two_bos_is_warned_of(void **state)
{
	static const uint32_t twice[] = { TINY_BOS, TINY_BOS, 'a' };
	struct job_request request = greedy("a", 1);
	struct job *job = submit(&request);

	(void)state;
	assert_null(job_warning(job));
	job_cancel(job);
	job_release(job);
	request.prompt = NULL;
	request.prompt_tokens = twice;
	request.n_prompt_tokens = 3;
	job = submit(&request);
	assert_non_null(strstr(job_warning(job), "two BOS tokens"));
	job_cancel(job);
	job_release(job);
}

static void log_probabilities_come_when_asked_for(void **state)
{
	struct job_request request = greedy("To be", 10);
	struct job *jobs[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		request.wants_logprobs = i;
		jobs[i] = submit(&request);
		rig_wait(&rig, job_is_ended(jobs[i]));
		assert_int_equal(job_output(jobs[i], 0)->has_logprobs, i);
	}
	for (unsigned i = 0; i < 10; i++) {
		const struct output_token *without = &job_output(jobs[0], 0)->tokens[i];
		const struct output_token *with = &job_output(jobs[1], 0)->tokens[i];

		assert_int_equal(without->id, with->id);
		assert_true(without->logprob == 0);
		assert_true(with->logprob < 0);
	}
	job_release(jobs[0]);
	job_release(jobs[1]);
}

static void a_cancelled_job_frees_its_blocks_and_slot(void **state)
{
	struct job_request request = greedy("or not to be", 200);
	struct job *job = submit(&request);

	(void)state;
	rig_wait(&rig, job_output(job, 0)->n_tokens >= 3);
	job_cancel(job);
	assert_int_equal(job_state(job), JOB_CANCELLED);
	assert_int_equal(job_error(job)->status, SC_E_CANCELLED);
	assert_int_equal(job_output(job, 0)->finish, FINISH_CANCELLED);
	job_cancel(job);
	job_release(job);
	all_blocks_are_free();
	/* The steps in flight come back without harm. */
	request = greedy("that is", 5);
	job = submit(&request);
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	job_release(job);
}

static void several_sequences_of_a_job_draw_differently(void **state)
{
	struct job_request request = greedy("the question", 12);
	struct job *job;

	(void)state;
	request.n_sequences = 3;
	request.temperature = 1.5f;
	request.seed = 7;
	job = submit(&request);
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_n_outputs(job), 3);
	assert_memory_not_equal(job_output(job, 0)->tokens, job_output(job, 1)->tokens,
				12 * sizeof(struct output_token));
	assert_memory_not_equal(job_output(job, 1)->tokens, job_output(job, 2)->tokens,
				12 * sizeof(struct output_token));
	job_release(job);
}

/* Called after each step, however many steps a turn of the loop handles. */
static void note_partly_done(void *arg, struct job *job)
{
	bool *is_partly_done = arg;
	unsigned n_finished = 0;

	for (uint32_t i = 0; i < 8; i++)
		n_finished += job_output(job, i)->finish != FINISH_NONE;
	assert_int_equal(job_is_ended(job), n_finished == 8);
	*is_partly_done |= n_finished > 0 && n_finished < 8;
}

/* Eight sequences share four slots, so some begin when others have ended. */
static void a_job_ends_with_the_last_of_its_sequences(void **state)
{
	struct job_request request = greedy("the question", 12);
	bool is_partly_done = false;
	struct job_watcher watcher = { .on_change = note_partly_done, .arg = &is_partly_done };
	struct job *job;

	(void)state;
	request.n_sequences = 8;
	request.temperature = 1.5f;
	request.seed = 7;
	job = submit(&request);
	job_watch(job, &watcher);
	rig_wait(&rig, job_is_ended(job));
	job_unwatch(job, &watcher);
	assert_true(is_partly_done);
	assert_int_equal(job_state(job), JOB_DONE);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(job_output(job, i)->n_tokens, 12);
		assert_int_equal(job_output(job, i)->finish, FINISH_LENGTH);
	}
	job_release(job);
	all_blocks_are_free();
}

static uint64_t steps_made(void)
{
	struct coordinator_status status;

	engine_status(rig.engine, &status);
	return status.steps;
}

/* Four slots. Steps are counted, not seconds. */
static void a_short_job_does_not_wait_for_a_large_one_of_another_client(void **state)
{
	struct job_request large = greedy("the heart-ache", 200), brief = greedy("and", 3);
	struct job *large_job, *jobs[3];
	uint64_t first;

	(void)state;
	large.client = 1;
	large.n_sequences = 64;
	large_job = submit(&large);
	rig_wait(&rig, job_output(large_job, 0)->n_tokens > 20);
	first = steps_made();
	for (unsigned i = 0; i < 3; i++) {
		brief.client = 2 + i;
		jobs[i] = submit(&brief);
	}
	for (unsigned i = 0; i < 3; i++) {
		rig_wait(&rig, job_is_ended(jobs[i]));
		assert_int_equal(job_state(jobs[i]), JOB_DONE);
		assert_int_equal(job_output(jobs[i], 0)->n_tokens, 3);
		job_release(jobs[i]);
	}
	/* The large one needs 200 steps for each sixteenth of its sequences. */
	assert_in_range(steps_made() - first, 3, 60);
	assert_false(job_is_ended(large_job));
	job_cancel(large_job);
	job_release(large_job);
	all_blocks_are_free();
}

static void output_ends_before_a_stop_string(void **state)
{
	struct job_request request = greedy("Whether", 40);
	struct job *job = submit(&request);
	const struct output *output;
	const char *stop;
	char stop_text[8];
	size_t at;

	(void)state;
	rig_wait(&rig, job_is_ended(job));
	output = job_output(job, 0);
	/* Any three bytes from the middle of what it says; the first place where they appear. */
	at = output->text.length / 2;
	memcpy(stop_text, output->text.data + at, 3);
	stop_text[3] = '\0';
	stop = stop_text;
	at = (size_t)(strstr(output->text.data, stop) - output->text.data);
	request.stops = &stop;
	request.n_stops = 1;
	struct job *stopped = submit(&request);
	rig_wait(&rig, job_is_ended(stopped));
	assert_int_equal(job_output(stopped, 0)->finish, FINISH_STOP);
	assert_int_equal(job_output(stopped, 0)->text.length, at);
	assert_memory_equal(job_output(stopped, 0)->text.data, output->text.data, at);
	job_release(stopped);
	job_release(job);
	all_blocks_are_free();
}

static uint64_t n_refused(enum limit limit)
{
	return engine_limits(rig.engine)->n[limit];
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

/* The counters of all stages, as a status right behind the job's end shows them. */
static void expect_all_steps_counted(void)
{
	bool is_current = false;
	struct counters_wait wait = { .on_current = note, .arg = &is_current };
	struct coordinator_status all;
	struct stage_status stage;

	engine_status(rig.engine, &all);
	engine_await_counters(rig.engine, &wait);
	rig_wait(&rig, is_current);
	for (unsigned i = 0; i < all.n_stages; i++) {
		engine_stage_status(rig.engine, i, &stage);
		assert_true(stage.steps >= all.steps - all.steps_in_flight);
		assert_true(stage.rows >= all.rows);
	}
}

static void a_status_after_a_job_counts_all_of_its_steps(void **state)
{
	struct job_request request = greedy("to die", 30);

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct job *job = submit(&request);

		rig_wait(&rig, job_is_ended(job));
		expect_all_steps_counted();
		job_release(job);
	}
}

static void a_full_queue_refuses_more(void **state)
{
	struct job_request request = greedy("tis nobler", 30);
	struct job *jobs[8], *extra;

	(void)state;
	for (int i = 0; i < 8; i++)
		jobs[i] = submit(&request);
	assert_int_equal(engine_submit(rig.engine, &request, &extra, &err), SC_E_OVERLOADED);
	assert_int_equal(n_refused(LIMIT_QUEUE), 1);
	for (int i = 0; i < 8; i++) {
		rig_wait(&rig, job_is_ended(jobs[i]));
		assert_int_equal(job_state(jobs[i]), JOB_DONE);
		job_release(jobs[i]);
	}
	all_blocks_are_free();
}

static void a_deadline_cancels(void **state)
{
	struct job_request request = greedy("in the mind", JOB_UNLIMITED);
	struct job *job;

	(void)state;
	request.deadline_ms = 1;
	job = submit(&request);
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_CANCELLED);
	assert_int_equal(job_error(job)->status, SC_E_DEADLINE);
	job_release(job);
}

static void count(void *arg, struct job *job)
{
	(void)job;
	++*(unsigned *)arg;
}

static void an_attached_job_ends_with_its_last_watcher(void **state)
{
	struct job_request request = greedy("to suffer", 200);
	unsigned n_calls = 0, n_other = 0;
	struct job_watcher watcher = { .on_change = count, .arg = &n_calls };
	struct job_watcher other = { .on_change = count, .arg = &n_other };
	struct job *job;

	(void)state;
	request.is_attached = true;
	job = submit(&request);
	job_watch(job, &watcher);
	job_watch(job, &other);
	rig_wait(&rig, n_calls >= 3);
	job_unwatch(job, &watcher);
	assert_false(job_is_ended(job));
	rig_wait(&rig, n_other >= n_calls + 2);
	job_unwatch(job, &other);
	assert_int_equal(job_state(job), JOB_CANCELLED);
	job_release(job);
	all_blocks_are_free();
}

static void bad_requests_name_the_field(void **state)
{
	static const char *const empty_stop[] = { "" };
	static char long_text[JOB_MAX_STOP_BYTES + 2];
	const char *const long_stop[] = { long_text };
	struct job_request request = greedy("x", 1);
	uint32_t foreign = 1u << 30;
	struct job *job;

	memset(long_text, 'x', JOB_MAX_STOP_BYTES + 1);
	(void)state;
	request.temperature = -1.0f;
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "temperature"));
	request = greedy("x", 1);
	request.top_p = 0.0f;
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "top_p"));
	request = greedy("x", 1);
	request.stops = empty_stop;
	request.n_stops = 1;
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "stop"));
	assert_int_equal(n_refused(LIMIT_STOP_BYTES), 0);
	request.stops = long_stop;
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_INVALID);
	assert_int_equal(n_refused(LIMIT_STOP_BYTES), 1);
	request.n_stops = JOB_MAX_STOPS + 1;
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_INVALID);
	assert_int_equal(n_refused(LIMIT_STOPS), 1);
	request = greedy("x", 1);
	request.prompt_tokens = &foreign;
	request.n_prompt_tokens = 1;
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "prompt"));
	request = greedy("x", 1);
	request.n_sequences = JOB_MAX_SEQUENCES + 1;
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_INVALID);
	assert_int_equal(n_refused(LIMIT_SEQUENCES), 1);
}

static void a_prompt_as_long_as_the_context_is_refused(void **state)
{
	static char prompt[100000];
	struct job_request request;
	struct job *job;

	(void)state;
	memset(prompt, 'x', sizeof prompt - 1);
	request = greedy(prompt, 1);
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_TOO_LARGE);
	assert_int_equal(n_refused(LIMIT_CONTEXT), 1);
}

static void draining_lets_jobs_end_and_takes_no_new_ones(void **state)
{
	struct job_request request = greedy("slings", 20);
	struct job *job, *late;
	struct rig own;

	(void)state;
	rig_start(&own, &rig_defaults);
	assert_int_equal(engine_submit(own.engine, &request, &job, &err), SC_OK);
	engine_drain(own.engine, 60000);
	assert_int_equal(engine_submit(own.engine, &request, &late, &err), SC_E_UNAVAILABLE);
	rig_wait(&own, own.phase == COORDINATOR_STOPPED);
	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(job_output(job, 0)->n_tokens, 20);
	job_release(job);
	rig_stop(&own);
	rig_free_logits(&own);
}

static void counters_add_up(void **state)
{
	struct coordinator_status status;
	struct stage_status first, last;
	struct rig own;
	struct job_request request = greedy("arrows", 20);
	struct job *job;

	(void)state;
	rig_start(&own, &rig_defaults);
	assert_int_equal(engine_submit(own.engine, &request, &job, &err), SC_OK);
	rig_wait(&own, job_is_ended(job));
	/* The next heartbeat brings the counters. */
	rig_wait(&own, (engine_stage_status(own.engine, 1, &last), last.rows > 20));
	engine_status(own.engine, &status);
	engine_stage_status(own.engine, 0, &first);
	assert_int_equal(status.generated_tokens, 20);
	assert_int_equal(status.prompt_tokens, job_n_prompt_tokens(job));
	/* The probe's row, the prompt's, and one for each token but the last. */
	assert_int_equal(status.rows, 1 + status.prompt_tokens + 19);
	assert_int_equal(first.n_layers + last.n_layers, 8);
	assert_true(last.busy_seconds > 0.0);
	assert_true(last.bubble_ratio >= 0.0 && last.bubble_ratio <= 1.0);
	job_release(job);
	rig_stop(&own);
	rig_free_logits(&own);
}

static uint64_t metric_count(const struct metrics *metrics, enum metric metric)
{
	return histogram_count(&metrics->histograms[metric]);
}

/* One job of two sequences, one that is cancelled while it runs, one without output. */
static void metrics_add_up(void **state)
{
	struct job_request request = greedy("slings", 20);
	const struct metrics *metrics;
	struct coordinator_status status;
	struct job *jobs[3];
	uint32_t n_prompt;
	struct rig own;

	(void)state;
	rig_start(&own, &rig_defaults);
	metrics = engine_metrics(own.engine);
	request.n_sequences = 2;
	assert_int_equal(engine_submit(own.engine, &request, &jobs[0], &err), SC_OK);
	request.n_sequences = 1;
	request.max_tokens = 0;
	assert_int_equal(engine_submit(own.engine, &request, &jobs[1], &err), SC_OK);
	request.max_tokens = JOB_UNLIMITED;
	assert_int_equal(engine_submit(own.engine, &request, &jobs[2], &err), SC_OK);
	engine_status(own.engine, &status);
	assert_int_equal(status.sequences_running + status.sequences_waiting, 4);
	rig_wait(&own, job_is_ended(jobs[0]) && job_is_ended(jobs[1]));
	rig_wait(&own, job_output(jobs[2], 0)->n_tokens);
	job_cancel(jobs[2]);
	n_prompt = job_n_prompt_tokens(jobs[0]);
	engine_status(own.engine, &status);
	assert_int_equal(status.sequences_running + status.sequences_waiting, 0);
	assert_true(status.active_ns > 0);
	assert_int_equal(metrics->n_submitted, 4);
	assert_int_equal(metrics->n_ended, 4);
	assert_int_equal(metrics->by_finish[FINISH_LENGTH], 3);
	assert_int_equal(metrics->by_finish[FINISH_CANCELLED], 1);
	assert_int_equal(metrics->prompt_tokens, 4 * n_prompt);
	assert_int_equal(metrics->output_tokens, status.generated_tokens);
	assert_int_equal(metric_count(metrics, METRIC_FIRST_TOKEN), 4);
	assert_int_equal(metric_count(metrics, METRIC_INTER_TOKEN),
			 2 * 19 + job_output(jobs[2], 0)->n_tokens - 1);
	assert_int_equal(metric_count(metrics, METRIC_LATENCY), 3);
	assert_true(metrics->histograms[METRIC_OUTPUT_TOKENS].sum == 40);
	assert_int_equal(metric_count(metrics, METRIC_N), 2);
	/* All steps but the probe, and all their rows. */
	assert_int_equal(metric_count(metrics, METRIC_STEP_ROWS), metrics->n_steps);
	assert_true(metrics->histograms[METRIC_STEP_ROWS].sum == (double)status.rows - 1);
	for (int i = 0; i < 3; i++)
		job_release(jobs[i]);
	rig_stop(&own);
	rig_free_logits(&own);
}

static void an_old_job_that_runs_is_listed_before_newer_ones_that_do_not(void **state)
{
	struct job_request request = greedy("x", 400);
	struct job *old = submit(&request), *new = submit(&request), *listed[2];

	(void)state;
	job_cancel(new);
	assert_int_equal(engine_list(rig.engine, ~0u, listed, 1), 1);
	assert_ptr_equal(listed[0], new);
	assert_int_equal(engine_list(rig.engine, 1u << JOB_QUEUED | 1u << JOB_RUNNING, listed,
				  1), 1);
	assert_ptr_equal(listed[0], old);
	assert_true(engine_list(rig.engine, 1u << JOB_FAILED, listed, 2) == 0);
	job_cancel(old);
	job_release(old);
	job_release(new);
}

/* One job of 400 tokens fits in 16 KiB, two do not, nor does what it leaves beside a larger one. */
static void jobs_share_a_limit_of_memory_and_ended_ones_give_way(void **state)
{
	struct job_request small = greedy("x", 400), large = greedy("x", 600), huge = small;
	struct job *first, *second, *found;
	char id[JOB_ID_MAX];

	(void)state;
	start_small();
	huge.n_sequences = 64;
	assert_int_equal(engine_submit(rig.engine, &huge, &second, &err), SC_E_TOO_LARGE);
	first = submit(&small);
	assert_int_equal(engine_submit(rig.engine, &small, &second, &err), SC_E_OVERLOADED);
	rig_wait(&rig, job_is_ended(first));
	/* Somebody may still read it, so it stays. */
	assert_int_equal(engine_submit(rig.engine, &large, &second, &err), SC_E_OVERLOADED);
	assert_int_equal(job_output(first, 0)->n_tokens, 400);
	strcpy(id, job_id(first));
	job_release(first);
	second = submit(&large);
	assert_int_equal(engine_find(rig.engine, id, &found, &err), SC_E_NOT_FOUND);
	assert_int_equal(n_refused(LIMIT_JOB_MEMORY), 3);
	assert_int_equal(n_refused(LIMIT_KEPT_JOBS), 1);
	job_cancel(second);
	job_release(second);
	start_again();
}

/* While they run there is room for one; cancelled and held, three are next to nothing. */
static void an_ended_job_holds_no_more_than_its_output(void **state)
{
	struct job_request request = greedy("x", 400);
	struct job *jobs[3];

	(void)state;
	start_small();
	for (int i = 0; i < 3; i++) {
		jobs[i] = submit(&request);
		job_cancel(jobs[i]);
		assert_int_equal(job_state(jobs[i]), JOB_CANCELLED);
	}
	for (int i = 0; i < 3; i++)
		job_release(jobs[i]);
	start_again();
}

static int stop_and_close(void **state)
{
	stop(state);
	rig_model_close();
	return 0;
}

/* 32 sequences that fill their contexts, in a pool that was chosen by memory. */
static void with_memory_for_them_32_contexts_run_without_preemption(void **state)
{
	struct rig_options options = rig_defaults;
	struct job_request request = greedy("To be", HAS_TSAN ? 20 : 0);
	struct coordinator_status status;
	struct job *job;

	(void)state;
	options.max_sequences = 32;
	options.memory_bytes = 1 << 30;
	stop(NULL);
	rig_start(&rig, &options);
	request.n_sequences = 32;
	job = submit(&request);
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	engine_status(rig.engine, &status);
	assert_int_equal(status.preemptions, 0);
	assert_true((uint64_t)status.n_blocks * status.block_length >= 32ull * status.max_context);
	job_release(job);
	all_blocks_are_free();
	start_again();
}

static void a_model_of_endless_context_opens_with_what_memory_holds(void **state)
{
	struct rig_options options = rig_defaults;
	struct job_request request = greedy("To be", 5);
	struct tiny_model tiny = tiny_llama;
	struct job *job;

	(void)state;
	options.memory_bytes = 32 << 20;
	tiny.n_context = 10485760;
	stop(NULL);
	rig_use_model(&tiny);
	rig_start(&rig, &options);
	assert_int_equal(rig.phase, COORDINATOR_READY);
	assert_in_range(engine_max_context(rig.engine), 10000, 1000000);
	job = submit(&request);
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_output(job, 0)->n_tokens, 5);
	job_release(job);
	stop(NULL);
	rig_model_close();
	start(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_ends_at_its_limit_and_can_be_found_later),
		cmocka_unit_test(a_job_without_new_tokens_reads_its_prompt),
		cmocka_unit_test(a_job_says_that_the_context_is_full),
		cmocka_unit_test(a_prompt_of_two_bos_is_warned_of),
		cmocka_unit_test(log_probabilities_come_when_asked_for),
		cmocka_unit_test(a_cancelled_job_frees_its_blocks_and_slot),
		cmocka_unit_test(several_sequences_of_a_job_draw_differently),
		cmocka_unit_test(a_job_ends_with_the_last_of_its_sequences),
		cmocka_unit_test(a_short_job_does_not_wait_for_a_large_one_of_another_client),
		cmocka_unit_test(output_ends_before_a_stop_string),
		cmocka_unit_test(a_status_after_a_job_counts_all_of_its_steps),
		cmocka_unit_test(a_full_queue_refuses_more),
		cmocka_unit_test(a_deadline_cancels),
		cmocka_unit_test(an_attached_job_ends_with_its_last_watcher),
		cmocka_unit_test(bad_requests_name_the_field),
		cmocka_unit_test(a_prompt_as_long_as_the_context_is_refused),
		cmocka_unit_test(draining_lets_jobs_end_and_takes_no_new_ones),
		cmocka_unit_test(counters_add_up),
		cmocka_unit_test(metrics_add_up),
		cmocka_unit_test(an_old_job_that_runs_is_listed_before_newer_ones_that_do_not),
		cmocka_unit_test(jobs_share_a_limit_of_memory_and_ended_ones_give_way),
		cmocka_unit_test(an_ended_job_holds_no_more_than_its_output),
		cmocka_unit_test(with_memory_for_them_32_contexts_run_without_preemption),
		cmocka_unit_test(a_model_of_endless_context_opens_with_what_memory_holds),
	};

	return cmocka_run_group_tests(tests, start, stop_and_close);
}
