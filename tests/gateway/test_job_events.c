/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a job's losses in the stream of its events. Each letter is an event: S started,
 * t token, L Recovering, R Recovered, F finished. */
#include "gateway/job_events.h"

#include "event/loop.h"
#include "tests/gateway/fake_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct {
	struct loop *loop;
	struct engine *engine;
	struct job *job;
	struct job_events *events;
	char story[64];
	char reason[64];	/* of the last Recovering */
	uint32_t epoch;		/* of the last Recovering or Recovered */
	double seconds;		/* of the last Recovered */
	struct error err;
} t;

static int setup(void **state)
{
	/* Tokens come from fake_tick alone. */
	struct fake_config config = { .token_ms = 3600000, .max_queue = 8 };

	(void)state;
	memset(&t, 0, sizeof t);
	assert_int_equal(loop_create(&t.loop), SC_OK);
	config.loop = t.loop;
	t.engine = fake_create(&config);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	job_events_destroy(t.events);
	if (t.job)
		job_release(t.job);
	fake_destroy(t.engine);
	loop_destroy(t.loop);
	return 0;
}

static void submit(uint32_t max_tokens, uint32_t n_sequences)
{
	struct job_request request = {
		.prompt = "x", .prompt_bytes = 1, .max_tokens = max_tokens,
		.n_sequences = n_sequences,
	};

	assert_int_equal(engine_submit(t.engine, &request, &t.job, &t.err), SC_OK);
}

static void listen(bool from_now)
{
	job_events_destroy(t.events);
	assert_int_equal(job_events_create(t.job, from_now, &t.events), SC_OK);
	t.story[0] = '\0';
}

static void tick(unsigned n)
{
	while (n--)
		fake_tick(t.engine);
}

static char letter_of(const Stagecoach__V1__GenerateResponse *event)
{
	static const char letters[] = "?StFpLR";

	return letters[event->event_case];
}

static enum sc_status note_event(void *arg, const Stagecoach__V1__GenerateResponse *event,
				 struct error *err)
{
	size_t n = strlen(t.story);

	(void)arg;
	(void)err;
	assert_true(n + 1 < sizeof t.story);
	t.story[n] = letter_of(event);
	t.story[n + 1] = '\0';
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_RECOVERING) {
		snprintf(t.reason, sizeof t.reason, "%s", event->recovering->reason);
		t.epoch = event->recovering->epoch;
	}
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_RECOVERED) {
		t.epoch = event->recovered->epoch;
		t.seconds = event->recovered->seconds;
	}
	return SC_OK;
}

/* Reads at most n events. */
static void read_events(unsigned n)
{
	enum sc_status status = SC_OK;

	while (n-- && status == SC_OK)
		status = job_events_next(t.events, note_event, NULL, &t.err);
	assert_true(status == SC_OK || status == SC_AGAIN);
}

static void expect(const char *story)
{
	read_events(sizeof t.story);
	assert_string_equal(t.story, story);
}

static void a_loss_is_told_once_and_its_end_too(void **state)
{
	(void)state;
	submit(4, 1);
	listen(false);
	tick(2);
	fake_lose(t.engine, "stage 2: it hung up");
	expect("SttL");
	assert_string_equal(t.reason, "stage 2: it hung up");
	assert_int_equal(t.epoch, 1);
	tick(3);
	expect("SttL");
	fake_recover(t.engine);
	expect("SttLR");
	assert_int_equal(t.epoch, 2);
	assert_true(t.seconds > 0.0);
	tick(2);
	expect("SttLRttF");
}

static void events_keep_their_order_with_the_tokens(void **state)
{
	(void)state;
	submit(2, 2);
	listen(false);
	tick(1);
	fake_lose(t.engine, "stage 1: it hung up");
	read_events(2);
	assert_string_equal(t.story, "St");	/* a token from before the loss is still to come */
	expect("SttL");
	fake_recover(t.engine);
	tick(1);
	expect("SttLRttF");
}

/* It has read nothing since the first of six losses, and is told that the job goes on. */
static void losses_do_not_pile_up_for_a_slow_reader(void **state)
{
	(void)state;
	submit(9, 1);
	listen(false);
	tick(1);
	fake_lose(t.engine, "stage 1: the first loss");
	expect("StL");
	fake_recover(t.engine);
	tick(2);
	for (unsigned i = 0; i < 5; i++) {
		fake_lose(t.engine, "stage 1: another loss");
		fake_recover(t.engine);
		tick(1);
	}
	expect("StLRttttttt");
	assert_int_equal(t.epoch, 7);	/* what is true now */
}

static void a_loss_during_the_recovery_is_told_with_its_own_reason(void **state)
{
	(void)state;
	submit(1, 1);
	listen(false);
	fake_lose(t.engine, "stage 1: it hung up");
	expect("SL");
	fake_lose(t.engine, "stage 3: silent");
	expect("SLL");
	assert_string_equal(t.reason, "stage 3: silent");
	fake_recover(t.engine);
	tick(1);
	expect("SLLRtF");
}

static void a_job_that_went_on_and_waits_again_says_both(void **state)
{
	(void)state;
	submit(4, 1);
	listen(false);
	tick(1);
	fake_lose(t.engine, "stage 1: it hung up");
	expect("StL");
	fake_recover(t.engine);
	tick(1);
	fake_lose(t.engine, "stage 2: it hung up");
	expect("StLRtL");
	assert_string_equal(t.reason, "stage 2: it hung up");
}

static void a_job_that_ends_while_it_waits_has_not_recovered(void **state)
{
	(void)state;
	submit(4, 1);
	listen(false);
	fake_lose(t.engine, "stage 1: it hung up");
	expect("SL");
	job_cancel(t.job);
	expect("SLF");
}

static void whoever_comes_later_is_told_of_a_loss_that_lasts(void **state)
{
	(void)state;
	submit(4, 1);
	tick(1);
	fake_lose(t.engine, "stage 1: it hung up");
	listen(true);
	expect("SL");
	listen(false);
	expect("StL");
	fake_recover(t.engine);
	listen(false);
	expect("St");		/* what is over is no news */
}

static void a_job_that_comes_during_the_recovery_is_told_at_once(void **state)
{
	(void)state;
	fake_lose(t.engine, "stage 1: it hung up");
	submit(1, 1);
	listen(false);
	expect("SL");
	assert_false(job_events_have_progress(t.events));
	fake_recover(t.engine);
	assert_true(job_events_have_progress(t.events));
	tick(1);
	expect("SLRtF");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_loss_is_told_once_and_its_end_too),
		TEST(events_keep_their_order_with_the_tokens),
		TEST(losses_do_not_pile_up_for_a_slow_reader),
		TEST(a_loss_during_the_recovery_is_told_with_its_own_reason),
		TEST(a_job_that_went_on_and_waits_again_says_both),
		TEST(a_job_that_ends_while_it_waits_has_not_recovered),
		TEST(whoever_comes_later_is_told_of_a_loss_that_lasts),
		TEST(a_job_that_comes_during_the_recovery_is_told_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
