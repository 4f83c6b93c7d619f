/* SPDX-License-Identifier: Apache-2.0 */
/* What steps may hold: checks of the limits themselves, and the most of each part. */
#include "wire/step.h"

#include <inttypes.h>

/* Upper bounds on what a plan may ask for. Within them no sum of sizes overflows. */
#define LIMIT_ROWS (UINT32_C(1) << 16)
#define LIMIT_POSITIONS (UINT32_C(1) << 26)
#define LIMIT_VOCAB (UINT32_C(1) << 24)
#define LIMIT_DIM (UINT32_C(1) << 20)
#define LIMIT_BYTES (UINT64_C(1) << 30)

/* A step names a block only when it writes the block's first row, so a step has at most as many new
 * blocks of a group as rows. */
uint32_t step_max_blocks(const struct step_limits *limits)
{
	uint64_t n = 0;

	for (uint32_t g = 0; g < limits->n_groups; g++)
		n += min_of(limits->max_rows, limits->max_blocks[g]);
	return (uint32_t)n;
}

uint32_t step_whole_group(const struct step_limits *limits)
{
	uint32_t n_blocks = step_blocks_for(limits, limits->max_context), g = 0;

	while (g < limits->n_groups && limits->table_blocks[g] != n_blocks)
		g++;
	return g;
}

uint32_t step_max_segments(const struct step_limits *limits)
{
	return (uint32_t)min_of(limits->max_rows, limits->max_sequences);
}

uint32_t step_max_extra(const struct step_limits *limits)
{
	const struct sampling most = { .n_biases = STEP_MAX_BIASES, .n_bans = STEP_MAX_BANS };

	return (uint32_t)min_of((uint64_t)step_max_segments(limits) * sampling_extra_words(&most),
				STEP_MAX_EXTRA / sizeof(uint64_t));
}

uint32_t step_max_sampling(const struct step_limits *limits)
{
	return step_max_segments(limits) * (uint32_t)STEP_SAMPLING_WORDS + step_max_extra(limits);
}

uint32_t step_max_tops(const struct step_limits *limits)
{
	return (uint32_t)min_of((uint64_t)limits->max_rows * STEP_MAX_TOPS_EACH, STEP_MAX_TOPS);
}

struct limit_field {
	const char *name;
	uint32_t value;
	uint32_t most;
};

static enum sc_status check_fields(const struct limit_field *fields, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!fields[i].value || fields[i].value > fields[i].most)
			return error_set(err, SC_E_INVALID,
					 "step limits: %s is %" PRIu32 ", expected 1 to %" PRIu32,
					 fields[i].name, fields[i].value, fields[i].most);
	return SC_OK;
}

static enum sc_status check_groups(const struct step_limits *limits, struct error *err)
{
	uint32_t n_whole = step_blocks_for(limits, limits->max_context);

	for (uint32_t g = 0; g < limits->n_groups; g++) {
		const struct limit_field fields[] = {
			{ "max_blocks", limits->max_blocks[g], STEP_MAX_BLOCKS },
			{ "table_blocks", limits->table_blocks[g], n_whole },
		};

		if (check_fields(fields, sizeof fields / sizeof fields[0], err) != SC_OK)
			return SC_E_INVALID;
	}
	if (step_whole_group(limits) == limits->n_groups)
		return error_set(err, SC_E_INVALID, "step limits: no group's table_blocks is "
				 "%" PRIu32 ", expected one for a context of %" PRIu32, n_whole,
				 limits->max_context);
	return SC_OK;
}

enum sc_status step_limits_check(const struct step_limits *limits, struct error *err)
{
	const struct limit_field fields[] = {
		{ "max_rows", limits->max_rows, LIMIT_ROWS },
		{ "max_sequences", limits->max_sequences, STEP_MAX_SEQUENCES },
		{ "n_groups", limits->n_groups, STEP_MAX_GROUPS },
		{ "block_length", limits->block_length, LIMIT_POSITIONS },
		{ "max_context", limits->max_context, LIMIT_POSITIONS },
		{ "n_vocab", limits->n_vocab, LIMIT_VOCAB },
		{ "dim", limits->dim, LIMIT_DIM },
	};

	if (check_fields(fields, sizeof fields / sizeof fields[0], err) != SC_OK ||
	    check_groups(limits, err) != SC_OK)
		return SC_E_INVALID;
	if (step_bytes_max(limits) > LIMIT_BYTES)
		return error_set(err, SC_E_INVALID,
				 "step limits: the largest step takes %zu bytes, expected at most "
				 "%" PRIu64, step_bytes_max(limits), LIMIT_BYTES);
	return SC_OK;
}
