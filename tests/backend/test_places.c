/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/places.h"

#include "base/cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 16

static hwloc_cpuset_t sets[MAX_THREADS];
static char chosen[256];

/* The sets as text, threads separated by blanks; "-": not to be bound. The machine has numbers as
 * hwloc gives them: processors 2c and 2c + 1 are those of core c. */
static const char *places(const char *machine, const char *allowed_list, enum backend_pin pin,
			  unsigned n_stages, unsigned stage, unsigned n_threads)
{
	const struct backend_place place = { .pin = pin, .n_stages = n_stages, .stage = stage };
	hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
	hwloc_topology_t topology;
	size_t length = 0;

	assert_int_equal(hwloc_topology_init(&topology), 0);
	assert_int_equal(hwloc_topology_set_synthetic(topology, machine), 0);
	assert_int_equal(hwloc_topology_load(topology), 0);
	hwloc_bitmap_list_sscanf(allowed, allowed_list);
	strcpy(chosen, "-");
	if (places_choose(topology, allowed, &place, n_threads, sets)) {
		for (unsigned i = 0; i < n_threads; i++) {
			char text[32];

			hwloc_bitmap_list_snprintf(text, sizeof text, sets[i]);
			length += (size_t)snprintf(chosen + length, sizeof chosen - length,
						   "%s%s", i ? " " : "", text);
		}
	}
	hwloc_topology_destroy(topology);
	hwloc_bitmap_free(allowed);
	return chosen;
}

#define FOUR_CORES "numa:2 core:2 pu:1"
#define FOUR_DOUBLE_CORES "numa:2 core:2 pu:2"
#define EIGHT_CORES "numa:2 core:4 pu:1"
#define ONE_NODE "numa:1 core:4 pu:1"

static void threads_that_fill_the_cores_get_one_each(void **state)
{
	(void)state;
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_AUTO, 1, 0, 4), "0 1 2 3");
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_AUTO, 1, 0, 3), "0 1 2");
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_AUTO, 2, 0, 2), "0 1");
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_AUTO, 2, 1, 2), "2 3");
}

static void both_processors_of_a_core_are_one_place(void **state)
{
	(void)state;
	assert_string_equal(places(FOUR_DOUBLE_CORES, "0-7", BACKEND_PIN_AUTO, 1, 0, 4),
			    "0-1 2-3 4-5 6-7");
	assert_string_equal(places(FOUR_DOUBLE_CORES, "0-7", BACKEND_PIN_AUTO, 2, 1, 2),
			    "4-5 6-7");
}

static void siblings_come_after_all_cores(void **state)
{
	(void)state;
	assert_string_equal(places(FOUR_DOUBLE_CORES, "0-7", BACKEND_PIN_AUTO, 1, 0, 6),
			    "0 2 4 6 1 3");
	assert_string_equal(places(FOUR_DOUBLE_CORES, "0-7", BACKEND_PIN_AUTO, 2, 1, 4),
			    "4 6 5 7");
	/* Core 1 has only one that is allowed. */
	assert_string_equal(places(FOUR_DOUBLE_CORES, "0-2", BACKEND_PIN_ON, 1, 0, 3), "0 2 1");
}

static void only_allowed_processors_are_used(void **state)
{
	(void)state;
	assert_string_equal(places(FOUR_CORES, "1,3", BACKEND_PIN_AUTO, 1, 0, 2), "1 3");
	assert_string_equal(places(FOUR_DOUBLE_CORES, "2-3,6", BACKEND_PIN_AUTO, 1, 0, 2),
			    "2-3 6");
}

static void threads_that_leave_room_are_bound_only_on_demand(void **state)
{
	(void)state;
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_AUTO, 1, 0, 2), "-");
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_AUTO, 2, 1, 1), "-");
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_ON, 1, 0, 2), "0 2");
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_OFF, 1, 0, 4), "-");
}

static void few_threads_spread_over_memory_nodes(void **state)
{
	(void)state;
	assert_string_equal(places(EIGHT_CORES, "0-7", BACKEND_PIN_ON, 1, 0, 2), "0 4");
	assert_string_equal(places(EIGHT_CORES, "0-7", BACKEND_PIN_ON, 2, 1, 2), "4 6");
}

static void threads_without_room_are_not_bound(void **state)
{
	(void)state;
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_AUTO, 2, 0, 4), "-");
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_ON, 2, 0, 4), "-");
	assert_string_equal(places(FOUR_CORES, "0-3", BACKEND_PIN_AUTO, 5, 0, 1), "-");
}

static void with_one_memory_node_threads_are_bound_only_on_demand(void **state)
{
	(void)state;
	assert_string_equal(places(ONE_NODE, "0-3", BACKEND_PIN_AUTO, 1, 0, 4), "-");
	assert_string_equal(places(FOUR_CORES, "2-3", BACKEND_PIN_AUTO, 1, 0, 2), "-");
	assert_string_equal(places(ONE_NODE, "0-3", BACKEND_PIN_ON, 2, 1, 2), "2 3");
}

/* --- on the machine at hand --- */

static void bound_threads_stay_apart(void **state)
{
	const struct backend_place place = { .pin = BACKEND_PIN_ON, .n_stages = 1 };
	cpu_set_t before, allowed[2], both;
	struct team *team;
	struct error err;
	bool is_bound;

	(void)state;
	assert_int_equal(team_create(2, &team, &err), SC_OK);
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	is_bound = places_bind(team, &place, &err) == SC_OK;
	for (int i = 0; is_bound && i < 2; i++)
		pthread_getaffinity_np(i ? team_helper(team, 1) : pthread_self(), sizeof both,
				       &allowed[i]);
	sched_setaffinity(0, sizeof before, &before);
	team_destroy(team);
	if (!is_bound) {
		assert_int_equal(CPU_COUNT(&before), 1);
		assert_int_equal(err.status, SC_E_CONFIG);
		skip();
	}
	CPU_AND(&both, &allowed[0], &allowed[1]);
	assert_int_equal(CPU_COUNT(&both), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(CPU_COUNT(&allowed[i]) > 0);
		CPU_AND(&both, &allowed[i], &before);
		assert_true(CPU_EQUAL(&both, &allowed[i]));
	}
}

static void too_many_threads_on_demand_are_an_error(void **state)
{
	const struct backend_place place = { .pin = BACKEND_PIN_ON, .n_stages = cpu_count() };
	struct team *team;
	struct error err;

	(void)state;
	assert_int_equal(team_create(2, &team, &err), SC_OK);
	assert_int_equal(places_bind(team, &place, &err), SC_E_CONFIG);
	assert_string_equal(strtok(err.text, ":"), "pin");
	team_destroy(team);
}

static void cores_that_cannot_be_read_are_an_error_on_demand(void **state)
{
	struct backend_place place = { .pin = BACKEND_PIN_ON, .n_stages = 1 };
	struct team *team;
	struct error err;

	(void)state;
	assert_int_equal(team_create(1, &team, &err), SC_OK);
	setenv("HWLOC_COMPONENTS", "stop", 1);	/* nobody looks, and so hwloc finds no machine */
	assert_int_equal(places_bind(team, &place, &err), SC_E_CONFIG);
	assert_non_null(strstr(err.text, "the cores of this machine are unknown"));
	place.pin = BACKEND_PIN_AUTO;
	assert_int_equal(places_bind(team, &place, &err), SC_OK);
	unsetenv("HWLOC_COMPONENTS");
	team_destroy(team);
}

/* Else a backend that is opened after it would find a single processor. */
static void a_closed_backend_leaves_its_thread_where_it_was(void **state)
{
	const struct backend_config config = {
		.n_threads = 1, .max_rows = 1, .max_width = 32,
		.place = { .pin = BACKEND_PIN_ON, .n_stages = 1 },
	};
	struct backend *backend;
	cpu_set_t before, after;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	if (backend_cpu.open(0, &config, &backend, NULL) != SC_OK)
		skip();		/* a machine that lets nobody choose */
	backend_cpu.close(backend);
	assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
}

static int alloc_sets(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAX_THREADS; i++)
		sets[i] = hwloc_bitmap_alloc();
	return 0;
}

static int free_sets(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAX_THREADS; i++)
		hwloc_bitmap_free(sets[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_that_fill_the_cores_get_one_each),
		cmocka_unit_test(both_processors_of_a_core_are_one_place),
		cmocka_unit_test(siblings_come_after_all_cores),
		cmocka_unit_test(only_allowed_processors_are_used),
		cmocka_unit_test(threads_that_leave_room_are_bound_only_on_demand),
		cmocka_unit_test(few_threads_spread_over_memory_nodes),
		cmocka_unit_test(threads_without_room_are_not_bound),
		cmocka_unit_test(with_one_memory_node_threads_are_bound_only_on_demand),
		cmocka_unit_test(bound_threads_stay_apart),
		cmocka_unit_test(too_many_threads_on_demand_are_an_error),
		cmocka_unit_test(a_closed_backend_leaves_its_thread_where_it_was),
		cmocka_unit_test(cores_that_cannot_be_read_are_an_error_on_demand),
	};

	return cmocka_run_group_tests(tests, alloc_sets, free_sets);
}
