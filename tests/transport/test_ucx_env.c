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

/* Neither rendezvous nor sending without a copy, wherever the peers are. */
static void check_copies(const char *n_ranks, const char *n_local, const char *tls)
{
	set("OMPI_COMM_WORLD_SIZE", n_ranks);
	set("OMPI_COMM_WORLD_LOCAL_SIZE", n_local);
	set("UCX_TLS", tls);
	set("UCX_RNDV_THRESH", NULL);
	set("UCX_ZCOPY_THRESH", NULL);
	ucx_env_set_defaults();
	assert_string_equal(getenv("UCX_RNDV_THRESH"), "inf");
	assert_string_equal(getenv("UCX_ZCOPY_THRESH"), "inf");
}

static void frames_are_copied_whatever_the_transport(void **state)
{
	(void)state;
	check_copies("3", "3", NULL);
	check_copies("3", "3", "posix,self");
	check_copies("3", "3", "tcp,self");
	check_copies("3", "2", NULL);
	check_copies(NULL, NULL, NULL);
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

static const char *tls_with(const char *n_ranks, const char *n_local, const char *n_nodes)
{
	set("OMPI_COMM_WORLD_SIZE", n_ranks);
	set("OMPI_COMM_WORLD_LOCAL_SIZE", n_local);
	set("SLURM_STEP_NUM_NODES", n_nodes);
	set("UCX_TLS", NULL);
	ucx_env_set_defaults();
	return getenv("UCX_TLS");
}

/* Between hosts there is nothing but tcp, where there is no RDMA. */
static void one_host_needs_no_tcp(void **state)
{
	(void)state;
	assert_string_equal(tls_with("3", "3", NULL), "^cma,tcp");
	assert_string_equal(tls_with(NULL, NULL, "1"), "^cma,tcp");
	assert_string_equal(tls_with("3", "2", NULL), "^cma");
	assert_string_equal(tls_with(NULL, NULL, "2"), "^cma");
	assert_string_equal(tls_with(NULL, NULL, NULL), "^cma");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_copied_whatever_the_transport),
		cmocka_unit_test(what_the_user_has_set_stays),
		cmocka_unit_test(one_host_needs_no_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
