/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which worker computes which stage, as a table. Workers are written like this:
 *	A:0-3*	holds layers 0 to 3, and has had a stage
 *	B!	is not usable	Bq	is in quarantine	B^2	was lost twice	B@9	has 9 bytes
 * A choice is written in the order of the stages: "A0-3 D4-7" where the layers follow from what
 * workers hold, "A D ?" where they must be split anew. The model has 12 layers.
 */
#include "coordinator/placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N_LAYERS 12
#define MAX_WORKERS 16

struct cluster {
	struct placement_worker workers[MAX_WORKERS];
	char names[MAX_WORKERS];
	unsigned n;
};

static struct placement_worker read_worker(const char *text)
{
	struct placement_worker worker = { .is_usable = true };
	char *end = (char *)text;

	while (*end && *end != ' ') {
		const char flag = *end++;

		if (flag == ':') {
			worker.held_first_layer = (uint32_t)strtoul(end, &end, 10);
			worker.held_n_layers = (uint32_t)strtoul(end + 1, &end, 10) + 1 -
					       worker.held_first_layer;
		} else if (flag == '*') {
			worker.has_stage = true;
		} else if (flag == '!') {
			worker.is_usable = false;
		} else if (flag == 'q') {
			worker.is_quarantined = true;
		} else if (flag == '^') {
			worker.n_losses = (unsigned)strtoul(end, &end, 10);
		} else if (flag == '@') {
			worker.memory_bytes = strtoul(end, &end, 10);
		} else {
			fail_msg("worker: %s", text);
		}
	}
	return worker;
}

static struct cluster read_cluster(const char *text)
{
	struct cluster cluster = { .n = 0 };

	while (*text) {
		assert_true(cluster.n < MAX_WORKERS);
		cluster.names[cluster.n] = *text;
		cluster.workers[cluster.n++] = read_worker(text + 1);
		text += strcspn(text, " ");
		text += strspn(text, " ");
	}
	return cluster;
}

static unsigned find(const struct cluster *cluster, char name)
{
	for (unsigned i = 0; i < cluster->n; i++)
		if (cluster->names[i] == name)
			return i;
	return PLACEMENT_COORDINATOR;
}

static void write_placement(const struct cluster *cluster, const struct placement *placement,
			    char *text, size_t n_bytes)
{
	size_t n = 0;

	for (unsigned i = 0; i < placement->n_stages; i++) {
		n += (size_t)snprintf(text + n, n_bytes - n, "%s%c", i ? " " : "",
				      cluster->names[placement->workers[i]]);
		if (placement->ends)
			n += (size_t)snprintf(text + n, n_bytes - n, "%u-%u",
					      i ? placement->ends[i - 1] : 0,
					      placement->ends[i] - 1);
	}
	snprintf(text + n, n_bytes - n, "%s%s", placement->ends ? "" : " ?",
		 placement->has_bad_link ? " bad" : "");
}

struct row {
	const char *workers;
	unsigned n_wanted;
	const char *apart;	/* pairs of names; '.' is the coordinator */
	bool allows_quarantined;
	const char *expected;
};

static void check_row(const struct row *row)
{
	const struct cluster cluster = read_cluster(row->workers);
	struct placement_pair apart[8];
	struct placement_input input = {
		.workers = cluster.workers,
		.n_workers = cluster.n,
		.n_wanted = row->n_wanted,
		.n_layers = N_LAYERS,
		.apart = apart,
		.allows_quarantined = row->allows_quarantined,
	};
	struct placement placement;
	char text[256];

	for (const char *pair = row->apart; pair && *pair; pair += 2)
		apart[input.n_apart++] = (struct placement_pair){
			find(&cluster, pair[0]), find(&cluster, pair[1]),
		};
	if (placement_choose(&input, &placement) != SC_OK) {
		snprintf(text, sizeof text, "none");
	} else {
		write_placement(&cluster, &placement, text, sizeof text);
		placement_deinit(&placement);
	}
	if (strcmp(text, row->expected))
		fail_msg("workers %s, %u wanted, apart %s: expected %s, found %s", row->workers,
			 row->n_wanted, row->apart ? row->apart : "none", row->expected, text);
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(&rows[i]);
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void a_cluster_starts_with_the_first_workers(void **state)
{
	static const struct row rows[] = {
		{ "A B C", 3, NULL, false, "A B C ?" },
		{ "A B C D", 2, NULL, false, "A B ?" },
		{ "A! B C D", 2, NULL, false, "B C ?" },
		{ "A@5 B@9 C@7", 2, NULL, false, "B C ?" },
		{ "A B", 3, NULL, false, "A B ?" },
		{ "A!", 1, NULL, false, "none" },
		{ "", 1, NULL, false, "none" },
	};

	(void)state;
	CHECK(rows);
}

static void a_restarted_coordinator_finds_layers_where_they_are(void **state)
{
	static const struct row rows[] = {
		{ "A:8-11 B:0-3 C:4-7", 3, NULL, false, "B0-3 C4-7 A8-11" },
		{ "A:8-11 B D:0-3 C:4-7", 3, NULL, false, "D0-3 C4-7 A8-11" },
		{ "A:8-11 B D:0-3", 3, NULL, false, "D0-3 B4-7 A8-11" },
		{ "A:0-5 B:6-11", 3, NULL, false, "A0-5 B6-11" },
		/* They held layers of another split. */
		{ "A:0-5 B:6-11 C", 3, NULL, false, "A B C ?" },
		{ "A:0-5 B:4-11", 2, NULL, false, "A0-3 B4-11" },
		/* Nonsense is not believed. */
		{ "A:10-30 B", 2, NULL, false, "A B ?" },
	};

	(void)state;
	CHECK(rows);
}

static void a_spare_takes_the_place_of_a_lost_worker(void **state)
{
	static const struct row rows[] = {
		{ "A:0-3* B:4-7*! C:8-11* D", 3, NULL, false, "A0-3 D4-7 C8-11" },
		{ "A:0-3*! B:4-7* C:8-11* D", 3, NULL, false, "D0-3 B4-7 C8-11" },
		{ "A:0-3* B:4-7* C:8-11*! D", 3, NULL, false, "A0-3 B4-7 D8-11" },
		{ "A:0-3*! B:4-7* C:8-11*! D E", 3, NULL, false, "D0-3 B4-7 E8-11" },
		{ "A:0-11*! B", 1, NULL, false, "B ?" },
		/* Neighbours share what is between the others. */
		{ "A:0-1* B:2-5*! C:6-9*! D:10-11* E F", 4, NULL, false,
		  "A0-1 E2-5 F6-9 D10-11" },
		{ "A:0-4* B:5-5*! C:6-6*! D:7-11* E F", 4, NULL, false, "A0-4 E5-5 F6-6 D7-11" },
		/* The returned worker has kept its weights. */
		{ "A:0-3* B:4-7 C:8-11* D", 3, NULL, false, "A0-3 B4-7 C8-11" },
		/* All lost. */
		{ "A:0-3*! B:4-7*! C:8-11*! D E F", 3, NULL, false, "D E F ?" },
	};

	(void)state;
	CHECK(rows);
}

static void the_best_spare_is_taken(void **state)
{
	static const struct row rows[] = {
		{ "A:0-5* B:6-11*! C D:6-11", 2, NULL, false, "A0-5 D6-11" },
		{ "A:0-5* B:6-11*! C D:0-5", 2, NULL, false, "A0-5 C6-11" },
		{ "A:0-5* B:6-11*! C^1 D", 2, NULL, false, "A0-5 D6-11" },
		{ "A:0-5* B:6-11*! C@4 D@8", 2, NULL, false, "A0-5 D6-11" },
		{ "A:0-5* B:6-11*! C! D", 2, NULL, false, "A0-5 D6-11" },
		{ "A:0-5* B:6-11*! C:6-11q D", 2, NULL, false, "A0-5 D6-11" },
		{ "A:0-5* B:6-11*! C:6-11q D", 2, NULL, true, "A0-5 D6-11" },
		/* A quarantined worker only if there is nothing else. */
		{ "A:0-5* B:6-11*! Cq", 2, NULL, false, "A ?" },
		{ "A:0-5* B:6-11*! Cq", 2, NULL, true, "A0-5 C6-11" },
		{ "Aq Bq", 2, NULL, false, "none" },
		/* A spare that holds more does not push out one that has a stage. */
		{ "A:0-3* B:4-7* C:8-11*! D:4-11", 3, NULL, false, "A0-3 B4-7 D8-11" },
	};

	(void)state;
	CHECK(rows);
}

static void without_spares_the_others_take_all_layers(void **state)
{
	static const struct row rows[] = {
		{ "A:0-3* B:4-7*! C:8-11*", 3, NULL, false, "A C ?" },
		{ "A:0-3*! B:4-7* C:8-11*", 3, NULL, false, "B C ?" },
		{ "A:0-3* B:4-7* C:8-11*!", 3, NULL, false, "A B ?" },
		{ "A:0-3*! B:4-7*! C:8-11*", 3, NULL, false, "C ?" },
		/* The order is that of the layers, however the workers are listed. */
		{ "A:8-11* B:4-7*! C:0-3*", 3, NULL, false, "C A ?" },
		/* One spare for two. */
		{ "A:0-3*! B:4-7*! C:8-11* D", 3, NULL, false, "D0-7 C8-11" },
	};

	(void)state;
	CHECK(rows);
}

static void more_workers_get_stages_again(void **state)
{
	static const struct row rows[] = {
		{ "A:0-5* C:6-11* B", 3, NULL, false, "A C B ?" },
		{ "A:0-5* C:6-11* B", 2, NULL, false, "A0-5 C6-11" },
	};

	(void)state;
	CHECK(rows);
}

static void workers_with_a_bad_link_are_no_neighbours(void **state)
{
	static const struct row rows[] = {
		/* A spare replaces the one that was lost more often. */
		{ "A:0-3* B:4-7* C:8-11* D", 3, "AB", false, "D0-3 B4-7 C8-11" },
		{ "A:0-3* B:4-7*^1 C:8-11* D", 3, "AB", false, "A0-3 D4-7 C8-11" },
		/* Its link may be bad, too. */
		{ "A:0-3* B:4-7*^1 C:8-11* D", 3, "ABAD", false, "D0-3 B4-7 C8-11" },
		/* Another order. */
		{ "A:0-3* B:4-7* C:8-11*", 3, "AB", false, "B C A ?" },
		{ "A:0-2* B:3-5* C:6-8* D:9-11*", 4, "AB", false, "B C A D ?" },
		{ "A:0-3* B:4-7* C:8-11*", 3, "AC", false, "A0-3 B4-7 C8-11" },
		/* No order will do. */
		{ "A:0-5* B:6-11*", 2, "AB", false, "B ?" },
		{ "A:0-5* B:6-11*^1", 2, "AB", false, "A ?" },
		{ "A:0-3* B:4-7* C:8-11*", 3, "ABBCAC", false, "C ?" },
		/* The coordinator is the neighbour of the first and of the last stage. */
		{ "A:0-3* B:4-7* C:8-11*", 3, ".A", false, "B A C ?" },
		{ "A:0-5* B:6-11*", 2, "B.", false, "A ?" },
		{ "A:0-11* B", 1, "A.", false, "B ?" },
		{ "A:0-11*", 1, "A.", false, "A0-11 bad" },
	};

	(void)state;
	CHECK(rows);
}

/* Stage of each worker: "-" for none. */
static void expect_warm(const char *workers, const char *stages, const char *expected)
{
	const struct cluster cluster = read_cluster(workers);
	const uint64_t weight_bytes[] = { 10, 10, 20 };
	const uint32_t ends[] = { 4, 8, 12 };
	const struct placement_input input = {
		.workers = cluster.workers, .n_workers = cluster.n, .n_layers = N_LAYERS,
	};
	unsigned chosen[8], stage_of[MAX_WORKERS];
	const struct placement placement = {
		.n_stages = (unsigned)strlen(stages), .workers = chosen,
	};
	char text[MAX_WORKERS + 1] = "";

	for (unsigned i = 0; i < placement.n_stages; i++)
		chosen[i] = find(&cluster, stages[i]);
	assert_int_equal(placement_warm(&input, &placement, ends, weight_bytes, stage_of), SC_OK);
	for (unsigned i = 0; i < cluster.n; i++)
		text[i] = stage_of[i] == PLACEMENT_NONE ? '-' : (char)('0' + stage_of[i]);
	assert_string_equal(text, expected);
}

static void spares_are_warmed_for_the_likely_losses(void **state)
{
	(void)state;
	expect_warm("A B C", "ABC", "---");
	expect_warm("A B C D", "ABC", "---0");
	expect_warm("A B^2 C^1 D", "ABC", "---1");
	expect_warm("A B^2 C^1 D E F G", "ABC", "---1201");
	expect_warm("A B^2 C D:0-3 E", "ABC", "---01");
	expect_warm("A B C D:1-3 E! Fq", "ABC", "---0--");
	/* With too little memory for the stage that was lost most often. */
	expect_warm("A B C^1 D@15 E@25", "ABC", "---02");
	expect_warm("A B C^1 D@5", "ABC", "----");
}

static uint64_t random_state = 11;

static uint32_t draw(uint32_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((random_state >> 33) % below);
}

static void check_choice(const struct placement_input *input, const struct placement *placement)
{
	bool is_taken[MAX_WORKERS] = { false };

	assert_true(placement->n_stages && placement->n_stages <= input->n_wanted);
	for (unsigned i = 0; i < placement->n_stages; i++) {
		unsigned worker = placement->workers[i];
		uint32_t first = i && placement->ends ? placement->ends[i - 1] : 0;

		assert_true(worker < input->n_workers && !is_taken[worker]);
		is_taken[worker] = true;
		assert_true(input->workers[worker].is_usable);
		assert_true(!input->workers[worker].is_quarantined || input->allows_quarantined);
		if (placement->ends)
			assert_true(placement->ends[i] > first);
	}
	if (placement->ends)
		assert_int_equal(placement->ends[placement->n_stages - 1], N_LAYERS);
}

static void any_choice_is_one_of_usable_workers_and_whole(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct placement_worker workers[MAX_WORKERS];
		struct placement_pair apart[3];
		struct placement_input input = {
			.workers = workers,
			.n_workers = draw(9),
			.n_wanted = 1 + draw(6),
			.n_layers = N_LAYERS,
			.apart = apart,
			.n_apart = draw(4),
			.allows_quarantined = draw(2),
		};
		struct placement placement;

		for (unsigned i = 0; i < input.n_workers; i++)
			workers[i] = (struct placement_worker){
				.is_usable = draw(5), .has_stage = draw(2),
				.is_quarantined = !draw(5), .n_losses = draw(3),
				.memory_bytes = draw(3), .held_first_layer = draw(N_LAYERS + 2),
				.held_n_layers = draw(6),
			};
		for (unsigned i = 0; i < input.n_apart; i++)
			apart[i] = (struct placement_pair){
				draw(8), draw(6) ? draw(8) : PLACEMENT_COORDINATOR,
			};
		if (placement_choose(&input, &placement) != SC_OK)
			continue;
		check_choice(&input, &placement);
		placement_deinit(&placement);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cluster_starts_with_the_first_workers),
		cmocka_unit_test(a_restarted_coordinator_finds_layers_where_they_are),
		cmocka_unit_test(a_spare_takes_the_place_of_a_lost_worker),
		cmocka_unit_test(the_best_spare_is_taken),
		cmocka_unit_test(without_spares_the_others_take_all_layers),
		cmocka_unit_test(more_workers_get_stages_again),
		cmocka_unit_test(workers_with_a_bad_link_are_no_neighbours),
		cmocka_unit_test(spares_are_warmed_for_the_likely_losses),
		cmocka_unit_test(any_choice_is_one_of_usable_workers_and_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
