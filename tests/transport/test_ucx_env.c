/* SPDX-License-Identifier: Apache-2.0 */
/* The UCX_* variables that a fabric sets, by where its peers are and by what the user has set. */
#include "transport/ucx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

/* From how many bytes on frames go by rendezvous. */
static void check_rendezvous(const char *n_ranks, const char *n_local, const char *tls,
			     const char *expected)
{
	set("OMPI_COMM_WORLD_SIZE", n_ranks);
	set("OMPI_COMM_WORLD_LOCAL_SIZE", n_local);
	set("UCX_TLS", tls);
	unsetenv("UCX_RNDV_THRESH");
	ucx_env_set_defaults();
	assert_string_equal(getenv("UCX_RNDV_THRESH"), expected);
}

static void there_is_no_rendezvous_where_all_peers_are_in_shared_memory(void **state)
{
	(void)state;
	check_rendezvous("3", "3", NULL, "inf");
	check_rendezvous("3", "3", "posix,self", "inf");
	check_rendezvous("3", "3", "tcp,self", "1m");
	check_rendezvous("3", "2", NULL, "1m");
	check_rendezvous(NULL, NULL, NULL, "1m");
}

static void what_the_user_has_set_stays(void **state)
{
	(void)state;
	set("OMPI_COMM_WORLD_SIZE", "2");
	set("OMPI_COMM_WORLD_LOCAL_SIZE", "2");
	set("UCX_TLS", NULL);
	set("UCX_RNDV_THRESH", "auto");
	set("UCX_NET_DEVICES", "eth7");
	ucx_env_set_defaults();
	assert_string_equal(getenv("UCX_RNDV_THRESH"), "auto");
	assert_string_equal(getenv("UCX_NET_DEVICES"), "eth7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_no_rendezvous_where_all_peers_are_in_shared_memory),
		cmocka_unit_test(what_the_user_has_set_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
