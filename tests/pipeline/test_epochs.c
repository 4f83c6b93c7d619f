/* SPDX-License-Identifier: Apache-2.0 */
/* Real workers through several epochs, with other stages and other workers each time: the same
 * tokens come out, and what a worker holds is loaded once. */
#include "coordinator/coordinator_private.h"
#include "coordinator/job.h"
#include "transport/fabrics.h"
#include "worker/worker.h"

#include "base/clock.h"
#include "event/manual_clock.h"

#include "tests/pipeline/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define N_STAGES 2
#define N_WORKERS 3
#define N_TOKENS 60
#define HEARTBEAT_MS 50
#define PATIENCE_NS (60 * NS_PER_SECOND)

struct node {
	struct worker *worker;
	unsigned n_detached;
	unsigned n_ended;
};

static struct cluster {
	struct manual_clock *clock;
	struct loop *loop;
	struct loopback_hub *hub;
	struct loopback_port port;
	struct coordinator *coordinator;
	struct node nodes[N_WORKERS];
	enum coordinator_phase phase;
	struct error error;
} c;

#define wait_for(condition)                                                       \
	do {                                                                      \
		uint64_t until_ns = clock_ns() + PATIENCE_NS;                     \
		while (!(condition)) {                                            \
			if (clock_ns() > until_ns)                                \
				fail_msg("waited in vain for: %s", #condition);   \
			loop_turn(c.loop, true);                                  \
		}                                                                 \
	} while (0)

/* Heartbeats are due meanwhile. */
#define wait_with_heartbeats(condition) \
	wait_for((condition) || (manual_clock_pass(c.clock, HEARTBEAT_MS), false))

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	(void)arg;
	c.phase = phase;
	if (err)
		c.error = *err;
}

static void on_end(void *arg, const struct error *err)
{
	(void)err;
	((struct node *)arg)->n_ended++;
}

static void on_detached(void *arg, enum worker_detachment why, const struct error *err)
{
	(void)why;
	(void)err;
	((struct node *)arg)->n_detached++;
}

static void dial(unsigned i)
{
	struct channel *ends[2];

	assert_int_equal(channel_pair(c.loop, ends), SC_OK);
	coordinator_accept(c.coordinator, ends[0]);
	worker_attach(c.nodes[i].worker, ends[1]);
}

static void start_worker(unsigned i)
{
	char id[16];
	struct worker_config config = {
		.loop = c.loop, .id = id, .fabrics = loopback_source(&c.port),
		.model = rig_model()->model, .backend = backend_find("cpu"), .n_threads = 1,
		.on_end = on_end, .on_detached = on_detached, .arg = &c.nodes[i],
	};
	struct error err;

	snprintf(id, sizeof id, "w%u", i + 1);
	if (worker_create(&config, &c.nodes[i].worker, &err) != SC_OK)
		fail_msg("%s", err.text);
	dial(i);
}

static void kill_worker(unsigned i)
{
	assert_int_equal(worker_destroy(c.nodes[i].worker), SC_OK);
	c.nodes[i].worker = NULL;
}

static void start_coordinator(void)
{
	const struct opened_model *model = rig_model();
	struct coordinator_config config = {
		.loop = c.loop, .fabrics = loopback_source(&c.port),
		.model = model->model, .tokenizer = model->tokenizer, .n_stages = N_STAGES,
		.max_rows = 32, .max_sequences = 4, .max_queue = 8, .kv_positions = 1024,
		.block_length = 8, .heartbeat_ms = HEARTBEAT_MS, .deadline_ms = 60000,
		.start_ms = 60000,
		.keep_jobs = 10, .on_phase = on_phase,
	};
	struct error err;

	if (coordinator_create(&config, &c.coordinator, &err) != SC_OK)
		fail_msg("%s", err.text);
}

static int start(void **state)
{
	(void)state;
	c = (struct cluster){ .loop = NULL };
	assert_int_equal(manual_clock_create(&c.clock), SC_OK);
	assert_int_equal(loop_create_on(c.clock, &c.loop), SC_OK);
	assert_int_equal(loopback_hub_create(&c.hub), SC_OK);
	c.port = (struct loopback_port){ c.loop, c.hub };
	start_coordinator();
	for (unsigned i = 0; i < N_WORKERS; i++)
		start_worker(i);
	wait_for(c.phase == COORDINATOR_READY);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	coordinator_destroy(c.coordinator);
	for (unsigned i = 0; i < N_WORKERS; i++)
		kill_worker(i);
	manual_clock_settle(c.clock);
	loopback_hub_destroy(c.hub);
	loop_destroy(c.loop);
	manual_clock_destroy(c.clock);
	return 0;
}

static struct job *submit(void)
{
	struct job_request request = {
		.prompt = "a stage is lost", .prompt_bytes = 15, .max_tokens = N_TOKENS,
		.ignore_end = true, .top_p = 1.0f,
	};
	struct error err;
	struct job *job;

	if (job_submit(c.coordinator, &request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	return job;
}

static void take_tokens(struct job *job, uint32_t tokens[N_TOKENS])
{
	wait_for(job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(job_output(job, 0)->n_tokens, N_TOKENS);
	for (uint32_t i = 0; i < N_TOKENS; i++)
		tokens[i] = job_output(job, 0)->tokens[i].id;
	job_release(job);
}

static void lose_epoch(void)
{
	struct error lost;

	error_set(&lost, SC_E_CLOSED, "the test wants another epoch");
	coordinator_lose_epoch(c.coordinator, &lost);
}

static void begin_epoch(void)
{
	struct error err;

	if (coordinator_begin_epoch(c.coordinator, N_STAGES, &err) != SC_OK)
		fail_msg("%s", err.text);
	wait_for(c.phase == COORDINATOR_READY);
}

static const char *worker_of(unsigned stage)
{
	struct stage_status status;

	coordinator_stage_status(c.coordinator, stage, &status);
	return status.worker;
}

static const struct member *member_of(const char *id)
{
	const struct members *members = c.coordinator->members;

	for (unsigned i = 0; i < members_count(members); i++)
		if (!strcmp(members_get(members, i)->hello.worker_id, id))
			return members_get(members, i);
	fail_msg("no member %s", id);
	return NULL;
}

static void the_same_tokens_come_from_other_workers_with_another_split(void **state)
{
	uint32_t first[N_TOKENS], again[N_TOKENS];

	(void)state;
	assert_string_equal(worker_of(0), "w1");
	assert_string_equal(worker_of(1), "w2");
	take_tokens(submit(), first);
	lose_epoch();
	kill_worker(0);
	wait_for(member_of("w1")->state == MEMBER_GONE);
	begin_epoch();
	/* The one that is left keeps its layers. */
	assert_string_equal(worker_of(0), "w3");
	assert_string_equal(worker_of(1), "w2");
	take_tokens(submit(), again);
	assert_memory_equal(again, first, sizeof first);
	assert_int_equal(c.nodes[1].n_detached + c.nodes[2].n_detached, 0);
}

/* Its client sees all tokens once. */
static void a_job_goes_on_where_it_was(void **state)
{
	uint32_t undisturbed[N_TOKENS], tokens[N_TOKENS];
	struct job *job;

	(void)state;
	take_tokens(submit(), undisturbed);
	job = submit();
	for (uint32_t n = 10; n < N_TOKENS; n += 20) {
		wait_for(job_output(job, 0)->n_tokens >= n);
		lose_epoch();
		begin_epoch();
	}
	take_tokens(job, tokens);
	assert_memory_equal(tokens, undisturbed, sizeof tokens);
}

/* The links and frames of all epochs but the last are gone, and loading stops for a newer one. */
static void epochs_may_follow_each_other_at_once(void **state)
{
	uint32_t first[N_TOKENS], again[N_TOKENS];

	(void)state;
	take_tokens(submit(), first);
	for (int n_turns = 0; n_turns < 40; n_turns++) {
		struct error err;

		lose_epoch();
		assert_int_equal(coordinator_begin_epoch(c.coordinator, N_STAGES, &err),
				 SC_OK);
		for (int i = 0; i < n_turns; i++)
			loop_turn(c.loop, false);
	}
	wait_for(c.phase == COORDINATOR_READY);
	take_tokens(submit(), again);
	assert_memory_equal(again, first, sizeof first);
}

/* A worker that lost its channel, but not its life, is known by its id, and says what it holds. */
static void a_worker_that_comes_back_still_has_its_weights(void **state)
{
	uint32_t first[N_TOKENS], again[N_TOKENS];
	uint32_t n_layers = member_of("w1")->held_n_layers;
	uint64_t incarnation = member_of("w1")->hello.incarnation;

	(void)state;
	take_tokens(submit(), first);
	wait_with_heartbeats((n_layers = member_of("w1")->held_n_layers));
	lose_epoch();
	dial(0);
	wait_for(member_of("w1")->state == MEMBER_SPARE && member_of("w1")->n_losses == 1);
	assert_int_equal(member_of("w1")->hello.incarnation, incarnation);
	assert_int_equal(member_of("w1")->hello.held_n_layers, n_layers);
	begin_epoch();
	assert_string_equal(worker_of(0), "w1");
	assert_int_equal(member_of("w1")->hello.held_n_layers, n_layers);
	take_tokens(submit(), again);
	assert_memory_equal(again, first, sizeof first);
}

/* A spare that has loaded layers beforehand has them when it gets a stage. */
static void a_spare_can_load_beforehand(void **state)
{
	uint32_t n_layers = rig_model()->model->hparams.n_layers;
	struct plan_stage last = coordinator_plan(c.coordinator)->stages[1];
	uint32_t first[N_TOKENS], again[N_TOKENS];

	(void)state;
	take_tokens(submit(), first);
	members_preload(c.coordinator->members, member_of("w3"), last.first_layer, last.n_layers);
	wait_with_heartbeats(member_of("w3")->held_n_layers == last.n_layers &&
			     member_of("w3")->held_first_layer == last.first_layer);
	assert_int_equal(last.first_layer + last.n_layers, n_layers);
	lose_epoch();
	kill_worker(1);
	wait_for(member_of("w2")->state == MEMBER_GONE);
	begin_epoch();
	assert_string_equal(worker_of(1), "w3");
	take_tokens(submit(), again);
	assert_memory_equal(again, first, sizeof first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(the_same_tokens_come_from_other_workers_with_another_split),
		TEST(a_job_goes_on_where_it_was),
		TEST(epochs_may_follow_each_other_at_once),
		TEST(a_worker_that_comes_back_still_has_its_weights),
		TEST(a_spare_can_load_beforehand),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, rig_model_teardown);
}
