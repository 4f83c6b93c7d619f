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
 * KV blocks come from a pool for each group of layers, and a sequence has a table of blocks in each
 * group. The table is a ring of limits.table_blocks blocks: position p is in block
 * table[(p / block_length) % table_blocks] at p % block_length. Blocks are appended until the ring
 * is full; then their positions are overwritten in turn. So a group whose layers see only a window
 * takes only a window's blocks.
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

/* The parts of the chain that draws a token. stage/sampler.h says what each of them does. */
enum sampler_kind {
	SAMPLER_NONE,
	SAMPLER_PENALTIES,
	SAMPLER_DRY,
	SAMPLER_TOP_N_SIGMA,
	SAMPLER_TOP_K,
	SAMPLER_TYPICAL,
	SAMPLER_TOP_P,
	SAMPLER_MIN_P,
	SAMPLER_XTC,
	SAMPLER_TEMPERATURE,
	N_SAMPLERS,
};

/* How tokens are drawn. The last stage keeps this from the segment that carries it until the
 * sequence is freed. Random numbers are a function of (seed, stream, position) only.
 *
 * This is the fixed part of a sampling. These follow it in step.sampling: n_biases of struct
 * sampling_bias, n_bans tokens, and zeros up to a multiple of 8 bytes. */
struct sampling {
	uint64_t seed;
	uint32_t stream;		/* index of the sequence within its job */
	uint32_t flags;			/* enum sampling_flag */
	float temperature;		/* 0: greedy; at most STEP_MAX_TEMPERATURE */
	uint32_t top_k;			/* 0, or over n_vocab: off */
	float top_p;			/* 0 to 1; 1: off */
	float min_p;			/* 0 to 1; 0: off */
	float typical_p;		/* above 0, to 1; 1: off */
	float top_n_sigma;		/* 0: off */
	float xtc_probability;		/* 0 to 1; 0: off */
	float xtc_threshold;		/* 0 to 1; above 0.5: off */
	float dynatemp_range;		/* 0: off; at most STEP_MAX_TEMPERATURE */
	float dynatemp_exponent;	/* 0 or more */
	float repetition_penalty;	/* above 0; 1: off */
	float presence_penalty;		/* 0: off */
	float frequency_penalty;	/* 0: off */
	uint32_t penalty_last_n;	/* tokens that count for the three penalties; 0: all */
	float dry_multiplier;		/* 0 or more; 0: off */
	float dry_base;			/* 0 or more; below 1: off */
	uint32_t dry_allowed_length;
	uint32_t dry_last_n;		/* 0: all */
	uint32_t n_prompt;		/* tokens of the prompt; later ones are output */
	uint32_t min_tokens;		/* the bans hold before position n_prompt + min_tokens */
	uint32_t n_tops;		/* the likeliest tokens of each record that has a logprob:
					 * exactly as many, at most STEP_MAX_TOPS_EACH and n_vocab */
	uint8_t order[12];		/* enum sampler_kind, each at most once, then zeros. What is
					 * missing is off. All zero: the order of the enum */
	uint32_t n_biases;		/* at most STEP_MAX_BIASES */
	uint32_t n_bans;		/* at most STEP_MAX_BANS */
};

/* For initialisers: what is off at a value that is not 0, without top_p. */
#define SAMPLING_OFF .typical_p = 1.0f, .repetition_penalty = 1.0f

enum sampling_flag {
	SAMPLING_LOGPROB = 1,	/* records carry the log-probability of drawn tokens */
};

/* Added to a token's logit before everything else. In ascending order of tokens, each at most
 * once. */
struct sampling_bias {
	uint32_t token;
	float bias;		/* at most STEP_MAX_BIAS either way, or -INFINITY: never drawn */
};

#define STEP_MAX_BIASES 512
#define STEP_MAX_BANS 128	/* tokens that are not drawn before min_tokens; in ascending order,
				 * each at most once */
#define STEP_MAX_BIAS 1e9f
#define STEP_MAX_PENALTY 1000.0f	/* of penalties, their factors and top_n_sigma */
#define STEP_MAX_TOPS_EACH 20

/* At most so many bytes of biases and bans per step: more than one sequence can have. */
#define STEP_MAX_EXTRA 16384

/* At most so many likeliest tokens per TOKENS frame. */
#define STEP_MAX_TOPS 16384

/* Of a row's token: its text ends repetitions for SAMPLER_DRY. The other bits are the token. */
#define STEP_TOKEN_BREAKER UINT32_C(0x80000000)

static inline uint32_t step_token(uint32_t flagged)
{
	return flagged & ~STEP_TOKEN_BREAKER;
}

enum {
	SEGMENT_NEW = 1,	/* the sequence starts: its slot is empty or
				 * freed by this step, and it has a sampling */
	SEGMENT_SAMPLE = 2,	/* draw a token from the last row's logits */
	SEGMENT_LONG = 4,	/* with SEGMENT_NEW: the sequence may grow beyond the context that
				 * the model's short rope factors are for (LongRoPE) */
	SEGMENT_ALL = SEGMENT_NEW | SEGMENT_SAMPLE | SEGMENT_LONG,
};

/* Consecutive rows of one sequence. Segments are in row order; a sequence has at most one segment.
 * Scored rows: the text after the row is already known, and the row gives the log-probability of
 * its next token. They are the last n_scored rows, not counting a row with SEGMENT_SAMPLE. */
struct segment {
	uint32_t sequence;		/* slot, below limits.max_sequences */
	uint32_t flags;
	uint32_t first_position;
	uint32_t n_rows;		/* at least 1 */
	/* Blocks that this step appends to the sequence's tables, for the segment's own rows:
	 * step.blocks[first_block .. first_block + n_blocks), those of group 0 first. There are
	 * segment_new_blocks of each group. */
	uint32_t first_block;
	uint32_t n_blocks;
	uint32_t n_scored;
	uint32_t next_token;		/* the token after the last row if
					 * that row is scored, else 0 */
	uint32_t sampling_at;		/* SEGMENT_NEW: word of step.sampling at which its sampling
					 * starts, behind that of the segment before; else 0 */
	uint32_t reserved;		/* 0 */
};

struct step {
	uint64_t id;			/* counts from 1 within an epoch */
	uint32_t n_rows;		/* 0 for a step that only frees */
	uint32_t n_segments;
	uint32_t n_blocks;
	uint32_t n_frees;
	uint32_t dim;			/* width of activations; 0 on the way to the first stage */
	uint32_t n_sampling;
	const struct segment *segments;	/* [n_segments] */
	const uint64_t *sampling;	/* [n_sampling] words: the samplings of new sequences */
	const uint32_t *tokens;		/* [n_rows], with STEP_TOKEN_BREAKER */
	const uint32_t *blocks;		/* [n_blocks] */
	const uint32_t *frees;		/* [n_frees] slots */
	const float *activations;	/* [n_rows][dim], aligned to 64 bytes; NULL when dim is 0 */
};

/* At most so many groups of KV blocks: those of a model's layers, and one for tokens alone. */
#define STEP_MAX_GROUPS 5

/* Limits fixed by the plan. Both ends of a link check steps against the same limits. */
struct step_limits {
	uint32_t max_rows;
	uint32_t max_sequences;
	uint32_t n_groups;		/* of KV blocks, at least 1 */
	uint32_t max_blocks[STEP_MAX_GROUPS];	/* number of blocks in the group's pool; ids are
						 * below it */
	uint32_t table_blocks[STEP_MAX_GROUPS];	/* most blocks of a sequence; at least one group
						 * has room for max_context positions */
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

/* The blocks of the group that a sequence of n_positions holds. */
static inline uint32_t step_held_blocks(const struct step_limits *limits, uint32_t group,
					uint64_t n_positions)
{
	return (uint32_t)min_of(step_blocks_for(limits, n_positions), limits->table_blocks[group]);
}

/* The blocks of the group that a segment appends. */
static inline uint32_t segment_new_blocks(const struct step_limits *limits,
					  const struct segment *segment, uint32_t group)
{
	uint64_t first = segment->first_position;

	return step_held_blocks(limits, group, first + segment->n_rows) -
	       step_held_blocks(limits, group, first);
}

/* The first group whose table never overwrites a position: it has room for a whole context. */
uint32_t step_whole_group(const struct step_limits *limits);

/* Words that a sampling takes in a step: all of it, and its biases and bans alone. */
#define STEP_SAMPLING_WORDS (sizeof(struct sampling) / sizeof(uint64_t))
static inline uint32_t sampling_extra_words(const struct sampling *sampling)
{
	return sampling->n_biases + (sampling->n_bans + 1) / 2;
}
static inline uint32_t sampling_words(const struct sampling *sampling)
{
	return (uint32_t)STEP_SAMPLING_WORDS + sampling_extra_words(sampling);
}

/* The sampling of a segment with SEGMENT_NEW, and the parts of a sampling that lies in a step. */
static inline const struct sampling *segment_sampling(const struct step *step,
						      const struct segment *segment)
{
	return (const struct sampling *)(step->sampling + segment->sampling_at);
}
static inline const struct sampling_bias *sampling_biases(const struct sampling *sampling)
{
	return (const struct sampling_bias *)(sampling + 1);
}
static inline const uint32_t *sampling_bans(const struct sampling *sampling)
{
	return (const uint32_t *)(sampling_biases(sampling) + sampling->n_biases);
}

/* Writes a sampling into out[sampling_words(sampling)] as a step holds it. */
void sampling_write(const struct sampling *sampling, const struct sampling_bias *biases,
		    const uint32_t *bans, uint64_t *out);

/* The largest number of segments of one step, and of blocks that it can append to all its
 * sequences. */
uint32_t step_max_segments(const struct step_limits *limits);
uint32_t step_max_blocks(const struct step_limits *limits);
/* The same for words of samplings, for words of biases and bans among them, and for the likeliest
 * tokens in a step's answer. */
uint32_t step_max_sampling(const struct step_limits *limits);
uint32_t step_max_extra(const struct step_limits *limits);
uint32_t step_max_tops(const struct step_limits *limits);
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
	TOKEN_FAULT_BARRED,	/* biases, bans and penalties leave no token */
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
	uint32_t n_tops;	/* sampling.n_tops of the sequence if the record has a logprob;
				 * otherwise 0, also with a fault */
};

/* One of the likeliest tokens in a record's place, by the same probabilities as its logprob. The
 * record's own token has the same logprob here as there. */
struct token_top {
	uint32_t token;
	float logprob;
};

struct tokens {
	uint64_t step_id;
	uint32_t n_records;
	uint32_t n_tops;
	const struct token_record *records;	/* [n_records] */
	const struct token_top *tops;		/* [n_tops] of all records in their order; those of
						 * a record best first */
};

size_t tokens_bytes(const struct tokens *tokens);
/* The largest payload in bytes under these limits. */
size_t tokens_bytes_max(const struct step_limits *limits);
/* The largest payload that any stage sends: a step for the next stage, or an answer. */
static inline size_t stage_output_bytes_max(const struct step_limits *limits)
{
	return (size_t)max_of(step_bytes_max(limits), tokens_bytes_max(limits));
}
void tokens_encode(const struct tokens *tokens, void *out);
must_check enum sc_status tokens_decode(const void *payload, size_t n_bytes,
					const struct step_limits *limits,
					struct tokens *tokens_out, struct error *err);

#endif
