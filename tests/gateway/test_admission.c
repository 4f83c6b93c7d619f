/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/admission.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <netinet/in.h>
#include <cmocka.h>

#define MAX 8
#define SHARE 4
#define SECOND UINT64_C(1000000000)

static struct admission admission;
static struct guest guests[64];
static unsigned n_guests;

static int setup(void **state)
{
	(void)state;
	admission_init(&admission, MAX, SHARE);
	memset(guests, 0, sizeof guests);
	n_guests = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < n_guests; i++)
		admission_leave(&admission, &guests[i]);
	admission_deinit(&admission);
	return 0;
}

static struct peer_key key(const char *text)
{
	struct sockaddr_in ipv4 = { .sin_family = AF_INET };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };

	if (strcmp(text, "unix") == 0)
		return peer_key_of(NULL);
	if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
		return peer_key_of((struct sockaddr *)&ipv4);
	assert_int_equal(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
	return peer_key_of((struct sockaddr *)&ipv6);
}

static struct admission_answer ask(const char *who, uint64_t now_ns)
{
	return admission_ask(&admission, key(who), now_ns);
}

/* Do as the gateway does. NULL: refused. */
static struct guest *come(const char *who, uint64_t now_ns)
{
	struct admission_answer answer = ask(who, now_ns);
	struct guest *guest = &guests[n_guests];

	if (answer.seat == SEAT_NONE)
		return NULL;
	if (answer.victim)
		admission_leave(&admission, answer.victim);
	assert_int_equal(admission_enter(&admission, key(who), answer.seat, now_ns, guest), SC_OK);
	n_guests++;
	return guest;
}

/* n guests that all have a call. */
static void fill(const char *who, unsigned n)
{
	while (n--) {
		struct guest *guest = come(who, SECOND);

		assert_non_null(guest);
		assert_int_equal(guest->seat, SEAT_ORDINARY);
		admission_set_busy(guest);
	}
}

static void expect_same(const char *a, const char *b, bool is_same)
{
	struct peer_key left = key(a), right = key(b);

	assert_int_equal(memcmp(&left, &right, sizeof left) == 0, is_same);
}

static void addresses_are_counted_as_those_who_can_have_them(void **state)
{
	(void)state;
	expect_same("127.0.0.1", "127.0.0.2", true);
	expect_same("127.0.0.1", "::1", true);
	expect_same("::ffff:127.0.0.1", "::1", true);
	expect_same("::ffff:10.1.2.3", "10.1.2.3", true);
	expect_same("10.1.2.3", "10.1.2.4", false);
	expect_same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true);
	expect_same("2001:db8:1:2::1", "2001:db8:1:3::1", false);
	expect_same("unix", "127.0.0.1", false);
}

static void one_address_gets_its_share_and_others_the_rest(void **state)
{
	(void)state;
	fill("10.0.0.1", SHARE);
	assert_null(come("10.0.0.1", 100 * SECOND));
	assert_int_equal(ask("10.0.0.1", 100 * SECOND).limit, LIMIT_PEER_CONNECTIONS);
	fill("10.0.0.2", MAX - SHARE);
	assert_null(come("10.0.0.3", 100 * SECOND));
	assert_int_equal(ask("10.0.0.3", 100 * SECOND).limit, LIMIT_CONNECTIONS);
}

static void who_leaves_makes_room(void **state)
{
	(void)state;
	fill("10.0.0.1", SHARE);
	admission_leave(&admission, &guests[1]);
	admission_leave(&admission, &guests[1]);
	assert_non_null(come("10.0.0.1", 2 * SECOND));
	assert_null(come("10.0.0.1", 2 * SECOND));
}

static void over_its_share_an_address_loses_its_own_longest_idle(void **state)
{
	struct guest *other;

	(void)state;
	other = come("10.0.0.9", SECOND);
	assert_non_null(other);
	for (unsigned i = 0; i < SHARE; i++)
		assert_non_null(come("10.0.0.1", 2 * SECOND + i));
	/* The first is busy, the second was lately. */
	admission_set_busy(&guests[1]);
	admission_set_busy(&guests[2]);
	admission_set_idle(&guests[2], 3 * SECOND);
	assert_ptr_equal(ask("10.0.0.1", 10 * SECOND).victim, &guests[3]);
	assert_non_null(come("10.0.0.1", 10 * SECOND));
	assert_null(guests[3].peer);
	assert_non_null(other->peer);
}

static void a_full_server_takes_from_the_address_that_holds_most(void **state)
{
	(void)state;
	assert_non_null(come("10.0.0.1", SECOND));	/* the longest idle of all */
	for (unsigned i = 0; i < SHARE; i++)
		assert_non_null(come("10.0.0.2", 2 * SECOND));
	for (unsigned i = 0; i < MAX - SHARE - 1; i++)
		assert_non_null(come("10.0.0.3", 3 * SECOND));
	assert_ptr_equal(ask("10.0.0.4", 10 * SECOND).victim, &guests[1]);
	assert_int_equal(ask("10.0.0.4", 10 * SECOND).limit, LIMIT_CONNECTIONS);
	/* Without idle ones there, from the next. */
	for (unsigned i = 1; i <= SHARE; i++)
		admission_set_busy(&guests[i]);
	assert_ptr_equal(ask("10.0.0.4", 10 * SECOND).victim, &guests[1 + SHARE]);
}

static void nobody_gives_way_who_has_only_just_come(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHARE; i++)
		assert_non_null(come("10.0.0.1", SECOND));
	assert_null(come("10.0.0.1", SECOND + ADMISSION_MIN_IDLE_NS - 1));
	assert_non_null(come("10.0.0.1", SECOND + ADMISSION_MIN_IDLE_NS));
}

static void places_are_kept_for_the_unix_socket_and_for_loopback(void **state)
{
	(void)state;
	fill("10.0.0.1", SHARE);
	fill("10.0.0.2", MAX - SHARE);
	for (unsigned i = 0; i < ADMISSION_RESERVE; i++) {
		assert_int_equal(come("unix", 5 * SECOND)->seat, SEAT_RESERVED);
		assert_int_equal(come("::1", 5 * SECOND)->seat, SEAT_RESTRICTED);
	}
	assert_null(come("unix", 5 * SECOND));
	assert_null(come("127.0.0.1", 5 * SECOND));
	assert_int_equal(ask("unix", 5 * SECOND).limit, LIMIT_RESERVE);
	assert_null(come("10.0.0.3", 5 * SECOND));
}

static void loopback_over_its_share_still_gets_a_health_check_in(void **state)
{
	(void)state;
	fill("127.0.0.1", SHARE);
	assert_int_equal(come("127.0.0.1", 5 * SECOND)->seat, SEAT_RESTRICTED);
	assert_int_equal(come("10.0.0.1", 5 * SECOND)->seat, SEAT_ORDINARY);
}

/* A watcher of health may be sent away for the next, an operator's call may not. */
static void reserved_places_are_handed_on(void **state)
{
	unsigned first_reserved;

	(void)state;
	fill("10.0.0.1", SHARE);
	fill("10.0.0.2", MAX - SHARE);
	first_reserved = n_guests;
	for (unsigned i = 0; i < ADMISSION_RESERVE; i++) {
		admission_set_busy(come("unix", 5 * SECOND));
		admission_set_busy(come("::1", 5 * SECOND));
	}
	assert_null(come("unix", 9 * SECOND));
	assert_ptr_equal(ask("::1", 9 * SECOND).victim, &guests[first_reserved + 1]);
	assert_int_equal(come("::1", 9 * SECOND)->seat, SEAT_RESTRICTED);
	admission_set_idle(&guests[first_reserved + 2], 8 * SECOND);
	assert_ptr_equal(ask("unix", 9 * SECOND).victim, &guests[first_reserved + 2]);
}

/* The crowd went, or became idle: a guest of the reserve is as good as a newcomer then. */
static void a_guest_of_the_reserve_takes_an_ordinary_seat_when_there_is_one(void **state)
{
	struct guest *late, *operator;

	(void)state;
	fill("10.0.0.1", SHARE);
	fill("10.0.0.2", MAX - SHARE);
	late = come("127.0.0.1", 5 * SECOND);
	operator = come("unix", 5 * SECOND);
	assert_int_equal(admission_ask_again(&admission, late, 9 * SECOND).seat, SEAT_NONE);
	admission_set_idle(&guests[1], 6 * SECOND);
	assert_ptr_equal(admission_ask_again(&admission, late, 9 * SECOND).victim, &guests[1]);
	admission_leave(&admission, &guests[1]);
	assert_int_equal(admission_ask_again(&admission, late, 9 * SECOND).seat, SEAT_ORDINARY);
	admission_promote(&admission, late);
	assert_int_equal(late->seat, SEAT_ORDINARY);
	assert_int_equal(admission_ask_again(&admission, operator, 9 * SECOND).seat, SEAT_NONE);
	/* It counts among the ordinary ones, and gives way as they do. */
	assert_null(come("10.0.0.3", 9 * SECOND));
	admission_set_idle(late, 10 * SECOND);
	assert_ptr_equal(ask("10.0.0.3", 20 * SECOND).victim, late);
	/* Its place in the reserve is free again. */
	for (unsigned i = 0; i < ADMISSION_RESERVE; i++)
		assert_int_equal(come("::1", 10 * SECOND)->seat, SEAT_RESTRICTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_counted_as_those_who_can_have_them),
		TEST(one_address_gets_its_share_and_others_the_rest),
		TEST(who_leaves_makes_room),
		TEST(over_its_share_an_address_loses_its_own_longest_idle),
		TEST(a_full_server_takes_from_the_address_that_holds_most),
		TEST(nobody_gives_way_who_has_only_just_come),
		TEST(places_are_kept_for_the_unix_socket_and_for_loopback),
		TEST(loopback_over_its_share_still_gets_a_health_check_in),
		TEST(reserved_places_are_handed_on),
		TEST(a_guest_of_the_reserve_takes_an_ordinary_seat_when_there_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
