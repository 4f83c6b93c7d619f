/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sequences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* Tables of three blocks of four positions; the last block is not used to its end. */
static const struct step_limits limits = {
	.max_rows = 16,
	.max_sequences = 4,
	.n_groups = 1,
	.max_blocks = { 6 },
	.table_blocks = { 3 },
	.block_length = 4,
	.max_context = 10,
	.n_vocab = 100,
	.dim = 8,
};

static int setup(void **state)
{
	return sequences_create(&limits, (struct sequences **)state) != SC_OK;
}

static int teardown(void **state)
{
	sequences_destroy(*state);
	return 0;
}

/* A step with one segment; what a test does not care about is left out. */
struct one {
	uint32_t sequence, flags, first_position, n_rows;
	uint32_t blocks[8], n_blocks;
	uint32_t frees[4], n_frees;
};

static enum sc_status try(struct sequences *s, const struct one *one, struct error *err)
{
	const struct segment segment = {
		.sequence = one->sequence,
		.flags = one->flags,
		.first_position = one->first_position,
		.n_rows = one->n_rows,
		.n_blocks = one->n_blocks,
	};
	const struct step step = {
		.id = 1,
		.n_rows = one->n_rows,
		.n_segments = one->n_rows != 0,
		.n_blocks = one->n_blocks,
		.n_frees = one->n_frees,
		.segments = &segment,
		.blocks = one->blocks,
		.frees = one->frees,
	};
	enum sc_status status = sequences_check(s, &step, err);

	if (!status)
		sequences_apply(s, &step);
	return status;
}

static void accept(struct sequences *s, struct one one)
{
	struct error err = { .text = "" };

	if (try(s, &one, &err))
		fail_msg("%s", err.text);
}

static void refuse(struct sequences *s, struct one one, const char *why)
{
	struct error err = { .text = "" };

	assert_int_equal(try(s, &one, &err), SC_E_PROTOCOL);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static const struct one begin_0 = { .sequence = 0, .flags = SEGMENT_NEW, .n_rows = 3,
				    .blocks = { 5 }, .n_blocks = 1 };

static void a_sequence_grows_block_by_block_until_it_is_freed(void **state)
{
	const struct cached_sequence *sequence = sequences_get(*state, 0);

	assert_false(sequence->is_live);
	accept(*state, begin_0);
	assert_true(sequence->is_live);
	accept(*state, (struct one){ .sequence = 0, .first_position = 3, .n_rows = 1 });
	accept(*state, (struct one){ .sequence = 0, .first_position = 4, .n_rows = 5,
				     .blocks = { 2, 0 }, .n_blocks = 2 });
	assert_int_equal(sequence->n_positions, 9);
	assert_memory_equal(sequence->tables[0], ((uint32_t[]){ 5, 2, 0 }), 12);
	accept(*state, (struct one){ .frees = { 0 }, .n_frees = 1 });
	assert_false(sequence->is_live);
	accept(*state, (struct one){ .sequence = 1, .flags = SEGMENT_NEW, .n_rows = 9,
				     .blocks = { 0, 5, 2 }, .n_blocks = 3 });
}

static void a_new_sequence_needs_an_empty_slot(void **state)
{
	accept(*state, begin_0);
	refuse(*state, (struct one){ .sequence = 0, .flags = SEGMENT_NEW, .n_rows = 1,
				     .blocks = { 1 }, .n_blocks = 1 },
	       "sequence 0: starts in a slot that already holds 3 positions");
	refuse(*state, (struct one){ .sequence = 0, .flags = SEGMENT_NEW, .first_position = 3,
				     .n_rows = 1 }, "sequence 0: starts");
}

static void going_on_needs_a_sequence(void **state)
{
	refuse(*state, (struct one){ .sequence = 2, .n_rows = 1, .blocks = { 1 }, .n_blocks = 1 },
	       "sequence 2: continues in an empty slot");
	accept(*state, begin_0);
	refuse(*state, (struct one){ .sequence = 0, .first_position = 3, .n_rows = 1,
				     .frees = { 0 }, .n_frees = 1 }, "sequence 0: continues");
}

static void positions_neither_skip_nor_repeat(void **state)
{
	refuse(*state, (struct one){ .sequence = 1, .flags = SEGMENT_NEW, .first_position = 1,
				     .n_rows = 1, .blocks = { 1 }, .n_blocks = 1 },
	       "sequence 1: expected to continue at position 0, found 1");
	accept(*state, begin_0);
	refuse(*state, (struct one){ .sequence = 0, .first_position = 4, .n_rows = 1,
				     .blocks = { 1 }, .n_blocks = 1 },
	       "sequence 0: expected to continue at position 3, found 4");
	refuse(*state, (struct one){ .sequence = 0, .first_position = 2, .n_rows = 1 },
	       "sequence 0: expected to continue at position 3, found 2");
}

static void a_block_belongs_to_one_sequence(void **state)
{
	accept(*state, begin_0);
	refuse(*state, (struct one){ .sequence = 1, .flags = SEGMENT_NEW, .n_rows = 1,
				     .blocks = { 5 }, .n_blocks = 1 },
	       "sequence 1: block 5 of group 0: in use by sequence 0");
	refuse(*state, (struct one){ .sequence = 0, .first_position = 3, .n_rows = 2,
				     .blocks = { 5 }, .n_blocks = 1 },
	       "sequence 0: block 5 of group 0: in use by sequence 0");
	refuse(*state, (struct one){ .sequence = 1, .flags = SEGMENT_NEW, .n_rows = 5,
				     .blocks = { 4, 4 }, .n_blocks = 2 },
	       "sequence 1: block 4 of group 0: given twice");
}

static void two_segments_of_a_step_do_not_share_a_block(void **state)
{
	const uint32_t blocks[] = { 3, 3 };
	const struct segment segments[] = {
		{ .sequence = 0, .flags = SEGMENT_NEW, .n_rows = 1, .n_blocks = 1 },
		{ .sequence = 1, .flags = SEGMENT_NEW, .n_rows = 1, .first_block = 1,
		  .n_blocks = 1 },
	};
	const struct step step = { .id = 1, .n_rows = 2, .n_segments = 2, .n_blocks = 2,
				   .segments = segments, .blocks = blocks };
	struct error err;

	assert_int_equal(sequences_check(*state, &step, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "sequence 1: block 3 of group 0: given twice"));
}

static void only_live_sequences_are_freed(void **state)
{
	refuse(*state, (struct one){ .frees = { 3 }, .n_frees = 1 },
	       "free: sequence 3: its slot is empty");
	accept(*state, begin_0);
	accept(*state, (struct one){ .frees = { 0 }, .n_frees = 1 });
	refuse(*state, (struct one){ .frees = { 0 }, .n_frees = 1 },
	       "free: sequence 0: its slot is empty");
}

static void a_slot_and_its_blocks_are_used_again_in_the_step_that_frees_them(void **state)
{
	struct one again = begin_0;

	again.n_frees = 1;
	accept(*state, begin_0);
	accept(*state, again);
	assert_int_equal(sequences_get(*state, 0)->n_positions, 3);
	accept(*state, (struct one){ .sequence = 3, .flags = SEGMENT_NEW, .n_rows = 4,
				     .blocks = { 5 }, .n_blocks = 1, .n_frees = 1 });
	assert_false(sequences_get(*state, 0)->is_live);
}

static void a_refused_step_changes_nothing(void **state)
{
	const struct cached_sequence *sequence = sequences_get(*state, 0);
	struct cached_sequence before;

	accept(*state, begin_0);
	before = *sequence;
	/* The free is fine, the segment is not. */
	refuse(*state, (struct one){ .sequence = 1, .flags = SEGMENT_NEW, .first_position = 4,
				     .n_rows = 1, .blocks = { 5 }, .n_blocks = 1, .n_frees = 1 },
	       "sequence 1: expected to continue at position 0");
	/* The first block is fine, the second is not. */
	refuse(*state, (struct one){ .sequence = 0, .first_position = 3, .n_rows = 6,
				     .blocks = { 1, 5 }, .n_blocks = 2 }, "block 5");
	assert_memory_equal(&before, sequence, sizeof before);
	assert_false(sequences_get(*state, 1)->is_live);
	accept(*state, (struct one){ .sequence = 0, .first_position = 3, .n_rows = 3,
				     .blocks = { 1 }, .n_blocks = 1 });
}

/* --- groups --- */

/* Beside tables of three blocks rings of two. */
static int setup_rings(void **state)
{
	struct step_limits grouped = limits;

	grouped.n_groups = 2;
	grouped.table_blocks[1] = 2;
	grouped.max_blocks[1] = 4;
	return sequences_create(&grouped, (struct sequences **)state) != SC_OK;
}

static void a_ring_keeps_its_blocks_when_it_is_full(void **state)
{
	const struct cached_sequence *sequence = sequences_get(*state, 0);

	accept(*state, (struct one){ .sequence = 0, .flags = SEGMENT_NEW, .n_rows = 3,
				     .blocks = { 5, 3 }, .n_blocks = 2 });
	accept(*state, (struct one){ .sequence = 0, .first_position = 3, .n_rows = 6,
				     .blocks = { 2, 0, 1 }, .n_blocks = 3 });
	accept(*state, (struct one){ .sequence = 0, .first_position = 9, .n_rows = 1 });
	assert_int_equal(sequence->n_positions, 10);
	assert_memory_equal(sequence->tables[0], ((uint32_t[]){ 5, 2, 0 }), 12);
	assert_memory_equal(sequence->tables[1], ((uint32_t[]){ 3, 1 }), 8);
	/* All of them are free again, and none of the other group's. */
	accept(*state, (struct one){ .frees = { 0 }, .n_frees = 1 });
	accept(*state, (struct one){ .sequence = 1, .flags = SEGMENT_NEW, .n_rows = 9,
				     .blocks = { 0, 2, 5, 1, 3 }, .n_blocks = 5 });
	refuse(*state, (struct one){ .sequence = 2, .flags = SEGMENT_NEW, .n_rows = 1,
				     .blocks = { 3, 3 }, .n_blocks = 2 },
	       "sequence 2: block 3 of group 1: in use by sequence 1");
	accept(*state, (struct one){ .sequence = 2, .flags = SEGMENT_NEW, .n_rows = 1,
				     .blocks = { 3, 2 }, .n_blocks = 2 });
}

static void a_sequence_is_long_from_its_start_on(void **state)
{
	struct one one = begin_0;

	one.flags |= SEGMENT_LONG;
	accept(*state, one);
	accept(*state, (struct one){ .sequence = 0, .first_position = 3, .n_rows = 1 });
	assert_true(sequences_get(*state, 0)->is_long);
	/* And another one in the same slot is not. */
	one = begin_0;
	one.n_frees = 1;
	accept(*state, one);
	assert_false(sequences_get(*state, 0)->is_long);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sequence_grows_block_by_block_until_it_is_freed),
		TEST(a_new_sequence_needs_an_empty_slot),
		TEST(going_on_needs_a_sequence),
		TEST(positions_neither_skip_nor_repeat),
		TEST(a_block_belongs_to_one_sequence),
		TEST(two_segments_of_a_step_do_not_share_a_block),
		TEST(only_live_sequences_are_freed),
		TEST(a_slot_and_its_blocks_are_used_again_in_the_step_that_frees_them),
		TEST(a_sequence_is_long_from_its_start_on),
		cmocka_unit_test_setup_teardown(a_ring_keeps_its_blocks_when_it_is_full,
						setup_rings, teardown),
		TEST(a_refused_step_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
