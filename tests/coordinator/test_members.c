/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator makes of workers that come, load, fail, fall silent and go. */
#include "coordinator/members.h"

#include "tests/coordinator/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define N 2
#define EPOCH 1
#define HEARTBEAT_MS 20
#define DEADLINE_MS 1000
#define START_MS 4000
static const struct stage_limits limits = {
	.max_rows = 11, .max_sequences = 22, .block_length = 33, .kv_type = TENSOR_Q8_0,
};

static struct cluster {
	struct manual_clock *clock;
	struct loop *loop;
	struct loopback_hub *hub;
	struct fabric *fabric;
	struct members *members;
	struct peer peers[N];
	unsigned n_known, n_ready, n_gone, n_lost, n_progress, n_tokens;
	struct error error;
} cluster;

static void on_known(void *arg)
{
	((struct cluster *)arg)->n_known++;
}

static void on_progress(void *arg)
{
	((struct cluster *)arg)->n_progress++;
}

static void on_ready(void *arg)
{
	((struct cluster *)arg)->n_ready++;
}

static void on_gone(void *arg)
{
	((struct cluster *)arg)->n_gone++;
}

static void on_lost(void *arg, const struct error *err)
{
	struct cluster *c = arg;

	c->n_lost++;
	c->error = *err;
}

static void on_tokens(void *arg, const struct frame *frame)
{
	(void)frame;
	((struct cluster *)arg)->n_tokens++;
}

static void on_credit(void *arg)
{
	(void)arg;
}

static void on_counters(void *arg)
{
	(void)arg;
}

static void open_members(bool allows_mixed_backends)
{
	struct fabric_config fabric = { .n_peers = N + 1 };
	struct members_config config = {
		.loop = cluster.loop,
		.n_members = N,
		.model_fingerprint = PEER_FINGERPRINT,
		.limits = limits,
		.heartbeat_ms = HEARTBEAT_MS,
		.deadline_ms = DEADLINE_MS,
		.start_ms = START_MS,
		.allows_mixed_backends = allows_mixed_backends,
		.on_known = on_known,
		.on_progress = on_progress,
		.on_ready = on_ready,
		.on_gone = on_gone,
		.on_lost = on_lost,
		.on_tokens = on_tokens,
		.on_credit = on_credit,
		.on_counters = on_counters,
		.arg = &cluster,
	};
	struct error err;

	if (fabric_loopback_open(cluster.loop, cluster.hub, &fabric, &cluster.fabric, &err))
		fail_msg("%s", err.text);
	config.fabric = cluster.fabric;
	if (members_create(&config, &cluster.members, &err) != SC_OK)
		fail_msg("%s", err.text);
}

static void start_members(bool allows_mixed_backends)
{
	const struct link_config link = { .max_payload = 65536, .credits = 16 };
	struct error err;

	cluster = (struct cluster){ 0 };
	assert_int_equal(manual_clock_create(&cluster.clock), SC_OK);
	assert_int_equal(loop_create_on(cluster.clock, &cluster.loop), SC_OK);
	assert_int_equal(loopback_hub_create(&cluster.hub), SC_OK);
	open_members(allows_mixed_backends);
	for (unsigned i = 0; i < N; i++) {
		struct peer_config config = { cluster.loop, cluster.hub, i + 1, N + 1, 0, 0 };
		const void *address;
		size_t n_bytes;

		peer_open(&cluster.peers[i], &config);
		peer_connect(&cluster.peers[i], cluster.fabric);
		fabric_address(cluster.peers[i].fabric, &address, &n_bytes);
		if (members_connect(cluster.members, i + 1, address, n_bytes, &link, &err) != SC_OK)
			fail_msg("%s", err.text);
	}
}

static int start(void **state)
{
	(void)state;
	start_members(false);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	members_destroy(cluster.members);
	for (unsigned i = 0; i < N; i++)
		peer_close(&cluster.peers[i]);
	fabric_close(cluster.fabric);
	loopback_hub_destroy(cluster.hub);
	loop_destroy(cluster.loop);
	manual_clock_destroy(cluster.clock);
	return 0;
}

static void hello(unsigned i)
{
	peer_say_hello(&cluster.peers[i], CONTROL_PROTOCOL_VERSION, PEER_FINGERPRINT);
}

static void assign(void)
{
	struct plan_stage stages[N] = {
		{ .n_layers = 1, .weight_bytes = 100, .kv_bytes = 20 },
		{ .first_layer = 1, .n_layers = 1, .weight_bytes = 90, .kv_bytes = 20 },
	};
	struct plan plan = { .n_stages = N, .stages = stages };
	struct assignment assignment = { .epoch = EPOCH, .window = N + 1 };

	members_assign(cluster.members, &plan, &assignment);
}

static void come_up(void)
{
	for (unsigned i = 0; i < N; i++)
		hello(i);
	peer_wait(cluster.loop, cluster.n_known);
	assign();
	for (unsigned i = 0; i < N; i++)
		peer_say_ready(&cluster.peers[i], EPOCH);
	peer_wait(cluster.loop, cluster.n_ready);
}

/* Stage 2 with all that is known of it. */
static void error_names_stage_2(enum sc_status status, const char *why)
{
	peer_wait(cluster.loop, cluster.n_lost);
	assert_int_equal(cluster.error.status, status);
	if (!strstr(cluster.error.text, "stage 2 (rank 2, host " PEER_HOST ", pid 4711): ") ||
	    !strstr(cluster.error.text, why))
		fail_msg("not about stage 2 and \"%s\": %s", why, cluster.error.text);
}

static void run_for(unsigned ms)
{
	manual_clock_pass(cluster.clock, ms);
}

/* Keep peer 0 alive, and peer 1 too if asked. */
static void beat_for(unsigned ms, bool both)
{
	for (unsigned passed = 0; passed < ms && !cluster.n_lost; passed += HEARTBEAT_MS) {
		peer_beat(&cluster.peers[0], 0);
		if (both)
			peer_beat(&cluster.peers[1], 0);
		run_for(HEARTBEAT_MS);
	}
}

static void members_come_up_when_all_have_said_so(void **state)
{
	(void)state;
	hello(0);
	run_for(3 * HEARTBEAT_MS);
	assert_int_equal(cluster.n_known, 0);
	hello(1);
	peer_wait(cluster.loop, cluster.n_known);
	assert_string_equal(members_get(cluster.members, 1)->host, PEER_HOST);
	assert_string_equal(members_get(cluster.members, 1)->backend, "abacus, 0 threads");
	assign();
	peer_wait(cluster.loop,
		  cluster.peers[1].n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN]);
	peer_say_ready(&cluster.peers[1], EPOCH);
	beat_for(3 * HEARTBEAT_MS, true);
	assert_int_equal(cluster.n_ready, 0);
	peer_say_ready(&cluster.peers[0], EPOCH);
	peer_wait(cluster.loop, cluster.n_ready);
	assert_int_equal(cluster.n_known, 1);
	assert_int_equal(cluster.n_lost, 0);
}

static void a_member_that_does_not_say_its_sizes_is_not_known(void **state)
{
	(void)state;
	cluster.peers[1].withholds_sizes = true;
	hello(0);
	hello(1);
	peer_wait(cluster.loop,
		  cluster.peers[1].n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_WELCOME]);
	run_for(3 * HEARTBEAT_MS);
	assert_int_equal(cluster.n_known, 0);
	peer_say_sizes(&cluster.peers[1]);
	peer_wait(cluster.loop, cluster.n_known);
	/* Said again they change nothing. */
	peer_say_sizes(&cluster.peers[1]);
	run_for(HEARTBEAT_MS);
	assert_int_equal(cluster.n_known, 1);
	assert_int_equal(cluster.n_lost, 0);
}

static void a_member_that_keeps_its_sizes_to_itself_is_lost(void **state)
{
	(void)state;
	cluster.peers[1].withholds_sizes = true;
	hello(0);
	hello(1);
	run_for(START_MS / 2);
	assert_int_equal(cluster.n_lost, 0);
	run_for(START_MS);
	error_names_stage_2(SC_E_TIMEOUT, "not heard of after");
}

static void welcome_tells_the_limits(void **state)
{
	const struct stage_limits *told = &cluster.peers[0].limits_of_welcome;

	(void)state;
	hello(0);
	peer_wait(cluster.loop,
		  cluster.peers[0].n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_WELCOME]);
	assert_memory_equal(told, &limits, sizeof limits);
}

/* Each table of a peer has one byte more than that of the next lower instruction set. */
static void sizes_are_those_of_the_instruction_set_that_all_have(void **state)
{
	struct stage_sizes said = {
		.fixed_bytes = 1000, .head_bytes = 2, .layer_bytes = 3, .kv_block_bytes = 4,
		.block_bytes = 5, .context_block_bytes = 6, .thread_bytes = 7,
		.shared_thread_bytes = 8, .shared_block_bytes = 9, .shared_most_bytes = 10,
	};

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		cluster.peers[i].backend = "cpu";
		cluster.peers[i].isa = i ? "avx512" : "avx2";
		cluster.peers[i].sizes = said;
		hello(i);
	}
	peer_wait(cluster.loop, cluster.n_known);
	said.fixed_bytes += 1;
	for (unsigned i = 0; i < N; i++)
		assert_memory_equal(members_sizes(cluster.members, i), &said, sizeof said);
}

static void a_member_that_leaves_out_an_instruction_set_is_lost(void **state)
{
	(void)state;
	cluster.peers[1].backend = "cpu";
	cluster.peers[1].isa = "avx2";
	cluster.peers[1].withholds_a_table = true;
	hello(1);
	error_names_stage_2(SC_E_PROTOCOL, "did not say how much memory");
}

static void another_protocol_version_is_told_with_its_process(void **state)
{
	(void)state;
	peer_say_hello(&cluster.peers[1], 77, PEER_FINGERPRINT);
	error_names_stage_2(SC_E_PROTOCOL, "protocol 77");
	assert_non_null(strstr(cluster.error.text, "9.9"));
}

static void another_model_file_is_told_with_its_process(void **state)
{
	(void)state;
	peer_say_hello(&cluster.peers[1], CONTROL_PROTOCOL_VERSION, PEER_FINGERPRINT + 1);
	error_names_stage_2(SC_E_INVALID, "another model file");
}

/* Hellos of both peers, each with its backend, best instruction set and version of kernels. */
static void say_kernels(const char *const backends[N], const char *const isas[N],
			const uint32_t versions[N])
{
	for (unsigned i = 0; i < N; i++) {
		cluster.peers[i].backend = backends[i];
		cluster.peers[i].isa = isas[i];
		cluster.peers[i].kernel_version = versions[i];
		hello(i);
	}
}

static void all_members_get_the_best_set_that_is_common_to_them(void **state)
{
	(void)state;
	say_kernels((const char *[N]){ "cpu", "cpu" }, (const char *[N]){ "avx512-bf16", "avx2" },
		    (uint32_t[N]){ 3, 3 });
	peer_wait(cluster.loop, cluster.n_known);
	assert_int_equal(members_common_isa(cluster.members), CPU_AVX2);
	assert_false(members_are_mixed(cluster.members));
	assign();
	for (unsigned i = 0; i < N; i++) {
		peer_wait(cluster.loop, *cluster.peers[i].assigned_isa);
		assert_string_equal(cluster.peers[i].assigned_isa, "avx2");
		assert_string_equal(members_get(cluster.members, i)->backend,
				    "cpu avx2, 0 threads");
	}
}

static void another_backend_is_refused(void **state)
{
	(void)state;
	say_kernels((const char *[N]){ "cpu", "cuda" }, (const char *[N]){ "avx2", NULL },
		    (uint32_t[N]){ 1, 1 });
	error_names_stage_2(SC_E_CONFIG, "computes on cuda, but stage 1 (host " PEER_HOST
			    ") on cpu");
	assert_non_null(strstr(cluster.error.text, "--allow-mixed-backends"));
}

static void another_version_of_kernels_is_refused(void **state)
{
	(void)state;
	say_kernels((const char *[N]){ "cpu", "cpu" }, (const char *[N]){ "avx2", "avx2" },
		    (uint32_t[N]){ 7, 8 });
	error_names_stage_2(SC_E_CONFIG, "has version 8 of the kernels, but stage 1");
}

static void another_c_library_is_refused(void **state)
{
	(void)state;
	cluster.peers[1].libm_fingerprint = 2;
	hello(0);
	hello(1);
	error_names_stage_2(SC_E_CONFIG, "its C library gives other results");
	assert_non_null(strstr(cluster.error.text, "stage 1 (host " PEER_HOST ")"));
	assert_non_null(strstr(cluster.error.text, "--allow-mixed-backends"));
}

static void another_c_library_can_be_allowed(void **state)
{
	stop(state);
	start_members(true);
	cluster.peers[1].libm_fingerprint = 2;
	hello(0);
	hello(1);
	peer_wait(cluster.loop, cluster.n_known);
	assert_true(members_are_mixed(cluster.members));
}

static void mixed_backends_can_be_allowed(void **state)
{
	stop(state);
	start_members(true);
	say_kernels((const char *[N]){ "cpu", "cuda" }, (const char *[N]){ "avx2", NULL },
		    (uint32_t[N]){ 1, 2 });
	peer_wait(cluster.loop, cluster.n_known);
	assert_true(members_are_mixed(cluster.members));
	assert_int_equal(members_common_isa(cluster.members), CPU_AVX2);
	assign();
	for (unsigned i = 0; i < N; i++)
		peer_wait(cluster.loop, cluster.peers[i].n_layers);
	assert_string_equal(cluster.peers[0].assigned_isa, "avx2");
	assert_string_equal(cluster.peers[1].assigned_isa, "");
	assert_int_equal(cluster.n_lost, 0);
}

static void a_hello_that_never_comes_is_missed(void **state)
{
	(void)state;
	hello(0);
	run_for(START_MS);
	assert_int_equal(cluster.n_lost, 0);
	run_for(2 * HEARTBEAT_MS);
	assert_int_equal(cluster.n_lost, 1);
	assert_int_equal(cluster.error.status, SC_E_TIMEOUT);
	assert_non_null(strstr(cluster.error.text, "stage 2 (rank 2): not heard of"));
}

static void a_member_that_waited_for_the_others_is_not_taken_for_silent(void **state)
{
	(void)state;
	hello(0);
	run_for(2 * DEADLINE_MS);
	hello(1);
	peer_wait(cluster.loop, cluster.n_known);
	assign();
	run_for(5 * HEARTBEAT_MS);
	assert_int_equal(cluster.n_lost, 0);
}

static void a_silent_member_is_lost_after_the_deadline(void **state)
{
	(void)state;
	come_up();
	beat_for(DEADLINE_MS, false);
	assert_int_equal(cluster.n_lost, 0);
	beat_for(2 * HEARTBEAT_MS, false);
	assert_int_equal(cluster.n_lost, 1);
	error_names_stage_2(SC_E_TIMEOUT, "silent for");
}

static void a_loop_that_was_held_up_itself_blames_nobody(void **state)
{
	(void)state;
	come_up();
	beat_for(4 * HEARTBEAT_MS, true);
	manual_clock_jump(cluster.clock, 2 * DEADLINE_MS);
	run_for(2 * HEARTBEAT_MS);
	beat_for(4 * HEARTBEAT_MS, true);
	assert_int_equal(cluster.n_lost, 0);
}

static void a_loop_that_was_held_up_while_workers_come_waits_for_them_longer(void **state)
{
	(void)state;
	manual_clock_jump(cluster.clock, START_MS + DEADLINE_MS);
	hello(0);
	run_for(2 * HEARTBEAT_MS);
	hello(1);
	peer_wait(cluster.loop, cluster.n_known);
	assert_int_equal(cluster.n_lost, 0);
}

static void a_member_says_why_it_failed(void **state)
{
	(void)state;
	come_up();
	peer_say_failed(&cluster.peers[1], SC_E_CAPACITY, "no memory for 3 MiB");
	error_names_stage_2(SC_E_CAPACITY, "no memory for 3 MiB");
}

static void a_failure_with_a_status_that_is_none_is_our_own(void **state)
{
	(void)state;
	come_up();
	peer_say_failed(&cluster.peers[1], SC_N_STATUS, "?");
	error_names_stage_2(SC_E_INTERNAL, "?");
}

static void a_link_that_closes_while_loading_is_a_loss(void **state)
{
	(void)state;
	hello(0);
	hello(1);
	peer_wait(cluster.loop, cluster.n_known);
	assign();
	peer_disconnect(&cluster.peers[1], 0);
	error_names_stage_2(SC_E_CLOSED, "closed");
}

static void a_link_that_closes_when_ready_is_a_loss_told_once(void **state)
{
	(void)state;
	come_up();
	peer_disconnect(&cluster.peers[1], 0);
	peer_disconnect(&cluster.peers[0], 0);
	peer_wait(cluster.loop, cluster.n_lost);
	run_for(5 * HEARTBEAT_MS);
	assert_int_equal(cluster.n_lost, 1);
}

static void a_control_frame_of_garbage_is_a_loss(void **state)
{
	static const uint8_t garbage[40] = { 0xff, 0xff, 0xff, 0xff, 0x7f };

	(void)state;
	come_up();
	peer_send(&cluster.peers[1], 0, FRAME_CONTROL, EPOCH, garbage, sizeof garbage);
	error_names_stage_2(SC_E_PROTOCOL, "control");
}

static void progress_that_cannot_be_is_not_believed(void **state)
{
	const struct member *member = members_get(cluster.members, 0);

	(void)state;
	peer_say_progress(&cluster.peers[0], 5, 10);
	run_for(3 * HEARTBEAT_MS);
	assert_int_equal(member->total_bytes, 0);
	hello(0);
	hello(1);
	peer_wait(cluster.loop, cluster.n_known);
	assign();
	/* Until a stage has begun, all that the plan gives it is to be done. */
	peer_say_progress(&cluster.peers[0], 0, 0);
	beat_for(HEARTBEAT_MS, true);
	assert_int_equal(cluster.n_progress, 0);
	assert_int_equal(member->total_bytes, 120);
	assert_int_equal(members_get(cluster.members, 1)->total_bytes, 110);
	peer_say_progress(&cluster.peers[0], 5, 10);
	peer_wait(cluster.loop, cluster.n_progress);
	assert_int_equal(member->done_bytes, 5);
	peer_say_progress(&cluster.peers[0], UINT64_MAX, 1);
	beat_for(3 * HEARTBEAT_MS, true);
	assert_int_equal(member->done_bytes, 5);
	assert_int_equal(member->total_bytes, 10);
}

static void ready_for_an_older_epoch_does_not_count(void **state)
{
	(void)state;
	hello(0);
	hello(1);
	peer_wait(cluster.loop, cluster.n_known);
	assign();
	peer_say_ready(&cluster.peers[0], EPOCH);
	peer_say_ready(&cluster.peers[1], EPOCH - 1);
	beat_for(3 * HEARTBEAT_MS, true);
	assert_int_equal(cluster.n_ready, 0);
}

static void tokens_of_an_older_epoch_are_dropped(void **state)
{
	static const uint8_t tokens[16];

	(void)state;
	come_up();
	peer_send(&cluster.peers[1], 0, FRAME_TOKENS, EPOCH - 1, tokens, sizeof tokens);
	peer_send(&cluster.peers[1], 0, FRAME_TOKENS, EPOCH, tokens, sizeof tokens);
	peer_wait(cluster.loop, cluster.n_tokens);
	assert_int_equal(cluster.n_tokens, 1);
	assert_int_equal(cluster.n_lost, 0);
}

static void tokens_from_a_stage_that_is_not_the_last_are_a_loss(void **state)
{
	static const uint8_t tokens[16];

	(void)state;
	come_up();
	peer_send(&cluster.peers[0], 0, FRAME_TOKENS, EPOCH, tokens, sizeof tokens);
	peer_wait(cluster.loop, cluster.n_lost);
	assert_int_equal(cluster.error.status, SC_E_PROTOCOL);
	assert_non_null(strstr(cluster.error.text, "stage 1 (rank 1, host " PEER_HOST));
	assert_int_equal(cluster.n_tokens, 0);
}

static void members_that_were_told_to_stop_go_in_peace(void **state)
{
	(void)state;
	come_up();
	members_stop(cluster.members, SC_OK, "enough");
	peer_wait(cluster.loop,
		  cluster.peers[0].n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP] &&
		  cluster.peers[1].n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP]);
	peer_disconnect(&cluster.peers[0], 0);
	run_for(3 * HEARTBEAT_MS);
	assert_int_equal(cluster.n_gone, 0);
	peer_disconnect(&cluster.peers[1], 0);
	peer_wait(cluster.loop, cluster.n_gone);
	assert_int_equal(cluster.n_lost, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(members_come_up_when_all_have_said_so),
		TEST(a_member_that_does_not_say_its_sizes_is_not_known),
		TEST(a_member_that_keeps_its_sizes_to_itself_is_lost),
		TEST(welcome_tells_the_limits),
		TEST(sizes_are_those_of_the_instruction_set_that_all_have),
		TEST(a_member_that_leaves_out_an_instruction_set_is_lost),
		TEST(another_protocol_version_is_told_with_its_process),
		TEST(another_model_file_is_told_with_its_process),
		TEST(all_members_get_the_best_set_that_is_common_to_them),
		TEST(another_backend_is_refused),
		TEST(another_version_of_kernels_is_refused),
		TEST(another_c_library_is_refused),
		TEST(another_c_library_can_be_allowed),
		TEST(mixed_backends_can_be_allowed),
		TEST(a_hello_that_never_comes_is_missed),
		TEST(a_member_that_waited_for_the_others_is_not_taken_for_silent),
		TEST(a_silent_member_is_lost_after_the_deadline),
		TEST(a_loop_that_was_held_up_itself_blames_nobody),
		TEST(a_loop_that_was_held_up_while_workers_come_waits_for_them_longer),
		TEST(a_member_says_why_it_failed),
		TEST(a_failure_with_a_status_that_is_none_is_our_own),
		TEST(a_link_that_closes_while_loading_is_a_loss),
		TEST(a_link_that_closes_when_ready_is_a_loss_told_once),
		TEST(a_control_frame_of_garbage_is_a_loss),
		TEST(progress_that_cannot_be_is_not_believed),
		TEST(ready_for_an_older_epoch_does_not_count),
		TEST(tokens_of_an_older_epoch_are_dropped),
		TEST(tokens_from_a_stage_that_is_not_the_last_are_a_loss),
		TEST(members_that_were_told_to_stop_go_in_peace),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
