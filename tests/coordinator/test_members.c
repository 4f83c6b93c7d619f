/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator makes of workers that come, load, fail, fall silent, go, and come back. */
#include "coordinator/members.h"

#include "tests/coordinator/peer.h"
#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define N 2
#define N_PEERS 4
#define EPOCH 1
#define HEARTBEAT_MS 20
#define DEADLINE_MS 1000
#define START_MS 4000
#define INCARNATION 99
#define SAMPLES 77

static const struct stage_limits limits = {
	.max_rows = 11, .max_sequences = 22, .block_length = 33, .kv_type = TENSOR_Q8_0,
};

#define BODY(NAME) STAGECOACH__CLUSTER__V1__CONTROL__BODY_##NAME

static struct cluster {
	struct manual_clock *clock;
	struct loop *loop;
	struct members *members;
	struct tensor_hashes *hashes;
	struct peer peers[N_PEERS];
	unsigned n_enough, n_short, n_joined, n_refused, n_opened, n_ready, n_gone, n_lost,
		n_progress, n_links_down;
	struct error error, refusal;
	struct member *lost;		/* of the last loss */
	unsigned lost_stage;
	struct link_fault fault;
	bool stops_on_loss;
} c;

static void on_joined(void *arg, struct member *member)
{
	(void)arg;
	assert_int_equal(member->state, MEMBER_SPARE);
	c.n_joined++;
}

static void on_refused(void *arg, const struct error *err)
{
	(void)arg;
	c.n_refused++;
	c.refusal = *err;
}

static void on_lost(void *arg, struct member *member, const struct error *err)
{
	(void)arg;
	c.n_lost++;
	c.error = *err;
	c.lost = member;
	c.lost_stage = member->stage;
	if (c.stops_on_loss)
		members_stop(c.members, err->status, err->text);
}

static void on_opened(void *arg)
{
	(void)arg;
	c.n_opened++;
}

static void on_progress(void *arg)
{
	(void)arg;
	c.n_progress++;
}

static void on_ready(void *arg)
{
	(void)arg;
	c.n_ready++;
}

static void on_counters(void *arg)
{
	(void)arg;
}

static void on_link_down(void *arg, const struct link_fault *fault)
{
	(void)arg;
	c.n_links_down++;
	c.fault = *fault;
}

static void on_enough(void *arg)
{
	(void)arg;
	c.n_enough++;
}

static void on_short(void *arg, const struct error *err)
{
	(void)arg;
	c.n_short++;
	c.error = *err;
}

static void on_gone(void *arg)
{
	(void)arg;
	c.n_gone++;
}

static const char *const ids[N_PEERS] = { "w1", "w2", "w3", "w10" };

static struct buf file = BUF_INIT;
static struct model *model;

static int open_model(void **state)
{
	(void)state;
	model = tiny_model_open(&tiny_llama, &file);
	return 0;
}

static int close_model(void **state)
{
	(void)state;
	model_close(model);
	buf_deinit(&file);
	return 0;
}

static void start_members(bool allows_mixed_backends)
{
	struct members_config config = {
		.incarnation = INCARNATION,
		.wish = { PEER_FINGERPRINT, SAMPLES, "loopback" },
		.limits = limits,
		.n_groups = 1,
		.heartbeat_ms = HEARTBEAT_MS,
		.deadline_ms = DEADLINE_MS,
		.allows_mixed_backends = allows_mixed_backends,
		.on_joined = on_joined, .on_refused = on_refused, .on_lost = on_lost,
		.on_opened = on_opened, .on_progress = on_progress, .on_ready = on_ready,
		.on_counters = on_counters, .on_link_down = on_link_down,
		.on_enough = on_enough, .on_short = on_short, .on_gone = on_gone,
	};
	struct error err;

	c = (struct cluster){ 0 };
	assert_int_equal(manual_clock_create(&c.clock), SC_OK);
	assert_int_equal(loop_create_on(c.clock, &c.loop), SC_OK);
	config.loop = c.loop;
	assert_int_equal(tensor_hashes_create(model, &c.hashes), SC_OK);
	config.hashes = c.hashes;
	if (members_create(&config, &c.members, &err) != SC_OK)
		fail_msg("%s", err.text);
	members_await(c.members, N, START_MS);
	for (unsigned i = 0; i < N_PEERS; i++) {
		peer_open(&c.peers[i], c.loop, NULL);
		c.peers[i].id = ids[i];
		c.peers[i].model_samples = SAMPLES;
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
	members_destroy(c.members);
	tensor_hashes_destroy(c.hashes);
	for (unsigned i = 0; i < N_PEERS; i++)
		peer_close(&c.peers[i]);
	loop_destroy(c.loop);
	manual_clock_destroy(c.clock);
	return 0;
}

static void dial(unsigned i)
{
	members_accept(c.members, peer_dial(&c.peers[i]));
}

static void hello(unsigned i)
{
	dial(i);
	peer_say_hello(&c.peers[i], CONTROL_PROTOCOL_VERSION, PEER_FINGERPRINT);
}

static void settle(void)
{
	manual_clock_settle(c.clock);
}

static void run_for(unsigned ms)
{
	manual_clock_pass(c.clock, ms);
}

static struct member *member_of(unsigned i)
{
	for (unsigned k = 0; k < members_count(c.members); k++)
		if (!strcmp(members_get(c.members, k)->hello.worker_id, ids[i]))
			return members_get(c.members, k);
	fail_msg("no member %s", ids[i]);
	return NULL;
}

/* Stages 1 and 2 go to these peers. */
static void assign_to(uint32_t epoch, unsigned first, unsigned second)
{
	struct plan_stage stages[N] = {
		{ .n_layers = 1, .weight_bytes = 100, .kv_bytes = 20 },
		{ .first_layer = 1, .n_layers = 1, .weight_bytes = 90, .kv_bytes = 20 },
	};
	struct plan plan = { .n_stages = N, .stages = stages };
	struct member *workers[N] = { member_of(first), member_of(second) };
	struct assignment assignment = {
		.epoch = epoch, .plan = &plan, .workers = workers, .window = N + 1,
		.limits = { .max_rows = 4, .max_sequences = 2, .n_groups = 1, .max_blocks = { 8 },
			    .table_blocks = { 4 }, .block_length = 4,
			    .max_context = 16, .n_vocab = 100, .dim = 8 },
	};
	struct error err;

	if (members_assign(c.members, &assignment, &err) != SC_OK)
		fail_msg("%s", err.text);
	settle();
}

static void assign(void)
{
	assign_to(EPOCH, 0, 1);
}

static void open_all(uint32_t epoch, unsigned first, unsigned second)
{
	unsigned n_opened = c.n_opened;

	peer_say_opened(&c.peers[first], epoch);
	peer_say_opened(&c.peers[second], epoch);
	peer_wait(c.loop, c.n_opened == n_opened + 1);
	members_connect(c.members, "own", 3);
}

static void load(void)
{
	hello(0);
	hello(1);
	peer_wait(c.loop, c.n_enough);
	assign();
	open_all(EPOCH, 0, 1);
}

static void come_up(void)
{
	load();
	for (unsigned i = 0; i < N; i++)
		peer_say_ready(&c.peers[i], EPOCH);
	peer_wait(c.loop, c.n_ready);
}

static void error_says(enum sc_status status, const char *who, const char *why)
{
	assert_int_equal(c.error.status, status);
	if (!strstr(c.error.text, who) || !strstr(c.error.text, why))
		fail_msg("not about %s and \"%s\": %s", who, why, c.error.text);
}

/* Stage 2 with all that is known of it. */
static void loses_stage_2(enum sc_status status, const char *why)
{
	peer_wait(c.loop, c.n_lost);
	assert_int_equal(c.n_lost, 1);
	assert_int_equal(c.lost_stage, 1);
	error_says(status, "stage 2 (worker w2, host " PEER_HOST ", pid 4711): ", why);
}

/* Peer i is sent away, and both sides know why. */
static void refuses(unsigned i, enum sc_status status, const char *why)
{
	char name[64];

	peer_wait(c.loop, c.n_refused && *c.peers[i].refusal);
	snprintf(name, sizeof name, "worker %s (host " PEER_HOST ", pid 4711): ", ids[i]);
	assert_int_equal(c.refusal.status, status);
	if (!strstr(c.refusal.text, why) || !strstr(c.peers[i].refusal, why) ||
	    strncmp(c.refusal.text, name, strlen(name)) != 0)
		fail_msg("not of %s and \"%s\": %s", name, why, c.refusal.text);
	peer_wait(c.loop, c.peers[i].is_down);
}

/* These peers are alive. */
static void beat_for(unsigned ms, unsigned n_peers)
{
	for (unsigned passed = 0; passed < ms && !c.n_lost; passed += HEARTBEAT_MS) {
		for (unsigned i = 0; i < n_peers; i++)
			peer_beat(&c.peers[i], 0);
		run_for(HEARTBEAT_MS);
	}
}

/* --- coming --- */

static void members_come_up_when_all_have_said_so(void **state)
{
	(void)state;
	hello(0);
	beat_for(3 * HEARTBEAT_MS, 1);
	assert_int_equal(c.n_enough, 0);
	assert_int_equal(c.n_joined, 1);
	assert_int_equal(c.peers[0].n_controls[BODY(WELCOME)], 1);
	hello(1);
	peer_wait(c.loop, c.n_enough);
	assert_string_equal(member_of(1)->hello.host, PEER_HOST);
	assert_string_equal(member_of(1)->backend, "abacus");
	assign();
	assert_int_equal(c.peers[1].n_controls[BODY(ASSIGN)], 1);
	assert_int_equal(c.peers[1].stage, 1);
	assert_int_equal(c.peers[1].n_stages, N);
	peer_say_opened(&c.peers[1], EPOCH);
	beat_for(3 * HEARTBEAT_MS, 2);
	assert_int_equal(c.n_opened, 0);
	peer_say_opened(&c.peers[0], EPOCH);
	peer_wait(c.loop, c.n_opened);
	members_connect(c.members, "own", 3);
	peer_wait(c.loop, c.peers[0].n_controls[BODY(CONNECT)] == 1 &&
		  c.peers[1].n_controls[BODY(CONNECT)] == 1);
	peer_say_ready(&c.peers[1], EPOCH);
	beat_for(3 * HEARTBEAT_MS, 2);
	assert_int_equal(c.n_ready, 0);
	peer_say_ready(&c.peers[0], EPOCH);
	peer_wait(c.loop, c.n_ready);
	assert_int_equal(c.n_enough, 1);
	assert_int_equal(c.n_lost, 0);
}

static void a_member_that_does_not_say_its_sizes_is_of_no_use(void **state)
{
	(void)state;
	c.peers[1].withholds_sizes = true;
	hello(0);
	hello(1);
	peer_wait(c.loop, c.peers[1].n_controls[BODY(WELCOME)]);
	beat_for(3 * HEARTBEAT_MS, 2);
	assert_int_equal(c.n_enough, 0);
	assert_int_equal(c.n_joined, 1);
	peer_say_sizes(&c.peers[1]);
	peer_wait(c.loop, c.n_enough);
	/* Said again they change nothing. */
	peer_say_sizes(&c.peers[1]);
	run_for(HEARTBEAT_MS);
	assert_int_equal(c.n_joined, 2);
	assert_int_equal(c.n_lost, 0);
}

static void welcome_tells_the_limits(void **state)
{
	const struct stage_limits *told = &c.peers[0].limits_of_welcome;

	(void)state;
	hello(0);
	peer_wait(c.loop, c.peers[0].n_controls[BODY(WELCOME)]);
	assert_memory_equal(told, &limits, sizeof limits);
}

/* Each table of a peer has one byte more than that of the next lower instruction set. */
static void sizes_are_those_of_the_instruction_set_that_all_have(void **state)
{
	struct stage_sizes said = {
		.fixed_bytes = 1000, .head_bytes = 2, .layer_bytes = 3,
		.caches = { { 4, 15, 16, 8, 9 } },
		.block_bytes = 5, .table_block_bytes = 6, .thread_bytes = 7,
		.shared_most_bytes = 10,
		.token_block_bytes = 11, .draw_bytes = 12, .draw_context_block_bytes = 13,
		.max_draw_threads = 14,
	};

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		c.peers[i].backend = "cpu";
		c.peers[i].isa = i ? "avx512" : "avx2";
		c.peers[i].sizes = said;
		hello(i);
	}
	peer_wait(c.loop, c.n_enough);
	members_choose_isa(c.members, (struct member *[N]){ member_of(0), member_of(1) }, N);
	said.fixed_bytes += 1;
	for (unsigned i = 0; i < N; i++)
		assert_memory_equal(member_sizes(member_of(i)), &said, sizeof said);
}

static void a_member_that_leaves_out_an_instruction_set_is_lost(void **state)
{
	(void)state;
	c.peers[1].backend = "cpu";
	c.peers[1].isa = "avx2";
	c.peers[1].withholds_a_table = true;
	hello(1);
	peer_wait(c.loop, c.n_lost);
	error_says(SC_E_PROTOCOL, "worker w2 (", "did not say how much memory");
}

static void a_member_that_leaves_out_a_group_is_lost(void **state)
{
	(void)state;
	c.peers[1].n_groups = 0;
	hello(1);
	peer_wait(c.loop, c.n_lost);
	error_says(SC_E_PROTOCOL, "worker w2 (", "did not say how much memory");
}

static void members_are_in_the_order_of_launch_ranks_and_then_of_ids(void **state)
{
	static const char *const expected[] = { "w3", "w1", "w2", "w10" };

	(void)state;
	c.peers[2].launch_rank = 1;
	for (unsigned i = N_PEERS; i-- > 0; )
		hello(i);
	peer_wait(c.loop, c.n_joined == N_PEERS);
	for (unsigned i = 0; i < N_PEERS; i++)
		assert_string_equal(members_get(c.members, i)->hello.worker_id, expected[i]);
}

static void another_protocol_version_is_refused_by_name(void **state)
{
	(void)state;
	dial(1);
	peer_say_hello(&c.peers[1], 77, PEER_FINGERPRINT);
	refuses(1, SC_E_PROTOCOL, "protocol 77 (version 9.9)");
	assert_int_equal(members_count(c.members), 0);
}

static void another_model_file_is_refused_by_name(void **state)
{
	(void)state;
	dial(1);
	peer_say_hello(&c.peers[1], CONTROL_PROTOCOL_VERSION, PEER_FINGERPRINT + 1);
	refuses(1, SC_E_INVALID, "another model file than the coordinator, or rounds it to other "
		"types: copy the same file to all machines, and give all processes the same "
		"--weight-type");
}

static void equal_headers_with_other_weights_are_refused(void **state)
{
	(void)state;
	hello(0);
	peer_wait(c.loop, c.n_joined);
	c.peers[1].model_samples = SAMPLES + 1;
	hello(1);
	refuses(1, SC_E_INVALID, "the same header as the coordinator's, but other tensor data");
}

/* Of a worker that does not take samples nothing is known. */
static void weights_without_samples_are_refused(void **state)
{
	(void)state;
	c.peers[0].model_samples = 0;
	hello(0);
	refuses(0, SC_E_INVALID, "other tensor data");
}

/* The first worker that says a hash is believed, also by workers of later epochs. */
static void a_tensor_of_other_data_bars_its_worker(void **state)
{
	(void)state;
	c.peers[0].n_hashes = c.peers[1].n_hashes = 2;
	c.peers[0].tensors[0] = c.peers[1].tensors[1] = 1;
	c.peers[0].hashes[0] = c.peers[1].hashes[1] = 50;
	c.peers[0].tensors[1] = 3;
	c.peers[0].hashes[1] = 51;
	c.peers[1].tensors[0] = 2;	/* nobody else has this one */
	c.peers[1].hashes[0] = 52;
	come_up();
	c.peers[1].hashes[1]++;
	assign_to(EPOCH + 1, 0, 1);
	open_all(EPOCH + 1, 0, 1);
	peer_say_ready(&c.peers[0], EPOCH + 1);
	settle();
	assert_int_equal(c.n_lost, 0);
	peer_say_ready(&c.peers[1], EPOCH + 1);
	loses_stage_2(SC_E_INVALID, "has other data than that of worker w1 (host " PEER_HOST
		      ", pid 4711)");
	assert_non_null(strstr(c.error.text, gguf_tensor(model->gguf, 1)->name));
	assert_int_equal(c.n_ready, 1);
	assert_int_equal(member_of(1)->state, MEMBER_GONE);
	peer_wait(c.loop, c.peers[1].is_down);
	assert_non_null(strstr(c.peers[1].refusal, "has other data than that of worker w1"));
	/* It is not taken again, until it has started again: then it may have another file. */
	hello(1);
	refuses(1, SC_E_INVALID, "has other data than that of worker w1");
	assert_true(member_is_barred(member_of(1)));
	c.peers[1].incarnation = 2;
	hello(1);
	peer_wait(c.loop, member_of(1)->state == MEMBER_SPARE);
	assert_false(member_is_barred(member_of(1)));
}

static void another_kind_of_data_links_is_refused(void **state)
{
	(void)state;
	c.peers[1].kind = "ucx";
	hello(1);
	refuses(1, SC_E_CONFIG, "data links of kind \"ucx\", expected \"loopback\"");
}

static void a_worker_without_an_id_is_refused(void **state)
{
	char long_id[80];

	(void)state;
	memset(long_id, 'x', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = '\0';
	for (int i = 0; i < 2; i++) {
		c.peers[1].id = i ? long_id : "";
		hello(1);
		peer_wait(c.loop, c.n_refused == (unsigned)i + 1);
		assert_non_null(strstr(c.refusal.text, "worker id of"));
	}
}

static void a_first_message_that_is_no_hello_ends_the_channel(void **state)
{
	(void)state;
	dial(0);
	peer_beat(&c.peers[0], 0);
	peer_wait(c.loop, c.peers[0].is_down);
	assert_int_equal(members_count(c.members), 0);
}

static void a_channel_that_says_nothing_is_dropped(void **state)
{
	(void)state;
	dial(0);
	run_for(DEADLINE_MS);
	assert_false(c.peers[0].is_down);
	run_for(2 * HEARTBEAT_MS);
	assert_true(c.peers[0].is_down);
	/* And one that closes before it has said anything is nobody's loss. */
	dial(1);
	peer_hang_up(&c.peers[1]);
	settle();
	assert_int_equal(c.n_lost, 0);
}

/* Hellos of both peers, each with its backend, best instruction set and version of kernels. */
static void say_kernels(const char *const backends[N], const char *const isas[N],
			const uint32_t versions[N])
{
	for (unsigned i = 0; i < N; i++) {
		c.peers[i].backend = backends[i];
		c.peers[i].isa = isas[i];
		c.peers[i].kernel_version = versions[i];
		hello(i);
	}
}

static void all_members_get_the_best_set_that_is_common_to_them(void **state)
{
	(void)state;
	say_kernels((const char *[N]){ "cpu", "cpu" }, (const char *[N]){ "avx512-bf16", "avx2" },
		    (uint32_t[N]){ 3, 3 });
	peer_wait(c.loop, c.n_enough);
	assert_false(members_are_mixed(c.members));
	assign();
	assert_int_equal(members_isa(c.members), CPU_AVX2);
	for (unsigned i = 0; i < N; i++) {
		assert_string_equal(c.peers[i].assigned_isa, "avx2");
		assert_string_equal(member_of(i)->backend, "cpu avx2");
	}
}

/* Tokens depend on the set. */
static void the_set_of_the_first_epoch_stays(void **state)
{
	(void)state;
	c.peers[2].backend = "cpu";
	c.peers[2].isa = "avx2";
	c.peers[2].kernel_version = 3;
	hello(2);
	say_kernels((const char *[N]){ "cpu", "cpu" }, (const char *[N]){ "avx512", "avx512" },
		    (uint32_t[N]){ 3, 3 });
	peer_wait(c.loop, c.n_joined == 3);
	assert_true(member_is_usable(member_of(2)));
	assign();
	assert_int_equal(members_isa(c.members), CPU_AVX512);
	/* The spare that cannot compute with it stays, but is of no use; one that comes now is
	 * refused. */
	assert_false(member_is_usable(member_of(2)));
	c.peers[3].backend = "cpu";
	c.peers[3].isa = "avx2";
	c.peers[3].kernel_version = 3;
	hello(3);
	refuses(3, SC_E_CONFIG, "instruction set avx2 at most, but the cluster computes with "
		"avx512");
}

static void another_backend_is_refused(void **state)
{
	(void)state;
	say_kernels((const char *[N]){ "cpu", "cuda" }, (const char *[N]){ "avx2", NULL },
		    (uint32_t[N]){ 1, 1 });
	refuses(1, SC_E_CONFIG, "computes on cuda, but worker w1 (host " PEER_HOST
		", pid 4711) on cpu");
	assert_non_null(strstr(c.refusal.text, "--allow-mixed-backends"));
}

static void another_version_of_kernels_is_refused(void **state)
{
	(void)state;
	say_kernels((const char *[N]){ "cpu", "cpu" }, (const char *[N]){ "avx2", "avx2" },
		    (uint32_t[N]){ 7, 8 });
	refuses(1, SC_E_CONFIG, "has version 8 of the kernels, but worker w1");
}

static void another_c_library_is_refused(void **state)
{
	(void)state;
	c.peers[1].libm_fingerprint = 2;
	hello(0);
	hello(1);
	refuses(1, SC_E_CONFIG, "its C library gives other results");
	assert_non_null(strstr(c.refusal.text, "worker w1 (host " PEER_HOST));
	assert_non_null(strstr(c.refusal.text, "--allow-mixed-backends"));
}

static void another_c_library_can_be_allowed(void **state)
{
	stop(state);
	start_members(true);
	c.peers[1].libm_fingerprint = 2;
	hello(0);
	hello(1);
	peer_wait(c.loop, c.n_enough);
	assert_true(members_are_mixed(c.members));
}

static void mixed_backends_can_be_allowed(void **state)
{
	stop(state);
	start_members(true);
	say_kernels((const char *[N]){ "cpu", "cuda" }, (const char *[N]){ "avx2", NULL },
		    (uint32_t[N]){ 1, 2 });
	peer_wait(c.loop, c.n_enough);
	assert_true(members_are_mixed(c.members));
	assign();
	assert_int_equal(members_isa(c.members), CPU_AVX2);
	assert_string_equal(c.peers[0].assigned_isa, "avx2");
	assert_string_equal(c.peers[1].assigned_isa, "");
	assert_int_equal(c.n_lost, 0);
}

static void workers_that_do_not_come_are_missed(void **state)
{
	(void)state;
	hello(0);
	for (unsigned ms = 0; ms < START_MS; ms += HEARTBEAT_MS) {
		peer_beat(&c.peers[0], 0);
		run_for(HEARTBEAT_MS);
	}
	assert_int_equal(c.n_short, 0);
	beat_for(2 * HEARTBEAT_MS, 1);
	assert_int_equal(c.n_short, 1);
	error_says(SC_E_TIMEOUT, "1 of 2 workers are here", "check that the others run");
}

static void a_loop_that_was_held_up_while_workers_come_waits_for_them_longer(void **state)
{
	(void)state;
	manual_clock_jump(c.clock, START_MS + DEADLINE_MS);
	hello(0);
	run_for(2 * HEARTBEAT_MS);
	hello(1);
	peer_wait(c.loop, c.n_enough);
	assert_int_equal(c.n_short, 0);
	assert_int_equal(c.n_lost, 0);
}

/* --- silence --- */

static void a_silent_member_is_lost_after_the_deadline(void **state)
{
	(void)state;
	come_up();
	beat_for(DEADLINE_MS, 1);
	assert_int_equal(c.n_lost, 0);
	beat_for(2 * HEARTBEAT_MS, 1);
	loses_stage_2(SC_E_TIMEOUT, "silent for");
	assert_int_equal(c.lost->state, MEMBER_GONE);
	assert_true(c.peers[1].is_down);
}

static void a_silent_spare_is_lost_as_well(void **state)
{
	(void)state;
	hello(2);
	settle();
	run_for(DEADLINE_MS + 2 * HEARTBEAT_MS);
	assert_int_equal(c.n_lost, 1);
	error_says(SC_E_TIMEOUT, "worker w3 (host " PEER_HOST ", pid 4711): ", "silent for");
}

/* The message lies in the channel when the deadline passes, and is read before anybody judges. */
static void a_message_that_waits_to_be_read_counts(void **state)
{
	(void)state;
	come_up();
	beat_for(DEADLINE_MS, 1);
	/* The deadline passes with the next heartbeat. */
	manual_clock_jump(c.clock, HEARTBEAT_MS);
	peer_beat(&c.peers[1], 0);
	run_for(HEARTBEAT_MS);
	assert_int_equal(c.n_lost, 0);
	beat_for(DEADLINE_MS - 2 * HEARTBEAT_MS, 1);
	assert_int_equal(c.n_lost, 0);
	beat_for(4 * HEARTBEAT_MS, 1);
	loses_stage_2(SC_E_TIMEOUT, "silent for");
}

static void a_loop_that_was_held_up_itself_blames_nobody(void **state)
{
	(void)state;
	come_up();
	beat_for(4 * HEARTBEAT_MS, 2);
	manual_clock_jump(c.clock, 2 * DEADLINE_MS);
	run_for(2 * HEARTBEAT_MS);
	beat_for(4 * HEARTBEAT_MS, 2);
	assert_int_equal(c.n_lost, 0);
}

/* Workers take a suspended coordinator for dead and hang up. That is no flapping of theirs. */
static void a_loop_that_was_held_up_counts_no_losses(void **state)
{
	(void)state;
	come_up();
	beat_for(4 * HEARTBEAT_MS, 2);
	manual_clock_jump(c.clock, 2 * DEADLINE_MS);
	peer_hang_up(&c.peers[1]);
	run_for(2 * HEARTBEAT_MS);
	assert_int_equal(c.n_lost, 1);
	assert_int_equal(c.lost->n_losses, 0);
	c.n_lost = 0;
	beat_for(DEADLINE_MS, 1);
	peer_hang_up(&c.peers[0]);
	settle();
	assert_int_equal(c.n_lost, 1);
	assert_int_equal(c.lost->n_losses, 1);
}

/* --- failing --- */

static void a_stage_that_fails_leaves_its_worker_as_a_spare(void **state)
{
	(void)state;
	come_up();
	peer_say_failed(&c.peers[1], EPOCH, SC_E_CAPACITY, "no memory for 3 MiB");
	loses_stage_2(SC_E_CAPACITY, "no memory for 3 MiB");
	assert_int_equal(c.lost->state, MEMBER_SPARE);
	assert_int_equal(c.lost->n_losses, 1);
	assert_false(c.peers[1].is_down);
}

static void a_failure_of_another_epoch_does_not_count(void **state)
{
	(void)state;
	come_up();
	peer_say_failed(&c.peers[1], EPOCH + 1, SC_E_CAPACITY, "later");
	beat_for(3 * HEARTBEAT_MS, 2);
	assert_int_equal(c.n_lost, 0);
}

static void a_worker_that_cannot_go_on_says_why(void **state)
{
	(void)state;
	come_up();
	peer_say_failed(&c.peers[1], 0, SC_E_UNAVAILABLE, "the launcher has ended");
	loses_stage_2(SC_E_UNAVAILABLE, "the launcher has ended");
	assert_int_equal(c.lost->state, MEMBER_GONE);
}

static void a_failure_with_a_status_that_is_none_is_our_own(void **state)
{
	(void)state;
	come_up();
	peer_say_failed(&c.peers[1], EPOCH, SC_N_STATUS, "?");
	loses_stage_2(SC_E_INTERNAL, "?");
}

static void a_worker_that_leaves_by_itself_is_no_flapping_one(void **state)
{
	Stagecoach__Cluster__V1__Bye bye = STAGECOACH__CLUSTER__V1__BYE__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	(void)state;
	come_up();
	bye.text = (char *)"SIGTERM";
	message.body_case = BODY(BYE);
	message.bye = &bye;
	peer_say(&c.peers[1], &message);
	loses_stage_2(SC_E_UNAVAILABLE, "leaves: SIGTERM");
	assert_int_equal(c.lost->n_losses, 0);
}

static void a_channel_that_closes_while_loading_is_a_loss(void **state)
{
	(void)state;
	load();
	peer_hang_up(&c.peers[1]);
	loses_stage_2(SC_E_CLOSED, "closed");
}

static void the_owner_may_stop_all_inside_a_loss(void **state)
{
	(void)state;
	c.stops_on_loss = true;
	come_up();
	peer_hang_up(&c.peers[1]);
	loses_stage_2(SC_E_CLOSED, "closed");
	peer_hang_up(&c.peers[0]);
	run_for(5 * HEARTBEAT_MS);
	assert_int_equal(c.n_lost, 1);
	assert_int_equal(c.n_gone, 1);
}

static void progress_that_cannot_be_is_not_believed(void **state)
{
	const struct member *member;

	(void)state;
	hello(0);
	hello(1);
	peer_wait(c.loop, c.n_enough);
	member = member_of(0);
	peer_say_progress(&c.peers[0], EPOCH, 5, 10);
	beat_for(3 * HEARTBEAT_MS, 2);
	assert_int_equal(member->total_bytes, 0);
	assign();
	open_all(EPOCH, 0, 1);
	/* Until a stage has begun, all that the plan gives it is to be done. */
	peer_say_progress(&c.peers[0], EPOCH, 0, 0);
	beat_for(HEARTBEAT_MS, 2);
	assert_int_equal(c.n_progress, 0);
	assert_int_equal(member->total_bytes, 120);
	assert_int_equal(member_of(1)->total_bytes, 110);
	peer_say_progress(&c.peers[0], EPOCH - 1, 4, 10);
	peer_say_progress(&c.peers[0], EPOCH, 5, 10);
	peer_wait(c.loop, c.n_progress);
	assert_int_equal(member->done_bytes, 5);
	peer_say_progress(&c.peers[0], EPOCH, UINT64_MAX, 1);
	beat_for(3 * HEARTBEAT_MS, 2);
	assert_int_equal(member->done_bytes, 5);
	assert_int_equal(member->total_bytes, 10);
}

static void ready_and_opened_of_an_older_epoch_do_not_count(void **state)
{
	(void)state;
	hello(0);
	hello(1);
	peer_wait(c.loop, c.n_enough);
	assign();
	peer_say_opened(&c.peers[0], EPOCH);
	peer_say_opened(&c.peers[1], EPOCH - 1);
	beat_for(3 * HEARTBEAT_MS, 2);
	assert_int_equal(c.n_opened, 0);
	peer_say_opened(&c.peers[1], EPOCH);
	peer_wait(c.loop, c.n_opened);
	peer_say_ready(&c.peers[0], EPOCH);
	peer_say_ready(&c.peers[1], EPOCH - 1);
	beat_for(3 * HEARTBEAT_MS, 2);
	assert_int_equal(c.n_ready, 0);
}

/* --- coming back --- */

static void a_member_that_comes_back_keeps_its_record(void **state)
{
	const struct member *member;

	(void)state;
	come_up();
	member = member_of(1);
	peer_hang_up(&c.peers[1]);
	peer_wait(c.loop, c.n_lost);
	c.peers[1].incarnation = 2;
	hello(1);
	peer_wait(c.loop, c.n_joined == 3);
	assert_ptr_equal(member_of(1), member);
	assert_int_equal(member->n_losses, 1);
	assert_int_equal(member->state, MEMBER_SPARE);
	assert_int_equal(members_count(c.members), 2);
	assert_true(member_is_usable(member));
}

/* Its old channel is half open: nobody answers there. */
static void a_new_life_replaces_an_old_one_that_does_not_answer(void **state)
{
	(void)state;
	come_up();
	c.peers[1].answers_questions = false;
	c.peers[1].channel = NULL;	/* closed by itself, when the other end closes */
	c.peers[1].incarnation = 2;
	hello(1);
	settle();
	assert_int_equal(c.n_lost, 0);
	beat_for(4 * HEARTBEAT_MS, 1);
	loses_stage_2(SC_E_CLOSED, "has come again over a new channel");
	assert_int_equal(c.n_joined, 3);
	assert_int_equal(member_of(1)->hello.incarnation, 2);
	assert_int_equal(member_of(1)->state, MEMBER_SPARE);
}

static void a_copy_of_a_living_worker_is_refused(void **state)
{
	(void)state;
	come_up();
	c.peers[3].id = ids[1];
	c.peers[3].incarnation = 2;
	dial(3);
	peer_say_hello(&c.peers[3], CONTROL_PROTOCOL_VERSION, PEER_FINGERPRINT);
	peer_wait(c.loop, c.n_refused);
	assert_non_null(strstr(c.peers[3].refusal, "its id is in use by a living process, worker "
			       "w2 (host " PEER_HOST ", pid 4711): give each worker another"));
	assert_int_equal(c.n_lost, 0);
	assert_int_equal(member_of(1)->hello.incarnation, 1);
	assert_int_equal(member_of(1)->state, MEMBER_READY);
}

static void the_same_life_over_a_new_channel_replaces_the_old_one_at_once(void **state)
{
	(void)state;
	come_up();
	c.peers[1].channel = NULL;
	hello(1);
	settle();
	loses_stage_2(SC_E_CLOSED, "over a new channel");
	assert_int_equal(c.n_joined, 3);
}

static void a_flapping_worker_is_in_quarantine_for_a_while(void **state)
{
	const struct member *member;

	(void)state;
	for (uint64_t i = 1; i <= MEMBER_FLAPS; i++) {
		c.peers[0].incarnation = i;
		hello(0);
		peer_wait(c.loop, c.n_joined == i);
		assert_true(member_is_usable(member_of(0)));
		peer_hang_up(&c.peers[0]);
		peer_wait(c.loop, c.n_lost == i);
	}
	c.peers[0].incarnation = 9;
	hello(0);
	hello(1);
	peer_wait(c.loop, c.n_joined == MEMBER_FLAPS + 2);
	member = member_of(0);
	assert_true(member_is_quarantined(member));
	assert_false(member_is_usable(member));
	assert_int_equal(member->n_losses, MEMBER_FLAPS);
	assert_int_equal(c.n_enough, 0);
	c.n_lost = 0;
	members_await(c.members, N, 0);
	for (unsigned ms = 0; ms < MEMBER_QUARANTINE_MS; ms += DEADLINE_MS / 2) {
		peer_beat(&c.peers[0], 0);
		peer_beat(&c.peers[1], 0);
		run_for(DEADLINE_MS / 2);
	}
	run_for(HEARTBEAT_MS);
	assert_int_equal(c.n_lost, 0);
	assert_true(member_is_usable(member));
	assert_int_equal(c.n_enough, 1);
}

static void losses_that_are_far_apart_are_no_flapping(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 2 * MEMBER_FLAPS; i++) {
		c.peers[0].incarnation = i;
		hello(0);
		peer_wait(c.loop, c.n_joined == i);
		peer_hang_up(&c.peers[0]);
		peer_wait(c.loop, c.n_lost == i);
		assert_false(member_is_quarantined(member_of(0)));
		manual_clock_jump(c.clock, MEMBER_FLAP_MS / 2 + 1000);
		run_for(HEARTBEAT_MS);
	}
}

/* --- epochs --- */

static void an_epoch_may_have_other_members_than_the_last_one(void **state)
{
	(void)state;
	hello(2);
	come_up();
	assert_int_equal(member_of(2)->stage, MEMBER_NO_STAGE);
	peer_hang_up(&c.peers[0]);
	peer_wait(c.loop, c.n_lost);
	assert_int_equal(c.lost_stage, 0);
	/* The second stage goes first now, and a spare behind it. */
	assign_to(EPOCH + 1, 1, 2);
	assert_int_equal(c.peers[1].epoch, EPOCH + 1);
	assert_int_equal(c.peers[1].stage, 0);
	assert_int_equal(c.peers[2].stage, 1);
	assert_int_equal(c.peers[1].n_controls[BODY(RELEASE)], 0);
	assert_int_equal(member_of(0)->stage, MEMBER_NO_STAGE);
	/* What the last epoch's stages still say is dropped. */
	peer_say_ready(&c.peers[1], EPOCH);
	peer_say_opened(&c.peers[1], EPOCH);
	beat_for(2 * HEARTBEAT_MS, 3);
	assert_int_equal(member_of(1)->state, MEMBER_OPENING);
	open_all(EPOCH + 1, 1, 2);
	peer_say_ready(&c.peers[1], EPOCH + 1);
	peer_say_ready(&c.peers[2], EPOCH + 1);
	peer_wait(c.loop, c.n_ready == 2);
	assert_ptr_equal(members_of_stage(c.members, 0), member_of(1));
}

static void members_without_a_stage_in_the_new_epoch_are_released(void **state)
{
	(void)state;
	hello(2);
	come_up();
	assign_to(EPOCH + 1, 1, 2);
	assert_int_equal(c.peers[0].released_epoch, EPOCH + 1);
	assert_int_equal(member_of(0)->state, MEMBER_SPARE);
	/* And all of them, when there is no other epoch for now. */
	members_release(c.members, EPOCH + 2);
	settle();
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(c.peers[i].released_epoch, EPOCH + 2);
		assert_int_equal(member_of(i)->state, MEMBER_SPARE);
	}
	assert_int_equal(members_n_stages(c.members), 0);
	assert_null(members_of_stage(c.members, 0));
	assign_to(EPOCH + 2, 0, 1);
	assert_int_equal(c.peers[0].epoch, EPOCH + 2);
}

/* Who goes on with a stage hears nothing in between, so that its keys' and values' memory stays. */
static void an_epoch_that_has_ended_is_told_with_the_next_one(void **state)
{
	(void)state;
	hello(2);
	come_up();
	members_end_epoch(c.members);
	assert_int_equal(members_n_stages(c.members), 0);
	peer_say_link_down(&c.peers[0], EPOCH, 2);
	peer_say_failed(&c.peers[0], EPOCH, SC_E_CAPACITY, "late");
	beat_for(2 * DEADLINE_MS, 3);
	assert_int_equal(c.n_lost + c.n_links_down, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(c.peers[i].n_controls[BODY(RELEASE)], 0);
	assign_to(EPOCH + 1, 1, 2);
	assert_int_equal(c.peers[0].released_epoch, EPOCH + 1);
	assert_int_equal(c.peers[1].n_controls[BODY(RELEASE)], 0);
	assert_int_equal(c.peers[2].n_controls[BODY(RELEASE)], 0);
}

/* --- broken data links --- */

static void a_broken_link_between_living_ends_is_the_fault_of_the_pair(void **state)
{
	(void)state;
	come_up();
	peer_say_link_down(&c.peers[0], EPOCH, 2);
	peer_wait(c.loop, c.n_links_down);
	assert_int_equal(c.n_lost, 0);
	assert_int_equal(c.fault.peers[0], 1);
	assert_int_equal(c.fault.peers[1], 2);
	assert_string_equal(c.fault.text, "the data link between stage 1 (worker w1) and stage 2 "
			    "(worker w2) broke: cut");
}

static void a_broken_link_to_a_process_that_dies_is_that_ones_fault(void **state)
{
	(void)state;
	come_up();
	c.peers[1].answers_questions = false;
	peer_say_link_down(&c.peers[0], EPOCH, 2);
	settle();
	peer_hang_up(&c.peers[1]);
	loses_stage_2(SC_E_CLOSED, "closed");
	beat_for(2 * DEADLINE_MS, 1);
	assert_int_equal(c.n_links_down, 0);
}

static void an_end_of_a_broken_link_that_does_not_answer_is_lost(void **state)
{
	(void)state;
	come_up();
	c.peers[1].answers_questions = false;
	members_suspect_link(c.members, 0, 2, "no keep-alive");
	for (unsigned ms = 0; ms < DEADLINE_MS + HEARTBEAT_MS && !c.n_lost; ms += HEARTBEAT_MS) {
		peer_beat(&c.peers[0], 0);
		run_for(HEARTBEAT_MS);
	}
	loses_stage_2(SC_E_TIMEOUT, "");
	assert_int_equal(c.n_links_down, 0);
}

static void a_broken_link_of_another_epoch_does_not_count(void **state)
{
	(void)state;
	come_up();
	peer_say_link_down(&c.peers[0], EPOCH + 1, 2);
	peer_say_link_down(&c.peers[0], EPOCH, 1);	/* itself */
	peer_say_link_down(&c.peers[0], EPOCH, 7);	/* nobody */
	beat_for(2 * DEADLINE_MS, 2);
	assert_int_equal(c.n_links_down, 0);
	assert_int_equal(c.n_lost, 0);
}

/* --- stopping --- */

static void members_that_were_told_to_stop_go_in_peace(void **state)
{
	(void)state;
	come_up();
	members_stop(c.members, SC_OK, "enough");
	peer_wait(c.loop, c.peers[0].n_controls[BODY(STOP)] && c.peers[1].n_controls[BODY(STOP)]);
	peer_hang_up(&c.peers[0]);
	run_for(3 * HEARTBEAT_MS);
	assert_int_equal(c.n_gone, 0);
	peer_hang_up(&c.peers[1]);
	peer_wait(c.loop, c.n_gone);
	assert_int_equal(c.n_lost, 0);
}

static void whoever_comes_after_the_stop_is_told_to_stop(void **state)
{
	(void)state;
	come_up();
	dial(3);	/* says nothing yet */
	members_stop(c.members, SC_OK, "enough");
	peer_wait(c.loop, c.peers[3].is_down);
	assert_int_equal(c.peers[3].n_controls[BODY(STOP)], 1);
	hello(2);
	peer_wait(c.loop, c.peers[2].is_down);
	assert_int_equal(c.peers[2].n_controls[BODY(STOP)], 1);
	assert_int_equal(c.n_refused, 0);
	assert_int_equal(c.n_lost, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(members_come_up_when_all_have_said_so),
		TEST(a_member_that_does_not_say_its_sizes_is_of_no_use),
		TEST(welcome_tells_the_limits),
		TEST(sizes_are_those_of_the_instruction_set_that_all_have),
		TEST(a_member_that_leaves_out_an_instruction_set_is_lost),
		TEST(a_member_that_leaves_out_a_group_is_lost),
		TEST(members_are_in_the_order_of_launch_ranks_and_then_of_ids),
		TEST(another_protocol_version_is_refused_by_name),
		TEST(another_model_file_is_refused_by_name),
		TEST(equal_headers_with_other_weights_are_refused),
		TEST(weights_without_samples_are_refused),
		TEST(a_tensor_of_other_data_bars_its_worker),
		TEST(another_kind_of_data_links_is_refused),
		TEST(a_worker_without_an_id_is_refused),
		TEST(a_first_message_that_is_no_hello_ends_the_channel),
		TEST(a_channel_that_says_nothing_is_dropped),
		TEST(all_members_get_the_best_set_that_is_common_to_them),
		TEST(the_set_of_the_first_epoch_stays),
		TEST(another_backend_is_refused),
		TEST(another_version_of_kernels_is_refused),
		TEST(another_c_library_is_refused),
		TEST(another_c_library_can_be_allowed),
		TEST(mixed_backends_can_be_allowed),
		TEST(workers_that_do_not_come_are_missed),
		TEST(a_loop_that_was_held_up_while_workers_come_waits_for_them_longer),
		TEST(a_silent_member_is_lost_after_the_deadline),
		TEST(a_silent_spare_is_lost_as_well),
		TEST(a_message_that_waits_to_be_read_counts),
		TEST(a_loop_that_was_held_up_itself_blames_nobody),
		TEST(a_loop_that_was_held_up_counts_no_losses),
		TEST(a_stage_that_fails_leaves_its_worker_as_a_spare),
		TEST(a_failure_of_another_epoch_does_not_count),
		TEST(a_worker_that_cannot_go_on_says_why),
		TEST(a_failure_with_a_status_that_is_none_is_our_own),
		TEST(a_worker_that_leaves_by_itself_is_no_flapping_one),
		TEST(a_channel_that_closes_while_loading_is_a_loss),
		TEST(the_owner_may_stop_all_inside_a_loss),
		TEST(progress_that_cannot_be_is_not_believed),
		TEST(ready_and_opened_of_an_older_epoch_do_not_count),
		TEST(a_member_that_comes_back_keeps_its_record),
		TEST(a_new_life_replaces_an_old_one_that_does_not_answer),
		TEST(a_copy_of_a_living_worker_is_refused),
		TEST(the_same_life_over_a_new_channel_replaces_the_old_one_at_once),
		TEST(a_flapping_worker_is_in_quarantine_for_a_while),
		TEST(losses_that_are_far_apart_are_no_flapping),
		TEST(an_epoch_may_have_other_members_than_the_last_one),
		TEST(members_without_a_stage_in_the_new_epoch_are_released),
		TEST(an_epoch_that_has_ended_is_told_with_the_next_one),
		TEST(a_broken_link_between_living_ends_is_the_fault_of_the_pair),
		TEST(a_broken_link_to_a_process_that_dies_is_that_ones_fault),
		TEST(an_end_of_a_broken_link_that_does_not_answer_is_lost),
		TEST(a_broken_link_of_another_epoch_does_not_count),
		TEST(members_that_were_told_to_stop_go_in_peace),
		TEST(whoever_comes_after_the_stop_is_told_to_stop),
	};
#undef TEST

	return cmocka_run_group_tests(tests, open_model, close_model);
}
