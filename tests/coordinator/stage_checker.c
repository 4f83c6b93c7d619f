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

/* What was last written to a position of a block. */
struct cell {
	uint64_t owner;			/* which sequence; 0: none yet */
	uint32_t position;
};

struct stage_checker {
	struct step_limits limits;
	struct sequences *sequences;
	uint64_t n_started;
	uint64_t *owners;		/* [max_sequences] the slot's sequence, from 1 */
	struct cell *cells[STEP_MAX_GROUPS];	/* [max_blocks][block_length] */
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
	checker->owners = calloc(limits->max_sequences, sizeof checker->owners[0]);
	assert_non_null(checker->owners);
	for (uint32_t g = 0; g < limits->n_groups; g++) {
		checker->cells[g] = calloc((size_t)limits->max_blocks[g] * limits->block_length,
					   sizeof checker->cells[g][0]);
		assert_non_null(checker->cells[g]);
	}
	checker->payload = aligned_alloc(64, (step_bytes_max(limits) + 63) / 64 * 64);
	assert_non_null(checker->payload);
	return checker;
}

void stage_checker_destroy(struct stage_checker *checker)
{
	sequences_destroy(checker->sequences);
	past_destroy(checker->past);
	for (uint32_t g = 0; g < STEP_MAX_GROUPS; g++)
		free(checker->cells[g]);
	free(checker->owners);
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

void stage_checker_add_rings(struct step_limits *limits, uint32_t n,
			     uint32_t (*draw)(uint32_t below))
{
	uint32_t whole = step_blocks_for(limits, limits->max_context), at = draw(n + 1);
	uint32_t whole_pool = limits->max_blocks[0];

	limits->n_groups = n + 1;
	for (uint32_t g = 0; g <= n; g++) {
		uint32_t window = 1 + draw(draw(2) ? 9 : limits->max_context);
		uint64_t ring = div_up(window - 1 + limits->max_rows, limits->block_length) + 1;

		limits->table_blocks[g] = g == at ? whole : (uint32_t)min_of(ring, whole);
		limits->max_blocks[g] = g == at ? whole_pool
						: limits->table_blocks[g] * (1 + draw(4)) + draw(3);
	}
}

/* --- where positions are --- */

static struct cell *find_cell(const struct stage_checker *checker, uint32_t group, uint32_t slot,
			      uint32_t position)
{
	const struct step_limits *limits = &checker->limits;
	const uint32_t *table = sequences_get(checker->sequences, slot)->tables[group];
	size_t block = table[position / limits->block_length % limits->table_blocks[group]];

	return &checker->cells[group][block * limits->block_length +
				      position % limits->block_length];
}

/* The longest window that rings of this length are for. */
static uint32_t longest_window(const struct step_limits *limits, uint32_t group)
{
	uint32_t n = limits->table_blocks[group];

	if (n == step_blocks_for(limits, limits->max_context))
		return limits->max_context;
	return (n - 1) * limits->block_length - limits->max_rows + 2;
}

static void write_rows(struct stage_checker *checker, uint32_t group,
		       const struct segment *segment)
{
	for (uint32_t i = 0; i < segment->n_rows; i++)
		*find_cell(checker, group, segment->sequence, segment->first_position + i) =
			(struct cell){ checker->owners[segment->sequence],
				       segment->first_position + i };
}

/* Of the first row: later ones see what it sees, and what the segment itself wrote. */
static void check_seen(const struct stage_checker *checker, uint32_t group,
		       const struct segment *segment)
{
	uint32_t window = longest_window(&checker->limits, group);
	uint32_t end = segment->first_position + segment->n_rows;
	uint32_t first = segment->first_position + 1 > window ?
			 segment->first_position + 1 - window : 0;

	for (uint32_t position = first; position < end; position++) {
		const struct cell *cell = find_cell(checker, group, segment->sequence, position);

		if (cell->owner != checker->owners[segment->sequence] ||
		    cell->position != position)
			fail_msg("group %u: slot %u: position %u is not where row %u sees it",
				 group, segment->sequence, position, segment->first_position);
	}
}

/* A step writes all its rows before any row reads. */
static void check_places(struct stage_checker *checker, const struct step *step)
{
	for (uint32_t i = 0; i < step->n_segments; i++)
		if (step->segments[i].flags & SEGMENT_NEW)
			checker->owners[step->segments[i].sequence] = ++checker->n_started;
	for (uint32_t g = 0; g < checker->limits.n_groups; g++) {
		for (uint32_t i = 0; i < step->n_segments; i++)
			write_rows(checker, g, &step->segments[i]);
		for (uint32_t i = 0; i < step->n_segments; i++)
			check_seen(checker, g, &step->segments[i]);
	}
}

/* --- answers --- */

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
	check_places(checker, &decoded);
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
