/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_STAGE_REFERENCE_H
#define STAGECOACH_TESTS_STAGE_REFERENCE_H
/*
 * reference - for tests: prompts and the logits that another program computed, from NAME.ref
 * (tools/make_reference.py has the format), and runs of the prompts through a chain, which compare.
 * Any failure fails the test.
 */
#include "tests/stage/chain.h"

#define REFERENCE_MAX_CONTEXT 512

struct reference_prompt {
	uint32_t n_tokens;
	uint32_t n_positions;
	const uint8_t *tokens;		/* unaligned u32 */
	const uint8_t *positions;	/* unaligned u32, ascending */
	const uint8_t *logits;		/* unaligned f32 [n_positions][n_vocab] */
};

struct reference {
	uint32_t n_vocab;
	uint32_t n_prompts;
	struct reference_prompt *prompts;
	uint8_t *bytes;
};

/* How far logits are from the reference's, of the positions that were compared. */
struct reference_error {
	double worst_l2;	/* |difference| / |logits| of the worst position, Euclidean norms */
	double max_difference;	/* of one logit */
	double max_logit;	/* of the reference, absolute */
	uint32_t n_compared;
};

void reference_open(struct reference *reference_out, const char *path);
void reference_close(struct reference *reference);

/* Runs a prompt as sequence 0 and frees the sequence. The chunks are as long as possible but end at
 * each position whose logits are known; with is_whole, the prompt is one chunk, and its last
 * position must be known. The chain calls reference_compare with `run`. */
struct reference_run {
	const struct reference_prompt *prompt;
	uint32_t next;		/* position of prompt->positions */
	struct reference_error error;
};
void reference_run(struct chain *chain, struct reference_run *run,
		   const struct reference_prompt *prompt, bool is_whole);
/* The same for a prompt that counts as long (LongRoPE: transformers looks at the prompt's length). */
void reference_run_long(struct chain *chain, struct reference_run *run,
			const struct reference_prompt *prompt, bool is_whole);
void reference_compare(void *run, uint32_t sequence, uint32_t position, const float *logits,
		       uint32_t n_vocab);

/* Reads a whole file; the caller frees it. */
uint8_t *reference_read_file(const char *path, size_t *n_bytes_out);

#endif
