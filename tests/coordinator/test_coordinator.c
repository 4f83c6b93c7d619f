/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's phases and its jobs' ends, when its stage, its clients or its owner behave
 * badly. */
#include "tests/coordinator/stage_double.h"
#include "tests/model/gguf_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* How long workers may take to leave. */
#define STOP_MS 3000

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

/* A watcher that submits again when its job has ended. */
struct stubborn {
	struct job_watcher watcher;
	struct job *job;
	enum sc_status again;
};

static void submit_again(void *arg, struct job *job)
{
	struct stubborn *stubborn = arg;
	struct job_request request = stage_double_request(3, 5);
	struct job *other;

	if (!job_is_ended(job))
		return;
	stubborn->again = job_submit(d.coordinator, &request, &other, &err);
	if (stubborn->again == SC_OK)
		job_release(other);
}

static void be_stubborn(struct stubborn *stubborn)
{
	struct job_request request = stage_double_request(3, 40);

	*stubborn = (struct stubborn){ .watcher = { .on_change = submit_again, .arg = stubborn } };
	d.peer.answers_steps = false;
	stubborn->job = stage_double_submit(&d, &request);
	job_watch(stubborn->job, &stubborn->watcher);
}

static void a_lost_stage_fails_jobs_and_refuses_those_that_come_then(void **state)
{
	struct stubborn stubborn;

	(void)state;
	be_stubborn(&stubborn);
	peer_hang_up(&d.peer);
	peer_wait(d.loop, d.phase == COORDINATOR_FAILED);
	assert_int_equal(job_state(stubborn.job), JOB_FAILED);
	assert_int_equal(job_error(stubborn.job)->status, SC_E_UNAVAILABLE);
	assert_non_null(strstr(job_error(stubborn.job)->text, "stage 1 (worker peer, host node-a"));
	assert_int_equal(stubborn.again, SC_E_UNAVAILABLE);
	assert_non_null(strstr(err.text, "stage 1 (worker peer, host node-a"));
	job_unwatch(stubborn.job, &stubborn.watcher);
	job_release(stubborn.job);
}

static void destroying_fails_jobs_and_takes_no_more(void **state)
{
	struct stubborn stubborn;

	(void)state;
	be_stubborn(&stubborn);
	coordinator_destroy(d.coordinator);
	d.coordinator = NULL;
	assert_int_equal(job_state(stubborn.job), JOB_FAILED);
	assert_int_equal(stubborn.again, SC_E_UNAVAILABLE);
	job_unwatch(stubborn.job, &stubborn.watcher);
	job_release(stubborn.job);
}

static void destroying_with_running_and_queued_jobs_leaves_nothing_behind(void **state)
{
	struct job_request request = stage_double_request(20, 40);

	(void)state;
	request.n_sequences = 3;
	for (int i = 0; i < 6; i++)
		job_release(stage_double_submit(&d, &request));
	stage_double_run_for(&d, 5);
}

static void a_step_that_the_stage_cannot_take_fails_the_cluster(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct job_request request = stage_double_request(60, 1);
	struct job *job;

	(void)state;
	/* Room for the first step, of one row, but not for the prompt. */
	stage_double_create(&d, &config, 256);
	stage_double_come_up(&d);
	job = stage_double_submit(&d, &request);
	peer_wait(d.loop, d.phase == COORDINATOR_FAILED);
	assert_int_equal(d.error.status, SC_E_TOO_LARGE);
	assert_non_null(strstr(d.error.text, "stage 1"));
	assert_int_equal(job_state(job), JOB_FAILED);
	job_release(job);
	stage_double_destroy(&d);
}

static void steps_that_are_let_go_late_only_delay(void **state)
{
	struct job_request request = stage_double_request(3, 40);
	struct job *job;

	(void)state;
	d.peer.holds_frames = true;
	job = stage_double_submit(&d, &request);
	stage_double_run_for(&d, 50);
	assert_false(job_is_ended(job));
	peer_release(&d.peer);
	peer_wait(d.loop, job_is_ended(job));
	assert_int_equal(job_output(job, 0)->n_tokens, 40);
	job_release(job);
}

static uint64_t steps_made(void)
{
	struct coordinator_status status;

	coordinator_status(d.coordinator, &status);
	return status.steps;
}

/* Two credits and a window of two: the third step is made once the first is answered, but cannot be
 * sent before the stage lets go of a frame. */
static void a_step_without_credit_is_kept_and_sent_with_the_next_credit(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct job_request request = stage_double_request(3, 40);
	struct job *job;
	unsigned n_stalls = 0;

	(void)state;
	config.heartbeat_ms = 60000;
	stage_double_create_narrow(&d, &config, 2);
	stage_double_come_up(&d);
	d.peer.holds_frames = true;
	job = stage_double_submit(&d, &request);
	while (!job_is_ended(job)) {
		uint32_t n_tokens;

		stage_double_run_for(&d, 5);
		n_tokens = job_output(job, 0)->n_tokens;
		stage_double_run_for(&d, 5);
		if (!job_is_ended(job)) {
			assert_int_equal(job_output(job, 0)->n_tokens, n_tokens);
			assert_int_equal(d.peer.n_held, 2);
			assert_int_equal(steps_made(), d.peer.n_steps + 1);
			n_stalls++;
		}
		peer_release(&d.peer);
		d.peer.holds_frames = true;
	}
	assert_true(n_stalls >= 15);
	assert_int_equal(job_output(job, 0)->n_tokens, 40);
	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(steps_made(), d.peer.n_steps);
	job_release(job);
	/* One that is never sent belongs to nobody else. */
	job = stage_double_submit(&d, &request);
	stage_double_run_for(&d, 5);
	job_release(job);
	stage_double_destroy(&d);
}

static void say_counters(uint64_t n_steps, uint64_t busy_ms)
{
	Stagecoach__Cluster__V1__StageCounters counters =
		STAGECOACH__CLUSTER__V1__STAGE_COUNTERS__INIT;
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	counters.steps = n_steps;
	counters.busy_ns = busy_ms * NS_PER_MS;
	heartbeat.epoch = 1;
	heartbeat.counters = &counters;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT;
	message.heartbeat = &heartbeat;
	peer_say(&d.peer, &message);
	stage_double_run_for(&d, 0);
}

/* Compares to a millionth. */
static void expect_bubble(double ratio)
{
	struct stage_status status;

	coordinator_stage_status(d.coordinator, 0, &status);
	assert_float_equal(status.bubble_ratio, ratio, 1e-6);
}

/* The answer of a stage to a step with the last row of the first slot. */
static void answer_step(uint64_t id, uint32_t position)
{
	struct token_record record = { .sequence = 0, .position = position, .token = 'x' };
	struct tokens tokens = { .step_id = id, .n_records = 1, .records = &record };
	uint64_t payload[8];

	tokens_encode(&tokens, payload);
	peer_send(&d.peer, 0, FRAME_TOKENS, 1, payload, tokens_bytes(&tokens));
	stage_double_run_for(&d, 0);
}

static void the_bubble_is_the_share_of_active_time_that_a_stage_was_idle(void **state)
{
	struct job_request request = stage_double_request(3, 1);

	(void)state;
	expect_bubble(0.0);
	d.peer.answers_steps = false;
	job_release(stage_double_submit(&d, &request));
	stage_double_run_for(&d, 100);
	expect_bubble(0.0);		/* the stage has told nothing yet */
	say_counters(2, 25);
	expect_bubble(0.75);
	stage_double_run_for(&d, 100);
	expect_bubble(0.875);
	answer_step(2, 3);
	/* Nothing is to do from now on: no stage idles. */
	stage_double_run_for(&d, 800);
	expect_bubble(0.875);
	job_release(stage_double_submit(&d, &request));
	stage_double_run_for(&d, 50);
	expect_bubble(0.9);
	answer_step(3, 3);
	stage_double_run_for(&d, 50);
	expect_bubble(0.9);
	say_counters(3, 300);
	expect_bubble(0.0);
}

static double bubble_seconds(void)
{
	struct stage_status status;

	coordinator_stage_status(d.coordinator, 0, &status);
	return status.bubble_seconds;
}

static void the_time_of_a_bubble_never_goes_back(void **state)
{
	struct job_request request = stage_double_request(3, 1);

	(void)state;
	d.peer.answers_steps = false;
	job_release(stage_double_submit(&d, &request));
	stage_double_run_for(&d, 100);
	assert_true(bubble_seconds() == 0.0);
	say_counters(2, 25);
	assert_float_equal(bubble_seconds(), 0.075, 1e-6);
	stage_double_run_for(&d, 100);
	say_counters(2, 195);	/* it had computed since */
	assert_float_equal(bubble_seconds(), 0.075, 1e-6);
	stage_double_run_for(&d, 100);
	say_counters(2, 195);
	assert_float_equal(bubble_seconds(), 0.105, 1e-6);
	answer_step(2, 3);
	stage_double_run_for(&d, 800);
	say_counters(2, 195);
	assert_float_equal(bubble_seconds(), 0.105, 1e-6);
}

/* The answer to a step of prompt rows, none of which gives a token. */
static void answer_prompt_step(uint64_t id)
{
	struct tokens tokens = { .step_id = id };
	uint64_t payload[8];

	tokens_encode(&tokens, payload);
	peer_send(&d.peer, 0, FRAME_TOKENS, 1, payload, tokens_bytes(&tokens));
	stage_double_run_for(&d, 0);
}

/* Steps of 16 rows, two of them in flight. */
static void a_prompt_is_as_far_as_its_steps_were_answered(void **state)
{
	struct job_request request = stage_double_request(40, 2);
	struct job *job;

	(void)state;
	d.peer.answers_steps = false;
	job = stage_double_submit(&d, &request);
	stage_double_run_for(&d, 10);
	assert_int_equal(d.peer.n_steps, 1 + 2);	/* the first one was the probe's */
	assert_int_equal(job_prompt_done(job), 0);
	answer_prompt_step(2);
	assert_int_equal(job_prompt_done(job), 16);
	answer_prompt_step(3);
	assert_int_equal(job_prompt_done(job), 32);
	answer_step(4, 40);
	assert_int_equal(job_output(job, 0)->n_tokens, 1);
	assert_int_equal(job_prompt_done(job), 40);
	answer_step(5, 41);
	assert_true(job_is_ended(job));
	assert_int_equal(job_prompt_done(job), 40);
	job_release(job);
}

static void draining_while_stages_load_stops_them(void **state)
{
	struct coordinator_config config = stage_double_config();

	(void)state;
	stage_double_create(&d, &config, 0);
	d.drain_at = COORDINATOR_LOADING;
	peer_say_hello(&d.peer, CONTROL_PROTOCOL_VERSION, config.model->fingerprint);
	peer_wait(d.loop, d.peer.n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP]);
	peer_hang_up(&d.peer);
	peer_wait(d.loop, d.phase >= COORDINATOR_STOPPED);
	assert_int_equal(d.phase, COORDINATOR_STOPPED);
	stage_double_destroy(&d);
}

static void a_hung_stage_does_not_hold_up_a_drain(void **state)
{
	struct job_request request = stage_double_request(3, 40);
	uint64_t started_ns = manual_clock_ns(d.clock);
	struct job *job;

	(void)state;
	d.peer.answers_steps = false;
	job = stage_double_submit(&d, &request);
	coordinator_drain(d.coordinator, 50);
	assert_int_equal(d.phase, COORDINATOR_DRAINING);
	peer_wait(d.loop, d.phase == COORDINATOR_STOPPED);
	assert_int_equal(job_state(job), JOB_FAILED);
	assert_int_equal(job_error(job)->status, SC_E_UNAVAILABLE);
	assert_int_equal((manual_clock_ns(d.clock) - started_ns) / NS_PER_MS, 50 + STOP_MS);
	job_release(job);
}

static void a_drain_ends_with_the_last_job_when_that_is_cancelled(void **state)
{
	struct job_request request = stage_double_request(3, 40);
	struct job *job;

	(void)state;
	d.peer.answers_steps = false;
	job = stage_double_submit(&d, &request);
	coordinator_drain(d.coordinator, 60000);
	stage_double_run_for(&d, 20);
	assert_int_equal(d.peer.n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP], 0);
	job_cancel(job);
	job_release(job);
	peer_wait(d.loop, d.peer.n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP]);
}

static void a_cancelled_job_makes_room_without_waiting_for_its_tokens(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct job_request request = stage_double_request(3, 40);
	struct job *first, *second;

	(void)state;
	config.max_sequences = 1;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	d.peer.answers_steps = false;
	first = stage_double_submit(&d, &request);
	second = stage_double_submit(&d, &request);
	stage_double_run_for(&d, 10);
	assert_int_equal(job_state(second), JOB_QUEUED);
	job_cancel(first);
	stage_double_run_for(&d, 20);
	assert_int_equal(job_state(second), JOB_RUNNING);
	job_release(first);
	job_release(second);
	stage_double_destroy(&d);
}

static void a_deadline_beyond_the_end_of_time_is_none(void **state)
{
	static const uint64_t far[] = { UINT64_MAX, UINT64_MAX / NS_PER_MS, UINT64_C(1) << 60,
					UINT64_MAX / NS_PER_MS + 1 };
	struct job_request request = stage_double_request(3, 5);

	(void)state;
	for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
		struct job *job;

		request.deadline_ms = far[i];
		job = stage_double_submit(&d, &request);
		peer_wait(d.loop, job_is_ended(job));
		assert_int_equal(job_state(job), JOB_DONE);
		job_release(job);
	}
}

static void deadlines_pass_in_their_own_order(void **state)
{
	struct job_request request = stage_double_request(3, 40);
	struct job *late, *none, *early;

	(void)state;
	d.peer.answers_steps = false;
	request.deadline_ms = 300;
	late = stage_double_submit(&d, &request);
	request.deadline_ms = 0;
	none = stage_double_submit(&d, &request);
	request.deadline_ms = 30;
	early = stage_double_submit(&d, &request);
	stage_double_run_for(&d, 29);
	assert_false(job_is_ended(early));
	stage_double_run_for(&d, 1);
	assert_true(job_is_ended(early));
	assert_int_equal(job_error(early)->status, SC_E_DEADLINE);
	assert_string_equal(job_error(early)->text, "cancelled: the time limit of 0.03 s expired");
	stage_double_run_for(&d, 269);
	assert_false(job_is_ended(late));
	stage_double_run_for(&d, 1);
	assert_true(job_is_ended(late));
	assert_int_equal(job_error(late)->status, SC_E_DEADLINE);
	assert_string_equal(job_error(late)->text, "cancelled: the time limit of 0.3 s expired");
	assert_false(job_is_ended(none));
	job_release(early);
	job_release(late);
	job_release(none);
}

static void tokens_that_answer_another_step_fail_the_cluster(void **state)
{
	struct job_request request = stage_double_request(3, 40);
	struct token_record record = { .sequence = 0, .position = 3, .token = 'x' };
	struct tokens tokens = { .step_id = 99, .n_records = 1, .records = &record };
	uint64_t payload[8];
	struct job *job;

	(void)state;
	d.peer.answers_steps = false;
	job = stage_double_submit(&d, &request);
	tokens_encode(&tokens, payload);
	peer_send(&d.peer, 0, FRAME_TOKENS, 1, payload, tokens_bytes(&tokens));
	peer_wait(d.loop, d.phase == COORDINATOR_FAILED);
	assert_int_equal(d.error.status, SC_E_PROTOCOL);
	assert_non_null(strstr(d.error.text, "step 99"));
	assert_int_equal(job_state(job), JOB_FAILED);
	job_release(job);
}

/* A cluster of its own, whose stage says that n tensors of the model have NaN or infinity. */
static void start_with_faults_in(const struct model *model, uint32_t position,
				 const char *not_finite, uint32_t n)
{
	struct coordinator_config config = stage_double_config();

	config.model = model;
	stage_double_create(&d, &config, 0);
	d.peer.fault = TOKEN_FAULT_NAN;
	d.peer.fault_position = position;
	d.peer.n_not_finite = n;
	snprintf(d.peer.not_finite, sizeof d.peer.not_finite, "%s", not_finite);
	stage_double_come_up(&d);
}

static void start_with_faults_at(uint32_t position, const char *not_finite, uint32_t n)
{
	start_with_faults_in(stage_double_config().model, position, not_finite, n);
}

/* One of two files, with a tensor of this name. */
static void write_shard(const char *path, uint32_t no, const char *tensor)
{
	const float values[1] = { 1 };
	struct buf bytes = BUF_INIT;
	struct gguf_writer w;
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	gguf_writer_init(&w);
	gguf_writer_u32(&w, "split.no", no);
	gguf_writer_u32(&w, "split.count", 2);
	gguf_writer_u32(&w, "split.tensors.count", 2);
	gguf_writer_floats(&w, tensor, TENSOR_F32, 1, 1, values);
	gguf_writer_finish(&w, &bytes);
	assert_int_equal(fwrite(bytes.data, 1, bytes.length, file), bytes.length);
	assert_int_equal(fclose(file), 0);
	gguf_writer_deinit(&w);
	buf_deinit(&bytes);
}

static void the_file_of_a_tensor_is_named(void **state)
{
	char directory[] = "/tmp/stagecoach-test-XXXXXX", first[64], second[64], expected[128];
	struct job_request request = stage_double_request(3, 40);
	struct model split = *stage_double_config().model;
	struct job *job;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(first, sizeof first, "%s/m-00001-of-00002.gguf", directory);
	snprintf(second, sizeof second, "%s/m-00002-of-00002.gguf", directory);
	write_shard(first, 0, "good");
	write_shard(second, 1, "spoilt");
	if (gguf_open(first, &split.gguf, &err) != SC_OK)
		fail_msg("%s", err.text);
	start_with_faults_in(&split, 9, "spoilt", 1);
	job = stage_double_submit(&d, &request);
	peer_wait(d.loop, job_is_ended(job));
	snprintf(expected, sizeof expected, "NaN or infinity in spoilt of %s", second);
	assert_non_null(strstr(job_error(job)->text, expected));
	job_release(job);
	stage_double_destroy(&d);
	gguf_close(split.gguf);
	unlink(first);
	unlink(second);
	rmdir(directory);
}

static void logits_that_are_not_finite_fail_their_job_alone(void **state)
{
	struct job_request spoilt_request = stage_double_request(3, 40);
	struct job_request good_request = stage_double_request(12, 40);
	struct coordinator_status status;
	struct job *spoilt, *good;

	(void)state;
	start_with_faults_at(9, "blk.1.ffn_down.weight", 3);
	good = stage_double_submit(&d, &good_request);
	spoilt_request.n_sequences = 2;
	spoilt = stage_double_submit(&d, &spoilt_request);
	peer_wait(d.loop, job_is_ended(spoilt));
	assert_int_equal(job_state(spoilt), JOB_FAILED);
	assert_int_equal(job_error(spoilt)->status, SC_E_NUMERIC);
	assert_string_equal(job_error(spoilt)->text,
			    "sequence 0: the logit of token 106 at position 9 is NaN; stage 1 has "
			    "NaN or infinity in blk.1.ffn_down.weight of tiny and 2 more tensors");
	/* What was there before stays, of both sequences. */
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(job_output(spoilt, i)->n_tokens, 6);
		assert_int_equal(job_output(spoilt, i)->finish, FINISH_ERROR);
	}
	peer_wait(d.loop, job_is_ended(good));
	assert_int_equal(job_state(good), JOB_DONE);
	assert_int_equal(job_output(good, 0)->n_tokens, 40);
	assert_int_equal(d.phase, COORDINATOR_READY);
	coordinator_status(d.coordinator, &status);
	assert_int_equal(status.n_blocks_free, status.n_blocks);
	assert_int_equal(status.jobs_by_state[JOB_FAILED], 1);
	job_release(good);
	job_release(spoilt);
	stage_double_destroy(&d);
}

/* The first step's token may be the only one that is spoilt. */
static void a_first_step_without_numbers_is_no_reason_to_end(void **state)
{
	struct job_request request = stage_double_request(3, 5);
	struct job *job;

	(void)state;
	start_with_faults_at(1, "", 0);
	assert_int_equal(d.phase, COORDINATOR_READY);
	job = stage_double_submit(&d, &request);
	peer_wait(d.loop, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	job_release(job);
	request = stage_double_request(1, 5);
	d.peer.fault_position = 2;
	job = stage_double_submit(&d, &request);
	peer_wait(d.loop, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_FAILED);
	assert_non_null(strstr(job_error(job)->text, "the logit of token 99 at position 2 is NaN; "
			       "all weights are finite, so a value overflowed"));
	job_release(job);
	stage_double_destroy(&d);
}

static void limits_that_no_step_can_mean_are_refused_at_once(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct coordinator *coordinator;

	(void)state;
	config.loop = d.loop;
	config.fabrics = loopback_source(&d.port);
	config.max_rows = 1u << 20;
	assert_int_equal(coordinator_create(&config, &coordinator, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "max_rows"));
}

/* Say Hello with so much memory; the plan that comes of it, or NULL. */
static const struct plan *plan_with(const struct coordinator_config *config, uint64_t memory_bytes)
{
	struct coordinator_status status;

	stage_double_create(&d, config, 0);
	coordinator_status(d.coordinator, &status);
	assert_int_equal(status.n_blocks, 0);	/* nobody knows yet */
	d.peer.memory_bytes = memory_bytes;
	peer_say_hello(&d.peer, CONTROL_PROTOCOL_VERSION, config->model->fingerprint);
	peer_wait(d.loop, d.n_phases);
	return d.phase == COORDINATOR_LOADING ? coordinator_plan(d.coordinator) : NULL;
}

static const struct plan *plan_within(uint64_t memory_bytes, bool is_context_fixed)
{
	struct coordinator_config config = stage_double_config();

	config.kv_positions = 0;
	config.is_context_fixed = is_context_fixed;
	return plan_with(&config, memory_bytes);
}

/* tests/coordinator/test_pool.c has all the cases. */
static void pool_and_context_are_what_memory_holds(void **state)
{
	const struct coordinator_config config = stage_double_config();
	const uint64_t plenty = UINT64_C(1) << 40;
	const struct plan_stage *stage = &plan_within(plenty, false)->stages[0];
	uint64_t kv_bytes = stage->kv_bytes;
	uint64_t other_bytes = stage->weight_bytes + stage->work_bytes;
	struct coordinator_status status;

	(void)state;
	coordinator_status(d.coordinator, &status);
	assert_int_equal(status.n_blocks * status.block_length,
			 config.max_sequences * config.max_context);
	stage_double_destroy(&d);
	/* Half of that is for the pool. */
	stage = &plan_within(other_bytes + kv_bytes, false)->stages[0];
	assert_in_range(stage->kv_bytes, kv_bytes / 2, kv_bytes / 2 + kv_bytes / 20);
	coordinator_status(d.coordinator, &status);
	assert_int_equal(status.max_context, config.max_context);
	stage_double_destroy(&d);
	/* Not even one context: nobody is asked to load. */
	assert_null(plan_within(other_bytes - 4096, true));
	assert_int_equal(d.phase, COORDINATOR_FAILED);
	assert_int_equal(d.error.status, SC_E_CAPACITY);
	assert_non_null(strstr(d.error.text, "stage 1 needs"));
	stage_double_run_for(&d, 20);
	assert_int_equal(d.peer.n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN], 0);
	stage_double_destroy(&d);
}

static void the_limit_of_a_context_that_memory_cuts_is_told(void **state)
{
	struct coordinator_config config = stage_double_config();
	const struct plan_stage *stage;
	struct coordinator_status status;
	uint64_t other_bytes, kv_bytes;

	(void)state;
	config.kv_positions = 0;
	config.is_context_fixed = false;
	config.max_context = 4096;
	stage = &plan_with(&config, UINT64_C(1) << 40)->stages[0];
	other_bytes = stage->weight_bytes + stage->work_bytes;
	kv_bytes = stage->kv_bytes / config.max_sequences;	/* of one context */
	assert_int_equal(coordinator_limits(d.coordinator)->value[LIMIT_CONTEXT], 4096);
	stage_double_destroy(&d);
	/* The pool takes half of what the weights leave: a quarter of one context. */
	assert_non_null(plan_with(&config, other_bytes + kv_bytes / 2));
	coordinator_status(d.coordinator, &status);
	assert_in_range(status.max_context, 512, 2048);
	assert_int_equal(coordinator_limits(d.coordinator)->value[LIMIT_CONTEXT],
			 status.max_context);
	stage_double_destroy(&d);
}

static void a_stage_that_comes_back_ready_twice_changes_nothing(void **state)
{
	unsigned n_phases = d.n_phases;

	(void)state;
	peer_say_ready(&d.peer, 1);
	peer_say_hello(&d.peer, CONTROL_PROTOCOL_VERSION, 1);
	stage_double_run_for(&d, 20);
	assert_int_equal(d.n_phases, n_phases);
}

static void the_longest_turn_is_told(void **state)
{
	struct coordinator_status status;

	(void)state;
	coordinator_status(d.coordinator, &status);
	assert_true(status.longest_turn_ns > 0);
	assert_int_equal(status.longest_turn_ns, loop_longest_turn_ns(d.loop));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(a_lost_stage_fails_jobs_and_refuses_those_that_come_then),
		TEST(destroying_fails_jobs_and_takes_no_more),
		TEST(destroying_with_running_and_queued_jobs_leaves_nothing_behind),
		cmocka_unit_test(a_step_that_the_stage_cannot_take_fails_the_cluster),
		TEST(steps_that_are_let_go_late_only_delay),
		cmocka_unit_test(a_step_without_credit_is_kept_and_sent_with_the_next_credit),
		TEST(the_bubble_is_the_share_of_active_time_that_a_stage_was_idle),
		TEST(the_time_of_a_bubble_never_goes_back),
		TEST(a_prompt_is_as_far_as_its_steps_were_answered),
		cmocka_unit_test(draining_while_stages_load_stops_them),
		TEST(a_hung_stage_does_not_hold_up_a_drain),
		TEST(a_drain_ends_with_the_last_job_when_that_is_cancelled),
		cmocka_unit_test(a_cancelled_job_makes_room_without_waiting_for_its_tokens),
		TEST(a_deadline_beyond_the_end_of_time_is_none),
		TEST(deadlines_pass_in_their_own_order),
		TEST(tokens_that_answer_another_step_fail_the_cluster),
		cmocka_unit_test(logits_that_are_not_finite_fail_their_job_alone),
		cmocka_unit_test(the_file_of_a_tensor_is_named),
		cmocka_unit_test(a_first_step_without_numbers_is_no_reason_to_end),
		TEST(limits_that_no_step_can_mean_are_refused_at_once),
		cmocka_unit_test(pool_and_context_are_what_memory_holds),
		cmocka_unit_test(the_limit_of_a_context_that_memory_cuts_is_told),
		TEST(a_stage_that_comes_back_ready_twice_changes_nothing),
		TEST(the_longest_turn_is_told),
	};
#undef TEST

	return cmocka_run_group_tests(tests, stage_double_open_model,
				      stage_double_close_model);
}
