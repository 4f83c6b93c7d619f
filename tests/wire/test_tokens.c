/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/step.h"

#include <math.h>
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
	.table_blocks = { 8 },
	.block_length = 4,
	.max_context = 32,
	.n_vocab = 100,
	.dim = 5,
};

static enum sc_status tokens_again(const struct tokens *tokens, size_t extra, struct tokens *got,
				   struct error *err)
{
	static _Alignas(64) uint8_t payload[512];

	tokens_encode(tokens, payload);
	return tokens_decode(payload, tokens_bytes(tokens) + extra, &limits, got, err);
}

static void tokens_come_back_and_bad_ones_are_refused(void **state)
{
	struct token_record records[9] = {
		{ .sequence = 3, .position = 32, .token = 99, .logprob = -0.5f },
		{ .sequence = 0, .position = 1, .token = 0, .logprob = -80.0f },
	};
	struct tokens tokens = { .step_id = 5, .n_records = 2, .records = records }, got;
	struct error err;

	(void)state;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_OK);
	assert_int_equal(got.step_id, 5);
	assert_int_equal(got.n_records, 2);
	assert_memory_equal(got.records, records, 2 * sizeof records[0]);
	assert_int_equal(tokens_again(&tokens, 1, &got, &err), SC_E_PROTOCOL);
	tokens.n_records = 9;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "n_records is 9, expected at most 8"));
	tokens.n_records = 2;
	records[1].token = 100;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	records[1].token = 0;
	records[1].position = 33;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	records[1].position = 0;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	records[1].position = 2;
	records[1].logprob = NAN;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	records[1].logprob = 0;
	records[1].fault = TOKEN_FAULT_EMPTY;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_OK);
	assert_int_equal(got.records[1].fault, TOKEN_FAULT_EMPTY);
	records[1].fault = TOKEN_N_FAULTS;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "record 1: fault is 5, expected below 5"));
	records[1].fault = TOKEN_FAULT_NONE;
	records[1].sequence = 4;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	records[1].sequence = 0;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_OK);
	tokens.n_records = 0;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_OK);
	tokens.step_id = 0;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
}

static void records_of_a_sequence_lie_side_by_side_in_order(void **state)
{
	struct token_record records[4] = {
		{ .sequence = 2, .position = 4 }, { .sequence = 2, .position = 5 },
		{ .sequence = 0, .position = 1 }, { .sequence = 1, .position = 9 },
	};
	struct tokens tokens = { .step_id = 5, .n_records = 4, .records = records }, got;
	struct error err;

	(void)state;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_OK);
	records[1].position = 6;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "record 1: position is 6, expected 5"));
	records[1].position = 4;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	records[1].position = 5;
	records[3].sequence = 2;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "record 3: sequence 2 has records already"));
}

static void likeliest_tokens_come_back_and_bad_ones_are_refused(void **state)
{
	struct token_record records[3] = {
		{ .sequence = 3, .position = 32, .token = 99, .logprob = -0.5f, .n_tops = 2 },
		{ .sequence = 0, .position = 1, .token = 0, .logprob = -80.0f },
		{ .sequence = 1, .position = 1, .token = 0, .logprob = -80.0f, .n_tops = 1 },
	};
	struct token_top tops[4] = { { 99, -0.5f }, { 0, -0.5f }, { 99, -1 }, { 5, -2 } };
	struct tokens tokens = { .step_id = 5, .n_records = 3, .n_tops = 3, .records = records,
				 .tops = tops }, got;
	struct error err;

	(void)state;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_OK);
	assert_int_equal(got.n_tops, 3);
	assert_memory_equal(got.tops, tops, 3 * sizeof tops[0]);
	tops[1].logprob = -0.25f;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "record 0: logprob of likeliest token 1 is -0.25"));
	tops[1].logprob = NAN;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	tops[1].logprob = -3;
	tops[2].token = 100;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "record 2: likeliest token 0 is 100, expected below 100"));
	tops[2].token = 1;
	records[2].n_tops = 2;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "record 2: n_tops is 2, expected at most 1"));
	records[2].n_tops = 0;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "records have 2 likeliest tokens, expected n_tops 3"));
	records[2].n_tops = 1;
	records[2].fault = TOKEN_FAULT_NAN;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	records[2].fault = TOKEN_FAULT_NONE;
	records[0].n_tops = 21;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "record 0: n_tops is 21, expected at most 20"));
	records[0].n_tops = 2;
	assert_int_equal(tokens_again(&tokens, 0, &got, &err), SC_OK);
	assert_int_equal(tokens_again(&tokens, 1, &got, &err), SC_E_PROTOCOL);
	assert_non_null(strstr(err.text, "but its counts make"));
}

static void the_largest_answer_is_bounded(void **state)
{
	struct step_limits wide = limits;

	(void)state;
	assert_int_equal(tokens_bytes_max(&limits), 16 + 8 * 24 + 160 * 8);
	wide.max_rows = 65536;
	assert_int_equal(tokens_bytes_max(&wide), 16 + 65536 * 24 + STEP_MAX_TOPS * 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_come_back_and_bad_ones_are_refused),
		cmocka_unit_test(records_of_a_sequence_lie_side_by_side_in_order),
		cmocka_unit_test(likeliest_tokens_come_back_and_bad_ones_are_refused),
		cmocka_unit_test(the_largest_answer_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
