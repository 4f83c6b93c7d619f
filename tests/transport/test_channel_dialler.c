/* SPDX-License-Identifier: Apache-2.0 */
/* How a worker finds its coordinator, and finds it again. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/transport/control_rig.h"

static struct rig rig;

static int close_rig(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static void messages_go_both_ways(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	rig_run(&rig, &rig.n_ups, 1);
	assert_string_equal(rig.member_key, "a");
	assert_string_equal(rig.worker_key, "a");
	rig.members[0].answers = true;
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(channel_actor_send(&rig.worker, i), SC_OK);
	rig_run(&rig, &rig.worker.n_messages, 1000);
	assert_int_equal(rig.n_failures, 0);
	assert_string_equal(channel_peer(rig.worker.channel),
			    channel_listener_address(rig.listener));
	assert_int_equal(strncmp(channel_peer(rig.members[0].channel), "127.0.0.1:", 10), 0);
}

static void the_first_message_may_come_with_the_end_of_the_handshake(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_ups, 1);
	assert_int_equal(channel_actor_send(&rig.worker, 0), SC_OK);
	rig_run(&rig, &rig.n_members, 1);
	rig_run(&rig, &rig.members[0].n_messages, 1);
}

static void last_messages_arrive_before_the_end(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	/* More than a socket takes at once: the rest goes in the background. */
	for (uint64_t i = 0; i < 30000; i++)
		assert_int_equal(channel_actor_send(&rig.members[0], i), SC_OK);
	channel_actor_close(&rig.members[0]);
	rig_run(&rig, &rig.worker.n_downs, 1);
	assert_int_equal(rig.worker.n_messages, 30000);
	assert_int_equal(rig.worker.status, SC_E_CLOSED);
	assert_non_null(strstr(rig.worker.why, "the peer closed the channel"));
}

/* Unread heartbeats must not make the kernel reset the connection and drop the last words. */
static void last_messages_arrive_although_input_is_unread(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(channel_actor_send(&rig.worker, i), SC_OK);
	assert_int_equal(channel_actor_send(&rig.members[0], 0), SC_OK);
	channel_actor_close(&rig.members[0]);
	rig_run(&rig, &rig.worker.n_downs, 1);
	assert_int_equal(rig.worker.n_messages, 1);
}

static unsigned n_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void a_peer_that_does_not_close_is_left_after_a_second(void **state)
{
	unsigned n_before;

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	rig_run(&rig, &rig.n_ups, 1);
	n_before = n_descriptors();
	channel_actor_close(&rig.members[0]);
	rig_run(&rig, &rig.worker.n_downs, 1);
	/* The worker has not closed its end: the listener's end lingers, and then goes. */
	manual_clock_pass(rig.clock, 999);
	assert_int_equal(n_descriptors(), n_before);
	manual_clock_pass(rig.clock, 1);
	assert_int_equal(n_descriptors(), n_before - 1);
}

static void the_second_key_is_tried_and_remembered(void **state)
{
	const struct channel_dialler_config config = { .stable_ms = 1 };

	(void)state;
	rig_open(&rig, KEY_B, NULL, NULL);
	rig_dial(&rig, KEY_A "\n" KEY_B, NULL, &config);
	rig_run(&rig, &rig.n_members, 1);
	rig_run(&rig, &rig.n_ups, 1);
	assert_string_equal(rig.worker_key, "b");
	assert_int_equal(rig.n_failures, 0);
	assert_int_equal(rig_counts(&rig).refused, 1);
	manual_clock_pass(rig.clock, 10);
	channel_dialler_again(rig.dialler);
	rig_run(&rig, &rig.n_ups, 2);
	/* No second failure: the key that works comes first now. */
	assert_int_equal(rig_counts(&rig).refused, 1);
}

/* Old and new key beside each other, and each side may be ahead of the other. */
static void a_rotation_interrupts_nobody(void **state)
{
	static const char *const steps[][2] = {
		{ KEY_A, KEY_A "\n" KEY_B }, { KEY_A "\n" KEY_B, KEY_A },
		{ KEY_A "\n" KEY_B, KEY_B "\n" KEY_A }, { KEY_B "\n" KEY_A, KEY_B },
		{ KEY_B, KEY_A "\n" KEY_B },
	};

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct cluster_keys keys = rig_keys(steps[i][0]);
		struct error err;

		assert_int_equal(channel_listener_set_keys(rig.listener, &keys, &err), SC_OK);
		channel_dialler_destroy(rig.dialler);
		rig_dial(&rig, steps[i][1], NULL, NULL);
		rig_run(&rig, &rig.n_ups, i + 1);
		rig_run(&rig, &rig.n_members, i + 1);
	}
	assert_int_equal(rig.n_failures, 0);
}

static void a_wrong_key_fails_with_a_hint_and_is_tried_for_ever(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A_WRONG, NULL, NULL);
	for (unsigned i = 1; i <= 30; i++) {
		rig_run(&rig, &rig.n_failures, i);
		assert_non_null(strstr(rig.failure.text, "closed the connection"));
		assert_non_null(strstr(rig.failure.text, "is key 'a' in its cluster key file?"));
		assert_in_range(rig.wait_ms, 0, 5000);
		manual_clock_pass(rig.clock, rig.wait_ms);
	}
	assert_int_equal(rig.n_members + rig.n_ups, 0);
	assert_true(rig_counts(&rig).refused >= 29);
}

static void a_dialler_that_starts_first_finds_the_coordinator_later(void **state)
{
	const struct channel_dialler_config config = { .max_backoff_ms = 1000 };
	char address[64];

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	snprintf(address, sizeof address, "%s", channel_listener_address(rig.listener));
	channel_listener_close(rig.listener);
	rig.listener = NULL;
	rig_dial(&rig, KEY_A, address, &config);
	for (unsigned i = 1; i <= 12; i++) {
		rig_run(&rig, &rig.n_failures, i);
		assert_int_equal(rig.failure.status, SC_E_CLOSED);
		assert_non_null(strstr(rig.failure.text, "connection refused"));
		assert_non_null(strstr(rig.failure.text, address));
		assert_null(strstr(rig.failure.text, "key"));
		assert_in_range(rig.wait_ms, 0, 1000);
		manual_clock_pass(rig.clock, rig.wait_ms);
	}
}

/* The manual clock shows how long the dialler waits, and that only a stable channel resets it. */
static void only_a_stable_channel_resets_the_back_off(void **state)
{
	const struct channel_dialler_config config = { .min_backoff_ms = 1,
		.max_backoff_ms = 1u << 30, .stable_ms = 1u << 30 };
	enum { N_LOSSES = 32 };
	unsigned longest = 0;

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, &config);
	/* Accepted and lost at once, many times: the waits grow. Each is drawn from a range that
	 * doubles, so a few of the long ones may be short, but not all. */
	for (unsigned i = 1; i <= N_LOSSES; i++) {
		unsigned waited = 0;

		while (rig.n_ups < i) {
			for (int turn = 0; turn < 3; turn++)
				loop_turn(rig.loop, false);
			if (rig.n_ups < i && !rig_counts(&rig).n_strangers) {
				manual_clock_pass(rig.clock, 1u << 20);
				waited++;
			}
			assert_true(waited < 100000);
		}
		longest = waited > longest ? waited : longest;
		channel_dialler_again(rig.dialler);
	}
	assert_true(longest > 1);
	rig_run(&rig, &rig.n_ups, N_LOSSES);
}

static void a_stable_channel_is_dialled_again_at_once(void **state)
{
	const struct channel_dialler_config config = { .min_backoff_ms = 1u << 30,
		.max_backoff_ms = 1u << 30, .stable_ms = 5000 };

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, &config);
	rig_run(&rig, &rig.n_ups, 1);
	manual_clock_pass(rig.clock, 5000);
	channel_dialler_again(rig.dialler);
	channel_dialler_again(rig.dialler);
	rig_run(&rig, &rig.n_ups, 2);
	/* A millisecond short of stable: it waits. */
	manual_clock_pass(rig.clock, 4999);
	channel_dialler_again(rig.dialler);
	for (int i = 0; i < 5; i++)
		loop_turn(rig.loop, false);
	assert_int_equal(rig.n_ups, 2);
}

static void all_addresses_are_tried_in_order(void **state)
{
	const char *addresses[] = { "/tmp/no_such_directory/no_such_socket", NULL };
	const struct channel_dialler_config config = { .addresses = addresses, .n_addresses = 2 };

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	addresses[1] = channel_listener_address(rig.listener);
	rig_dial(&rig, KEY_A, NULL, &config);
	rig_run(&rig, &rig.n_ups, 1);
	assert_int_equal(rig.n_failures, 0);
}

static void each_address_that_failed_is_named(void **state)
{
	const char *addresses[] = { "/tmp/no_such_directory/a", "/tmp/no_such_directory/b" };
	const struct channel_dialler_config config = { .addresses = addresses, .n_addresses = 2 };

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, &config);
	rig_run(&rig, &rig.n_failures, 1);
	assert_string_equal(rig.failure.text,
			    "/tmp/no_such_directory/a: no such file or directory; "
			    "/tmp/no_such_directory/b: no such file or directory");
	assert_int_equal(rig.failure.status, SC_E_UNAVAILABLE);
}

static void a_name_is_resolved_in_every_round(void **state)
{
	const char *port;
	char address[64];

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	port = strrchr(channel_listener_address(rig.listener), ':');
	snprintf(address, sizeof address, "localhost%s", port);
	rig_dial(&rig, KEY_A, address, NULL);
	rig_run(&rig, &rig.n_ups, 1);
	channel_dialler_destroy(rig.dialler);
	rig_dial(&rig, KEY_A, "no-such-host.invalid:1", NULL);
	for (unsigned i = 1; i <= 2; i++) {
		rig_run(&rig, &rig.n_failures, i);
		assert_non_null(strstr(rig.failure.text, "no-such-host.invalid:1: "));
		manual_clock_pass(rig.clock, rig.wait_ms);
	}
}

static void a_silent_listener_is_given_up_at_the_deadline(void **state)
{
	/* The next round is far away: its wait is drawn from a range that begins at 0. */
	const struct channel_dialler_config config = { .connect_ms = 300, .handshake_ms = 500,
		.min_backoff_ms = 1u << 30, .max_backoff_ms = 1u << 30 };
	struct sockaddr_storage bound;
	socklen_t length = sizeof bound;
	char directory[] = "/tmp/test_dialler_XXXXXX", path[64];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr *address = (struct sockaddr *)&bound;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/s", directory);
	memset(&bound, 0, sizeof bound);
	address->sa_family = AF_UNIX;
	memcpy(address->sa_data, path, strlen(path));
	length = (socklen_t)(sizeof address->sa_family + strlen(path) + 1);
	assert_int_equal(bind(fd, address, length), 0);
	assert_int_equal(listen(fd, 1), 0);
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A "\n" KEY_B, path, &config);
	manual_clock_settle(rig.clock);
	manual_clock_pass(rig.clock, 799);
	assert_int_equal(rig.n_failures, 0);
	/* Both keys take their time. */
	manual_clock_pass(rig.clock, 801);
	assert_int_equal(rig.n_failures, 1);
	assert_non_null(strstr(rig.failure.text, "the handshake took too long"));
	close(fd);
	unlink(path);
	rmdir(directory);
}

static void a_dialler_may_be_destroyed_in_its_callbacks(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig.destroys_dialler = true;
	rig_dial(&rig, KEY_A_WRONG, NULL, NULL);
	rig_run(&rig, &rig.n_failures, 1);
	assert_null(rig.dialler);
	rig_dial(&rig, KEY_A, "no-such-host.invalid:1", NULL);
	rig_run(&rig, &rig.n_failures, 2);
	assert_null(rig.dialler);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_ups, 1);
	assert_null(rig.dialler);
	/* The channel lives on. */
	rig_run(&rig, &rig.n_members, 1);
	assert_int_equal(channel_actor_send(&rig.members[0], 0), SC_OK);
	rig_run(&rig, &rig.worker.n_messages, 1);
}

static void a_dialler_may_be_destroyed_at_any_moment(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	for (int n_turns = 0; n_turns < 8; n_turns++) {
		rig_dial(&rig, KEY_A, n_turns % 2 ? "localhost:1" : NULL, NULL);
		for (int i = 0; i < n_turns; i++)
			loop_turn(rig.loop, false);
		channel_dialler_destroy(rig.dialler);
		rig.dialler = NULL;
	}
}

static void a_cut_connection_takes_the_channel_down(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	rig_run(&rig, &rig.n_ups, 1);
	/* As if the process had died: no goodbye. All sockets of this program that are connected
	 * are the two ends. */
	for (int fd = 3; fd < 64; fd++) {
		struct sockaddr_storage peer;
		socklen_t length = sizeof peer;

		if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 &&
		    (peer.ss_family == AF_INET)) {
			shutdown(fd, SHUT_WR);
			break;
		}
	}
	for (int i = 0; i < 100 && !rig.worker.n_downs && !rig.members[0].n_downs; i++)
		loop_turn(rig.loop, true);
	assert_int_equal(rig.worker.n_downs + rig.members[0].n_downs, 1);
	assert_non_null(strstr(rig.worker.n_downs ? rig.worker.why : rig.members[0].why,
			       "the connection broke"));
}

static void addresses_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = { "", "host", "host:port", "host:70000", "::1:80" };
	struct cluster_keys keys = rig_keys(KEY_A);

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
		const struct channel_dialler_config config = { .loop = rig.loop, .keys = &keys,
			.addresses = bad + i,
			.n_addresses = i < sizeof bad / sizeof bad[0] };
		struct channel_dialler *dialler = NULL;
		struct error err = { .text = "" };

		assert_int_equal(channel_dialler_create(&config, &dialler, &err), SC_E_INVALID);
		assert_null(dialler);
		assert_true(err.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(messages_go_both_ways, close_rig),
		cmocka_unit_test_teardown(the_first_message_may_come_with_the_end_of_the_handshake,
					  close_rig),
		cmocka_unit_test_teardown(last_messages_arrive_before_the_end, close_rig),
		cmocka_unit_test_teardown(last_messages_arrive_although_input_is_unread,
					  close_rig),
		cmocka_unit_test_teardown(a_peer_that_does_not_close_is_left_after_a_second,
					  close_rig),
		cmocka_unit_test_teardown(the_second_key_is_tried_and_remembered, close_rig),
		cmocka_unit_test_teardown(a_rotation_interrupts_nobody, close_rig),
		cmocka_unit_test_teardown(a_wrong_key_fails_with_a_hint_and_is_tried_for_ever,
					  close_rig),
		cmocka_unit_test_teardown(a_dialler_that_starts_first_finds_the_coordinator_later,
					  close_rig),
		cmocka_unit_test_teardown(only_a_stable_channel_resets_the_back_off, close_rig),
		cmocka_unit_test_teardown(a_stable_channel_is_dialled_again_at_once, close_rig),
		cmocka_unit_test_teardown(all_addresses_are_tried_in_order, close_rig),
		cmocka_unit_test_teardown(each_address_that_failed_is_named, close_rig),
		cmocka_unit_test_teardown(a_name_is_resolved_in_every_round, close_rig),
		cmocka_unit_test_teardown(a_silent_listener_is_given_up_at_the_deadline, close_rig),
		cmocka_unit_test_teardown(a_dialler_may_be_destroyed_in_its_callbacks, close_rig),
		cmocka_unit_test_teardown(a_dialler_may_be_destroyed_at_any_moment, close_rig),
		cmocka_unit_test_teardown(a_cut_connection_takes_the_channel_down, close_rig),
		cmocka_unit_test_teardown(addresses_that_make_no_sense_are_refused, close_rig),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
