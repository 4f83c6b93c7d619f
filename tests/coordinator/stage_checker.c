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

uint32_t stage_checker_run(struct stage_checker *checker, const struct step *step,
			   struct token_record *records_out)
{
	struct step decoded;
	const uint32_t *tokens;
	struct error err;
	uint32_t n = 0;

	step_encode(step, checker->payload);
	if (step_decode(checker->payload, step_bytes(step), &checker->limits, &decoded, &err))
		fail_msg("step %llu: %s", (unsigned long long)step->id, err.text);
	if (sequences_check(checker->sequences, &decoded, &err) != SC_OK)
		fail_msg("step %llu: %s", (unsigned long long)step->id, err.text);
	sequences_apply(checker->sequences, &decoded);
	past_apply(checker->past, &decoded, checker->sequences);
	tokens = decoded.tokens;
	for (uint32_t i = 0; i < decoded.n_segments; i++) {
		const struct segment *segment = &decoded.segments[i];
		uint32_t position = segment->first_position + segment->n_rows;
		uint64_t seed = past_sampling(checker->past, segment->sequence)->seed;

		for (uint32_t k = 0; k < segment->n_scored; k++) {
			uint32_t row = segment_first_record(segment) + k;
			bool is_last = row + 1 == segment->n_rows;

			records_out[n++] = (struct token_record){
				.sequence = segment->sequence,
				.position = segment->first_position + row + 1,
				.token = is_last ? segment->next_token : tokens[row + 1],
				.logprob = -(float)(segment->first_position + row + 1),
			};
		}
		tokens += segment->n_rows;
		if (segment->flags & SEGMENT_SAMPLE)
			records_out[n++] = (struct token_record){
				.sequence = segment->sequence,
				.position = position,
				.token = stage_checker_token(seed, position),
			};
	}
	return n;
}
