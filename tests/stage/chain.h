/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_STAGE_CHAIN_H
#define STAGECOACH_TESTS_STAGE_CHAIN_H
/*
 * chain - for tests: all layers of a model in one or more stages, run one behind the other in this
 * process. Steps are encoded and decoded as between processes. Keeps the block tables that a
 * coordinator would keep; blocks go to sequences in mixed order. Any failure fails the test.
 */
#include "base/cpu.h"
#include "stage/stage.h"

#define CHAIN_MAX_STAGES 8
#define CHAIN_MAX_SEQUENCES 8
#define CHAIN_BLOCK_LENGTH 16

struct chain;

struct chain_config {
	const struct model *model;
	unsigned n_stages;		/* at most the model's layers */
	unsigned n_threads;
	uint32_t max_rows;
	uint32_t max_context;
	bool is_in_place;		/* activations go out where they came in */
	stage_logits_fn *on_logits;	/* may be NULL */
	void *arg;
};

/* One segment. The sequence begins when sampling is given, else it goes on. */
struct chain_segment {
	uint32_t sequence;
	const struct sampling *sampling;
	const struct sampling_bias *biases;	/* [sampling->n_biases] */
	const uint32_t *bans;			/* [sampling->n_bans] */
	const uint32_t *tokens;
	uint32_t n_rows;
	bool is_sampling;
	bool is_long;			/* of a sequence that begins: SEGMENT_LONG */
	uint32_t n_scored;
	uint32_t next_token;
};

struct chain *chain_create(const struct chain_config *config);
void chain_destroy(struct chain *chain);

/* Runs one step; returns a record per sampling or scored row, valid until the next call. */
const struct token_record *chain_step(struct chain *chain, const struct chain_segment *segments,
				      uint32_t n_segments, const uint32_t *frees, uint32_t n_frees,
				      uint32_t *n_records_out);

/* The likeliest tokens that came with the last step's records. */
const struct token_top *chain_tops(const struct chain *chain, uint32_t *n_out);

/* From now on backends use this instruction set. False, with a message: this processor or build
 * does not have it. */
bool chain_use_isa(enum cpu_isa isa);

/* Opens a model below the source tree's tests/data/reference, by name without ".gguf". */
struct model *chain_open_reference(const char *name);

#endif
