/* SPDX-License-Identifier: Apache-2.0 */
/* What a listener does with strangers, over real sockets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

static void junk_is_closed_without_an_answer(void **state)
{
	static const char *const junk[] = { "GET / HTTP/1.1\r\n\r\n", "\x80\x2e\x01\x03\x01 old",
					    "\x17\x03\x03\x00\x05 data" };

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
		int fd = rig_connect(&rig);

		assert_int_equal(send(fd, junk[i], strlen(junk[i]), 0), strlen(junk[i]));
		assert_int_equal(rig_run_until_closed(&rig, fd), 0);
		close(fd);
	}
	assert_int_equal(rig_counts(&rig).refused, sizeof junk / sizeof junk[0]);
	assert_int_equal(rig_counts(&rig).n_strangers, 0);
	assert_int_equal(rig.n_members, 0);
}

static void a_silent_stranger_is_dropped_at_its_deadline(void **state)
{
	const struct channel_listener_config config = { .handshake_ms = 700 };
	int fd;

	(void)state;
	rig_open(&rig, KEY_A, NULL, &config);
	fd = rig_connect(&rig);
	RIG_RUN_COUNT(&rig, n_strangers, 1);
	manual_clock_pass(rig.clock, 699);
	assert_int_equal(rig_counts(&rig).n_strangers, 1);
	manual_clock_pass(rig.clock, 1);
	assert_int_equal(rig_counts(&rig).expired, 1);
	assert_int_equal(rig_counts(&rig).n_strangers, 0);
	assert_int_equal(rig_run_until_closed(&rig, fd), 0);
	close(fd);
}

/* Each byte comes in time; the handshake as a whole does not. */
static void a_slow_stranger_wins_no_time(void **state)
{
	static const uint8_t hello[] = { 0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0 };
	const struct channel_listener_config config = { .handshake_ms = 1000 };
	int fd;

	(void)state;
	rig_open(&rig, KEY_A, NULL, &config);
	fd = rig_connect(&rig);
	RIG_RUN_COUNT(&rig, n_strangers, 1);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(send(fd, hello + i, 1, 0), 1);
		loop_turn(rig.loop, true);
		assert_int_equal(rig_counts(&rig).n_strangers, 1);
		manual_clock_pass(rig.clock, 100);
	}
	assert_int_equal(rig_counts(&rig).expired, 1);
	assert_int_equal(rig_run_until_closed(&rig, fd), 0);
	close(fd);
}

static void a_hello_that_never_ends_is_cut_off_at_16_kib(void **state)
{
	/* One byte of a long message in each record. */
	uint8_t records[6 * 4096];
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof records; i += 6)
		memcpy(records + i, "\x16\x03\x01\x00\x01\x00", 6);
	memcpy(records + 5, "\x01", 1);
	records[6 * 2 + 5] = 0x20;
	rig_open(&rig, KEY_A, NULL, NULL);
	fd = rig_connect(&rig);
	assert_int_equal(send(fd, records, 16000, 0), 16000);
	RIG_RUN_COUNT(&rig, n_strangers, 1);
	for (int i = 0; i < 3; i++)
		loop_turn(rig.loop, false);
	assert_int_equal(rig_counts(&rig).n_strangers, 1);
	assert_true(send(fd, records + 16000, sizeof records - 16000, MSG_NOSIGNAL) > 0);
	RIG_RUN_COUNT(&rig, refused, 1);
	assert_int_equal(rig_run_until_closed(&rig, fd), 0);
	close(fd);
}

static void a_stranger_that_leaves_early_is_forgotten(void **state)
{
	int fd;

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	fd = rig_connect(&rig);
	assert_int_equal(send(fd, "\x16\x03\x01\x02", 4, 0), 4);
	close(fd);
	RIG_RUN_COUNT(&rig, refused, 1);
	assert_int_equal(rig_counts(&rig).n_strangers, 0);
}

static void many_silent_strangers_do_not_keep_a_member_out(void **state)
{
	const struct channel_listener_config config = { .max_strangers = 6,
							.max_strangers_per_address = 4 };
	int fds[40];

	(void)state;
	rig_open(&rig, KEY_A, NULL, &config);
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		fds[i] = rig_connect(&rig);
	RIG_RUN_COUNT(&rig, displaced, 36);
	assert_int_equal(rig_counts(&rig).n_strangers, 4);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	assert_int_equal(rig.n_failures, 0);
	/* It does not become one of them again: it is a member. */
	for (size_t i = 0; i < 10; i++) {
		close(fds[i]);
		fds[i] = rig_connect(&rig);
	}
	assert_int_equal(channel_actor_send(&rig.worker, 0), SC_OK);
	rig_run(&rig, &rig.members[0].n_messages, 1);
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		close(fds[i]);
}

static void closing_the_listener_drops_strangers_and_keeps_members(void **state)
{
	int fd;

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	fd = rig_connect(&rig);
	RIG_RUN_COUNT(&rig, n_strangers, 1);
	channel_listener_close(rig.listener);
	rig.listener = NULL;
	assert_int_equal(rig_run_until_closed(&rig, fd), 0);
	assert_int_equal(channel_actor_send(&rig.members[0], 0), SC_OK);
	rig_run(&rig, &rig.worker.n_messages, 1);
	close(fd);
}

/* Nobody is left to close the channel in the background. What the socket has taken arrives even so,
 * although there is input that nobody has read. */
static void last_messages_arrive_after_the_listener_is_closed(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	rig_run(&rig, &rig.n_ups, 1);
	channel_listener_close(rig.listener);
	rig.listener = NULL;
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(channel_actor_send(&rig.worker, i), SC_OK);
	for (uint64_t i = 0; i < 4000; i++)
		assert_int_equal(channel_actor_send(&rig.members[0], i), SC_OK);
	channel_actor_close(&rig.members[0]);
	rig_run(&rig, &rig.worker.n_downs, 1);
	assert_int_equal(rig.worker.n_messages, 4000);
	assert_int_equal(rig.worker.status, SC_E_CLOSED);
}

static void a_unix_socket_is_as_good_as_a_port(void **state)
{
	char directory[] = "/tmp/test_channel_XXXXXX", path[64];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/control", directory);
	rig_open(&rig, KEY_A, path, NULL);
	assert_string_equal(channel_listener_address(rig.listener), path);
	assert_false(channel_listener_is_exposed(rig.listener));
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	rig_run(&rig, &rig.n_ups, 1);
	assert_string_equal(channel_peer(rig.worker.channel), path);
	assert_int_equal(channel_actor_send(&rig.worker, 0), SC_OK);
	rig_run(&rig, &rig.members[0].n_messages, 1);
	channel_listener_close(rig.listener);
	rig.listener = NULL;
	assert_int_not_equal(stat(path, &st), 0);
	rmdir(directory);
}

static void an_interface_stands_for_its_addresses(void **state)
{
	(void)state;
	rig_open(&rig, KEY_A, "lo:0", NULL);
	assert_int_equal(strncmp(channel_listener_address(rig.listener), "127.0.0.1:", 10), 0);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
}

static void addresses_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = { "", "nowhere", "127.0.0.1:99999", "lo", "/" };
	struct cluster_keys keys = rig_keys(KEY_A);

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const struct channel_listener_config config = { .loop = rig.loop,
			.address = bad[i], .keys = &keys };
		struct channel_listener *listener = NULL;
		struct error err = { .text = "" };

		assert_int_not_equal(channel_listener_create(&config, &listener, &err), SC_OK);
		assert_null(listener);
		assert_true(err.text[0]);
	}
}

static void withdrawn_keys_are_no_use_to_newcomers(void **state)
{
	struct cluster_keys keys = rig_keys(KEY_B);
	struct error err;

	(void)state;
	rig_open(&rig, KEY_A "\n" KEY_B, NULL, NULL);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	assert_int_equal(channel_listener_set_keys(rig.listener, &keys, &err), SC_OK);
	/* The member stays. */
	assert_int_equal(channel_actor_send(&rig.worker, 0), SC_OK);
	rig_run(&rig, &rig.members[0].n_messages, 1);
	channel_dialler_destroy(rig.dialler);
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_failures, 1);
	assert_int_equal(rig.n_members, 1);
	channel_dialler_destroy(rig.dialler);
	rig_dial(&rig, KEY_B, NULL, NULL);
	rig_run(&rig, &rig.n_members, 2);
	assert_string_equal(rig.member_key, "b");
}

/* A member that sends and is not read does not fill the listener's memory. */
static void a_member_that_nobody_watches_is_not_read_without_end(void **state)
{
	enum sc_status status = SC_OK;
	uint64_t n = 0;

	(void)state;
	rig_open(&rig, KEY_A, NULL, NULL);
	rig.is_mute = true;
	rig_dial(&rig, KEY_A, NULL, NULL);
	rig_run(&rig, &rig.n_members, 1);
	rig_run(&rig, &rig.n_ups, 1);
	/* The kernel's buffers take some megabytes first. */
	while (status == SC_OK && n < 10000000) {
		status = channel_actor_send(&rig.worker, n++);
		if (n % 1000 == 0)
			loop_turn(rig.loop, false);
	}
	assert_int_equal(status, SC_E_TIMEOUT);
	assert_int_equal(channel_actor_send(&rig.worker, n), SC_E_CLOSED);
	rig_run(&rig, &rig.worker.n_downs, 1);
	assert_int_equal(rig.worker.status, SC_E_TIMEOUT);
	/* What was sent before is there, in order, when somebody watches. */
	channel_actor_watch(&rig.members[0]);
	channel_actor_close(&rig.worker);
	rig_run(&rig, &rig.members[0].n_downs, 1);
	assert_in_range(rig.members[0].n_messages, 100000, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(junk_is_closed_without_an_answer, close_rig),
		cmocka_unit_test_teardown(a_silent_stranger_is_dropped_at_its_deadline, close_rig),
		cmocka_unit_test_teardown(a_slow_stranger_wins_no_time, close_rig),
		cmocka_unit_test_teardown(a_hello_that_never_ends_is_cut_off_at_16_kib, close_rig),
		cmocka_unit_test_teardown(a_stranger_that_leaves_early_is_forgotten, close_rig),
		cmocka_unit_test_teardown(many_silent_strangers_do_not_keep_a_member_out,
					  close_rig),
		cmocka_unit_test_teardown(closing_the_listener_drops_strangers_and_keeps_members,
					  close_rig),
		cmocka_unit_test_teardown(last_messages_arrive_after_the_listener_is_closed,
					  close_rig),
		cmocka_unit_test_teardown(a_unix_socket_is_as_good_as_a_port, close_rig),
		cmocka_unit_test_teardown(an_interface_stands_for_its_addresses, close_rig),
		cmocka_unit_test_teardown(addresses_that_make_no_sense_are_refused, close_rig),
		cmocka_unit_test_teardown(withdrawn_keys_are_no_use_to_newcomers, close_rig),
		cmocka_unit_test_teardown(a_member_that_nobody_watches_is_not_read_without_end,
					  close_rig),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
