/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says and does when its coordinator, or a neighbour, behaves well and badly. Rank 1
 * is the worker; 0 and 2 are hand-written. */
#include "worker/sizes.h"
#include "worker/worker.h"

#include "base/libm.h"

#include "tests/coordinator/peer.h"
#include "tests/model/tiny_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define N_RANKS 3
#define EPOCH 3
#define HEARTBEAT_MS 20
#define DEADLINE_MS 400

enum {
	HELLO = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO,
	PROGRESS = STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS,
	READY = STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY,
	HEARTBEAT = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT,
	FAILED = STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED,
};

static struct buf file = BUF_INIT;
static struct model *model;

static struct cluster {
	struct manual_clock *clock;
	struct loop *loop;
	struct loopback_hub *hub;
	struct fabric *fabric;
	struct worker *worker;
	struct worker_peer addresses[N_RANKS];
	struct peer coordinator;
	struct peer next;
	unsigned n_ended;
	struct error error;
} c;

static void on_end(void *arg, const struct error *err)
{
	(void)arg;
	c.n_ended++;
	c.error = *err;
}

static void open_all(unsigned coordinator_credits, size_t next_max_payload)
{
	struct fabric_config fabric = { .self = 1, .n_peers = N_RANKS };
	struct peer_config coordinator = { .n_ranks = N_RANKS, .credits = coordinator_credits };
	struct peer_config next = { .rank = 2, .n_ranks = N_RANKS,
				    .max_payload = next_max_payload };
	struct error err;

	c = (struct cluster){ 0 };
	assert_int_equal(manual_clock_create(&c.clock), SC_OK);
	assert_int_equal(loop_create_on(c.clock, &c.loop), SC_OK);
	assert_int_equal(loopback_hub_create(&c.hub), SC_OK);
	coordinator.loop = next.loop = c.loop;
	coordinator.hub = next.hub = c.hub;
	peer_open(&c.coordinator, &coordinator);
	peer_open(&c.next, &next);
	if (fabric_loopback_open(c.loop, c.hub, &fabric, &c.fabric, &err) != SC_OK)
		fail_msg("%s", err.text);
	peer_connect(&c.coordinator, c.fabric);
	peer_connect(&c.next, c.fabric);
	fabric_address(c.coordinator.fabric, &c.addresses[0].address, &c.addresses[0].n_bytes);
	fabric_address(c.fabric, &c.addresses[1].address, &c.addresses[1].n_bytes);
	fabric_address(c.next.fabric, &c.addresses[2].address, &c.addresses[2].n_bytes);
}

static void start_worker(void)
{
	struct worker_config config = {
		.loop = c.loop, .fabric = c.fabric, .model = model,
		.link = { .max_payload = 1u << 20, .credits = 64 },
		.isa = cpu_isa_best() < CPU_AVX2 ? CPU_AUTO : CPU_AVX2,
		.backend = backend_find("cpu"), .n_threads = 1, .memory_bytes = 12345,
		.on_end = on_end,
	};
	struct error err;

	if (worker_create(&config, c.addresses, &c.worker, &err) != SC_OK)
		fail_msg("%s", err.text);
}

static int start(void **state)
{
	(void)state;
	open_all(0, 0);
	start_worker();
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[HELLO]);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	worker_destroy(c.worker);
	fabric_close(c.fabric);
	peer_close(&c.coordinator);
	peer_close(&c.next);
	loopback_hub_destroy(c.hub);
	loop_destroy(c.loop);
	manual_clock_destroy(c.clock);
	return 0;
}

/* All layers on one stage, unless the test changes it. */
static Stagecoach__Cluster__V1__Assign whole_model(void)
{
	Stagecoach__Cluster__V1__Assign assign = STAGECOACH__CLUSTER__V1__ASSIGN__INIT;

	assign.epoch = EPOCH;
	assign.n_stages = 1;
	assign.n_layers = model->hparams.n_layers;
	assign.max_rows = 8;
	assign.max_sequences = 4;
	assign.n_blocks = 8;
	assign.block_length = 4;
	assign.max_context = 16;
	assign.window = 2;
	assign.heartbeat_ms = HEARTBEAT_MS;
	assign.deadline_ms = DEADLINE_MS;
	assign.instruction_set = (char *)cpu_isa_name(CPU_SCALAR);
	return assign;
}

static void say_welcome(Stagecoach__Cluster__V1__StageLimits *limits)
{
	Stagecoach__Cluster__V1__Welcome welcome = STAGECOACH__CLUSTER__V1__WELCOME__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	welcome.limits = limits;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_WELCOME;
	message.welcome = &welcome;
	peer_say(&c.coordinator, 1, &message, 0);
}

static Stagecoach__Cluster__V1__StageLimits usual_limits(void)
{
	Stagecoach__Cluster__V1__StageLimits limits = STAGECOACH__CLUSTER__V1__STAGE_LIMITS__INIT;

	limits.max_rows = 8;
	limits.max_sequences = 4;
	limits.block_length = 4;
	limits.kv_type = TENSOR_BF16;
	return limits;
}

static void sizes_are_said_for_every_instruction_set(void **state)
{
	const struct worker_config config = { .model = model, .backend = backend_find("cpu") };
	const struct stage_limits same = {
		.max_rows = 8, .max_sequences = 4, .block_length = 4, .kv_type = TENSOR_BF16,
	};
	Stagecoach__Cluster__V1__StageLimits limits = usual_limits();
	enum cpu_isa best = cpu_isa_best() < CPU_AVX2 ? cpu_isa_best() : CPU_AVX2;
	struct stage_sizes expected;
	struct error err;

	(void)state;
	say_welcome(&limits);
	peer_wait_for_thread(c.loop, c.coordinator.n_tables);
	assert_int_equal(c.coordinator.n_tables, best);
	for (enum cpu_isa isa = CPU_SCALAR; isa <= best; isa++) {
		assert_int_equal(worker_sizes_of(&config, isa, &same, &expected, &err), SC_OK);
		assert_memory_equal(&c.coordinator.tables[isa], &expected, sizeof expected);
	}
	assert_int_equal(c.n_ended, 0);
}

static void limits_that_no_stage_can_have_end_the_worker(void **state)
{
	Stagecoach__Cluster__V1__StageLimits limits = usual_limits();

	(void)state;
	limits.block_length = 0;
	say_welcome(&limits);
	peer_wait_for_thread(c.loop, c.n_ended);
	peer_wait_for_thread(c.loop, *c.coordinator.failed_text);
	assert_non_null(strstr(c.coordinator.failed_text, "welcome: kv cache: out of range"));
}

static void a_welcome_without_limits_ends_the_worker(void **state)
{
	(void)state;
	say_welcome(NULL);
	peer_wait_for_thread(c.loop, c.n_ended);
	peer_wait_for_thread(c.loop, *c.coordinator.failed_text);
	assert_int_equal(c.coordinator.failed_status, SC_E_PROTOCOL);
}

static void say_assign(Stagecoach__Cluster__V1__Assign *assign)
{
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN;
	message.assign = assign;
	peer_say(&c.coordinator, 1, &message, EPOCH);
}

static void become_ready(Stagecoach__Cluster__V1__Assign assign)
{
	say_assign(&assign);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[READY]);
}

/* One row of a new sequence in slot. */
static void send_step(struct peer *from, uint64_t id, uint32_t slot, uint32_t epoch)
{
	uint32_t token = 65, block = slot;
	struct segment segment = {
		.sequence = slot, .flags = SEGMENT_NEW | SEGMENT_SAMPLE, .n_rows = 1,
		.n_blocks = 1, .sampling = { .top_p = 1.0f },
	};
	struct step step = {
		.id = id, .n_rows = 1, .n_segments = 1, .n_blocks = 1,
		.segments = &segment, .tokens = &token, .blocks = &block,
	};

	peer_send_step(from, 1, &step, epoch);
}

static void ends_with(enum sc_status status, const char *text)
{
	peer_wait_for_thread(c.loop, c.n_ended);
	assert_int_equal(c.error.status, status);
	if (!strstr(c.error.text, text))
		fail_msg("expected \"%s\", found: %s", text, c.error.text);
}

/* The coordinator hears the same. */
static void fails_with(enum sc_status status, const char *text)
{
	ends_with(status, text);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[FAILED]);
	assert_int_equal(c.coordinator.failed_status, status);
	assert_string_equal(c.coordinator.failed_text, c.error.text);
}

static void a_worker_loads_runs_and_stops(void **state)
{
	Stagecoach__Cluster__V1__Stop end = STAGECOACH__CLUSTER__V1__STOP__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	(void)state;
	become_ready(whole_model());
	assert_true(c.coordinator.weight_bytes > 0);
	send_step(&c.coordinator, 1, 0, EPOCH);
	send_step(&c.coordinator, 2, 1, EPOCH);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens == 2);
	assert_int_equal(c.coordinator.last_step, 2);
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP;
	message.stop = &end;
	peer_say(&c.coordinator, 1, &message, EPOCH);
	peer_wait_for_thread(c.loop, c.n_ended);
	assert_int_equal(c.error.status, SC_OK);
}

static void a_worker_says_once_that_it_is_ready(void **state)
{
	unsigned n_beats = c.coordinator.n_controls[HEARTBEAT];

	(void)state;
	become_ready(whole_model());
	/* Each heartbeat looks for news to tell, and so does every finished step. */
	send_step(&c.coordinator, 1, 0, EPOCH);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens == 1);
	peer_wait(c.loop, c.coordinator.n_controls[HEARTBEAT] >= n_beats + 5);
	assert_int_equal(c.coordinator.n_controls[READY], 1);
}

/* By then the output of every step that it counts may have been seen, and of no other. */
static void counters_come_at_once_when_the_coordinator_wants_them(void **state)
{
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	unsigned n_beats;

	(void)state;
	become_ready(whole_model());
	for (uint64_t id = 1; id <= 4; id++) {
		send_step(&c.coordinator, id, (uint32_t)id - 1, EPOCH);
		peer_wait_for_thread(c.loop, c.coordinator.n_tokens == id);
		n_beats = c.coordinator.n_controls[HEARTBEAT];
		heartbeat.wants_counters = true;
		message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT;
		message.heartbeat = &heartbeat;
		peer_say(&c.coordinator, 1, &message, EPOCH);
		/* The clock stands still: no other heartbeat is due. */
		peer_wait_for_thread(c.loop, c.coordinator.n_controls[HEARTBEAT] > n_beats);
		assert_int_equal(c.coordinator.n_counted, id);
	}
}

static void hello_says_what_results_depend_on(void **state)
{
	(void)state;
	assert_true(c.coordinator.libm_fingerprint == libm_fingerprint());
	assert_int_equal(c.coordinator.kernel_version, backend_cpu.kernel_version);
}

static void ready_names_the_weights_that_are_not_finite(void **state)
{
	float *down = (float *)(uintptr_t)model->layers[1].ffn_down->data;
	float *norm = (float *)(uintptr_t)model->output_norm->data;
	float was[2] = { down[7], norm[3] };

	(void)state;
	down[7] = INFINITY;
	norm[3] = NAN;
	become_ready(whole_model());
	down[7] = was[0];
	norm[3] = was[1];
	assert_int_equal(c.coordinator.n_not_finite, 2);
	assert_string_equal(c.coordinator.not_finite, model->layers[1].ffn_down->name);
	/* And it is there for whatever does not meet them, as far as it knows. */
	send_step(&c.coordinator, 1, 0, EPOCH);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens == 1);
	assert_int_equal(c.n_ended, 0);
}

static void a_stop_before_any_assignment_ends_it_too(void **state)
{
	Stagecoach__Cluster__V1__Stop end = STAGECOACH__CLUSTER__V1__STOP__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	(void)state;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP;
	message.stop = &end;
	peer_say(&c.coordinator, 1, &message, 0);
	peer_wait_for_thread(c.loop, c.n_ended);
	assert_int_equal(c.error.status, SC_OK);
}

/* Such a worker must not wait for the others: they may be gone. */
static void a_stop_after_a_failure_says_so(void **state)
{
	Stagecoach__Cluster__V1__Stop end = STAGECOACH__CLUSTER__V1__STOP__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	(void)state;
	assert_false(worker_is_stopped(c.worker));
	end.status = SC_E_TIMEOUT;
	end.reason = (char *)"stage 9 is lost";
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP;
	message.stop = &end;
	peer_say(&c.coordinator, 1, &message, 0);
	ends_with(SC_E_TIMEOUT, "stage 9 is lost");
	assert_true(worker_is_stopped(c.worker));
}

static void an_abort_from_outside_is_told_to_the_coordinator(void **state)
{
	struct error err;

	(void)state;
	become_ready(whole_model());
	error_set(&err, SC_E_UNAVAILABLE, "the launcher has ended");
	worker_abort(c.worker, &err);
	fails_with(SC_E_UNAVAILABLE, "the launcher has ended");
	assert_false(worker_is_stopped(c.worker));
}

static void an_abort_after_the_end_says_nothing(void **state)
{
	struct error err;

	(void)state;
	become_ready(whole_model());
	error_set(&err, SC_E_UNAVAILABLE, "the launcher has ended");
	worker_abort(c.worker, &err);
	fails_with(SC_E_UNAVAILABLE, "the launcher has ended");
	error_set(&err, SC_E_INTERNAL, "something else");
	worker_abort(c.worker, &err);
	manual_clock_pass(c.clock, DEADLINE_MS);
	assert_int_equal(c.coordinator.n_controls[FAILED], 1);
	assert_int_equal(c.n_ended, 1);
}

static void assignments_that_cannot_be_are_refused(void **state)
{
	static const struct {
		size_t offset;
		uint32_t value;
		const char *text;
	} cases[] = {
#define CASE(field, value, text) { offsetof(Stagecoach__Cluster__V1__Assign, field), value, text }
		CASE(n_layers, 0, "layers 0+0"),
		CASE(n_layers, 100, "layers 0+100"),
		CASE(first_layer, UINT32_MAX, "layers 4294967295+"),
		CASE(window, 0, "window 0"),
		CASE(window, UINT32_MAX, "window 4294967295"),
		CASE(max_rows, 0, "max_rows"),
		CASE(max_rows, UINT32_MAX, "max_rows"),
		CASE(max_sequences, UINT32_MAX, "max_sequences"),
		CASE(n_blocks, UINT32_MAX, "max_blocks"),
		CASE(block_length, 0, "block_length"),
		CASE(max_context, UINT32_MAX, "max_context"),
		CASE(heartbeat_ms, 0, "heartbeat"),
		CASE(kv_type, 24, "type 24"), CASE(kv_type, 1000, "type 1000"),
		CASE(deadline_ms, 0, "deadline"),
		CASE(next_rank, 3, "rank 3"),
		CASE(previous_rank, 1, "rank 1"),
#undef CASE
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		Stagecoach__Cluster__V1__Assign assign;

		if (i) {
			stop(state);
			start(state);
		}
		assign = whole_model();
		memcpy((char *)&assign + cases[i].offset, &cases[i].value, sizeof cases[i].value);
		say_assign(&assign);
		peer_wait_for_thread(c.loop, c.n_ended);
		fails_with(c.error.status, cases[i].text);
		assert_int_not_equal(c.error.status, SC_E_NOMEM);
	}
}

/* The worker of these tests may use AVX2 at most. */
static void an_instruction_set_that_the_worker_does_not_have_is_refused(void **state)
{
	static const struct {
		const char *set;
		const char *text;
	} cases[] = {
		{ "", "assign: no instruction set, expected avx2 or a lower one: install" },
		{ "auto", "assign: instruction set \"auto\" is not known to this version" },
		{ "sse", "assign: instruction set \"sse\" is not known to this version: install" },
		{ "AVX2", "assign: instruction set \"AVX2\" is not known" },
		{ "avx512", "\"avx512\", but this worker supports up to avx2: install" },
		{ "avx512-bf16", "\"avx512-bf16\", but this worker supports up to avx2: install" },
	};

	if (cpu_isa_best() < CPU_AVX2)
		skip();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		Stagecoach__Cluster__V1__Assign assign;

		if (i) {
			stop(state);
			start(state);
		}
		assign = whole_model();
		assign.instruction_set = (char *)cases[i].set;
		say_assign(&assign);
		peer_wait_for_thread(c.loop, c.n_ended);
		fails_with(SC_E_PROTOCOL, cases[i].text);
	}
}

static void a_second_assignment_is_refused(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	become_ready(assign);
	say_assign(&assign);
	fails_with(SC_E_PROTOCOL, "already has a stage");
}

static void a_step_of_an_older_epoch_is_dropped(void **state)
{
	(void)state;
	become_ready(whole_model());
	send_step(&c.coordinator, 1, 0, EPOCH - 1);
	send_step(&c.coordinator, 2, 0, EPOCH);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens);
	assert_int_equal(c.coordinator.last_step, 2);
	assert_int_equal(c.n_ended, 0);
}

static void a_step_from_a_peer_that_is_not_the_stage_before_ends_it(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	/* The stage behind cannot send any: its link takes no frames. */
	assign.first_layer = 1;
	assign.n_layers--;
	assign.previous_rank = 2;
	become_ready(assign);
	send_step(&c.coordinator, 1, 0, EPOCH);
	fails_with(SC_E_PROTOCOL,
		   "step from rank 0: expected steps from the previous stage only, rank 2");
}

static void a_step_before_any_assignment_ends_it(void **state)
{
	(void)state;
	send_step(&c.coordinator, 1, 0, 0);
	fails_with(SC_E_PROTOCOL, "step from rank 0: this worker has no stage yet");
}

static void more_steps_than_the_window_end_it(void **state)
{
	(void)state;
	become_ready(whole_model());
	/* It answers nothing while its answers are not taken. */
	c.coordinator.holds_frames = true;
	for (uint32_t i = 0; i < 8; i++)
		send_step(&c.coordinator, i + 1, i % 4, EPOCH);
	peer_wait_for_thread(c.loop, c.n_ended);
	assert_int_equal(c.error.status, SC_E_PROTOCOL);
	assert_non_null(strstr(c.error.text, "more steps are in flight than the window of 2"));
}

static void a_step_that_contradicts_is_told(void **state)
{
	(void)state;
	become_ready(whole_model());
	send_step(&c.coordinator, 1, 0, EPOCH);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens);
	send_step(&c.coordinator, 2, 0, EPOCH);
	fails_with(SC_E_PROTOCOL, "step 2");
}

static void garbage_instead_of_a_step_is_told(void **state)
{
	static const uint8_t garbage[100] = { 1, 2, 3 };

	(void)state;
	become_ready(whole_model());
	peer_send(&c.coordinator, 1, FRAME_STEP, EPOCH, garbage, sizeof garbage);
	fails_with(SC_E_PROTOCOL, "step");
}

static void garbage_instead_of_a_message_ends_it(void **state)
{
	static const uint8_t garbage[] = { 0xff, 0xff, 0xff };

	(void)state;
	peer_send(&c.coordinator, 1, FRAME_CONTROL, 0, garbage, sizeof garbage);
	ends_with(SC_E_PROTOCOL, "coordinator: control");
}

static void a_silent_coordinator_is_given_up(void **state)
{
	(void)state;
	become_ready(whole_model());
	manual_clock_pass(c.clock, DEADLINE_MS);
	assert_int_equal(c.n_ended, 0);
	manual_clock_pass(c.clock, 2 * HEARTBEAT_MS);
	assert_int_equal(c.n_ended, 1);
	ends_with(SC_E_TIMEOUT, "coordinator: silent for");
}

static void a_worker_that_was_held_up_itself_blames_nobody(void **state)
{
	(void)state;
	become_ready(whole_model());
	manual_clock_jump(c.clock, 2 * DEADLINE_MS);
	peer_beat(&c.coordinator, 1);
	manual_clock_pass(c.clock, DEADLINE_MS);
	assert_int_equal(c.n_ended, 0);
}

static void a_coordinator_that_is_gone_ends_it(void **state)
{
	(void)state;
	become_ready(whole_model());
	peer_disconnect(&c.coordinator, 1);
	ends_with(SC_E_CLOSED, "coordinator lost");
}

static void a_neighbour_that_is_gone_is_the_coordinators_business(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	assign.n_layers--;
	assign.next_rank = 2;
	become_ready(assign);
	peer_disconnect(&c.next, 1);
	send_step(&c.coordinator, 1, 0, EPOCH);
	for (int i = 0; i < 5; i++) {
		peer_beat(&c.coordinator, 1);
		manual_clock_pass(c.clock, HEARTBEAT_MS);
	}
	assert_int_equal(c.n_ended, 0);
}

static void ready_comes_as_soon_as_there_is_credit_for_it(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	open_all(1, 0);
	c.coordinator.holds_frames = true;
	start_worker();
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[HELLO]);
	assign.heartbeat_ms = 60000;
	assign.deadline_ms = 60000;
	assign.n_layers--;
	assign.next_rank = 2;
	say_assign(&assign);
	/* The stage is ready, but Hello has used the only credit up. */
	send_step(&c.coordinator, 1, 0, EPOCH);
	peer_wait_for_thread(c.loop, c.next.n_steps);
	assert_int_equal(c.coordinator.n_controls[READY], 0);
	peer_release(&c.coordinator);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[READY]);
	stop(state);
}

static void an_output_that_the_next_stage_cannot_take_is_told(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	open_all(0, 64);
	start_worker();
	assign.n_layers--;
	assign.next_rank = 2;
	become_ready(assign);
	send_step(&c.coordinator, 1, 0, EPOCH);
	fails_with(SC_E_TOO_LARGE, "rank 2");
	stop(state);
}

static int open_model(void **state)
{
	struct tiny_model tiny = tiny_llama;

	(void)state;
	tiny.n_layers = 2;
	model = tiny_model_open(&tiny, &file);
	return 0;
}

static int close_model(void **state)
{
	(void)state;
	model_close(model);
	buf_deinit(&file);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(a_worker_loads_runs_and_stops),
		TEST(a_worker_says_once_that_it_is_ready),
		TEST(counters_come_at_once_when_the_coordinator_wants_them),
		TEST(hello_says_what_results_depend_on),
		TEST(sizes_are_said_for_every_instruction_set),
		TEST(limits_that_no_stage_can_have_end_the_worker),
		TEST(a_welcome_without_limits_ends_the_worker),
		TEST(ready_names_the_weights_that_are_not_finite),
		TEST(a_stop_before_any_assignment_ends_it_too),
		TEST(a_stop_after_a_failure_says_so),
		TEST(an_abort_from_outside_is_told_to_the_coordinator),
		TEST(an_abort_after_the_end_says_nothing),
		TEST(assignments_that_cannot_be_are_refused),
		TEST(an_instruction_set_that_the_worker_does_not_have_is_refused),
		TEST(a_second_assignment_is_refused),
		TEST(a_step_of_an_older_epoch_is_dropped),
		TEST(a_step_from_a_peer_that_is_not_the_stage_before_ends_it),
		TEST(a_step_before_any_assignment_ends_it),
		TEST(more_steps_than_the_window_end_it),
		TEST(a_step_that_contradicts_is_told),
		TEST(garbage_instead_of_a_step_is_told),
		TEST(garbage_instead_of_a_message_ends_it),
		TEST(a_silent_coordinator_is_given_up),
		TEST(a_worker_that_was_held_up_itself_blames_nobody),
		TEST(a_coordinator_that_is_gone_ends_it),
		TEST(a_neighbour_that_is_gone_is_the_coordinators_business),
		cmocka_unit_test(ready_comes_as_soon_as_there_is_credit_for_it),
		cmocka_unit_test(an_output_that_the_next_stage_cannot_take_is_told),
	};
#undef TEST

	return cmocka_run_group_tests(tests, open_model, close_model);
}
