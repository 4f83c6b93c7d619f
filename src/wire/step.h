/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WIRE_STEP_H
#define STAGECOACH_WIRE_STEP_H
/*
 * step - the messages of the pipeline: a STEP goes to each stage in turn, then TOKENS go back.
 *
 * A STEP is self-contained. Sequences are named by slots that the coordinator assigns. All changes
 * of a stage's sequences (new sequences, more blocks, frees) travel inside steps, so all stages
 * agree without further messages. Frees take effect before the step's segments.
 *
 * Records are flat, little-endian and used in place: a decoded step points into the frame's
 * payload, which must be aligned to 8 bytes and must outlive the step. Decoding checks every count
 * and index against the limits and the payload's length. It allocates nothing.
 * Thread: any.
 */
#include "base/error.h"
#include "base/integers.h"

#include <stdbool.h>
#include <stddef.h>

/* How tokens are drawn. The last stage keeps this from the segment that carries it until the
 * sequence is freed. Random numbers are a function of (seed, stream, position) only. */
struct sampling {
	uint64_t seed;
	uint32_t stream;	/* index of the sequence within its job */
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
	SEGMENT_NEW = 1,	/* the sequence starts: its slot is empty or
				 * freed by this step, and sampling is set */
	SEGMENT_SAMPLE = 2,	/* draw a token from the last row's logits */
};

/* Consecutive rows of one sequence. Segments are in row order; a sequence has at most one segment.
 * Scored rows: the text after the row is already known, and the row gives the log-probability of
 * its next token. They are the last n_scored rows, not counting a row with SEGMENT_SAMPLE. */
struct segment {
	uint32_t sequence;		/* slot, below limits.max_sequences */
	uint32_t flags;
	uint32_t first_position;
	uint32_t n_rows;		/* at least 1 */
	/* Blocks that this step appends to the sequence's table, for the segment's own rows:
	 * step.blocks[first_block .. first_block + n_blocks). At most n_rows. */
	uint32_t first_block;
	uint32_t n_blocks;
	uint32_t n_scored;
	uint32_t next_token;		/* the token after the last row if
					 * that row is scored, else 0 */
	struct sampling sampling;	/* all zero unless SEGMENT_NEW */
};

struct step {
	uint64_t id;			/* counts from 1 within an epoch */
	uint32_t n_rows;		/* 0 for a step that only frees */
	uint32_t n_segments;
	uint32_t n_blocks;
	uint32_t n_frees;
	uint32_t dim;			/* width of activations; 0 on the way to the first stage */
	const struct segment *segments;	/* [n_segments] */
	const uint32_t *tokens;		/* [n_rows] */
	const uint32_t *blocks;		/* [n_blocks] */
	const uint32_t *frees;		/* [n_frees] slots */
	const float *activations;	/* [n_rows][dim], aligned to 64 bytes; NULL when dim is 0 */
};

/* Limits fixed by the plan. Both ends of a link check steps against the same limits. */
struct step_limits {
	uint32_t max_rows;
	uint32_t max_sequences;
	uint32_t max_blocks;		/* number of KV blocks in the pool; ids are below it */
	uint32_t block_length;		/* positions per block */
	uint32_t max_context;		/* positions per sequence */
	uint32_t n_vocab;
	uint32_t dim;
};

/* At most this many sequences, so that a set of slots fits on the stack. */
#define STEP_MAX_SEQUENCES 65536
#define STEP_MAX_BLOCKS (UINT32_C(1) << 26)
#define STEP_MAX_TEMPERATURE 1000.0f

/* Checks the limits themselves. Limits that come from a peer must pass this check before any other
 * function here uses them. SC_E_INVALID: a limit is 0 or too large (a step may have at most 1
 * GiB). */
must_check enum sc_status step_limits_check(const struct step_limits *limits, struct error *err);

/* The number of KV blocks for n_positions. Numbers above UINT32_MAX become UINT32_MAX, which
 * step_limits_check refuses. */
static inline uint32_t step_blocks_for(const struct step_limits *limits, uint64_t n_positions)
{
	return (uint32_t)min_of(div_up(n_positions, limits->block_length), UINT32_MAX);
}

/* The largest number of blocks that one step can append to all its sequences. */
uint32_t step_max_blocks(const struct step_limits *limits);
/* The payload's size in bytes, activations included. Activations start at a multiple of 64. */
size_t step_bytes(const struct step *step);
/* The largest payload in bytes under these limits. */
size_t step_bytes_max(const struct step_limits *limits);
/* The same for a step on its way to a stage, numbered from 0: the first one gets no activations. */
size_t step_bytes_into(const struct step_limits *limits, unsigned stage);

/* Writes step into out[step_bytes(step)], which must be aligned to 64 bytes. If step->activations
 * is NULL and dim is not 0, space for the activations is left; step_activations() returns its
 * address. */
void step_encode(const struct step *step, void *out);
float *step_activations(void *payload);

/* Decodes a payload without copying. SC_E_PROTOCOL: err names the field, its value and the
 * limit. */
must_check enum sc_status step_decode(const void *payload, size_t n_bytes,
				      const struct step_limits *limits, struct step *step_out,
				      struct error *err);

/* The rows of a segment that give a record: the index of the first such row, and their number. */
static inline uint32_t segment_first_record(const struct segment *segment)
{
	return segment->n_rows - segment->n_scored - !!(segment->flags & SEGMENT_SAMPLE);
}
static inline uint32_t segment_n_records(const struct segment *segment)
{
	return segment->n_scored + !!(segment->flags & SEGMENT_SAMPLE);
}

/* Why the logits of a row give no token. */
enum token_fault {
	TOKEN_FAULT_NONE,
	TOKEN_FAULT_NAN,	/* a logit is NaN */
	TOKEN_FAULT_INFINITE,	/* a logit is +infinity */
	TOKEN_FAULT_EMPTY,	/* every logit is -infinity */
	TOKEN_N_FAULTS,
};

/* One token, drawn or scored, or the reason why there is none. The records of a sequence are
 * adjacent, in order of position. */
struct token_record {
	uint32_t sequence;
	uint32_t position;	/* position of the token */
	uint32_t token;		/* the token; with a fault, the first token whose logit has it */
	float logprob;		/* natural logarithm of the token's probability before
				 * filters, if the token is scored or its sampling has
				 * SAMPLING_LOGPROB; otherwise 0, also with a fault */
	uint32_t fault;		/* enum token_fault; a fault fails only the sequence's job */
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
