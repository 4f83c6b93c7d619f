/* SPDX-License-Identifier: Apache-2.0 */
/* The last stage has the sampling and the tokens of each sequence, wherever its blocks are. */
#include "stage/past.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { N_SLOTS = 3, N_BLOCKS = 7, BLOCK_LENGTH = 4 };

static const struct step_limits limits = {
	.max_rows = 16, .max_sequences = N_SLOTS, .n_groups = 1,
	.max_blocks = { N_BLOCKS }, .table_blocks = { 5 },
	.block_length = BLOCK_LENGTH, .max_context = 20, .n_vocab = 1000, .dim = 8,
};

struct stage_parts {
	struct sequences *sequences;
	struct past *past;
};

static void run(struct stage_parts *parts, const struct step *step)
{
	struct error err;

	if (sequences_check(parts->sequences, step, &err) != SC_OK)
		fail_msg("%s", err.text);
	sequences_apply(parts->sequences, step);
	past_apply(parts->past, step, parts->sequences);
}

static void expect_tokens(const struct stage_parts *parts, uint32_t slot, uint32_t first,
			  const uint32_t *expected, uint32_t n)
{
	struct past_view view = past_view(parts->past, sequences_get(parts->sequences, slot));
	uint32_t found[20];

	memset(found, 0xee, sizeof found);
	past_read(&view, first, n, found);
	assert_memory_equal(found, expected, n * sizeof *expected);
	assert_int_equal(found[n], 0xeeeeeeee);
}

/* Writes two samplings behind each other, the first with biases and bans. */
static void write_samplings(uint64_t *words, uint32_t *second_at)
{
	const struct sampling one = { .seed = 7, .n_biases = 2, .n_bans = 3 }, two = { .seed = 8 };
	const struct sampling_bias biases[] = { { 4, -1.5f }, { 9, 2 } };
	const uint32_t bans[] = { 5, 6, 700 };

	sampling_write(&one, biases, bans, words);
	*second_at = sampling_words(&one);
	sampling_write(&two, NULL, NULL, words + *second_at);
}

static void tokens_are_where_the_block_table_says(void **state)
{
	struct stage_parts *parts = *state;
	static const uint32_t tokens[] = { 10, 11, 12, 13, 14 | STEP_TOKEN_BREAKER, 90, 91 };
	static const uint32_t blocks[] = { 6, 2, 4 }, more[] = { 15, 16, 17, 92 };
	static const uint32_t next_block[] = { 0 };
	uint64_t words[64] = { 0 };
	struct segment segments[] = {
		{ .sequence = 1, .flags = SEGMENT_NEW, .n_rows = 5, .n_blocks = 2 },
		{ .sequence = 0, .flags = SEGMENT_NEW, .n_rows = 2, .first_block = 2,
		  .n_blocks = 1 },
	};
	const struct segment later[] = {
		{ .sequence = 1, .first_position = 5, .n_rows = 3 },
		{ .sequence = 0, .first_position = 2, .n_rows = 1 },
	};
	const struct segment last = { .sequence = 1, .first_position = 8, .n_rows = 1,
				      .n_blocks = 1 };

	write_samplings(words, &segments[1].sampling_at);
	run(parts, &(struct step){ .id = 1, .n_rows = 7, .n_segments = 2, .n_blocks = 3,
				   .segments = segments, .sampling = words, .tokens = tokens,
				   .blocks = blocks });
	run(parts, &(struct step){ .id = 2, .n_rows = 4, .n_segments = 2, .segments = later,
				   .tokens = more });
	run(parts, &(struct step){ .id = 3, .n_rows = 1, .n_segments = 1, .n_blocks = 1,
				   .segments = &last, .tokens = &(uint32_t){ 18 },
				   .blocks = next_block });
	expect_tokens(parts, 1, 0, (uint32_t[]){ 10, 11, 12, 13, 14 | STEP_TOKEN_BREAKER, 15, 16,
						 17, 18 }, 9);
	expect_tokens(parts, 1, 3, (uint32_t[]){ 13, 14 | STEP_TOKEN_BREAKER, 15 }, 3);
	expect_tokens(parts, 1, 8, (uint32_t[]){ 18 }, 1);
	expect_tokens(parts, 0, 0, (uint32_t[]){ 90, 91, 92 }, 3);
	expect_tokens(parts, 0, 2, NULL, 0);
}

static void a_sampling_stays_with_its_biases_and_bans(void **state)
{
	struct stage_parts *parts = *state;
	uint64_t words[64] = { 0 };
	struct segment segments[] = {
		{ .sequence = 2, .flags = SEGMENT_NEW, .n_rows = 1, .n_blocks = 1 },
		{ .sequence = 0, .flags = SEGMENT_NEW, .n_rows = 1, .first_block = 1,
		  .n_blocks = 1 },
	};
	const struct sampling *kept;

	write_samplings(words, &segments[1].sampling_at);
	run(parts, &(struct step){ .id = 1, .n_rows = 2, .n_segments = 2, .n_blocks = 2,
				   .segments = segments, .sampling = words,
				   .tokens = (uint32_t[]){ 1, 2 },
				   .blocks = (uint32_t[]){ 3, 1 } });
	memset(words, 0xff, sizeof words);
	kept = past_sampling(parts->past, 2);
	assert_int_equal(kept->seed, 7);
	assert_int_equal(sampling_biases(kept)[1].token, 9);
	assert_int_equal(sampling_bans(kept)[2], 700);
	assert_int_equal(past_sampling(parts->past, 0)->seed, 8);
}

static void blocks_go_to_another_sequence_with_new_tokens(void **state)
{
	struct stage_parts *parts = *state;
	const struct sampling sampling = { .seed = 1 };
	struct segment segment = { .sequence = 0, .flags = SEGMENT_NEW, .n_rows = 4,
				   .n_blocks = 1 };
	struct step step = {
		.id = 1, .n_rows = 4, .n_segments = 1, .n_blocks = 1, .segments = &segment,
		.sampling = (const uint64_t *)&sampling, .tokens = (uint32_t[]){ 1, 2, 3, 4 },
		.blocks = (uint32_t[]){ 5 },
	};

	run(parts, &step);
	segment.sequence = 2;
	segment.n_rows = step.n_rows = 2;
	step.tokens = (uint32_t[]){ 8, 9 };
	step.frees = (uint32_t[]){ 0 };
	step.n_frees = 1;
	run(parts, &step);
	expect_tokens(parts, 2, 0, (uint32_t[]){ 8, 9 }, 2);
}

static int create(void **state)
{
	static struct stage_parts parts;

	*state = &parts;
	return sequences_create(&limits, &parts.sequences) || past_create(&limits, &parts.past);
}

static int destroy(void **state)
{
	struct stage_parts *parts = *state;

	sequences_destroy(parts->sequences);
	past_destroy(parts->past);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tokens_are_where_the_block_table_says, create,
						destroy),
		cmocka_unit_test_setup_teardown(a_sampling_stays_with_its_biases_and_bans, create,
						destroy),
		cmocka_unit_test_setup_teardown(blocks_go_to_another_sequence_with_new_tokens,
						create, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
