/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/strangers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct strangers strangers;
static struct stranger guests[16];

static void add(unsigned i, const char *address)
{
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in ipv4 = { .sin_family = AF_INET };

	if (!address)
		strangers_add(&strangers, &guests[i], NULL);
	else if (inet_pton(AF_INET, address, &ipv4.sin_addr) == 1)
		strangers_add(&strangers, &guests[i], (struct sockaddr *)&ipv4);
	else if (inet_pton(AF_INET6, address, &ipv6.sin6_addr) == 1)
		strangers_add(&strangers, &guests[i], (struct sockaddr *)&ipv6);
	else
		fail_msg("%s is no address", address);
}

static void there_is_room_up_to_both_limits(void **state)
{
	(void)state;
	strangers_init(&strangers, 4, 2);
	add(0, "10.0.0.1");
	add(1, "10.0.0.1");
	assert_null(strangers_victim(&strangers, &guests[1]));
	add(2, "10.0.0.2");
	add(3, "10.0.0.3");
	assert_null(strangers_victim(&strangers, &guests[3]));
	strangers_remove(&strangers, &guests[0]);
	add(4, "10.0.0.4");
	assert_null(strangers_victim(&strangers, &guests[4]));
}

static void too_many_of_one_address_cost_that_address_its_oldest(void **state)
{
	(void)state;
	strangers_init(&strangers, 8, 2);
	add(0, "10.0.0.2");
	add(1, "10.0.0.1");
	add(2, "10.0.0.1");
	add(3, "10.0.0.1");
	assert_ptr_equal(strangers_victim(&strangers, &guests[3]), &guests[1]);
	/* One that has spoken may be a member in a moment. */
	guests[1].has_spoken = true;
	assert_ptr_equal(strangers_victim(&strangers, &guests[3]), &guests[2]);
	guests[2].has_spoken = true;
	assert_ptr_equal(strangers_victim(&strangers, &guests[3]), &guests[1]);
}

static void too_many_in_all_cost_the_address_that_has_the_most(void **state)
{
	(void)state;
	strangers_init(&strangers, 4, 3);
	add(0, "10.0.0.9");
	add(1, "10.0.0.1");
	add(2, "10.0.0.1");
	add(3, "10.0.0.1");
	add(4, "10.0.0.2");
	assert_ptr_equal(strangers_victim(&strangers, &guests[4]), &guests[1]);
}

static void the_newcomer_is_never_the_victim(void **state)
{
	(void)state;
	strangers_init(&strangers, 1, 1);
	add(0, "10.0.0.1");
	add(1, "10.0.0.1");
	guests[0].has_spoken = true;
	assert_ptr_equal(strangers_victim(&strangers, &guests[1]), &guests[0]);
}

static void a_host_with_many_ipv6_addresses_is_one_address(void **state)
{
	(void)state;
	strangers_init(&strangers, 8, 1);
	add(0, "2001:db8:1:2::5");
	add(1, "2001:db8:1:3::5");
	assert_null(strangers_victim(&strangers, &guests[1]));
	add(2, "2001:db8:1:2:ffff::9");
	assert_ptr_equal(strangers_victim(&strangers, &guests[2]), &guests[0]);
}

static void mapped_ipv4_addresses_are_told_apart(void **state)
{
	(void)state;
	strangers_init(&strangers, 8, 1);
	add(0, "::ffff:10.0.0.1");
	add(1, "::ffff:10.0.0.2");
	assert_null(strangers_victim(&strangers, &guests[1]));
	add(2, "10.0.0.2");
	assert_ptr_equal(strangers_victim(&strangers, &guests[2]), &guests[1]);
}

static void a_unix_socket_has_the_total_only(void **state)
{
	(void)state;
	strangers_init(&strangers, 3, 1);
	add(0, NULL);
	add(1, NULL);
	assert_null(strangers_victim(&strangers, &guests[1]));
	add(2, "::1");
	assert_null(strangers_victim(&strangers, &guests[2]));
	add(3, NULL);
	assert_ptr_equal(strangers_victim(&strangers, &guests[3]), &guests[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_room_up_to_both_limits),
		cmocka_unit_test(too_many_of_one_address_cost_that_address_its_oldest),
		cmocka_unit_test(too_many_in_all_cost_the_address_that_has_the_most),
		cmocka_unit_test(the_newcomer_is_never_the_victim),
		cmocka_unit_test(a_host_with_many_ipv6_addresses_is_one_address),
		cmocka_unit_test(mapped_ipv4_addresses_are_told_apart),
		cmocka_unit_test(a_unix_socket_has_the_total_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
