/* SPDX-License-Identifier: Apache-2.0 */
/* Losing an epoch in every phase, and what jobs, clients and status see of it. */
#include "coordinator/coordinator_private.h"

#include "tests/coordinator/stage_double.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct stage_double d;
static struct error err;

static int start(void **state)
{
	struct coordinator_config config = stage_double_config();

	(void)state;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	stage_double_destroy(&d);
	return 0;
}

static void lose(void)
{
	struct error lost;

	error_set(&lost, SC_E_CLOSED, "stage 1: connection reset");
	coordinator_lose_epoch(d.coordinator, &lost);
}

/* The worker that was lost comes back. */
static void begin(void)
{
	if (coordinator_begin_epoch(d.coordinator, 1, &err) != SC_OK)
		fail_msg("%s", err.text);
	stage_double_run_for(&d, 1);
}

static void say_ready(void)
{
	peer_say_ready(&d.peer, d.coordinator->n_epochs);
	stage_double_run_for(&d, 1);
}

static void recover(void)
{
	begin();
	say_ready();
	/* The next loss may have come in the same turn. */
	peer_wait(d.loop, !d.coordinator->epoch || d.coordinator->epoch->state == EPOCH_RUNNING);
}

static struct coordinator_status status_now(void)
{
	struct coordinator_status status;

	coordinator_status(d.coordinator, &status);
	return status;
}

/* The stage_double's letters, by position alone. */
static void expect_tokens(const struct job *job, uint32_t n_prompt, uint32_t n_tokens)
{
	const struct output *output = job_output(job, 0);

	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(output->n_tokens, n_tokens);
	for (uint32_t i = 0; i < n_tokens; i++)
		assert_int_equal(output->tokens[i].id, 'a' + (n_prompt + i) % 26);
}

static struct job *submit(uint32_t n_prompt, uint32_t n_tokens)
{
	struct job_request request = stage_double_request(n_prompt, n_tokens);

	return stage_double_submit(&d, &request);
}

static void expect_end(struct job *job, uint32_t n_prompt, uint32_t n_tokens)
{
	peer_wait(d.loop, job_is_ended(job));
	expect_tokens(job, n_prompt, n_tokens);
	job_release(job);
}

static void the_table_allows_these_transitions_and_no_others(void **state)
{
	static const char *const expected[COORDINATOR_N_PHASES] = {
		/* from: to C L P R r D S F */
		[COORDINATOR_CONNECTING] = ".L...D.F",
		[COORDINATOR_LOADING]    = "..P.rD.F",
		[COORDINATOR_PROBING]    = "...RrD.F",
		[COORDINATOR_READY]      = "....rD.F",
		[COORDINATOR_RECOVERING] = "...R.D.F",
		[COORDINATOR_DRAINING]   = "......SF",
		[COORDINATOR_STOPPED]    = "........",
		[COORDINATOR_FAILED]     = "........",
	};

	(void)state;
	for (unsigned from = 0; from < COORDINATOR_N_PHASES; from++)
		for (unsigned to = 0; to < COORDINATOR_N_PHASES; to++)
			assert_int_equal(coordinator_may_become(from, to),
					 expected[from][to] != '.');
}

/* The stage answers a step at once. So a watcher of the job, who is called between the answer to
 * one step and that to the next, loses the epoch. */
struct saboteur {
	struct job_watcher watcher;
	uint32_t n_tokens;
	bool is_done;
};

static void sabotage(void *arg, struct job *job)
{
	struct saboteur *saboteur = arg;

	if (saboteur->is_done || job_output(job, 0)->n_tokens < saboteur->n_tokens)
		return;
	saboteur->is_done = true;
	lose();
}

/* Loses the epoch when the job has so many tokens, with a step in flight. */
static void lose_at(struct job *job, uint32_t n_tokens)
{
	struct saboteur saboteur = { .n_tokens = n_tokens };

	saboteur.watcher = (struct job_watcher){ .on_change = sabotage, .arg = &saboteur };
	job_watch(job, &saboteur.watcher);
	if (job_output(job, 0)->n_tokens >= n_tokens)
		sabotage(&saboteur, job);
	peer_wait(d.loop, saboteur.is_done);
	job_unwatch(job, &saboteur.watcher);
	assert_false(job_is_ended(job));
}

static void a_job_goes_on_with_the_same_tokens_after_each_of_many_losses(void **state)
{
	struct saboteur saboteur = { .n_tokens = 1 };
	struct job *job;

	(void)state;
	saboteur.watcher = (struct job_watcher){ .on_change = sabotage, .arg = &saboteur };
	job = submit(7, 40);
	job_watch(job, &saboteur.watcher);
	for (unsigned i = 1; i <= 30; i++) {
		peer_wait(d.loop, saboteur.is_done);
		assert_int_equal(d.phase, COORDINATOR_RECOVERING);
		assert_null(coordinator_plan(d.coordinator));
		assert_int_equal(job_output(job, 0)->n_tokens, saboteur.n_tokens);
		saboteur.n_tokens = i + 1;
		saboteur.is_done = i == 30;
		assert_int_equal(status_now().epoch, i);
		assert_int_equal(status_now().recoveries, i);
		recover();
	}
	job_unwatch(job, &saboteur.watcher);
	expect_end(job, 7, 40);
}

/* LongRoPE: which factors a sequence has follows from how long it may become. */
static void a_sequence_that_may_become_long_is_so_after_a_loss(void **state)
{
	struct model *model = (struct model *)(uintptr_t)stage_double_config().model;
	struct job *job;

	(void)state;
	model->hparams.long_from = 12;
	for (uint32_t n_new = 4; n_new <= 6; n_new++) {
		d.peer.n_started = d.peer.n_long = 0;
		job = submit(7, n_new);
		lose_at(job, 2);
		recover();
		expect_end(job, 7, n_new);
		assert_int_equal(d.peer.n_started, 3);	/* one was the probe */
		assert_int_equal(d.peer.n_long, n_new == 6 ? 2 : 0);
	}
	model->hparams.long_from = 0;
}

static void a_loss_at_any_token_changes_none(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 20; n++) {
		struct job *job = submit(5, 20);

		lose_at(job, n);
		assert_int_equal(job_output(job, 0)->n_tokens, n);
		recover();
		expect_end(job, 5, 20);
	}
}

static void tokens_of_a_lost_epoch_are_dropped(void **state)
{
	struct token_record record = { .sequence = 0, .position = 3, .token = 'x' };
	struct tokens tokens = { .step_id = 2, .n_records = 1, .records = &record };
	uint64_t payload[8];
	struct job *job;

	(void)state;
	d.peer.answers_steps = false;
	job = submit(3, 5);
	stage_double_run_for(&d, 5);
	lose();
	tokens_encode(&tokens, payload);
	peer_send(&d.peer, 0, FRAME_TOKENS, 1, payload, tokens_bytes(&tokens));
	stage_double_run_for(&d, 5);
	assert_int_equal(job_output(job, 0)->n_tokens, 0);
	begin();
	peer_send(&d.peer, 0, FRAME_TOKENS, 1, payload, tokens_bytes(&tokens));
	stage_double_run_for(&d, 5);
	assert_int_equal(job_output(job, 0)->n_tokens, 0);
	assert_int_equal(d.phase, COORDINATOR_RECOVERING);
	d.peer.answers_steps = true;
	say_ready();
	expect_end(job, 3, 5);
}

static void jobs_may_come_and_go_between_two_epochs(void **state)
{
	struct job *old, *cancelled, *new, *late;
	struct job_request request = stage_double_request(3, 5);

	(void)state;
	d.peer.answers_steps = false;
	old = submit(3, 5);
	cancelled = submit(4, 5);
	stage_double_run_for(&d, 1);
	lose();
	new = submit(6, 5);
	request.deadline_ms = 50;
	late = stage_double_submit(&d, &request);
	assert_int_equal(job_state(new), JOB_QUEUED);
	job_cancel(cancelled);
	stage_double_run_for(&d, 49);
	assert_int_equal(job_state(cancelled), JOB_CANCELLED);
	assert_false(job_is_ended(late));
	stage_double_run_for(&d, 1);
	assert_int_equal(job_error(late)->status, SC_E_DEADLINE);
	assert_int_equal(status_now().jobs_queued + status_now().jobs_running, 2);
	d.peer.answers_steps = true;
	recover();
	expect_end(old, 3, 5);
	expect_end(new, 6, 5);
	job_release(cancelled);
	job_release(late);
}

static void status_says_what_there_is_between_two_epochs(void **state)
{
	struct coordinator_status before = status_now(), status;
	struct stage_status stage;

	(void)state;
	assert_null(before.last_loss);
	assert_int_equal(before.lost_ms_ago, 0);
	assert_int_equal(before.epoch, 1);
	assert_int_equal(before.n_blocks, 64);
	lose();
	stage_double_run_for(&d, 30);
	status = status_now();
	assert_int_equal(status.phase, COORDINATOR_RECOVERING);
	assert_string_equal(status.last_loss, "stage 1: connection reset");
	assert_int_equal(status.lost_ms_ago, 30);
	assert_int_equal(status.recoveries, 1);
	assert_int_equal(status.n_blocks, 0);
	assert_int_equal(status.max_context, before.max_context);
	assert_int_equal(coordinator_max_context(d.coordinator), before.max_context);
	assert_int_equal(status.steps, before.steps);
	assert_int_equal(status.rows, before.rows);
	coordinator_stage_status(d.coordinator, 0, &stage);
	assert_int_equal(stage.n_layers, 0);
	recover();
	status = status_now();
	assert_int_equal(status.epoch, 2);
	assert_int_equal(status.n_blocks, 64);
	assert_int_equal(status.steps, before.steps + 1);	/* the probe's */
}

/* In the way of test_coordinator: Hello was said, the stage loads. */
static void start_loading(void)
{
	struct coordinator_config config = stage_double_config();

	stage_double_create(&d, &config, 0);
	peer_say_hello(&d.peer, CONTROL_PROTOCOL_VERSION, config.model->fingerprint);
	peer_wait(d.loop, d.phase == COORDINATOR_LOADING);
}

static void an_epoch_may_be_lost_while_it_loads_or_probes(void **state)
{
	(void)state;
	start_loading();
	lose();
	assert_int_equal(d.phase, COORDINATOR_RECOVERING);
	recover();
	assert_int_equal(d.phase, COORDINATOR_READY);
	stage_double_destroy(&d);

	start_loading();
	d.peer.answers_steps = false;
	say_ready();
	assert_int_equal(d.phase, COORDINATOR_PROBING);
	lose();
	assert_int_equal(d.phase, COORDINATOR_RECOVERING);
	d.peer.answers_steps = true;
	recover();
	assert_int_equal(d.phase, COORDINATOR_READY);
	assert_int_equal(status_now().recoveries, 0);	/* none had run */
	expect_end(submit(3, 5), 3, 5);
	stage_double_destroy(&d);
}

static void a_second_loss_while_recovering_only_takes_another_epoch(void **state)
{
	struct job *job;

	(void)state;
	job = submit(9, 30);
	lose_at(job, 3);
	lose();				/* without an epoch */
	begin();
	lose();				/* loading */
	begin();
	d.peer.answers_steps = false;
	say_ready();
	assert_int_equal(d.coordinator->epoch->state, EPOCH_PROBING);
	lose();
	assert_int_equal(d.phase, COORDINATOR_RECOVERING);
	assert_int_equal(job_output(job, 0)->n_tokens, 3);
	d.peer.answers_steps = true;
	recover();
	expect_end(job, 9, 30);
	assert_int_equal(status_now().epoch, 4);
}

static void an_epoch_may_be_lost_and_remade_while_draining(void **state)
{
	struct job_request request = stage_double_request(3, 2);
	struct job *job, *other;

	(void)state;
	d.peer.answers_steps = false;
	job = submit(5, 20);
	stage_double_run_for(&d, 1);
	coordinator_drain(d.coordinator, 60000);
	lose();
	d.peer.answers_steps = true;
	assert_int_equal(d.phase, COORDINATOR_DRAINING);
	assert_int_equal(job_submit(d.coordinator, &request, &other, &err), SC_E_UNAVAILABLE);
	recover();
	assert_int_equal(d.phase, COORDINATOR_DRAINING);
	expect_end(job, 5, 20);
	peer_wait(d.loop, d.peer.n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP]);
	peer_hang_up(&d.peer);
	peer_wait(d.loop, d.phase == COORDINATOR_STOPPED);
}

static void a_drain_without_an_epoch_ends_at_its_time_limit(void **state)
{
	struct job *job;

	(void)state;
	job = submit(5, 40);
	lose_at(job, 2);
	coordinator_drain(d.coordinator, 100);
	assert_int_equal(d.phase, COORDINATOR_DRAINING);
	stage_double_run_for(&d, 99);
	assert_false(job_is_ended(job));
	peer_wait(d.loop, d.phase == COORDINATOR_STOPPED);
	assert_int_equal(job_state(job), JOB_FAILED);
	job_release(job);
}

static void nothing_is_lost_after_the_end(void **state)
{
	struct job *job;

	(void)state;
	job = submit(5, 40);
	lose_at(job, 2);
	error_set(&err, SC_E_UNAVAILABLE, "no worker is left");
	coordinator_abort(d.coordinator, &err);
	assert_int_equal(d.phase, COORDINATOR_FAILED);
	assert_int_equal(job_state(job), JOB_FAILED);
	assert_string_equal(job_error(job)->text, "no worker is left");
	lose();
	assert_int_equal(d.phase, COORDINATOR_FAILED);
	assert_int_equal(status_now().recoveries, 1);
	job_release(job);
}

static void a_job_that_ends_while_it_waits_has_overcome_nothing(void **state)
{
	struct job *job;

	(void)state;
	d.peer.answers_steps = false;
	job = submit(5, 20);
	stage_double_run_for(&d, 1);
	lose();
	job_cancel(job);
	assert_false(job_recovery(job).is_under_way);
	assert_int_equal(job_recovery(job).n_losses, 1);
	assert_int_equal(job_recovery(job).n_overcome, 0);
	job_release(job);
}

/* What a watcher saw of its job's recovery. */
struct witness {
	struct job_watcher watcher;
	uint32_t n_losses;
	unsigned n_recovered;
	bool was_under_way;
	char reason[ERROR_TEXT_MAX];
};

static void witness_change(void *arg, struct job *job)
{
	struct witness *witness = arg;
	struct job_recovery recovery = job_recovery(job);

	if (recovery.n_losses > witness->n_losses)
		snprintf(witness->reason, sizeof witness->reason, "%s", recovery.reason);
	witness->n_losses = recovery.n_losses;
	witness->n_recovered += witness->was_under_way && !recovery.is_under_way;
	witness->was_under_way = recovery.is_under_way;
}

static void watch(struct witness *witness, struct job *job)
{
	*witness = (struct witness){ .watcher = { .on_change = witness_change, .arg = witness } };
	job_watch(job, &witness->watcher);
}

static void watchers_learn_of_a_loss_and_of_its_end(void **state)
{
	struct witness old, new;
	struct job *job, *late;

	(void)state;
	d.peer.answers_steps = false;
	job = submit(5, 20);
	watch(&old, job);
	assert_int_equal(job_recovery(job).n_losses, 0);
	assert_string_equal(job_recovery(job).reason, "");
	stage_double_run_for(&d, 1);
	lose();
	stage_double_run_for(&d, 1);
	late = submit(6, 5);
	watch(&new, late);
	assert_true(job_recovery(late).is_under_way);
	assert_int_equal(job_recovery(late).lost_epoch, 1);
	stage_double_run_for(&d, 1);
	assert_int_equal(old.n_losses, 1);
	assert_true(old.was_under_way);
	assert_string_equal(old.reason, "stage 1: connection reset");
	begin();
	lose();
	stage_double_run_for(&d, 1);
	assert_int_equal(old.n_losses, 2);
	assert_int_equal(old.n_recovered, 0);
	assert_int_equal(job_recovery(job).n_overcome, 0);
	assert_int_equal(job_recovery(job).lost_epoch, 2);
	assert_int_equal(job_recovery(job).epoch, 0);
	d.peer.answers_steps = true;
	recover();
	peer_wait(d.loop, job_is_ended(job) && job_is_ended(late));
	stage_double_run_for(&d, 1);
	assert_int_equal(old.n_recovered, 1);
	assert_int_equal(new.n_recovered, 1);
	assert_int_equal(new.n_losses, 2);
	assert_false(job_recovery(job).is_under_way);
	assert_int_equal(job_recovery(job).n_overcome, 2);
	assert_int_equal(job_recovery(job).epoch, 3);
	/* From the first of two losses in a row on; the late job came after it. */
	assert_true(job_recovery(job).waited_ns > job_recovery(late).waited_ns);
	assert_true(job_recovery(late).waited_ns > 0);
	job_unwatch(job, &old.watcher);
	job_unwatch(late, &new.watcher);
	expect_end(job, 5, 20);
	expect_end(late, 6, 5);
	late = submit(6, 5);
	assert_int_equal(job_recovery(late).n_losses, 0);
	expect_end(late, 6, 5);
}

/* The stage answers nothing but the probe. */
static void recover_silently(void)
{
	struct token_record record = { .sequence = 0, .position = 1, .token = 'x' };
	struct tokens tokens = { .step_id = 1, .n_records = 1, .records = &record };
	uint64_t payload[8];

	d.peer.answers_steps = false;
	begin();
	say_ready();
	tokens_encode(&tokens, payload);
	peer_send(&d.peer, 0, FRAME_TOKENS, d.coordinator->n_epochs, payload, tokens_bytes(&tokens));
	stage_double_run_for(&d, 1);
	assert_int_equal(d.coordinator->epoch->state, EPOCH_RUNNING);
}

static bool is_in_flight(const struct job *job)
{
	return job->streams[0].sequence.state == SEQUENCE_IN_FLIGHT;
}

/* At two losses both are in flight. So then they run one at a time. */
static void a_sequence_that_ends_stages_is_found_and_fails_alone(void **state)
{
	struct job *culprit, *innocent, *late;

	(void)state;
	/* They come between two epochs, so that both are in its first step of jobs. */
	lose();
	culprit = submit(5, 20);
	innocent = submit(6, 20);
	recover_silently();
	assert_true(is_in_flight(culprit) && is_in_flight(innocent));
	lose();
	recover_silently();
	assert_true(is_in_flight(culprit) && is_in_flight(innocent));
	lose();
	recover_silently();
	late = submit(7, 20);
	stage_double_run_for(&d, 5);
	assert_true(is_in_flight(culprit));
	assert_false(is_in_flight(innocent) || is_in_flight(late));
	assert_true(job_recovery(innocent).is_under_way && job_recovery(late).is_under_way);
	lose();
	assert_int_equal(job_state(culprit), JOB_FAILED);
	assert_int_equal(job_error(culprit)->status, SC_E_INTERNAL);
	assert_string_equal(job_error(culprit)->text,
			    "sequence 0 was in flight at 3 losses in a row, and may be their "
			    "cause: stage 1: connection reset");
	recover_silently();
	assert_true(is_in_flight(innocent));
	assert_false(is_in_flight(late));
	/* Its token shows that it is no culprit: all others follow. */
	d.peer.answers_steps = true;
	lose();
	assert_int_equal(job_state(innocent), JOB_FAILED);	/* one loss too many */
	recover();
	expect_end(late, 7, 20);
	job_release(culprit);
	job_release(innocent);
}

static void a_suspect_that_draws_a_token_is_cleared_and_others_follow(void **state)
{
	struct job *first, *second, *late;

	(void)state;
	lose();
	first = submit(5, 20);
	second = submit(6, 20);
	recover_silently();
	lose();
	recover_silently();
	lose();
	late = submit(7, 20);
	d.peer.answers_steps = true;
	recover();
	expect_end(first, 5, 20);
	expect_end(second, 6, 20);
	expect_end(late, 7, 20);
	assert_null(d.coordinator->suspect);
	assert_false(d.coordinator->jobs.is_recovering);
}

static void others_follow_when_a_suspect_is_cancelled(void **state)
{
	struct job *first, *second;

	(void)state;
	d.peer.answers_steps = false;
	first = submit(5, 20);
	stage_double_run_for(&d, 1);
	lose();
	recover_silently();
	lose();
	recover_silently();
	second = submit(6, 20);
	stage_double_run_for(&d, 1);
	assert_true(is_in_flight(first));
	assert_false(is_in_flight(second));
	job_cancel(first);
	stage_double_run_for(&d, 1);
	assert_true(is_in_flight(second));
	job_release(first);
	job_release(second);
}

/* The next epoch's worker has less memory, so that a context is shorter. */
static void start_with_memory(uint64_t memory_bytes)
{
	struct coordinator_config config = stage_double_config();

	config.kv_positions = 0;
	config.is_context_fixed = false;
	config.max_context = 4096;
	config.max_sequences = 2;
	stage_double_create(&d, &config, 0);
	d.peer.limits.max_context = 4096;
	d.peer.limits.max_blocks[0] = 4096;
	d.peer.limits.table_blocks[0] = 1024;
	d.peer.memory_bytes = memory_bytes;
	stage_double_come_up(&d);
}

static void shrink(uint64_t memory_bytes)
{
	struct member *member = (struct member *)members_get(d.coordinator->members, 0);

	member->hello.memory_bytes = memory_bytes;
}

static void a_sequence_longer_than_a_smaller_pool_ends_with_an_error_and_others_go_on(void **state)
{
	struct job *too_long, *at_last, *short_one;
	struct coordinator_status status;
	const struct plan_stage *stage;
	uint64_t memory_bytes;

	(void)state;
	start_with_memory(UINT64_C(1) << 40);
	stage = &d.coordinator->epoch->plan->stages[0];
	memory_bytes = stage->weight_bytes + stage->work_bytes +
		       2 * 700 * (stage->kv_bytes / 2 / 4096);
	d.peer.answers_steps = false;
	too_long = submit(1000, 2000);
	at_last = submit(500, JOB_UNLIMITED);
	short_one = submit(5, 20);
	stage_double_run_for(&d, 5);
	lose();
	shrink(memory_bytes);
	d.peer.answers_steps = true;
	begin();
	status = status_now();
	assert_in_range(status.max_context, 512, 1000);
	say_ready();
	stage_double_run_for(&d, 1);
	assert_int_equal(job_state(too_long), JOB_FAILED);
	assert_int_equal(job_error(too_long)->status, SC_E_CAPACITY);
	assert_non_null(strstr(job_error(too_long)->text, "1000 tokens"));
	expect_end(short_one, 5, 20);
	peer_wait(d.loop, job_is_ended(at_last));
	assert_int_equal(job_state(at_last), JOB_FAILED);
	assert_int_equal(job_output(at_last, 0)->n_tokens, status.max_context - 500);
	assert_int_equal(job_error(at_last)->status, SC_E_CAPACITY);
	job_release(too_long);
	job_release(at_last);
	stage_double_destroy(&d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_allows_these_transitions_and_no_others),
		TEST(a_job_goes_on_with_the_same_tokens_after_each_of_many_losses),
		TEST(a_loss_at_any_token_changes_none),
		TEST(a_sequence_that_may_become_long_is_so_after_a_loss),
		TEST(tokens_of_a_lost_epoch_are_dropped),
		TEST(jobs_may_come_and_go_between_two_epochs),
		TEST(status_says_what_there_is_between_two_epochs),
		cmocka_unit_test(an_epoch_may_be_lost_while_it_loads_or_probes),
		TEST(a_second_loss_while_recovering_only_takes_another_epoch),
		TEST(an_epoch_may_be_lost_and_remade_while_draining),
		TEST(a_drain_without_an_epoch_ends_at_its_time_limit),
		TEST(nothing_is_lost_after_the_end),
		TEST(watchers_learn_of_a_loss_and_of_its_end),
		TEST(a_job_that_ends_while_it_waits_has_overcome_nothing),
		TEST(a_sequence_that_ends_stages_is_found_and_fails_alone),
		TEST(a_suspect_that_draws_a_token_is_cleared_and_others_follow),
		TEST(others_follow_when_a_suspect_is_cancelled),
		cmocka_unit_test(
			a_sequence_longer_than_a_smaller_pool_ends_with_an_error_and_others_go_on),
	};
#undef TEST

	return cmocka_run_group_tests(tests, stage_double_open_model, stage_double_close_model);
}
