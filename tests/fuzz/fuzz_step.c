/* SPDX-License-Identifier: Apache-2.0 */
/* Steps and tokens as a peer sends them, under limits that a peer sent too. What is accepted must
 * keep all limits, and must be, byte for byte, what our own encoder makes of it. */
#include "tests/fuzz/fuzz.h"

#include "base/bytes.h"
#include "wire/step.h"

#include <math.h>
#include <stdlib.h>

/* An input: a byte, 0 for a step and 1 for tokens; limits; the payload. */
#define PREFIX_BYTES (1 + sizeof(struct step_limits))

static const struct step_limits seed_limits = {
	.max_rows = 8,
	.max_sequences = 4,
	.n_groups = 2,
	.max_blocks = { 16, 5 },
	.table_blocks = { 8, 2 },
	.block_length = 4,
	.max_context = 32,
	.n_vocab = 100,
	.dim = 5,
};

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void *aligned_copy(const void *data, size_t n_bytes)
{
	void *copy = NULL;

	check(posix_memalign(&copy, 64, n_bytes ? n_bytes : 1) == 0);
	if (n_bytes)
		memcpy(copy, data, n_bytes);
	return copy;
}

static uint32_t check_sampling(const struct sampling *sampling, const struct step_limits *limits)
{
	const struct sampling_bias *biases = sampling_biases(sampling);
	const uint32_t *bans = sampling_bans(sampling);

	check(sampling->repetition_penalty > 0 && sampling->typical_p > 0);
	check(sampling->temperature >= 0 && sampling->temperature <= STEP_MAX_TEMPERATURE);
	check(sampling->n_tops <= STEP_MAX_TOPS_EACH && sampling->n_tops <= limits->n_vocab);
	check((uint64_t)sampling->n_prompt + sampling->min_tokens <= 2 * (uint64_t)limits->max_context);
	for (size_t i = 0; i < sizeof sampling->order; i++)
		check(sampling->order[i] < N_SAMPLERS);
	for (uint32_t i = 0; i < sampling->n_biases; i++)
		check(biases[i].token < limits->n_vocab && biases[i].bias <= STEP_MAX_BIAS);
	for (uint32_t i = 0; i < sampling->n_bans; i++)
		check(bans[i] < limits->n_vocab);
	return sampling_words(sampling);
}

/* Each group's blocks fit into its table, and their ids into its pool. Returns the blocks of all. */
static uint32_t check_blocks(const struct step *step, const struct segment *segment,
			     const struct step_limits *limits)
{
	uint32_t end = segment->first_position + segment->n_rows, n = 0;

	for (uint32_t g = 0; g < limits->n_groups; g++) {
		uint32_t n_new = segment_new_blocks(limits, segment, g);

		check(n_new <= segment->n_rows);
		check(step_held_blocks(limits, g, end) <= limits->table_blocks[g]);
		for (; n_new; n_new--)
			check(step->blocks[segment->first_block + n++] < limits->max_blocks[g]);
	}
	check(n == segment->n_blocks);
	return n;
}

static void check_step(const struct step *step, const struct step_limits *limits)
{
	uint64_t n_rows = 0, n_blocks = 0, n_sampling = 0;

	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];

		check(segment->sequence < limits->max_sequences);
		check((uint64_t)segment->first_position + segment->n_rows <= limits->max_context);
		check(segment->n_rows && segment->first_block == n_blocks);
		check(segment_n_records(segment) <= segment->n_rows);
		check(segment_first_record(segment) < segment->n_rows ||
		      !segment_n_records(segment));
		check(segment->next_token < limits->n_vocab);
		if (segment->flags & SEGMENT_NEW)
			n_sampling += check_sampling(segment_sampling(step, segment), limits);
		check(!(segment->flags & SEGMENT_LONG) || segment->flags & SEGMENT_NEW);
		n_rows += segment->n_rows;
		n_blocks += check_blocks(step, segment, limits);
		for (uint32_t k = 0; k < i && i < 64; k++)
			check(step->segments[k].sequence != segment->sequence);
	}
	check(n_rows == step->n_rows && n_rows <= limits->max_rows);
	check(n_blocks == step->n_blocks && n_sampling == step->n_sampling);
	check(n_sampling <= step_max_sampling(limits));
	for (uint32_t i = 0; i < step->n_rows; i++)
		check(step_token(step->tokens[i]) < limits->n_vocab);
	for (uint32_t i = 0; i < step->n_frees; i++)
		check(step->frees[i] < limits->max_sequences);
	check((uintptr_t)step->activations % 64 == 0);
	check(!step->activations == !step->dim);
}

static void try_step(const uint8_t *payload, size_t n_bytes, const struct step_limits *limits)
{
	struct error err = { .status = SC_OK };
	struct step step;
	void *again;

	if (step_decode(payload, n_bytes, limits, &step, &err) != SC_OK) {
		check(err.status == SC_E_PROTOCOL && err.text[0]);
		return;
	}
	check_step(&step, limits);
	check(step_bytes(&step) == n_bytes && n_bytes <= step_bytes_max(limits));
	again = aligned_copy(payload, n_bytes);
	memset(again, 0xff, n_bytes);
	step_encode(&step, again);
	check(memcmp(again, payload, n_bytes) == 0);
	free(again);
}

static void try_tokens(const uint8_t *payload, size_t n_bytes, const struct step_limits *limits)
{
	struct error err = { .status = SC_OK };
	struct tokens tokens;
	uint32_t n_tops = 0;
	void *again;

	if (tokens_decode(payload, n_bytes, limits, &tokens, &err) != SC_OK) {
		check(err.status == SC_E_PROTOCOL && err.text[0]);
		return;
	}
	for (uint32_t i = 0; i < tokens.n_records; i++) {
		check(tokens.records[i].sequence < limits->max_sequences);
		check(tokens.records[i].token < limits->n_vocab);
		check(tokens.n_records <= limits->max_rows);
		check(tokens.records[i].n_tops <= STEP_MAX_TOPS_EACH);
		n_tops += tokens.records[i].n_tops;
	}
	check(n_tops == tokens.n_tops && n_bytes <= tokens_bytes_max(limits));
	for (uint32_t i = 0; i < n_tops; i++)
		check(tokens.tops[i].token < limits->n_vocab && tokens.tops[i].logprob < INFINITY);
	again = aligned_copy(payload, n_bytes);
	memset(again, 0xff, n_bytes);
	tokens_encode(&tokens, again);
	check(tokens_bytes(&tokens) == n_bytes);
	check(memcmp(again, payload, n_bytes) == 0);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct step_limits limits;
	uint8_t *payload;

	if (size < PREFIX_BYTES)
		return 0;
	memcpy(&limits, data + 1, sizeof limits);
	if (step_limits_check(&limits, NULL) != SC_OK)
		return 0;
	payload = aligned_copy(data + PREFIX_BYTES, size - PREFIX_BYTES);
	if (data[0] == 0)
		try_step(payload, size - PREFIX_BYTES, &limits);
	else
		try_tokens(payload, size - PREFIX_BYTES, &limits);
	free(payload);
	return 0;
}

static void add(struct buf *seed, const void *bytes, size_t n_bytes)
{
	check(buf_add(seed, bytes, n_bytes) == SC_OK);
}

static void add_step(struct buf *seed, unsigned i)
{
	const struct segment segments[2] = {
		{ .sequence = 1, .flags = SEGMENT_NEW | SEGMENT_LONG, .n_rows = 3, .n_blocks = 2,
		  .n_scored = 2, .next_token = 5 },
		{ .sequence = 0, .flags = SEGMENT_SAMPLE, .first_position = 12, .n_rows = 1,
		  .first_block = 2, .n_blocks = 1 },
	};
	const struct sampling sampling = {
		.seed = 42, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, SAMPLING_OFF,
		.order = { SAMPLER_PENALTIES, SAMPLER_TEMPERATURE }, .n_tops = 3, .n_biases = 2,
		.n_bans = 1,
	};
	const struct sampling_bias biases[2] = { { 3, 2.5f }, { 98, -INFINITY } };
	const uint32_t bans[1] = { 2 };
	uint64_t words[STEP_SAMPLING_WORDS + 3];
	const uint32_t tokens[4] = { 1, 2 | STEP_TOKEN_BREAKER, 3, 99 }, blocks[3] = { 0, 4, 15 }, frees[2] = { 1, 2 };
	const float activations[4 * 5] = { 0.5f };
	struct step step = {
		.id = 7, .n_frees = 2, .dim = i & 1 ? 5 : 0,
		.segments = segments, .sampling = words, .tokens = tokens, .blocks = blocks, .frees = frees,
		.activations = activations,
	};
	void *payload = NULL;

	if (i & 2) {
		step.n_rows = 4;
		step.n_segments = 2;
		step.n_blocks = 3;
		step.n_sampling = sampling_words(&sampling);
		sampling_write(&sampling, biases, bans, words);
	}
	check(posix_memalign(&payload, 64, step_bytes(&step)) == 0);
	step_encode(&step, payload);
	add(seed, payload, step_bytes(&step));
	free(payload);
}

static void add_tokens(struct buf *seed)
{
	const struct token_record records[2] = {
		{ .sequence = 3, .position = 32, .token = 99, .logprob = -0.5f,
		  .n_tops = 2 },
		{ .sequence = 0, .position = 1, .token = 0, .fault = TOKEN_FAULT_NAN },
	};
	const struct token_top tops[2] = { { 99, -0.5f }, { 5, -1.5f } };
	const struct tokens tokens = { .step_id = 7, .n_records = 2, .n_tops = 2,
				       .records = records, .tops = tops };
	uint8_t payload[128];

	tokens_encode(&tokens, payload);
	add(seed, payload, tokens_bytes(&tokens));
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	const uint8_t kind = i == 4;

	if (i > 4)
		return false;
	add(seed, &kind, 1);
	add(seed, &seed_limits, sizeof seed_limits);
	if (kind)
		add_tokens(seed);
	else
		add_step(seed, i);
	return true;
}
