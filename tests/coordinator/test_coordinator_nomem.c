/* SPDX-License-Identifier: Apache-2.0 */
/* Creating a coordinator, and submitting a job, with each allocation failing in turn: a clean
 * error, nothing is left behind, and what was there goes on. */
#include "coordinator/coordinator_private.h"

#include "tests/coordinator/stage_double.h"
#include "tests/model/failing_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct stage_double d;

static bool create_with_failure(long n)
{
	struct coordinator_config config = stage_double_config();
	const long n_before = failing_alloc_n_live();
	struct coordinator *coordinator;
	enum sc_status status;
	struct error err;

	config.loop = d.loop;
	config.fabrics = loopback_source(&d.port);
	failing_alloc_arm(n);
	status = coordinator_create(&config, &coordinator, &err);
	if (!failing_alloc_disarm()) {
		assert_int_equal(status, SC_OK);
		coordinator_destroy(coordinator);
	} else {
		assert_int_equal(status, SC_E_NOMEM);
		assert_int_equal(err.status, SC_E_NOMEM);
	}
	/* Timers and wake-ups are freed by the loop. */
	for (int i = 0; i < 3; i++)
		loop_turn(d.loop, false);
	assert_int_equal(failing_alloc_n_live(), n_before);
	return status == SC_OK;
}

static bool submit_with_failure(long n)
{
	static uint32_t n_prompt;
	static const char *const stops[] = { "stop", "halt" };
	static const uint32_t stop_tokens[] = { 1, 2 };
	static const struct token_bias biases[] = { { 5, 1 }, { 4, 1 } };
	struct job_request request = stage_double_request(9, 3);
	long n_before;
	enum sc_status status;
	struct job *job;
	struct error err;

	request.prompt_tokens = NULL;
	request.prompt = "To be, or not to be, that is the question";
	request.prompt_bytes = strlen(request.prompt);
	request.n_sequences = 2;
	request.stops = stops;
	request.n_stops = 2;
	request.hidden_open = "<";
	request.hidden_close = ">";
	request.stop_tokens = stop_tokens;
	request.n_stop_tokens = 2;
	request.min_tokens = 2;
	request.biases = biases;
	request.n_biases = 2;
	request.dry_multiplier = 1;
	request.dry_base = 2;
	request.dry_breakers = stops;
	request.n_dry_breakers = 2;
	request.wants_logprobs = true;
	request.n_top_logprobs = 3;
	if (!n_prompt) {
		job = stage_double_submit(&d, &request);
		n_prompt = job_n_prompt_tokens(job);
		peer_wait(d.loop, job_is_ended(job));
		job_release(job);
		return false;
	}
	n_before = failing_alloc_n_live();
	failing_alloc_arm(n);
	status = job_submit(d.coordinator, &request, &job, &err);
	if (!failing_alloc_disarm()) {
		assert_int_equal(status, SC_OK);
		peer_wait(d.loop, job_is_ended(job));
		assert_int_equal(job_state(job), JOB_DONE);
		assert_int_equal(job_n_prompt_tokens(job), n_prompt);
		job_release(job);
		return true;
	}
	if (status == SC_OK) {	/* some are only for speed */
		peer_wait(d.loop, job_is_ended(job));
		assert_int_equal(job_n_prompt_tokens(job), n_prompt);
		job_cancel(job);
		job_release(job);
		return false;
	}
	assert_int_equal(status, SC_E_NOMEM);
	assert_non_null(strstr(err.text, "memory"));
	assert_int_equal(failing_alloc_n_live(), n_before);
	return false;
}

static void every_allocation_of_a_coordinator_may_fail(void **state)
{
	struct coordinator_config config = stage_double_config();
	long n = 0;

	(void)state;
	if (!has_failing_alloc)
		skip();
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	coordinator_destroy(d.coordinator);
	d.coordinator = NULL;
	stage_double_run_for(&d, 20);
	while (!create_with_failure(n))
		n++;
	/* at least: itself, members, their table, pool, its memory, timers, wake-up */
	assert_true(n >= 7);
	stage_double_destroy(&d);
}

static void every_allocation_of_a_job_may_fail(void **state)
{
	struct coordinator_config config = stage_double_config();
	long n = -1;

	(void)state;
	if (!has_failing_alloc)
		skip();
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	while (!submit_with_failure(n))
		n++;
	/* at least: tokens, job, streams, stops, stop tokens, hidden parts, biases, bans, breakers,
	 * and of each stream tokens, blocks, output, likeliest tokens, text */
	assert_true(n >= 18);
	stage_double_destroy(&d);
}

/* A loss, with allocation n failing while the next epoch is formed. */
static bool replace_with_failure(long n)
{
	struct job_request request = stage_double_request(5, 20);
	uint32_t n_epochs = d.peer.epoch;
	struct job *job;
	struct error err;
	bool has_failed;

	d.peer.answers_steps = false;
	job = stage_double_submit(&d, &request);
	stage_double_run_for(&d, 1);
	d.peer.answers_steps = true;
	error_set(&err, SC_E_CLOSED, "the data link broke");
	failing_alloc_arm(n);
	coordinator_replace_epoch(d.coordinator, &err);
	has_failed = failing_alloc_disarm();
	peer_wait(d.loop, d.peer.epoch > n_epochs);
	peer_say_ready(&d.peer, d.peer.epoch);
	peer_wait(d.loop, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(job_output(job, 0)->n_tokens, 20);
	job_release(job);
	return !has_failed;
}

static void every_allocation_of_another_epoch_may_fail(void **state)
{
	struct coordinator_config config = stage_double_config();
	long n = 0;

	(void)state;
	if (!has_failing_alloc)
		skip();
	config.survives_losses = true;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	while (!replace_with_failure(n))
		n++;
	/* at least: workers, choice, plan, epoch, scheduler, frames, links, stages */
	assert_true(n >= 20);
	stage_double_destroy(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_of_a_coordinator_may_fail),
		cmocka_unit_test(every_allocation_of_a_job_may_fail),
		cmocka_unit_test(every_allocation_of_another_epoch_may_fail),
	};

	return cmocka_run_group_tests(tests, stage_double_open_model,
				      stage_double_close_model);
}
