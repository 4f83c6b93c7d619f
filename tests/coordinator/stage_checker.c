/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/coordinator/stage_checker.h"

#include "stage/past.h"
#include "stage/sequences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define N_TOKENS 251

struct stage_checker {
	struct step_limits limits;
	struct sequences *sequences;
	struct past *past;
	void *payload;
};

struct stage_checker *stage_checker_create(const struct step_limits *limits)
{
	struct stage_checker *checker = calloc(1, sizeof *checker);
	struct error err;

	assert_non_null(checker);
	if (step_limits_check(limits, &err) != SC_OK)
		fail_msg("%s", err.text);
	checker->limits = *limits;
	assert_int_equal(sequences_create(limits, &checker->sequences), SC_OK);
	assert_int_equal(past_create(limits, &checker->past), SC_OK);
	checker->payload = aligned_alloc(64, (step_bytes_max(limits) + 63) / 64 * 64);
	assert_non_null(checker->payload);
	return checker;
}

void stage_checker_destroy(struct stage_checker *checker)
{
	sequences_destroy(checker->sequences);
	past_destroy(checker->past);
	free(checker->payload);
	free(checker);
}

uint32_t stage_checker_token(uint64_t seed, uint32_t position)
{
	uint64_t mixed = seed * UINT64_C(0x9E3779B97F4A7C15) +
			 position * UINT64_C(0xBF58476D1CE4E5B9);

	return (uint32_t)(mixed >> 40) % N_TOKENS;
}

struct token_top stage_checker_top(uint32_t position, uint32_t k)
{
	return (struct token_top){ (position * 7 + k) % N_TOKENS, -(float)position - (float)k };
}

struct answer {
	struct token_record *records;
	struct token_top *tops;
	uint32_t n_records, n_tops;
};

static void add_record(struct answer *answer, const struct sampling *sampling, bool is_drawn,
		       struct token_record record)
{
	if (!is_drawn || sampling->flags & SAMPLING_LOGPROB)
		record.n_tops = sampling->n_tops;
	for (uint32_t k = 0; k < record.n_tops; k++)
		answer->tops[answer->n_tops++] = stage_checker_top(record.position, k);
	answer->records[answer->n_records++] = record;
}

static void run_segment(const struct stage_checker *checker, const struct segment *segment,
			const uint32_t *tokens, struct answer *answer)
{
	const struct sampling *sampling = past_sampling(checker->past, segment->sequence);
	uint32_t end = segment->first_position + segment->n_rows;

	for (uint32_t k = 0; k < segment->n_scored; k++) {
		uint32_t row = segment_first_record(segment) + k;
		bool is_last = row + 1 == segment->n_rows;

		add_record(answer, sampling, false, (struct token_record){
			.sequence = segment->sequence,
			.position = segment->first_position + row + 1,
			.token = is_last ? segment->next_token : step_token(tokens[row + 1]),
			.logprob = -(float)(segment->first_position + row + 1),
		});
	}
	if (segment->flags & SEGMENT_SAMPLE)
		add_record(answer, sampling, true, (struct token_record){
			.sequence = segment->sequence,
			.position = end,
			.token = stage_checker_token(sampling->seed, end),
		});
}

/* The answer must be one that the coordinator can decode. */
static void check_answer(const struct stage_checker *checker, const struct tokens *tokens)
{
	void *payload = aligned_alloc(64, (tokens_bytes(tokens) + 63) / 64 * 64);
	struct tokens decoded;
	struct error err;

	assert_non_null(payload);
	tokens_encode(tokens, payload);
	if (tokens_decode(payload, tokens_bytes(tokens), &checker->limits, &decoded, &err))
		fail_msg("%s", err.text);
	free(payload);
}

void stage_checker_run(struct stage_checker *checker, const struct step *step,
		       struct token_record *records, struct token_top *tops,
		       struct tokens *tokens_out)
{
	struct answer answer = { .records = records, .tops = tops };
	struct step decoded;
	const uint32_t *tokens;
	struct error err;

	step_encode(step, checker->payload);
	if (step_decode(checker->payload, step_bytes(step), &checker->limits, &decoded, &err))
		fail_msg("step %llu: %s", (unsigned long long)step->id, err.text);
	if (sequences_check(checker->sequences, &decoded, &err) != SC_OK)
		fail_msg("step %llu: %s", (unsigned long long)step->id, err.text);
	sequences_apply(checker->sequences, &decoded);
	past_apply(checker->past, &decoded, checker->sequences);
	tokens = decoded.tokens;
	for (uint32_t i = 0; i < decoded.n_segments; i++) {
		run_segment(checker, &decoded.segments[i], tokens, &answer);
		tokens += decoded.segments[i].n_rows;
	}
	*tokens_out = (struct tokens){
		.step_id = step->id,
		.n_records = answer.n_records,
		.n_tops = answer.n_tops,
		.records = records,
		.tops = tops,
	};
	check_answer(checker, tokens_out);
}
