/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says and does when its coordinator, or a neighbour, behaves well and badly. The
 * coordinator and the next stage are hand-written. */
#include "model/tensor_hash.h"
#include "worker/sizes.h"
#include "worker/worker.h"

#include "base/libm.h"

#include "tests/coordinator/peer.h"
#include "tests/model/tiny_model.h"
#include "tests/wire/greedy_sampling.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define EPOCH 3
#define HEARTBEAT_MS 20
#define DEADLINE_MS 400
#define INCARNATION 11

enum {
	HELLO = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO,
	OPENED = STAGECOACH__CLUSTER__V1__CONTROL__BODY_OPENED,
	PROGRESS = STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS,
	READY = STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY,
	HEARTBEAT = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT,
	FAILED = STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED,
	LINK_DOWN = STAGECOACH__CLUSTER__V1__CONTROL__BODY_LINK_DOWN,
	BYE = STAGECOACH__CLUSTER__V1__CONTROL__BODY_BYE,
};

static struct buf file = BUF_INIT;
static struct model *model;

static const struct stage_limits limits = {
	.max_rows = 8, .max_sequences = 4, .block_length = 4, .kv_type = TENSOR_BF16,
};

static struct cluster {
	struct manual_clock *clock;
	struct loop *loop;
	struct loopback_hub *hub;
	struct worker *worker;
	struct peer coordinator;
	struct peer next;	/* stage 2, if there is one */
	unsigned n_ended;
	unsigned n_detached;
	enum worker_detachment detachment;
	struct error error;
} c;

static void on_end(void *arg, const struct error *err)
{
	(void)arg;
	c.n_ended++;
	c.error = *err;
}

static void on_detached(void *arg, enum worker_detachment why, const struct error *err)
{
	(void)arg;
	c.n_detached++;
	c.detachment = why;
	c.error = *err;
}

static enum sc_status open_fabric(void *arg, const struct fabric_config *config,
				  struct fabric **fabric_out, struct error *err)
{
	(void)arg;
	return fabric_loopback_open(c.loop, c.hub, config, fabric_out, err);
}

static void create_worker(void)
{
	static const struct resources resources = {
		.n_memory = 2, .memory = { { 1, 1000 }, { 2, 2000 } },
		.n_processors = 1, .processors = { { 1, 2000 } },
	};
	struct worker_config config = {
		.loop = c.loop, .fabrics = { .open = open_fabric, .name = "loopback" },
		.id = "the worker", .model = model, .resources = &resources,
		.isa = cpu_isa_best() < CPU_AVX2 ? CPU_AUTO : CPU_AVX2,
		.backend = backend_find("cpu"), .n_threads = 1, .memory_bytes = 12345,
		.on_end = on_end, .on_detached = on_detached,
	};
	struct error err;

	if (worker_create(&config, &c.worker, &err) != SC_OK)
		fail_msg("%s", err.text);
}

/* Another coordinator, or the same one again. */
static void attach(uint64_t incarnation)
{
	c.coordinator.n_controls[HELLO] = 0;
	worker_attach(c.worker, peer_dial(&c.coordinator));
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[HELLO]);
	peer_say_welcome(&c.coordinator, incarnation, HEARTBEAT_MS, DEADLINE_MS, &limits);
	manual_clock_settle(c.clock);
}

static int start(void **state)
{
	(void)state;
	c = (struct cluster){ 0 };
	assert_int_equal(manual_clock_create(&c.clock), SC_OK);
	assert_int_equal(loop_create_on(c.clock, &c.loop), SC_OK);
	assert_int_equal(loopback_hub_create(&c.hub), SC_OK);
	peer_open(&c.coordinator, c.loop, c.hub);
	peer_open(&c.next, c.loop, c.hub);
	create_worker();
	attach(INCARNATION);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	worker_destroy(c.worker);
	peer_close(&c.coordinator);
	peer_close(&c.next);
	manual_clock_settle(c.clock);
	loopback_hub_destroy(c.hub);
	loop_destroy(c.loop);
	manual_clock_destroy(c.clock);
	return 0;
}

static uint32_t max_blocks[] = { 8, 8, 8, 8, 8, 8 }, table_blocks[] = { 4, 4, 4, 4, 4, 4 };

/* All layers on one stage, unless the test changes it. */
static Stagecoach__Cluster__V1__Assign whole_model(void)
{
	Stagecoach__Cluster__V1__Assign assign = STAGECOACH__CLUSTER__V1__ASSIGN__INIT;

	assign.epoch = EPOCH;
	assign.n_stages = 1;
	assign.n_layers = model->hparams.n_layers;
	assign.max_rows = 8;
	assign.max_sequences = 4;
	assign.n_max_blocks = assign.n_table_blocks = 1;
	assign.max_blocks = max_blocks;
	assign.table_blocks = table_blocks;
	assign.block_length = 4;
	assign.max_context = 16;
	assign.window = 2;
	assign.in_bytes = 64;
	assign.in_credits = 3;
	assign.instruction_set = (char *)cpu_isa_name(CPU_SCALAR);
	return assign;
}

/* The first of two stages. */
static Stagecoach__Cluster__V1__Assign first_half(void)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	assign.n_stages = 2;
	assign.n_layers--;
	return assign;
}

static void say_assign(Stagecoach__Cluster__V1__Assign *assign)
{
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN;
	message.assign = assign;
	peer_say(&c.coordinator, &message);
}

/* The coordinator and, with two stages, the next one open fabrics of theirs and connect. */
static void connect_all(uint32_t epoch, unsigned n_stages)
{
	struct peer *next = n_stages == 2 ? &c.next : &c.coordinator;
	struct peer_address previous_address, next_address;

	peer_open_fabric(&c.coordinator, 0, n_stages + 1);
	if (n_stages == 2)
		peer_open_fabric(&c.next, 2, n_stages + 1);
	previous_address = peer_address(&c.coordinator);
	next_address = peer_address(next);
	peer_say_connect(&c.coordinator, epoch, &previous_address, &next_address);
	peer_connect(&c.coordinator, 1, &c.coordinator.opened);
	if (n_stages == 2)
		peer_connect(&c.next, 1, &c.coordinator.opened);
}

static void become_ready(Stagecoach__Cluster__V1__Assign assign)
{
	unsigned n_ready = c.coordinator.n_controls[READY];
	unsigned n_opened = c.coordinator.n_controls[OPENED];

	assign.in_bytes = step_bytes_into(&(struct step_limits){
		.max_rows = assign.max_rows, .max_sequences = assign.max_sequences,
		.n_groups = 1, .max_blocks = { assign.max_blocks[0] },
		.table_blocks = { assign.table_blocks[0] }, .block_length = assign.block_length,
		.max_context = assign.max_context, .n_vocab = model->hparams.n_vocab,
		.dim = model->hparams.dim,
	}, assign.stage);
	say_assign(&assign);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[OPENED] > n_opened);
	connect_all(assign.epoch, assign.n_stages);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[READY] > n_ready);
	assert_int_equal(c.coordinator.ready_epoch, assign.epoch);
}

/* One row of a new sequence in slot. */
static void send_step(struct peer *from, uint64_t id, uint32_t slot, uint32_t epoch)
{
	uint32_t token = 65, block = slot;
	struct segment segment = {
		.sequence = slot, .flags = SEGMENT_NEW | SEGMENT_SAMPLE, .n_rows = 1,
		.n_blocks = 1,
	};
	struct step step = {
		.id = id, .n_rows = 1, .n_segments = 1, .n_blocks = 1,
		.n_sampling = STEP_SAMPLING_WORDS,
		.segments = &segment, .sampling = greedy_sampling.words,
		.tokens = &token, .blocks = &block,
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

static void detaches_with(enum sc_status status, const char *text)
{
	peer_wait_for_thread(c.loop, c.n_detached);
	assert_false(worker_is_attached(c.worker));
	assert_int_equal(c.error.status, status);
	if (!strstr(c.error.text, text))
		fail_msg("expected \"%s\", found: %s", text, c.error.text);
}

/* The stage is over, and the coordinator hears why. The worker stays, and takes another one. */
static void fails_with(enum sc_status status, const char *text)
{
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[FAILED]);
	assert_int_equal(c.coordinator.failed_epoch, EPOCH);
	if (status)
		assert_int_equal(c.coordinator.failed_status, status);
	assert_int_not_equal(c.coordinator.failed_status, SC_E_NOMEM);
	if (!strstr(c.coordinator.failed_text, text))
		fail_msg("expected \"%s\", found: %s", text, c.coordinator.failed_text);
	assert_int_equal(c.n_ended, 0);
	assert_int_equal(c.n_detached, 0);
}

static void runs(uint32_t epoch)
{
	unsigned n_tokens = c.coordinator.n_tokens;

	send_step(&c.coordinator, 1, 0, epoch);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens > n_tokens);
}

static void runs_to_next(uint64_t id)
{
	send_step(&c.coordinator, id, 0, EPOCH);
	peer_wait_for_thread(c.loop, c.next.last_step == id);
}

static void a_worker_loads_runs_and_stops(void **state)
{
	(void)state;
	become_ready(whole_model());
	assert_true(c.coordinator.weight_bytes > 0);
	send_step(&c.coordinator, 1, 0, EPOCH);
	send_step(&c.coordinator, 2, 1, EPOCH);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens == 2);
	assert_int_equal(c.coordinator.last_step, 2);
	peer_say_stop(&c.coordinator, SC_OK, "enough");
	peer_wait_for_thread(c.loop, c.n_ended);
	assert_int_equal(c.error.status, SC_OK);
	assert_int_equal(c.n_detached, 0);
}

/* Loading takes no time here. The links must be there as well. */
static void a_worker_that_is_not_connected_is_not_ready(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	say_assign(&assign);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[HEARTBEAT] >= 3 ||
			     (peer_beat(&c.coordinator, 0),
			      manual_clock_pass(c.clock, HEARTBEAT_MS), false));
	assert_int_equal(c.coordinator.n_controls[OPENED], 1);
	assert_int_equal(c.coordinator.n_controls[READY], 0);
	connect_all(EPOCH, 1);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[READY]);
}

static void a_worker_says_once_that_it_is_ready(void **state)
{
	unsigned n_beats = c.coordinator.n_controls[HEARTBEAT];

	(void)state;
	become_ready(whole_model());
	/* Each heartbeat looks for news to tell, and so does every finished step. */
	runs(EPOCH);
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
		heartbeat.question = 7 + (uint32_t)id;
		message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT;
		message.heartbeat = &heartbeat;
		peer_say(&c.coordinator, &message);
		/* The clock stands still: no other heartbeat is due. */
		peer_wait_for_thread(c.loop, c.coordinator.n_controls[HEARTBEAT] > n_beats);
		assert_int_equal(c.coordinator.n_counted, id);
		assert_int_equal(c.coordinator.question, 7 + id);
	}
}

static void hello_says_what_results_depend_on(void **state)
{
	(void)state;
	assert_true(c.coordinator.libm_fingerprint == libm_fingerprint());
	assert_int_equal(c.coordinator.kernel_version, backend_cpu.kernel_version);
	assert_true(model->samples && c.coordinator.model_samples == model->samples);
	assert_string_equal(c.coordinator.hello_id, "the worker");
	assert_int_not_equal(c.coordinator.hello_incarnation, 0);
	assert_int_equal(c.coordinator.n_resources, 2);
}

static void sizes_are_said_for_every_instruction_set(void **state)
{
	const struct worker_config config = { .model = model, .backend = backend_find("cpu") };
	enum cpu_isa best = cpu_isa_best() < CPU_AVX2 ? cpu_isa_best() : CPU_AVX2;
	struct stage_sizes expected;
	struct error err;

	(void)state;
	peer_wait_for_thread(c.loop, c.coordinator.n_tables);
	assert_int_equal(c.coordinator.n_tables, best);
	for (enum cpu_isa isa = CPU_SCALAR; isa <= best; isa++) {
		assert_int_equal(worker_sizes_of(&config, isa, &limits, &expected, &err), SC_OK);
		assert_memory_equal(&c.coordinator.tables[isa], &expected, sizeof expected);
	}
}

static void limits_that_no_stage_can_have_are_told(void **state)
{
	struct stage_limits odd = limits;

	(void)state;
	odd.block_length = 0;
	worker_attach(c.worker, peer_dial(&c.coordinator));
	peer_say_welcome(&c.coordinator, INCARNATION, HEARTBEAT_MS, DEADLINE_MS, &odd);
	detaches_with(SC_E_INVALID, "welcome: kv cache: out of range");
	assert_int_equal(c.detachment, WORKER_REFUSED);
	peer_wait_for_thread(c.loop, *c.coordinator.failed_text);
	assert_int_equal(c.coordinator.failed_epoch, 0);
}

static void a_welcome_without_limits_is_told(void **state)
{
	(void)state;
	worker_attach(c.worker, peer_dial(&c.coordinator));
	peer_say_welcome(&c.coordinator, INCARNATION, HEARTBEAT_MS, DEADLINE_MS, NULL);
	detaches_with(SC_E_PROTOCOL, "welcome: no limits");
}

/* In the order of the layers. */
static void ready_says_the_hash_of_every_tensor(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();
	const size_t n = gguf_n_tensors(model->gguf);

	(void)state;
	become_ready(assign);
	assert_int_equal(c.coordinator.n_hashes, n);
	for (size_t k = 0; k < n; k++) {
		size_t i = c.coordinator.tensors[k];

		assert_true(c.coordinator.hashes[k] == tensor_hash(gguf_tensor(model->gguf, i)));
		assert_true(model_hash(model, i) == c.coordinator.hashes[k]);
		for (size_t j = 0; j < k; j++)
			assert_int_not_equal(c.coordinator.tensors[j], i);
	}
	/* Of the layers that it has now. */
	assign.epoch++;
	assign.n_stages = 2;
	assign.n_layers = 1;
	become_ready(assign);
	assert_int_equal(c.coordinator.n_hashes, 1 + 9);
	assert_int_equal(c.coordinator.tensors[0],
			 gguf_tensor_number(model->gguf, model->outer[OUTER_TOKEN_EMBD]));
}

static void ready_names_the_weights_that_are_not_finite(void **state)
{
	float *down = (float *)(uintptr_t)model->layers[1].of[LAYER_FFN_DOWN]->data;
	float *norm = (float *)(uintptr_t)model->outer[OUTER_OUTPUT_NORM]->data;
	float was[2] = { down[7], norm[3] };

	(void)state;
	down[7] = INFINITY;
	norm[3] = NAN;
	become_ready(whole_model());
	down[7] = was[0];
	norm[3] = was[1];
	assert_int_equal(c.coordinator.n_not_finite, 2);
	assert_string_equal(c.coordinator.not_finite, model->layers[1].of[LAYER_FFN_DOWN]->name);
	/* And it is there for whatever does not meet them, as far as it knows. */
	send_step(&c.coordinator, 1, 0, EPOCH);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens == 1);
	assert_int_equal(c.n_ended, 0);
}

static void a_stop_before_any_assignment_ends_it_too(void **state)
{
	(void)state;
	peer_say_stop(&c.coordinator, SC_OK, "enough");
	peer_wait_for_thread(c.loop, c.n_ended);
	assert_int_equal(c.error.status, SC_OK);
}

/* Such a worker must not wait for the others: they may be gone. */
static void a_stop_after_a_failure_says_so(void **state)
{
	(void)state;
	assert_false(worker_is_stopped(c.worker));
	peer_say_stop(&c.coordinator, SC_E_TIMEOUT, "stage 9 is lost");
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
	ends_with(SC_E_UNAVAILABLE, "the launcher has ended");
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[FAILED]);
	assert_int_equal(c.coordinator.failed_epoch, 0);
	assert_string_equal(c.coordinator.failed_text, "the launcher has ended");
	assert_false(worker_is_stopped(c.worker));
}

static void an_abort_after_the_end_says_nothing(void **state)
{
	struct error err;

	(void)state;
	become_ready(whole_model());
	error_set(&err, SC_E_UNAVAILABLE, "the launcher has ended");
	worker_abort(c.worker, &err);
	ends_with(SC_E_UNAVAILABLE, "the launcher has ended");
	error_set(&err, SC_E_INTERNAL, "something else");
	worker_abort(c.worker, &err);
	manual_clock_pass(c.clock, DEADLINE_MS);
	assert_int_equal(c.coordinator.n_controls[FAILED], 1);
	assert_int_equal(c.n_ended, 1);
}

static void a_worker_that_leaves_says_goodbye(void **state)
{
	(void)state;
	become_ready(whole_model());
	worker_leave(c.worker, "SIGTERM");
	ends_with(SC_OK, "");
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[BYE]);
	assert_int_equal(c.coordinator.n_controls[FAILED], 0);
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
		CASE(n_max_blocks, 0, "n_groups is 0"), CASE(n_table_blocks, 0, "n_groups is 0"),
		CASE(n_max_blocks, 6, "n_groups is 0"), CASE(n_table_blocks, 6, "n_groups is 0"),
		CASE(block_length, 0, "block_length"),
		CASE(max_context, UINT32_MAX, "max_context"),
		CASE(stage, 1, "stage 1 of 1"), CASE(n_stages, 0, "stage 0 of 0"),
		CASE(n_stages, 100, "stage 0 of 100"),
		CASE(in_credits, 0, "in_credits 0"), CASE(in_credits, 4, "expected 1 to 3"),
		CASE(in_bytes, 0, "in_bytes 0"), CASE(in_bytes, UINT32_MAX, "in_bytes 4294967295"),
		CASE(n_threads, UINT32_MAX, "4294967295 threads"),
		CASE(n_sharers, UINT32_MAX, "sharer 0 of 4294967295"),
		CASE(kv_type, 24, "type 24"), CASE(kv_type, 1000, "type 1000"),
#undef CASE
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		Stagecoach__Cluster__V1__Assign assign = whole_model();

		memcpy((char *)&assign + cases[i].offset, &cases[i].value, sizeof cases[i].value);
		c.coordinator.n_controls[FAILED] = 0;
		assign.epoch = EPOCH + i;
		say_assign(&assign);
		peer_wait_for_thread(c.loop, c.coordinator.n_controls[FAILED]);
		assert_int_equal(c.coordinator.failed_epoch, EPOCH + i);
		c.coordinator.failed_epoch = EPOCH;
		fails_with(SC_OK, cases[i].text);
	}
	assert_int_equal(c.coordinator.n_controls[OPENED], 0);
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
	(void)state;
	for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		Stagecoach__Cluster__V1__Assign assign = whole_model();

		assign.instruction_set = (char *)(uintptr_t)cases[i].set;
		c.coordinator.n_controls[FAILED] = 0;
		assign.epoch = EPOCH + i;
		say_assign(&assign);
		peer_wait_for_thread(c.loop, c.coordinator.n_controls[FAILED]);
		c.coordinator.failed_epoch = EPOCH;
		fails_with(SC_E_PROTOCOL, cases[i].text);
	}
}

/* The worker's stage changes, and frames of the old epoch reach nobody. */
static void a_second_assignment_replaces_the_first(void **state)
{
	Stagecoach__Cluster__V1__Assign again = first_half();

	(void)state;
	become_ready(whole_model());
	runs(EPOCH);
	again.epoch = EPOCH + 1;
	become_ready(again);
	send_step(&c.coordinator, 5, 0, EPOCH + 1);
	peer_wait_for_thread(c.loop, c.next.n_steps);
	assert_int_equal(c.next.last_step, 5);
	assert_int_equal(c.coordinator.n_tokens, 1);
	assert_int_equal(c.coordinator.n_controls[FAILED], 0);
}

static void an_assignment_of_an_older_epoch_is_dropped(void **state)
{
	Stagecoach__Cluster__V1__Assign old = whole_model();

	(void)state;
	become_ready(whole_model());
	say_assign(&old);
	old.epoch = EPOCH - 1;
	say_assign(&old);
	runs(EPOCH);
	assert_int_equal(c.coordinator.n_controls[OPENED], 1);
	assert_int_equal(c.coordinator.n_controls[FAILED], 0);
}

static void a_release_ends_the_stage_and_not_the_worker(void **state)
{
	Stagecoach__Cluster__V1__Release release = STAGECOACH__CLUSTER__V1__RELEASE__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	Stagecoach__Cluster__V1__Assign again = whole_model();

	(void)state;
	become_ready(whole_model());
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_RELEASE;
	message.release = &release;
	release.epoch = EPOCH;		/* late: this epoch has a stage */
	peer_say(&c.coordinator, &message);
	runs(EPOCH);
	release.epoch = EPOCH + 1;
	peer_say(&c.coordinator, &message);
	peer_wait_for_thread(c.loop, !c.coordinator.links[1]);
	/* An epoch of that number may follow. */
	again.epoch = EPOCH + 1;
	become_ready(again);
	runs(EPOCH + 1);
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

/* The next stage has no credits to send anything at all. */
static void the_next_stage_cannot_send(void **state)
{
	(void)state;
	become_ready(first_half());
	send_step(&c.next, 1, 0, EPOCH);
	runs_to_next(1);
	assert_int_equal(c.coordinator.n_controls[LINK_DOWN], 0);
	assert_int_equal(c.coordinator.n_controls[FAILED], 0);
}

static void a_frame_that_is_no_step_breaks_the_link(void **state)
{
	static const uint8_t tokens[16];

	(void)state;
	become_ready(first_half());
	peer_send(&c.coordinator, 1, FRAME_TOKENS, EPOCH - 1, tokens, sizeof tokens);
	runs_to_next(1);
	assert_int_equal(c.coordinator.n_controls[LINK_DOWN], 0);
	peer_send(&c.coordinator, 1, FRAME_TOKENS, EPOCH, tokens, sizeof tokens);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[LINK_DOWN]);
	assert_int_equal(c.coordinator.down_peer, 0);
	assert_int_equal(c.coordinator.n_links_down, 1);
	assert_int_equal(c.coordinator.n_controls[FAILED], 0);
}

/* Its link has credits for one more than the window of 2. That many steps at once may find its
 * queue full. */
static void more_steps_than_the_window_are_not_taken(void **state)
{
	(void)state;
	become_ready(whole_model());
	/* It answers no third step while its two answers are not taken. */
	c.coordinator.holds_frames = true;
	for (uint32_t i = 0; i < 2; i++)
		send_step(&c.coordinator, i + 1, i, EPOCH);
	peer_wait_for_thread(c.loop, c.coordinator.n_tokens == 2);
	for (uint32_t i = 2; i < 8; i++)
		send_step(&c.coordinator, i + 1, i % 4, EPOCH);
	assert_int_equal(c.coordinator.n_unsent, 3);
	manual_clock_settle(c.clock);
	assert_int_equal(c.coordinator.n_tokens, 2);
	if (c.coordinator.n_controls[FAILED])
		fails_with(SC_E_PROTOCOL, "more steps are in flight than the window of 2");
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

static void a_silent_coordinator_is_given_up(void **state)
{
	(void)state;
	become_ready(whole_model());
	manual_clock_pass(c.clock, DEADLINE_MS);
	assert_int_equal(c.n_detached, 0);
	manual_clock_pass(c.clock, 2 * HEARTBEAT_MS);
	detaches_with(SC_E_TIMEOUT, "coordinator: silent for");
	assert_int_equal(c.detachment, WORKER_LOST);
	assert_int_equal(c.n_ended, 0);
	manual_clock_pass(c.clock, 2 * DEADLINE_MS);
	assert_int_equal(c.n_detached, 1);
}

static void a_coordinator_that_never_answers_is_given_up(void **state)
{
	(void)state;
	worker_attach(c.worker, peer_dial(&c.coordinator));
	manual_clock_pass(c.clock, 20000);
	detaches_with(SC_E_TIMEOUT, "coordinator: silent for");
}

static void a_worker_that_was_held_up_itself_blames_nobody(void **state)
{
	(void)state;
	become_ready(whole_model());
	manual_clock_jump(c.clock, 2 * DEADLINE_MS);
	peer_beat(&c.coordinator, 0);
	manual_clock_pass(c.clock, DEADLINE_MS);
	assert_int_equal(c.n_detached, 0);
}

/* It keeps what it holds, and takes the next channel that its owner finds. */
static void a_coordinator_that_is_gone_detaches_it(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	become_ready(whole_model());
	peer_hang_up(&c.coordinator);
	detaches_with(SC_E_CLOSED, "coordinator lost");
	assert_int_equal(c.n_ended, 0);
	/* The same one: its epochs go on. An older one is no news. */
	attach(INCARNATION);
	assign.epoch = 1;
	say_assign(&assign);
	manual_clock_settle(c.clock);
	assert_int_equal(c.coordinator.n_controls[FAILED], 0);
	/* Another life of the coordinator counts from 1 again. */
	attach(INCARNATION + 1);
	become_ready(assign);
	runs(1);
}

static void a_refusal_is_told_to_the_owner(void **state)
{
	Stagecoach__Cluster__V1__Refused refused = STAGECOACH__CLUSTER__V1__REFUSED__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	(void)state;
	worker_attach(c.worker, peer_dial(&c.coordinator));
	refused.status = SC_E_CONFIG;
	refused.text = (char *)"another model";
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_REFUSED;
	message.refused = &refused;
	peer_say(&c.coordinator, &message);
	detaches_with(SC_E_CONFIG, "the coordinator refuses this worker: another model");
	assert_int_equal(c.detachment, WORKER_REFUSED);
}

/* After Welcome: its weights turned out to be other ones than those of the other workers. */
static void a_refusal_may_come_later(void **state)
{
	Stagecoach__Cluster__V1__Refused refused = STAGECOACH__CLUSTER__V1__REFUSED__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	attach(INCARNATION);
	become_ready(assign);
	refused.status = SC_E_INVALID;
	refused.text = (char *)"other data";
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_REFUSED;
	message.refused = &refused;
	peer_say(&c.coordinator, &message);
	detaches_with(SC_E_INVALID, "the coordinator refuses this worker: other data");
	assert_int_equal(c.detachment, WORKER_REFUSED);
}

static void a_first_message_that_is_no_answer_detaches_it(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();

	(void)state;
	worker_attach(c.worker, peer_dial(&c.coordinator));
	say_assign(&assign);
	detaches_with(SC_E_PROTOCOL, "neither Welcome nor Refused");
	worker_attach(c.worker, peer_dial(&c.coordinator));
	c.n_detached = 0;
	peer_say_welcome(&c.coordinator, INCARNATION, 0, 0, &limits);
	detaches_with(SC_E_PROTOCOL, "heartbeat or a deadline that cannot be");
}

static void an_ended_worker_takes_no_channel(void **state)
{
	(void)state;
	peer_say_stop(&c.coordinator, SC_OK, "enough");
	peer_wait_for_thread(c.loop, c.n_ended);
	worker_attach(c.worker, peer_dial(&c.coordinator));
	peer_wait_for_thread(c.loop, c.coordinator.is_down);
}

static void a_neighbour_that_is_gone_is_the_coordinators_business(void **state)
{
	(void)state;
	become_ready(first_half());
	peer_disconnect(&c.next, 1);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[LINK_DOWN]);
	assert_int_equal(c.coordinator.down_peer, 2);
	send_step(&c.coordinator, 1, 0, EPOCH);
	for (int i = 0; i < 5; i++) {
		peer_beat(&c.coordinator, 0);
		manual_clock_pass(c.clock, HEARTBEAT_MS);
	}
	assert_int_equal(c.n_ended, 0);
	assert_int_equal(c.coordinator.n_controls[LINK_DOWN], 1);
	assert_int_equal(c.coordinator.n_controls[FAILED], 0);
}

static void an_output_that_the_next_stage_cannot_take_is_told(void **state)
{
	(void)state;
	c.next.in.max_payload = 64;
	become_ready(first_half());
	send_step(&c.coordinator, 1, 0, EPOCH);
	fails_with(SC_E_TOO_LARGE, "for stage 2");
}

static void addresses_that_are_none_are_told(void **state)
{
	Stagecoach__Cluster__V1__Assign assign = whole_model();
	struct peer_address garbage = { .bytes = { 1, 2, 3 }, .n_bytes = 3 };

	(void)state;
	say_assign(&assign);
	peer_wait_for_thread(c.loop, c.coordinator.n_controls[OPENED]);
	peer_say_connect(&c.coordinator, EPOCH - 1, &garbage, &garbage);
	manual_clock_settle(c.clock);
	assert_int_equal(c.coordinator.n_controls[FAILED], 0);
	peer_say_connect(&c.coordinator, EPOCH, &garbage, &garbage);
	fails_with(SC_E_PROTOCOL, "address");
}

static int open_model(void **state)
{
	struct tiny_model tiny = tiny_llama;

	(void)state;
	tiny.n_layers = 2;
	model = tiny_model_open(&tiny, &file);
	assert_int_equal(model_take_samples(model, NULL), SC_OK);
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
		TEST(a_worker_that_is_not_connected_is_not_ready),
		TEST(a_worker_says_once_that_it_is_ready),
		TEST(counters_come_at_once_when_the_coordinator_wants_them),
		TEST(hello_says_what_results_depend_on),
		TEST(sizes_are_said_for_every_instruction_set),
		TEST(limits_that_no_stage_can_have_are_told),
		TEST(a_welcome_without_limits_is_told),
		TEST(ready_says_the_hash_of_every_tensor),
		TEST(ready_names_the_weights_that_are_not_finite),
		TEST(a_stop_before_any_assignment_ends_it_too),
		TEST(a_stop_after_a_failure_says_so),
		TEST(an_abort_from_outside_is_told_to_the_coordinator),
		TEST(an_abort_after_the_end_says_nothing),
		TEST(a_worker_that_leaves_says_goodbye),
		TEST(assignments_that_cannot_be_are_refused),
		TEST(an_instruction_set_that_the_worker_does_not_have_is_refused),
		TEST(a_second_assignment_replaces_the_first),
		TEST(an_assignment_of_an_older_epoch_is_dropped),
		TEST(a_release_ends_the_stage_and_not_the_worker),
		TEST(a_step_of_an_older_epoch_is_dropped),
		TEST(the_next_stage_cannot_send),
		TEST(a_frame_that_is_no_step_breaks_the_link),
		TEST(more_steps_than_the_window_are_not_taken),
		TEST(a_step_that_contradicts_is_told),
		TEST(garbage_instead_of_a_step_is_told),
		TEST(a_silent_coordinator_is_given_up),
		TEST(a_coordinator_that_never_answers_is_given_up),
		TEST(a_worker_that_was_held_up_itself_blames_nobody),
		TEST(a_coordinator_that_is_gone_detaches_it),
		TEST(a_refusal_is_told_to_the_owner),
		TEST(a_refusal_may_come_later),
		TEST(a_first_message_that_is_no_answer_detaches_it),
		TEST(an_ended_worker_takes_no_channel),
		TEST(a_neighbour_that_is_gone_is_the_coordinators_business),
		TEST(an_output_that_the_next_stage_cannot_take_is_told),
		TEST(addresses_that_are_none_are_told),
	};
#undef TEST

	return cmocka_run_group_tests(tests, open_model, close_model);
}
