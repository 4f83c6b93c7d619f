/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/step.h"

#include "base/bytes.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

#define ACTIVATIONS_ALIGNMENT 64
#define RECORDS_ALIGNMENT 8

/* Upper bounds on what a plan may ask for. Within them no sum of sizes overflows. */
#define LIMIT_ROWS (UINT32_C(1) << 16)
#define LIMIT_POSITIONS (UINT32_C(1) << 26)
#define LIMIT_VOCAB (UINT32_C(1) << 24)
#define LIMIT_DIM (UINT32_C(1) << 20)
#define LIMIT_BYTES (UINT64_C(1) << 30)

/* The payload of a STEP: this header, segments, tokens, blocks, frees, zero padding up to a
 * multiple of 64 bytes, activations. */
struct step_header {
	uint64_t id;
	uint32_t n_rows;
	uint32_t n_segments;
	uint32_t n_blocks;
	uint32_t n_frees;
	uint32_t dim;
	uint32_t reserved;	/* 0 */
};

/* The payload of a TOKENS frame: this header, then records. */
struct tokens_header {
	uint64_t step_id;
	uint32_t n_records;
	uint32_t reserved;	/* 0 */
};

_Static_assert(sizeof(struct step_header) == 32, "wire format");
_Static_assert(sizeof(struct sampling) == 32, "wire format");
_Static_assert(sizeof(struct segment) == 64, "wire format");
_Static_assert(sizeof(struct tokens_header) == 16, "wire format");
_Static_assert(sizeof(struct token_record) == 20, "wire format");

/* A set of slots, small enough for the stack. */
struct slot_set {
	uint64_t words[STEP_MAX_SEQUENCES / 64];
};

static void slot_set_init(struct slot_set *set, uint32_t n_slots)
{
	memset(set->words, 0, ((size_t)n_slots + 63) / 64 * sizeof set->words[0]);
}

static bool slot_set_has(const struct slot_set *set, uint32_t slot)
{
	return set->words[slot / 64] >> (slot % 64) & 1;
}

/* Adds the slot. Returns false if the set already contains it. */
static bool slot_set_add(struct slot_set *set, uint32_t slot)
{
	if (slot_set_has(set, slot))
		return false;
	set->words[slot / 64] |= UINT64_C(1) << (slot % 64);
	return true;
}

/* Bytes in front of the padding: header and records. */
static uint64_t records_bytes(const struct step_header *header)
{
	return sizeof *header + header->n_segments * (uint64_t)sizeof(struct segment) +
	       ((uint64_t)header->n_rows + header->n_blocks + header->n_frees) * sizeof(uint32_t);
}

static uint64_t activations_offset(const struct step_header *header)
{
	return round_up(records_bytes(header), ACTIVATIONS_ALIGNMENT);
}

/* Total payload. Without activations there is no padding. */
static uint64_t payload_bytes(const struct step_header *header)
{
	if (!header->dim)
		return records_bytes(header);
	return activations_offset(header) +
	       (uint64_t)header->n_rows * header->dim * sizeof(float);
}

static struct step_header header_of(const struct step *step)
{
	return (struct step_header){
		.id = step->id,
		.n_rows = step->n_rows,
		.n_segments = step->n_segments,
		.n_blocks = step->n_blocks,
		.n_frees = step->n_frees,
		.dim = step->dim,
	};
}

/* A step names a block only when it writes the block's first row, so a step has at most as many new
 * blocks as rows. */
uint32_t step_max_blocks(const struct step_limits *limits)
{
	return (uint32_t)min_of(limits->max_rows, limits->max_blocks);
}

static struct step_header largest_header(const struct step_limits *limits)
{
	return (struct step_header){
		.n_rows = limits->max_rows,
		.n_segments = (uint32_t)min_of(limits->max_rows, limits->max_sequences),
		.n_blocks = step_max_blocks(limits),
		.n_frees = limits->max_sequences,
		.dim = limits->dim,
	};
}

size_t step_bytes(const struct step *step)
{
	struct step_header header = header_of(step);

	return payload_bytes(&header);
}

size_t step_bytes_max(const struct step_limits *limits)
{
	struct step_header header = largest_header(limits);

	return payload_bytes(&header);
}

size_t step_bytes_into(const struct step_limits *limits, unsigned stage)
{
	struct step_limits hop = *limits;

	if (!stage)
		hop.dim = 0;
	return step_bytes_max(&hop);
}

enum sc_status step_limits_check(const struct step_limits *limits, struct error *err)
{
	const struct {
		const char *name;
		uint32_t value;
		uint32_t most;
	} fields[] = {
		{ "max_rows", limits->max_rows, LIMIT_ROWS },
		{ "max_sequences", limits->max_sequences, STEP_MAX_SEQUENCES },
		{ "max_blocks", limits->max_blocks, STEP_MAX_BLOCKS },
		{ "block_length", limits->block_length, LIMIT_POSITIONS },
		{ "max_context", limits->max_context, LIMIT_POSITIONS },
		{ "n_vocab", limits->n_vocab, LIMIT_VOCAB },
		{ "dim", limits->dim, LIMIT_DIM },
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (!fields[i].value || fields[i].value > fields[i].most)
			return error_set(err, SC_E_INVALID,
					 "step limits: %s is %" PRIu32 ", expected 1 to %" PRIu32,
					 fields[i].name, fields[i].value, fields[i].most);
	if (step_bytes_max(limits) > LIMIT_BYTES)
		return error_set(err, SC_E_INVALID,
				 "step limits: the largest step takes %zu bytes, expected at most "
				 "%" PRIu64, step_bytes_max(limits), LIMIT_BYTES);
	return SC_OK;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t n_bytes)
{
	if (n_bytes)
		memcpy(at, bytes, n_bytes);
	return at + n_bytes;
}

void step_encode(const struct step *step, void *out)
{
	struct step_header header = header_of(step);
	uint8_t *start = out;
	uint8_t *at = start;
	uint8_t *activations = start + activations_offset(&header);

	at = put(at, &header, sizeof header);
	at = put(at, step->segments, step->n_segments * sizeof step->segments[0]);
	at = put(at, step->tokens, step->n_rows * sizeof step->tokens[0]);
	at = put(at, step->blocks, step->n_blocks * sizeof step->blocks[0]);
	at = put(at, step->frees, step->n_frees * sizeof step->frees[0]);
	if (!step->dim)
		return;
	memset(at, 0, (size_t)(activations - at));
	if (step->activations)
		put(activations, step->activations,
		    (size_t)step->n_rows * step->dim * sizeof(float));
}

float *step_activations(void *payload)
{
	const struct step_header *header = payload;

	if (!header->dim)
		return NULL;
	return (float *)((uint8_t *)payload + activations_offset(header));
}

/* "field is VALUE, expected at most LIMIT", for counts. */
static enum sc_status check_count(const char *name, uint32_t value, uint32_t most,
				  struct error *err)
{
	if (value <= most)
		return SC_OK;
	return error_set(err, SC_E_PROTOCOL, "step: %s is %" PRIu32 ", expected at most %" PRIu32,
			 name, value, most);
}

static enum sc_status check_header(const struct step_header *header, size_t n_bytes,
				   const struct step_limits *limits, struct error *err)
{
	struct step_header largest = largest_header(limits);

	if (!header->id)
		return error_set(err, SC_E_PROTOCOL, "step: id is 0, expected 1 or more");
	if (header->reserved)
		return error_set(err, SC_E_PROTOCOL, "step %" PRIu64 ": reserved is 0x%08" PRIx32
				 ", expected 0", header->id, header->reserved);
	if (check_count("n_rows", header->n_rows, largest.n_rows, err) != SC_OK ||
	    check_count("n_segments", header->n_segments,
			(uint32_t)min_of(largest.n_segments, header->n_rows), err) != SC_OK ||
	    check_count("n_blocks", header->n_blocks, largest.n_blocks, err) != SC_OK ||
	    check_count("n_frees", header->n_frees, largest.n_frees, err) != SC_OK)
		return SC_E_PROTOCOL;
	if (header->dim && header->dim != limits->dim)
		return error_set(err, SC_E_PROTOCOL, "step: dim is %" PRIu32 ", expected 0 or "
				 "%" PRIu32, header->dim, limits->dim);
	if (n_bytes != payload_bytes(header))
		return error_set(err, SC_E_PROTOCOL, "step: payload of %zu bytes, but its counts "
				 "make %" PRIu64, n_bytes, payload_bytes(header));
	return SC_OK;
}

static bool is_in_range(float value, float least, float most)
{
	return isfinite(value) && value >= least && value <= most;
}

static enum sc_status check_sampling(const struct segment *segment, uint32_t i, struct error *err)
{
	static const struct sampling none;
	const struct sampling *sampling = &segment->sampling;
	const struct {
		const char *name;
		float value;
		float most;
	} fields[] = {
		{ "temperature", sampling->temperature, STEP_MAX_TEMPERATURE },
		{ "top_p", sampling->top_p, 1.0f },
		{ "min_p", sampling->min_p, 1.0f },
	};

	if (!(segment->flags & SEGMENT_NEW)) {
		if (memcmp(sampling, &none, sizeof none) != 0)
			return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": sampling "
					 "is set, expected zeros without the NEW flag", i);
		return SC_OK;
	}
	for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++)
		if (!is_in_range(fields[k].value, 0.0f, fields[k].most))
			return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": %s is %g, "
					 "expected 0 to %g", i, fields[k].name,
					 (double)fields[k].value, (double)fields[k].most);
	if (sampling->flags & ~(uint32_t)SAMPLING_LOGPROB)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": sampling.flags "
				 "is 0x%08" PRIx32 ", expected 0 or 1", i, sampling->flags);
	return SC_OK;
}

/* State collected from the segments before the current one. */
struct segment_scan {
	uint32_t n_rows;
	uint32_t n_blocks;
	struct slot_set used;
	struct slot_set freed;
};

static enum sc_status check_slot(const struct segment *segment, uint32_t i,
				 const struct step_limits *limits, struct segment_scan *scan,
				 struct error *err)
{
	uint32_t slot = segment->sequence;

	if (slot >= limits->max_sequences)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": sequence is "
				 "%" PRIu32 ", expected below %" PRIu32, i, slot,
				 limits->max_sequences);
	if (!slot_set_add(&scan->used, slot))
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": sequence %" PRIu32
				 " has a segment already, expected at most one", i, slot);
	if (segment->flags & ~(uint32_t)(SEGMENT_NEW | SEGMENT_SAMPLE))
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": flags are "
				 "0x%08" PRIx32 ", expected none beyond 0x%08x", i, segment->flags,
				 (unsigned)(SEGMENT_NEW | SEGMENT_SAMPLE));
	if (slot_set_has(&scan->freed, slot) && !(segment->flags & SEGMENT_NEW))
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": sequence %" PRIu32
				 " is freed by this step, expected the NEW flag", i, slot);
	return SC_OK;
}

static enum sc_status check_ranges(const struct segment *segment, uint32_t i,
				   const struct step_header *header,
				   const struct step_limits *limits, struct segment_scan *scan,
				   struct error *err)
{
	uint32_t table_length = step_blocks_for(limits, limits->max_context);
	uint32_t rows_left = header->n_rows - scan->n_rows;
	uint32_t blocks_left = header->n_blocks - scan->n_blocks;
	uint32_t most_blocks = (uint32_t)min_of(min_of(table_length, blocks_left), segment->n_rows);

	if (!segment->n_rows || segment->n_rows > rows_left)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": n_rows is %" PRIu32
				 ", expected 1 to %" PRIu32, i, segment->n_rows, rows_left);
	if ((uint64_t)segment->first_position + segment->n_rows > limits->max_context)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": positions %" PRIu32
				 " and %" PRIu32 " more, expected an end of at most %" PRIu32, i,
				 segment->first_position, segment->n_rows, limits->max_context);
	if (segment->first_block != scan->n_blocks)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": first_block is "
				 "%" PRIu32 ", expected %" PRIu32, i, segment->first_block,
				 scan->n_blocks);
	if (segment->n_blocks > most_blocks)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": n_blocks is "
				 "%" PRIu32 ", expected at most %" PRIu32, i, segment->n_blocks,
				 most_blocks);
	scan->n_rows += segment->n_rows;
	scan->n_blocks += segment->n_blocks;
	return SC_OK;
}

static enum sc_status check_scores(const struct segment *segment, uint32_t i,
				   const struct step_limits *limits, struct error *err)
{
	bool is_sampling = segment->flags & SEGMENT_SAMPLE;
	bool has_next = segment->n_scored && !is_sampling;
	uint32_t most = segment->n_rows - is_sampling;

	if (segment->n_scored > most)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": n_scored is "
				 "%" PRIu32 ", expected at most %" PRIu32, i, segment->n_scored,
				 most);
	if (segment->next_token >= (has_next ? limits->n_vocab : 1))
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": next_token is "
				 "%" PRIu32 ", expected below %" PRIu32, i, segment->next_token,
				 has_next ? limits->n_vocab : 1);
	return SC_OK;
}

static enum sc_status check_frees(const struct step *step, const struct step_limits *limits,
				  struct segment_scan *scan, struct error *err)
{
	for (uint32_t i = 0; i < step->n_frees; i++) {
		if (step->frees[i] >= limits->max_sequences)
			return error_set(err, SC_E_PROTOCOL, "step: free %" PRIu32 " is slot "
					 "%" PRIu32 ", expected below %" PRIu32, i, step->frees[i],
					 limits->max_sequences);
		if (!slot_set_add(&scan->freed, step->frees[i]))
			return error_set(err, SC_E_PROTOCOL, "step: free %" PRIu32 " is slot "
					 "%" PRIu32 " again, expected each slot once", i,
					 step->frees[i]);
	}
	return SC_OK;
}

static enum sc_status check_segments(const struct step *step, const struct step_header *header,
				     const struct step_limits *limits, struct error *err)
{
	struct segment_scan scan;

	scan.n_rows = 0;
	scan.n_blocks = 0;
	slot_set_init(&scan.used, limits->max_sequences);
	slot_set_init(&scan.freed, limits->max_sequences);
	if (check_frees(step, limits, &scan, err) != SC_OK)
		return SC_E_PROTOCOL;
	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];

		if (check_slot(segment, i, limits, &scan, err) != SC_OK ||
		    check_ranges(segment, i, header, limits, &scan, err) != SC_OK ||
		    check_scores(segment, i, limits, err) != SC_OK ||
		    check_sampling(segment, i, err) != SC_OK)
			return SC_E_PROTOCOL;
	}
	if (scan.n_rows != step->n_rows)
		return error_set(err, SC_E_PROTOCOL, "step: segments have %" PRIu32 " rows, "
				 "expected n_rows %" PRIu32, scan.n_rows, step->n_rows);
	if (scan.n_blocks != step->n_blocks)
		return error_set(err, SC_E_PROTOCOL, "step: segments have %" PRIu32 " blocks, "
				 "expected n_blocks %" PRIu32, scan.n_blocks, step->n_blocks);
	return SC_OK;
}

/* Checks that each of values[n] is below limit. */
static enum sc_status check_below(const char *name, const uint32_t *values, uint32_t n,
				  uint32_t limit, struct error *err)
{
	for (uint32_t i = 0; i < n; i++)
		if (values[i] >= limit)
			return error_set(err, SC_E_PROTOCOL, "step: %s %" PRIu32 " is %" PRIu32
					 ", expected below %" PRIu32, name, i, values[i], limit);
	return SC_OK;
}

static enum sc_status check_padding(const struct step_header *header, const uint8_t *payload,
				    struct error *err)
{
	if (!header->dim)
		return SC_OK;
	for (uint64_t i = records_bytes(header); i < activations_offset(header); i++)
		if (payload[i])
			return error_set(err, SC_E_PROTOCOL, "step: padding byte %" PRIu64
					 " is 0x%02x, expected 0", i, payload[i]);
	return SC_OK;
}

enum sc_status step_decode(const void *payload, size_t n_bytes, const struct step_limits *limits,
			   struct step *step_out, struct error *err)
{
	const uint8_t *at = payload;
	struct step_header header;
	struct step step;

	assert((uintptr_t)payload % RECORDS_ALIGNMENT == 0);
	assert(limits->max_sequences <= STEP_MAX_SEQUENCES && limits->block_length);
	if (n_bytes < sizeof header)
		return error_set(err, SC_E_PROTOCOL, "step: payload of %zu bytes, expected %zu or "
				 "more", n_bytes, sizeof header);
	memcpy(&header, at, sizeof header);
	if (check_header(&header, n_bytes, limits, err) != SC_OK)
		return SC_E_PROTOCOL;
	step = (struct step){
		.id = header.id,
		.n_rows = header.n_rows,
		.n_segments = header.n_segments,
		.n_blocks = header.n_blocks,
		.n_frees = header.n_frees,
		.dim = header.dim,
	};
	step.segments = (const struct segment *)(at + sizeof header);
	step.tokens = (const uint32_t *)(step.segments + step.n_segments);
	step.blocks = step.tokens + step.n_rows;
	step.frees = step.blocks + step.n_blocks;
	if (step.dim)
		step.activations = (const float *)(at + activations_offset(&header));
	if (check_segments(&step, &header, limits, err) != SC_OK ||
	    check_below("token", step.tokens, step.n_rows, limits->n_vocab, err) != SC_OK ||
	    check_below("block", step.blocks, step.n_blocks, limits->max_blocks, err) != SC_OK ||
	    check_padding(&header, at, err) != SC_OK)
		return SC_E_PROTOCOL;
	*step_out = step;
	return SC_OK;
}

size_t tokens_bytes(uint32_t n_records)
{
	return sizeof(struct tokens_header) + (size_t)n_records * sizeof(struct token_record);
}

void tokens_encode(const struct tokens *tokens, void *out)
{
	struct tokens_header header = {
		.step_id = tokens->step_id,
		.n_records = tokens->n_records,
	};
	uint8_t *at = put(out, &header, sizeof header);

	put(at, tokens->records, tokens->n_records * sizeof tokens->records[0]);
}

/* The records of a sequence must be adjacent, and their positions consecutive. */
static enum sc_status check_record_order(const struct token_record *record, uint32_t i,
					 struct slot_set *used, struct error *err)
{
	const struct token_record *last = i ? record - 1 : NULL;

	if (last && last->sequence == record->sequence) {
		if (record->position == last->position + 1)
			return SC_OK;
		return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": position is "
				 "%" PRIu32 ", expected %" PRIu32, i, record->position,
				 last->position + 1);
	}
	if (slot_set_add(used, record->sequence))
		return SC_OK;
	return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": sequence %" PRIu32
			 " has records already, expected them side by side", i, record->sequence);
}

static enum sc_status check_record(const struct token_record *record, uint32_t i,
				   const struct step_limits *limits, struct slot_set *used,
				   struct error *err)
{
	if (record->sequence >= limits->max_sequences)
		return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": sequence is "
				 "%" PRIu32 ", expected below %" PRIu32, i, record->sequence,
				 limits->max_sequences);
	/* A full sequence still produces one last token, at max_context; that token is never a
	 * row. */
	if (!record->position || record->position > limits->max_context)
		return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": position is "
				 "%" PRIu32 ", expected 1 to %" PRIu32, i, record->position,
				 limits->max_context);
	if (record->token >= limits->n_vocab)
		return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": token is "
				 "%" PRIu32 ", expected below %" PRIu32, i, record->token,
				 limits->n_vocab);
	if (record->fault >= TOKEN_N_FAULTS)
		return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": fault is "
				 "%" PRIu32 ", expected below %d", i, record->fault,
				 TOKEN_N_FAULTS);
	if (!isfinite(record->logprob))
		return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": logprob is %g, "
				 "expected a finite number", i, (double)record->logprob);
	return check_record_order(record, i, used, err);
}

enum sc_status tokens_decode(const void *payload, size_t n_bytes,
			     const struct step_limits *limits, struct tokens *tokens_out,
			     struct error *err)
{
	uint32_t most = limits->max_rows;
	struct tokens_header header;
	struct slot_set used;
	struct tokens tokens;

	assert((uintptr_t)payload % RECORDS_ALIGNMENT == 0);
	assert(limits->max_sequences <= STEP_MAX_SEQUENCES);
	if (n_bytes < sizeof header)
		return error_set(err, SC_E_PROTOCOL, "tokens: payload of %zu bytes, expected %zu "
				 "or more", n_bytes, sizeof header);
	memcpy(&header, payload, sizeof header);
	if (!header.step_id || header.reserved)
		return error_set(err, SC_E_PROTOCOL, "tokens: step_id is %" PRIu64 " and reserved "
				 "0x%08" PRIx32 ", expected 1 or more and 0", header.step_id,
				 header.reserved);
	if (header.n_records > most)
		return error_set(err, SC_E_PROTOCOL, "tokens: n_records is %" PRIu32 ", expected "
				 "at most %" PRIu32, header.n_records, most);
	if (n_bytes != tokens_bytes(header.n_records))
		return error_set(err, SC_E_PROTOCOL, "tokens: payload of %zu bytes, but n_records "
				 "makes %zu", n_bytes, tokens_bytes(header.n_records));
	tokens.step_id = header.step_id;
	tokens.n_records = header.n_records;
	tokens.records = (const struct token_record *)((const uint8_t *)payload + sizeof header);
	slot_set_init(&used, limits->max_sequences);
	for (uint32_t i = 0; i < tokens.n_records; i++)
		if (check_record(&tokens.records[i], i, limits, &used, err) != SC_OK)
			return SC_E_PROTOCOL;
	*tokens_out = tokens;
	return SC_OK;
}
