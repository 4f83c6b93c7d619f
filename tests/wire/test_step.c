/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct step_limits limits = {
	.max_rows = 8,
	.max_sequences = 4,
	.n_groups = 1,
	.max_blocks = { 16 },
	.table_blocks = { 16 },
	.block_length = 2,
	.max_context = 32,
	.n_vocab = 100,
	.dim = 5,
};

/* A good step: a new prompt of 3 rows with 2 blocks, a decode row without, a decode row with 1. */
struct sample {
	struct segment segments[3];
	struct sampling sampling;
	uint32_t tokens[5];
	uint32_t blocks[3];
	uint32_t frees[2];
	float activations[5 * 5];
	struct step step;
};

static void sample_init(struct sample *s)
{
	*s = (struct sample){
		.segments = {
			{ .sequence = 1, .flags = SEGMENT_NEW, .n_rows = 3, .n_blocks = 2 },
			{ .sequence = 0, .flags = SEGMENT_SAMPLE, .first_position = 9, .n_rows = 1,
			  .first_block = 2 },
			{ .sequence = 3, .flags = SEGMENT_SAMPLE, .first_position = 30,
			  .n_rows = 1, .first_block = 2, .n_blocks = 1 },
		},
		.sampling = { .seed = 42, .stream = 1, .temperature = 0.8f, .top_k = 40,
			      .top_p = 0.95f, .min_p = 0.05f, SAMPLING_OFF },
		.tokens = { 1, 2, 3 | STEP_TOKEN_BREAKER, 99, 0 },
		.blocks = { 0, 15, 7 },
		.frees = { 2, 1 },
	};
	for (int i = 0; i < 25; i++)
		s->activations[i] = (float)i;
	s->step = (struct step){
		.id = 11, .n_rows = 5, .n_segments = 3, .n_blocks = 3, .n_frees = 2, .dim = 5,
		.n_sampling = STEP_SAMPLING_WORDS,
		.segments = s->segments, .sampling = (const uint64_t *)&s->sampling,
		.tokens = s->tokens, .blocks = s->blocks, .frees = s->frees,
		.activations = s->activations,
	};
}

/* Encode into fresh memory of exactly the right size, so that ASan sees every overrun. */
static uint8_t *encoded(const struct step *step, size_t *n_bytes_out)
{
	size_t n_bytes = step_bytes(step);
	void *payload = NULL;

	assert_int_equal(posix_memalign(&payload, 64, n_bytes), 0);
	memset(payload, 0xee, n_bytes);
	step_encode(step, payload);
	*n_bytes_out = n_bytes;
	return payload;
}

static enum sc_status decode_again(const struct step *step, struct error *err)
{
	size_t n_bytes;
	uint8_t *payload = encoded(step, &n_bytes);
	struct step got;
	enum sc_status status = step_decode(payload, n_bytes, &limits, &got, err);

	free(payload);
	return status;
}

static void assert_refused(const struct step *step, const char *word)
{
	struct error err = { .text = "" };

	assert_int_equal(decode_again(step, &err), SC_E_PROTOCOL);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

static void a_step_comes_back_as_it_was(void **state)
{
	struct sample s;
	struct step got;
	struct error err = { .text = "" };
	uint8_t *payload;
	size_t n_bytes;

	(void)state;
	sample_init(&s);
	payload = encoded(&s.step, &n_bytes);
	assert_int_equal(n_bytes, 320 + 25 * 4);	/* 32 + 3 * 40 + 120 + 10 * 4, padded */
	assert_int_equal(step_decode(payload, n_bytes, &limits, &got, &err), SC_OK);
	assert_int_equal(got.id, 11);
	assert_int_equal(got.n_rows, 5);
	assert_int_equal(got.n_segments, 3);
	assert_int_equal(got.n_blocks, 3);
	assert_int_equal(got.n_frees, 2);
	assert_int_equal(got.dim, 5);
	assert_memory_equal(got.segments, s.segments, sizeof s.segments);
	assert_int_equal(got.n_sampling, STEP_SAMPLING_WORDS);
	assert_memory_equal(segment_sampling(&got, got.segments), &s.sampling, sizeof s.sampling);
	assert_memory_equal(got.tokens, s.tokens, sizeof s.tokens);
	assert_memory_equal(got.blocks, s.blocks, sizeof s.blocks);
	assert_memory_equal(got.frees, s.frees, sizeof s.frees);
	assert_memory_equal(got.activations, s.activations, sizeof s.activations);
	assert_int_equal((uintptr_t)got.activations % 64, 0);
	assert_ptr_equal(got.activations, step_activations(payload));
	free(payload);
}

static void room_for_activations_is_left_where_they_will_be(void **state)
{
	struct sample s;
	struct step got;
	struct error err;
	uint8_t *payload;
	size_t n_bytes;

	(void)state;
	sample_init(&s);
	s.step.activations = NULL;
	payload = encoded(&s.step, &n_bytes);
	memcpy(step_activations(payload), s.activations, sizeof s.activations);
	assert_int_equal(step_decode(payload, n_bytes, &limits, &got, &err), SC_OK);
	assert_memory_equal(got.activations, s.activations, sizeof s.activations);
	free(payload);
	s.step.dim = 0;
	payload = encoded(&s.step, &n_bytes);
	assert_null(step_activations(payload));
	assert_int_equal(step_decode(payload, n_bytes, &limits, &got, &err), SC_OK);
	assert_null(got.activations);
	free(payload);
}

static void an_empty_step_and_one_that_only_frees_are_good(void **state)
{
	uint32_t slot = 3;
	struct step step = { .id = 1 };
	struct error err;

	(void)state;
	assert_int_equal(decode_again(&step, &err), SC_OK);
	step.n_frees = 1;
	step.frees = &slot;
	assert_int_equal(decode_again(&step, &err), SC_OK);
	step.dim = 5;
	assert_int_equal(decode_again(&step, &err), SC_OK);
}

static void counts_over_their_limits_are_refused(void **state)
{
	struct sample s;
	struct error err;
	uint32_t frees[5] = { 0, 1, 2, 3, 3 };

	(void)state;
	sample_init(&s);
	s.step.id = 0;
	assert_refused(&s.step, "id is 0");
	sample_init(&s);
	s.step.dim = 4;
	assert_refused(&s.step, "dim is 4, expected 0 or 5");
	sample_init(&s);
	s.step.n_frees = 5;
	s.step.frees = frees;
	assert_refused(&s.step, "n_frees is 5, expected at most 4");
	sample_init(&s);
	s.step.n_rows = 2;
	assert_refused(&s.step, "n_segments is 3, expected at most 2");
	sample_init(&s);
	s.step.n_rows = 4;
	assert_refused(&s.step, "n_rows is 1, expected 1 to 0");
	sample_init(&s);
	s.segments[2].n_rows = 0;
	assert_refused(&s.step, "n_rows is 0, expected 1 to 1");
	assert_int_equal(decode_again(&(struct step){ .id = 1 }, &err), SC_OK);
}

static void header_counts_that_the_payload_does_not_hold_are_refused(void **state)
{
	static const struct {
		int offset;
		uint32_t value;
		const char *word;
	} cases[] = {
		{ 8, 9, "n_rows is 9, expected at most 8" }, { 8, UINT32_MAX, "n_rows" },
		{ 8, 6, "payload of" },			     { 12, 5, "n_segments is 5" },
		{ 12, UINT32_MAX, "n_segments" },	     { 16, 9, "n_blocks is 9" },
		{ 16, UINT32_MAX, "n_blocks" },		     { 20, 5, "n_frees is 5" },
		{ 20, UINT32_MAX, "n_frees" },		     { 20, 4, "again" },
		{ 24, 0, "payload of" },		     { 24, UINT32_MAX, "dim" },
		{ 28, 17, "payload of" },		     { 28, UINT32_MAX, "n_sampling is" },
		{ 316, 1, "padding byte" },
	};
	struct sample s;
	struct step got;
	struct error err;
	uint8_t *payload;
	size_t n_bytes;

	(void)state;
	sample_init(&s);
	/* Four frees still fit in front of the padding's end: those slots are zeros. */
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		payload = encoded(&s.step, &n_bytes);
		memcpy(payload + cases[i].offset, &cases[i].value, 4);
		err.text[0] = '\0';
		assert_int_equal(step_decode(payload, n_bytes, &limits, &got, &err),
				 SC_E_PROTOCOL);
		if (!strstr(err.text, cases[i].word))
			fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].word);
		free(payload);
	}
}

static void every_other_length_is_refused(void **state)
{
	struct sample s;
	struct step got;
	size_t n_bytes;

	(void)state;
	sample_init(&s);
	for (int with_dim = 0; with_dim < 2; with_dim++) {
		uint8_t *payload;

		s.step.dim = with_dim ? 5 : 0;
		payload = encoded(&s.step, &n_bytes);
		for (size_t n = 0; n < n_bytes; n++) {
			void *part = NULL;

			assert_int_equal(posix_memalign(&part, 64, n ? n : 1), 0);
			memcpy(part, payload, n);
			assert_int_equal(step_decode(part, n, &limits, &got, NULL), SC_E_PROTOCOL);
			free(part);
		}
		assert_int_equal(step_decode(payload, n_bytes + 1, &limits, &got, NULL),
				 SC_E_PROTOCOL);
		free(payload);
	}
}

static void segments_must_cover_rows_and_blocks_in_order(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s);
	s.step.n_segments = 2;
	assert_refused(&s.step, "segments have 4 rows, expected n_rows 5");
	sample_init(&s);
	s.segments[0].n_rows = UINT32_MAX;
	assert_refused(&s.step, "segment 0: n_rows is 4294967295, expected 1 to 5");
	sample_init(&s);
	s.segments[1].first_block = 1;
	assert_refused(&s.step, "segment 1: first_block is 1, expected 2");
	sample_init(&s);
	s.segments[2].n_blocks = 2;
	assert_refused(&s.step, "segment 2: n_blocks is 2 with 1 left, expected 1");
	sample_init(&s);
	s.segments[2].n_blocks = 0;
	assert_refused(&s.step, "segment 2: n_blocks is 0 with 1 left, expected 1");
	/* All blocks are spoken for, but not by the rows that need them. */
	sample_init(&s);
	s.segments[0].n_blocks = s.segments[1].first_block = s.segments[2].first_block = 1;
	s.segments[2].n_blocks = 2;
	assert_refused(&s.step, "segment 0: n_blocks is 1 with 3 left, expected 2");
	sample_init(&s);
	s.segments[2].first_position = 31;
	s.segments[2].n_blocks = 0;
	assert_refused(&s.step, "segments have 2 blocks, expected n_blocks 3");
	sample_init(&s);
	s.step.n_blocks = 2;
	assert_refused(&s.step, "segment 2: n_blocks is 1 with 0 left, expected 1");
	sample_init(&s);
	s.segments[2].first_position = 32;
	assert_refused(&s.step, "expected an end of at most 32");
	sample_init(&s);
	s.segments[2].first_position = UINT32_MAX;
	assert_refused(&s.step, "positions 4294967295 and 1 more");
}

static void slots_tokens_blocks_and_flags_are_checked(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s);
	s.segments[1].sequence = 4;
	assert_refused(&s.step, "segment 1: sequence is 4, expected below 4");
	sample_init(&s);
	s.segments[2].sequence = 1;
	assert_refused(&s.step, "segment 2: sequence 1 has a segment already");
	sample_init(&s);
	s.segments[1].flags = 8;
	assert_refused(&s.step, "segment 1: flags are 0x00000008, expected none beyond 0x00000007");
	s.segments[1].flags = SEGMENT_LONG;
	assert_refused(&s.step, "segment 1: sequence 0 goes on with the LONG flag");
	sample_init(&s);
	s.frees[0] = 0;
	assert_refused(&s.step, "segment 1: sequence 0 is freed by this step");
	sample_init(&s);
	s.frees[0] = 1;
	assert_refused(&s.step, "free 1 is slot 1 again");
	sample_init(&s);
	s.frees[0] = 4;
	assert_refused(&s.step, "free 0 is slot 4, expected below 4");
	sample_init(&s);
	s.tokens[4] = 100;
	assert_refused(&s.step, "token 4 is 100, expected below 100");
	sample_init(&s);
	s.blocks[1] = 16;
	assert_refused(&s.step, "segment 0: block 1 of group 0 is 16, expected below 16");
}

/* --- groups of blocks --- */

/* Of 8 blocks of 4 positions a sequence has all in group 1, and rings of 2 and 3 in the others. */
static const struct step_limits grouped = {
	.max_rows = 12, .max_sequences = 4, .n_groups = 3, .max_blocks = { 5, 20, 6 },
	.table_blocks = { 2, 8, 3 }, .block_length = 4, .max_context = 32, .n_vocab = 100,
	.dim = 5,
};

static uint32_t count_new(uint32_t group, uint32_t first, uint32_t n_rows)
{
	const struct segment segment = { .first_position = first, .n_rows = n_rows };

	return segment_new_blocks(&grouped, &segment, group);
}

static void blocks_are_appended_until_the_ring_is_full(void **state)
{
	(void)state;
	assert_int_equal(step_whole_group(&grouped), 1);
	assert_int_equal(step_max_blocks(&grouped), 5 + 12 + 6);
	for (uint32_t n = 0; n <= 32; n++) {
		uint32_t needed = (n + 3) / 4;

		assert_int_equal(step_held_blocks(&grouped, 0, n), needed < 2 ? needed : 2);
		assert_int_equal(step_held_blocks(&grouped, 1, n), needed);
		assert_int_equal(step_held_blocks(&grouped, 2, n), needed < 3 ? needed : 3);
	}
	assert_int_equal(count_new(0, 0, 12), 2);
	assert_int_equal(count_new(1, 0, 12), 3);
	assert_int_equal(count_new(0, 3, 1), 0);
	assert_int_equal(count_new(0, 4, 1), 1);
	assert_int_equal(count_new(0, 8, 12), 0);
	assert_int_equal(count_new(2, 8, 12), 1);
	assert_int_equal(count_new(1, 8, 12), 3);
}

/* A prompt of 10 rows appends 2, 3 and 3 blocks; a row at 16 only one, of group 1. */
static void the_blocks_of_a_segment_are_those_of_its_groups_in_turn(void **state)
{
	static const uint32_t good[] = { 0, 4, 17, 18, 19, 3, 4, 5, 6 };
	static const struct {
		uint32_t at, id;
		const char *text;
	} bad[] = {
		{ 1, 5, "segment 0: block 1 of group 0 is 5, expected below 5" },
		{ 2, 20, "segment 0: block 0 of group 1 is 20, expected below 20" },
		{ 7, 6, "segment 0: block 2 of group 2 is 6, expected below 6" },
		{ 8, 20, "segment 1: block 0 of group 1 is 20, expected below 20" },
	};
	const struct segment segments[] = {
		{ .sequence = 1, .flags = SEGMENT_NEW | SEGMENT_LONG, .n_rows = 10, .n_blocks = 8 },
		{ .sequence = 2, .first_position = 16, .n_rows = 1, .first_block = 8,
		  .n_blocks = 1 },
	};
	const struct sampling sampling = { SAMPLING_OFF };
	uint32_t blocks[9], tokens[11] = { 0 };
	struct step step = {
		.id = 1, .n_rows = 11, .n_segments = 2, .n_blocks = 9,
		.n_sampling = STEP_SAMPLING_WORDS, .segments = segments,
		.sampling = (const uint64_t *)&sampling, .tokens = tokens, .blocks = blocks,
	}, got;
	struct error err;

	(void)state;
	for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
		bool is_good = i == sizeof bad / sizeof bad[0];
		uint8_t *payload;
		size_t n_bytes;

		memcpy(blocks, good, sizeof blocks);
		if (!is_good)
			blocks[bad[i].at] = bad[i].id;
		payload = encoded(&step, &n_bytes);
		assert_int_equal(step_decode(payload, n_bytes, &grouped, &got, &err),
				 is_good ? SC_OK : SC_E_PROTOCOL);
		if (!is_good && !strstr(err.text, bad[i].text))
			fail_msg("%s", err.text);
		free(payload);
	}
}

static void assert_limits_refused(const struct step_limits *odd, const char *text)
{
	struct error err;

	assert_int_equal(step_limits_check(odd, &err), SC_E_INVALID);
	if (!strstr(err.text, text))
		fail_msg("%s", err.text);
}

static void limits_of_groups_are_checked(void **state)
{
	struct step_limits odd = grouped;
	struct error err;

	(void)state;
	assert_int_equal(step_limits_check(&odd, &err), SC_OK);
	odd.n_groups = STEP_MAX_GROUPS + 1;
	assert_limits_refused(&odd, "n_groups is 6, expected 1 to 5");
	odd.n_groups = 0;
	assert_limits_refused(&odd, "n_groups is 0");
	odd.n_groups = 4;
	assert_limits_refused(&odd, "max_blocks is 0");
	odd.n_groups = 1;
	assert_limits_refused(&odd, "no group's table_blocks is 8, expected one for a context of "
				    "32");
	odd = grouped;
	odd.table_blocks[2] = 9;
	assert_limits_refused(&odd, "table_blocks is 9, expected 1 to 8");
	odd = grouped;
	odd.max_blocks[2] = UINT32_MAX;
	assert_limits_refused(&odd, "max_blocks is 4294967295");
}

static void only_new_sequences_have_a_sampling(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s);
	s.segments[0].sampling_at = 1;
	assert_refused(&s.step, "segment 0: sampling_at is 1 and reserved 0, expected 0 and 0");
	sample_init(&s);
	s.segments[1].sampling_at = 15;
	assert_refused(&s.step, "segment 1: sampling_at is 15");
	sample_init(&s);
	s.segments[1].reserved = 7;
	assert_refused(&s.step, "reserved 7");
	sample_init(&s);
	s.segments[0].flags = 0;
	assert_refused(&s.step, "sequence 1 is freed by this step");
	s.frees[1] = 0;
	s.segments[1].flags |= SEGMENT_NEW;
	assert_int_equal(decode_again(&s.step, &(struct error){ .status = SC_OK }), SC_OK);
	s.segments[1].flags = SEGMENT_SAMPLE;
	s.frees[1] = 3;
	s.segments[2].flags = SEGMENT_SAMPLE;
	assert_refused(&s.step, "sequence 3 is freed");
	s.frees[1] = 1;
	s.frees[0] = 2;
	s.segments[0].sequence = 0;
	s.segments[1].sequence = 3;
	s.step.n_segments = 2;
	s.step.n_rows = 4;
	s.step.n_blocks = 2;
	assert_refused(&s.step, "segments have 0 words of sampling, expected n_sampling 15");
	s.segments[0].flags = SEGMENT_NEW;
	s.sampling.top_p = 1.5f;
	assert_refused(&s.step, "step: segment 0: top_p is 1.5, expected 0 to 1");
	s.step.n_sampling = 14;
	assert_refused(&s.step, "segment 0: 14 words of sampling are left, expected 15 or more");
}

/* Four sequences, each with as many biases as there may be, in a step with room for fewer. */
static void biases_and_bans_of_a_step_are_bounded(void **state)
{
	struct step_limits wide = limits;
	struct segment segments[4] = { { 0 } };
	uint32_t tokens[4] = { 0 }, blocks[4] = { 0 };
	const uint32_t n_words = STEP_SAMPLING_WORDS + STEP_MAX_BIASES;
	uint64_t *words = calloc(4, n_words * sizeof *words);
	struct sampling_bias biases[STEP_MAX_BIASES];
	struct sampling sampling = { .n_biases = STEP_MAX_BIASES, SAMPLING_OFF };
	struct step step = { .id = 1, .segments = segments, .sampling = words, .tokens = tokens,
			     .blocks = blocks }, got;
	struct error err;

	(void)state;
	wide.n_vocab = STEP_MAX_BIASES;
	for (uint32_t i = 0; i < STEP_MAX_BIASES; i++)
		biases[i] = (struct sampling_bias){ i, -1 };
	for (uint32_t i = 0; i < 4; i++) {
		segments[i] = (struct segment){ .sequence = i, .flags = SEGMENT_NEW, .n_rows = 1,
						.first_block = i, .n_blocks = 1,
						.sampling_at = step.n_sampling };
		sampling_write(&sampling, biases, NULL, words + step.n_sampling);
		step.n_sampling += sampling_words(&sampling);
	}
	assert_int_equal(step_max_extra(&wide), 2048);
	for (step.n_segments = 3; step.n_segments <= 4; step.n_segments++) {
		bool is_good = step.n_segments * STEP_MAX_BIASES <= step_max_extra(&wide);
		uint8_t *payload;
		size_t n_bytes;

		step.n_rows = step.n_blocks = step.n_segments;
		step.n_sampling = step.n_segments * n_words;
		payload = encoded(&step, &n_bytes);
		assert_int_equal(step_decode(payload, n_bytes, &wide, &got, &err),
				 is_good ? SC_OK : SC_E_PROTOCOL);
		free(payload);
	}
	free(words);
}

static void the_largest_step_is_as_large_as_promised(void **state)
{
	struct segment segments[4] = { { 0 } };
	uint32_t tokens[8] = { 0 }, blocks[8] = { 0 }, frees[4] = { 0 };
	static const uint64_t words[4 * STEP_SAMPLING_WORDS + 2048];
	struct step step = {
		.id = 1, .n_rows = 8, .n_segments = 4, .n_blocks = 8, .n_frees = 4, .dim = 5,
		.n_sampling = 4 * STEP_SAMPLING_WORDS + 2048,
		.segments = segments, .sampling = words, .tokens = tokens, .blocks = blocks, .frees = frees,
	};
	struct step_limits wide = limits;
	struct error err;

	(void)state;
	assert_int_equal(step_bytes(&step), step_bytes_max(&limits));
	/* However large the pool and the context are. */
	wide.max_blocks[0] = 1 << 26;
	wide.table_blocks[0] = 1 << 25;
	wide.max_context = 1 << 26;
	assert_int_equal(step_limits_check(&wide, &err), SC_OK);
	assert_int_equal(step_bytes_max(&wide), step_bytes(&step));
	assert_int_equal(step_limits_check(&limits, &err), SC_OK);
	wide.max_sequences = STEP_MAX_SEQUENCES + 1;
	assert_int_equal(step_limits_check(&wide, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "max_sequences is 65537, expected 1 to 65536"));
	wide = limits;
	wide.block_length = 0;
	assert_int_equal(step_limits_check(&wide, &err), SC_E_INVALID);
	wide = limits;
	wide.max_rows = 65536;
	wide.dim = 1 << 20;
	assert_int_equal(step_limits_check(&wide, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "largest step"));
}

static void the_widest_slot_set_works_to_its_last_slot(void **state)
{
	struct step_limits wide = limits;
	uint32_t frees[3] = { STEP_MAX_SEQUENCES - 1, 0, STEP_MAX_SEQUENCES - 1 };
	struct step step = { .id = 1, .n_frees = 2, .frees = frees }, got;
	struct error err;
	uint8_t *payload;
	size_t n_bytes;

	(void)state;
	wide.max_sequences = STEP_MAX_SEQUENCES;
	payload = encoded(&step, &n_bytes);
	assert_int_equal(step_decode(payload, n_bytes, &wide, &got, &err), SC_OK);
	free(payload);
	step.n_frees = 3;
	payload = encoded(&step, &n_bytes);
	assert_int_equal(step_decode(payload, n_bytes, &wide, &got, &err), SC_E_PROTOCOL);
	free(payload);
}

static void scored_rows_are_checked(void **state)
{
	struct sample s;
	struct error err;

	(void)state;
	sample_init(&s);
	s.segments[0].n_scored = 3;
	s.segments[0].next_token = 99;
	assert_int_equal(decode_again(&s.step, &err), SC_OK);
	s.segments[0].next_token = 100;
	assert_refused(&s.step, "next_token is 100, expected below 100");
	s.segments[0].next_token = 0;
	s.segments[0].n_scored = 4;
	assert_refused(&s.step, "n_scored is 4, expected at most 3");
	/* The row that samples cannot be scored, and it is the one that would need a next token. */
	s.segments[0].flags |= SEGMENT_SAMPLE;
	s.segments[0].n_scored = 3;
	assert_refused(&s.step, "n_scored is 3, expected at most 2");
	s.segments[0].n_scored = 2;
	assert_int_equal(decode_again(&s.step, &err), SC_OK);
	s.segments[0].next_token = 1;
	assert_refused(&s.step, "next_token is 1, expected below 1");
	s.segments[0].n_scored = 0;
	s.segments[0].flags &= ~(uint32_t)SEGMENT_SAMPLE;
	assert_refused(&s.step, "next_token is 1, expected below 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_comes_back_as_it_was),
		cmocka_unit_test(room_for_activations_is_left_where_they_will_be),
		cmocka_unit_test(an_empty_step_and_one_that_only_frees_are_good),
		cmocka_unit_test(counts_over_their_limits_are_refused),
		cmocka_unit_test(header_counts_that_the_payload_does_not_hold_are_refused),
		cmocka_unit_test(every_other_length_is_refused),
		cmocka_unit_test(segments_must_cover_rows_and_blocks_in_order),
		cmocka_unit_test(slots_tokens_blocks_and_flags_are_checked),
		cmocka_unit_test(blocks_are_appended_until_the_ring_is_full),
		cmocka_unit_test(the_blocks_of_a_segment_are_those_of_its_groups_in_turn),
		cmocka_unit_test(limits_of_groups_are_checked),
		cmocka_unit_test(only_new_sequences_have_a_sampling),
		cmocka_unit_test(biases_and_bans_of_a_step_are_bounded),
		cmocka_unit_test(the_largest_step_is_as_large_as_promised),
		cmocka_unit_test(the_widest_slot_set_works_to_its_last_slot),
		cmocka_unit_test(scored_rows_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
