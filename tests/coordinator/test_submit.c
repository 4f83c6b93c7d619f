/* SPDX-License-Identifier: Apache-2.0 */
/* What job_submit makes of a request, beside a stage that draws what the test says. */
#include "tests/coordinator/stage_double.h"
#include "tests/model/tiny_vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SPACE "\u2581"
#define BOS 1
#define SPACE_HE TINY_SPM_FIRST

static struct stage_double d;

/* The text of one drawn token behind the prompt. */
static void expect_text(const uint32_t *prompt, size_t n_prompt, const char *text)
{
	struct job_request request = {
		.prompt_tokens = prompt, .n_prompt_tokens = n_prompt, .max_tokens = 1,
		.top_p = 1.0f,
	};
	struct job *job = stage_double_submit(&d, &request);
	const struct output *output = job_output(job, 0);

	peer_wait(d.loop, job_is_ended(job));
	assert_int_equal(output->n_tokens, 1);
	assert_int_equal(output->tokens[0].id, SPACE_HE);
	assert_int_equal(output->text.length, strlen(text));
	assert_memory_equal(output->text.data, text, strlen(text));
	job_release(job);
}

/* SentencePiece puts a space before a text, and takes it off again where a text begins. */
static void the_first_space_is_dropped_only_where_no_text_was_before(void **state)
{
	static const struct tiny_token tokens[] = { { SPACE "he", -1, T_NORMAL } };
	const uint32_t only_special[] = { BOS }, text[] = { BOS, SPACE_HE };
	struct coordinator_config config = stage_double_config();
	struct tiny_tokenizer tiny;
	struct gguf_writer w;
	struct error err;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, 1);
	if (tiny_tokenizer_create(&tiny, &w, &err) != SC_OK)
		fail_msg("%s", err.text);
	config.tokenizer = tiny.tokenizer;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	d.peer.draws = SPACE_HE;
	expect_text(only_special, 1, "he");
	expect_text(text, 2, " he");
	expect_text(text + 1, 1, " he");
	stage_double_destroy(&d);
	tiny_tokenizer_destroy(&tiny);
}

/* How often a job was told of after some, but not all, of its sequences had ended. */
static void count_partly_ended(void *arg, struct job *job)
{
	unsigned *n_partly = arg, n_ended = 0;

	for (uint32_t i = 0; i < job_n_outputs(job); i++)
		n_ended += job_output(job, i)->finish != FINISH_NONE;
	assert_int_equal(job_is_ended(job), n_ended == job_n_outputs(job));
	*n_partly += n_ended && n_ended < job_n_outputs(job);
}

/* One slot, so that the sequences of a job run one after the other. */
static void a_job_runs_until_its_last_sequence_has_ended(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct job_request request = stage_double_request(3, 2);
	unsigned n_partly = 0;
	struct job_watcher watcher = { .on_change = count_partly_ended, .arg = &n_partly };
	struct job *job;

	(void)state;
	config.max_sequences = 1;
	request.n_sequences = 3;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	job = stage_double_submit(&d, &request);
	job_watch(job, &watcher);
	peer_wait(d.loop, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	/* After the first, and after the second. */
	assert_true(n_partly >= 2);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(job_output(job, i)->finish, FINISH_LENGTH);
		assert_int_equal(job_output(job, i)->n_tokens, 2);
	}
	job_unwatch(job, &watcher);
	job_release(job);
	stage_double_destroy(&d);
}

static const struct {
	enum limit limit;
	enum sc_status status;
	uint32_t n_prompt, n_sequences, n_stops;
	const char *stop;
} refusals[] = {
	{ LIMIT_CONTEXT, SC_E_TOO_LARGE, 64, 1, 0, NULL },
	{ LIMIT_SEQUENCES, SC_E_INVALID, 3, JOB_MAX_SEQUENCES + 1, 0, NULL },
	{ LIMIT_STOPS, SC_E_INVALID, 3, 1, JOB_MAX_STOPS + 1, "stop" },
	{ LIMIT_STOP_BYTES, SC_E_INVALID, 3, 1, 1, NULL },	/* NULL: one byte too long */
	{ LIMIT_JOB_MEMORY, SC_E_TOO_LARGE, 3, JOB_MAX_SEQUENCES, 0, NULL },
};

static void expect_counted_once(enum limit limit)
{
	const struct limit_counts *counts = coordinator_limits(d.coordinator);

	for (unsigned i = 0; i < N_LIMITS; i++)
		if (counts->n[i] != (i == limit))
			fail_msg("%s: counted %u for %s", limit_table[limit].name,
				 (unsigned)counts->n[i], limit_table[i].name);
}

/* The second job has a slot once the second step is made, but all rows of the first three steps are
 * the first one's. The third step finds no credit. */
static void a_job_is_queued_until_it_has_rows_in_a_step(void **state)
{
	struct coordinator_config config = stage_double_config();
	const struct job_request longer = stage_double_request(56, 2);
	const struct job_request shorter = stage_double_request(20, 2);
	struct coordinator_status status;
	struct job *first, *second;

	(void)state;
	config.window = 1;
	config.prompt_chunk = 16;
	config.heartbeat_ms = 60000;
	stage_double_create_narrow(&d, &config, 2);
	stage_double_come_up(&d);
	d.peer.holds_frames = true;
	first = stage_double_submit(&d, &longer);
	second = stage_double_submit(&d, &shorter);
	stage_double_run_for(&d, 5);
	assert_int_equal(job_prompt_done(first), 32);
	assert_int_equal(job_state(first), JOB_RUNNING);
	assert_int_equal(job_state(second), JOB_QUEUED);
	assert_int_equal(job_times(second).started_ms, 0);
	coordinator_status(d.coordinator, &status);
	assert_int_equal(status.prompt_tokens, 56);
	peer_release(&d.peer);
	peer_wait(d.loop, job_is_ended(first) && job_is_ended(second));
	assert_int_equal(job_state(second), JOB_DONE);
	assert_true(job_times(second).started_ms);
	coordinator_status(d.coordinator, &status);
	assert_int_equal(status.prompt_tokens, 76);
	job_release(first);
	job_release(second);
	stage_double_destroy(&d);
}

static void what_is_refused_is_counted_once_and_under_its_name(void **state)
{
	char long_stop[JOB_MAX_STOP_BYTES + 2];

	(void)state;
	memset(long_stop, 'x', sizeof long_stop - 1);
	long_stop[sizeof long_stop - 1] = '\0';
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct coordinator_config config = stage_double_config();
		struct job_request request = stage_double_request(refusals[i].n_prompt, 40);
		const char *stops[JOB_MAX_STOPS + 1];
		struct error err;
		struct job *job;

		for (unsigned s = 0; s <= JOB_MAX_STOPS; s++)
			stops[s] = refusals[i].stop ? refusals[i].stop : long_stop;
		config.max_job_bytes = 16384;
		request.n_sequences = refusals[i].n_sequences;
		request.n_stops = refusals[i].n_stops;
		request.stops = stops;
		stage_double_create(&d, &config, 0);
		stage_double_come_up(&d);
		assert_int_equal(job_submit(d.coordinator, &request, &job, &err),
				 refusals[i].status);
		expect_counted_once(refusals[i].limit);
		stage_double_destroy(&d);
	}
}

static void a_full_queue_is_counted(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct job_request request = stage_double_request(3, 2);
	struct error err;
	struct job *job;
	enum sc_status status = SC_OK;

	(void)state;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	for (unsigned i = 0; i < 100 && status == SC_OK; i++) {
		status = job_submit(d.coordinator, &request, &job, &err);
		if (status == SC_OK)
			job_release(job);
	}
	assert_int_equal(status, SC_E_OVERLOADED);
	expect_counted_once(LIMIT_QUEUE);
	stage_double_destroy(&d);
}

static void a_forgotten_job_is_counted(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct job_request request = stage_double_request(3, 2);

	(void)state;
	config.keep_jobs = 1;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	for (unsigned i = 0; i < 2; i++) {
		struct job *job = stage_double_submit(&d, &request);

		job_cancel(job);
		job_release(job);
	}
	stage_double_run_for(&d, 10);
	expect_counted_once(LIMIT_KEPT_JOBS);
	stage_double_destroy(&d);
}

static unsigned n_destroyed;

static void count_destroyed(struct job_annex *annex)
{
	(void)annex;
	n_destroyed++;
}

/* A job has its annex as long as anybody holds it, and nothing of a request that is refused. */
static void an_annex_belongs_to_the_job_that_was_accepted(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct job_request request = stage_double_request(3, 2);
	struct job_annex small = { .n_bytes = 100, .destroy = count_destroyed };
	struct job_annex large = { .n_bytes = 1 << 20, .destroy = count_destroyed };
	struct job *job = NULL;
	struct error err;

	(void)state;
	n_destroyed = 0;
	config.max_job_bytes = 1 << 20;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	request.annex = &large;
	assert_int_equal(job_submit(d.coordinator, &request, &job, &err), SC_E_TOO_LARGE);
	assert_int_equal(n_destroyed, 0);
	request.annex = &small;
	job = stage_double_submit(&d, &request);
	assert_ptr_equal(job_annex(job), &small);
	peer_wait(d.loop, job_is_ended(job));
	assert_int_equal(n_destroyed, 0);
	job_release(job);
	stage_double_destroy(&d);
	assert_int_equal(n_destroyed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_space_is_dropped_only_where_no_text_was_before),
		cmocka_unit_test(a_job_runs_until_its_last_sequence_has_ended),
		cmocka_unit_test(a_job_is_queued_until_it_has_rows_in_a_step),
		cmocka_unit_test(what_is_refused_is_counted_once_and_under_its_name),
		cmocka_unit_test(a_full_queue_is_counted),
		cmocka_unit_test(a_forgotten_job_is_counted),
		cmocka_unit_test(an_annex_belongs_to_the_job_that_was_accepted),
	};

	return cmocka_run_group_tests(tests, stage_double_open_model,
				      stage_double_close_model);
}
