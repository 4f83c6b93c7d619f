/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WIRE_STEP_H
#define STAGECOACH_WIRE_STEP_H
/*
 * step - what travels through the pipeline: a STEP to each stage in turn, then TOKENS back.
 *
 * A STEP is self-contained: sequences are named by slots that the coordinator hands out, and
 * everything that changes a stage's sequences (new ones, more blocks, frees) is in it, so that all
 * stages agree without asking. Frees take effect before the step's segments.
 *
 * Records are flat, little-endian and used in place: a decoded step borrows from the frame's
 * payload, which must be aligned to 8 bytes, and lives as long as it. Decoding checks every count
 * and index against the limits and the payload's length and allocates nothing.
 */
#include "base/error.h"
#include "base/integers.h"

#include <stdbool.h>
#include <stddef.h>

/* How tokens are drawn; kept by the last stage from the segment that carries it until the
 * sequence is freed. Random numbers are a function of (seed, stream, position) alone. */
struct sampling {
	uint64_t seed;
	uint32_t stream;	/* which sequence of its job */
	float temperature;	/* 0: greedy; at most STEP_MAX_TEMPERATURE */
	uint32_t top_k;		/* 0, or over n_vocab: off */
	float top_p;		/* 1: off */
	float min_p;		/* 0: off */
	uint32_t flags;		/* enum sampling_flag */
};

enum sampling_flag {
	SAMPLING_LOGPROB = 1,	/* records carry the log-probability of drawn tokens */
};

enum {
	SEGMENT_NEW = 1,	/* the sequence begins: its slot is empty (or freed by this step),
				 * sampling is set */
	SEGMENT_SAMPLE = 2,	/* the last row's logits give a token */
};

/* Consecutive rows of one sequence. Segments lie in row order; a sequence has at most one.
 * Scored rows give the log-probability of the token that follows them in a text that is known
 * already. They are the last n_scored rows, not counting one that samples. */
struct segment {
	uint32_t sequence;		/* slot, below limits.max_sequences */
	uint32_t flags;
	uint32_t first_position;
	uint32_t n_rows;		/* at least 1 */
	uint32_t first_block;		/* of step.blocks: blocks that this step appends to the */
	uint32_t n_blocks;		/* sequence's table, at most n_rows: for its own rows */
	uint32_t n_scored;
	uint32_t next_token;		/* behind the last row, when that is scored; else 0 */
	struct sampling sampling;	/* all zero unless SEGMENT_NEW */
};

struct step {
	uint64_t id;			/* counts up from 1 within an epoch */
	uint32_t n_rows;		/* may be 0: a step that only frees */
	uint32_t n_segments;
	uint32_t n_blocks;
	uint32_t n_frees;
	uint32_t dim;			/* of activations; 0 on the way to the first stage */
	const struct segment *segments;	/* [n_segments] */
	const uint32_t *tokens;		/* [n_rows] */
	const uint32_t *blocks;		/* [n_blocks] */
	const uint32_t *frees;		/* [n_frees] slots */
	const float *activations;	/* [n_rows][dim], aligned to 64 bytes; NULL when dim is 0 */
};

/* What a plan fixes; each end checks against the same. */
struct step_limits {
	uint32_t max_rows;
	uint32_t max_sequences;
	uint32_t max_blocks;		/* KV blocks of the pool; ids are below it */
	uint32_t block_length;		/* positions per block */
	uint32_t max_context;		/* positions of one sequence */
	uint32_t n_vocab;
	uint32_t dim;
};

/* A slot set of this many must fit on the stack. */
#define STEP_MAX_SEQUENCES 65536
#define STEP_MAX_BLOCKS (UINT32_C(1) << 26)
#define STEP_MAX_TEMPERATURE 1000.0f

/* SC_E_INVALID: a limit is 0, or so large that no plan can mean it (1 GiB a step). What comes
 * from a peer is checked with this before any other function here sees it. */
must_check enum sc_status step_limits_check(const struct step_limits *limits, struct error *err);

/* KV blocks that so many positions take: UINT32_MAX, which step_limits_check refuses, if more. */
static inline uint32_t step_blocks_for(const struct step_limits *limits, uint64_t n_positions)
{
	return (uint32_t)min_of(div_up(n_positions, limits->block_length), UINT32_MAX);
}

/* Blocks that a step appends to all its sequences at most. */
uint32_t step_max_blocks(const struct step_limits *limits);
/* Bytes of the payload, activations included (offset of those: a multiple of 64). */
size_t step_bytes(const struct step *step);
/* The most that any step under these limits takes. */
size_t step_bytes_max(const struct step_limits *limits);

/* Write step into out[step_bytes(step)], aligned to 64 bytes. With step->activations NULL and a
 * dim, room for them is left: step_activations() says where. */
void step_encode(const struct step *step, void *out);
float *step_activations(void *payload);

/* SC_E_PROTOCOL: err names the field, the limit and the value. */
must_check enum sc_status step_decode(const void *payload, size_t n_bytes,
				      const struct step_limits *limits, struct step *step_out,
				      struct error *err);

/* Rows of a segment that give a record, the first of them and how many. */
static inline uint32_t segment_first_record(const struct segment *segment)
{
	return segment->n_rows - segment->n_scored - !!(segment->flags & SEGMENT_SAMPLE);
}
static inline uint32_t segment_n_records(const struct segment *segment)
{
	return segment->n_scored + !!(segment->flags & SEGMENT_SAMPLE);
}

/* Why logits give no token. */
enum token_fault {
	TOKEN_FAULT_NONE,
	TOKEN_FAULT_NAN,	/* a logit is NaN */
	TOKEN_FAULT_INFINITE,	/* a logit is +infinity */
	TOKEN_FAULT_EMPTY,	/* every logit is -infinity */
	TOKEN_N_FAULTS,
};

/* One token, drawn or scored, or the reason why there is none. The records of a sequence lie side
 * by side, in order of position. */
struct token_record {
	uint32_t sequence;
	uint32_t position;	/* of the token */
	uint32_t token;		/* with a fault: the first token whose logit has it */
	float logprob;		/* natural logarithm of its probability before filters, if the token
				 * is scored or its sampling has SAMPLING_LOGPROB; else 0, and 0
				 * with a fault */
	uint32_t fault;		/* enum token_fault: fails the sequence's job, nothing else */
};

struct tokens {
	uint64_t step_id;
	uint32_t n_records;
	const struct token_record *records;
};

size_t tokens_bytes(uint32_t n_records);
void tokens_encode(const struct tokens *tokens, void *out);
must_check enum sc_status tokens_decode(const void *payload, size_t n_bytes,
					const struct step_limits *limits,
					struct tokens *tokens_out, struct error *err);

#endif
