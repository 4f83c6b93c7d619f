/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/step.h"

#include "base/bytes.h"
#include "wire/wire_private.h"

#include <assert.h>
#include <inttypes.h>

#define ACTIVATIONS_ALIGNMENT 64

/* The payload of a STEP: this header, segments, words of samplings, tokens, blocks, frees, zero
 * padding up to a multiple of 64 bytes, activations. */
struct step_header {
	uint64_t id;
	uint32_t n_rows;
	uint32_t n_segments;
	uint32_t n_blocks;
	uint32_t n_frees;
	uint32_t dim;
	uint32_t n_sampling;
};

_Static_assert(sizeof(struct step_header) == 32, "wire format");
_Static_assert(sizeof(struct segment) == 40, "wire format");

/* Bytes in front of the padding: header and records. */
static uint64_t records_bytes(const struct step_header *header)
{
	return sizeof *header + header->n_segments * (uint64_t)sizeof(struct segment) +
	       header->n_sampling * (uint64_t)sizeof(uint64_t) +
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
		.n_sampling = step->n_sampling,
	};
}

static struct step_header largest_header(const struct step_limits *limits)
{
	return (struct step_header){
		.n_rows = limits->max_rows,
		.n_segments = step_max_segments(limits),
		.n_blocks = step_max_blocks(limits),
		.n_frees = limits->max_sequences,
		.dim = limits->dim,
		.n_sampling = step_max_sampling(limits),
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

void step_encode(const struct step *step, void *out)
{
	struct step_header header = header_of(step);
	uint8_t *start = out;
	uint8_t *at = start;
	uint8_t *activations = start + activations_offset(&header);

	at = wire_put(at, &header, sizeof header);
	at = wire_put(at, step->segments, step->n_segments * sizeof step->segments[0]);
	at = wire_put(at, step->sampling, step->n_sampling * sizeof step->sampling[0]);
	at = wire_put(at, step->tokens, step->n_rows * sizeof step->tokens[0]);
	at = wire_put(at, step->blocks, step->n_blocks * sizeof step->blocks[0]);
	at = wire_put(at, step->frees, step->n_frees * sizeof step->frees[0]);
	if (!step->dim)
		return;
	memset(at, 0, (size_t)(activations - at));
	if (step->activations)
		wire_put(activations, step->activations,
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
	if (check_count("n_rows", header->n_rows, largest.n_rows, err) != SC_OK ||
	    check_count("n_segments", header->n_segments,
			(uint32_t)min_of(largest.n_segments, header->n_rows), err) != SC_OK ||
	    check_count("n_blocks", header->n_blocks, largest.n_blocks, err) != SC_OK ||
	    check_count("n_frees", header->n_frees, largest.n_frees, err) != SC_OK ||
	    check_count("n_sampling", header->n_sampling, largest.n_sampling, err) != SC_OK)
		return SC_E_PROTOCOL;
	if (header->dim && header->dim != limits->dim)
		return error_set(err, SC_E_PROTOCOL, "step: dim is %" PRIu32 ", expected 0 or "
				 "%" PRIu32, header->dim, limits->dim);
	if (n_bytes != payload_bytes(header))
		return error_set(err, SC_E_PROTOCOL, "step: payload of %zu bytes, but its counts "
				 "make %" PRIu64, n_bytes, payload_bytes(header));
	return SC_OK;
}

/* State collected from the segments before the current one. */
struct segment_scan {
	uint32_t n_rows;
	uint32_t n_blocks;
	uint32_t n_sampling;
	uint32_t n_extra;
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
	if (segment->flags & ~(uint32_t)SEGMENT_ALL)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": flags are "
				 "0x%08" PRIx32 ", expected none beyond 0x%08x", i, segment->flags,
				 (unsigned)SEGMENT_ALL);
	if ((segment->flags & SEGMENT_LONG) && !(segment->flags & SEGMENT_NEW))
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": sequence %" PRIu32
				 " goes on with the LONG flag, expected it with NEW only", i, slot);
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
	uint32_t rows_left = header->n_rows - scan->n_rows;

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
	scan->n_rows += segment->n_rows;
	return SC_OK;
}

/* Checks the ids of n new blocks of a segment's group. */
static enum sc_status check_ids(const uint32_t *ids, uint32_t n, uint32_t i, uint32_t group,
				const struct step_limits *limits, struct error *err)
{
	for (uint32_t k = 0; k < n; k++)
		if (ids[k] >= limits->max_blocks[group])
			return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": block "
					 "%" PRIu32 " of group %" PRIu32 " is %" PRIu32
					 ", expected below %" PRIu32, i, k, group, ids[k],
					 limits->max_blocks[group]);
	return SC_OK;
}

/* The segment's ranges must have been checked. */
static enum sc_status check_blocks(const struct step *step, uint32_t i,
				   const struct step_limits *limits, struct segment_scan *scan,
				   struct error *err)
{
	const struct segment *segment = &step->segments[i];
	uint32_t n_left = step->n_blocks - scan->n_blocks, n_all = 0;

	for (uint32_t g = 0; g < limits->n_groups; g++)
		n_all += segment_new_blocks(limits, segment, g);
	if (segment->n_blocks != n_all || n_all > n_left)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": n_blocks is "
				 "%" PRIu32 " with %" PRIu32 " left, expected %" PRIu32, i,
				 segment->n_blocks, n_left, n_all);
	for (uint32_t g = 0; g < limits->n_groups; g++) {
		uint32_t n = segment_new_blocks(limits, segment, g);

		if (check_ids(step->blocks + scan->n_blocks, n, i, g, limits, err) != SC_OK)
			return SC_E_PROTOCOL;
		scan->n_blocks += n;
	}
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

/* Checks the place of a segment's sampling, then the sampling. */
static enum sc_status check_sampling(const struct step *step, uint32_t i,
				     const struct step_limits *limits, struct segment_scan *scan,
				     struct error *err)
{
	const struct segment *segment = &step->segments[i];
	bool is_new = segment->flags & SEGMENT_NEW;
	uint32_t expected = is_new ? scan->n_sampling : 0;
	uint32_t n_words;
	enum sc_status status;

	if (segment->sampling_at != expected || segment->reserved)
		return error_set(err, SC_E_PROTOCOL, "step: segment %" PRIu32 ": sampling_at is "
				 "%" PRIu32 " and reserved %" PRIu32 ", expected %" PRIu32 " and 0",
				 i, segment->sampling_at, segment->reserved, expected);
	if (!is_new)
		return SC_OK;
	status = sampling_check(step->sampling + expected, step->n_sampling - expected, limits,
				&n_words, err);
	if (status != SC_OK) {
		error_prefix(err, "step: segment %" PRIu32, i);
		return status;
	}
	scan->n_sampling += n_words;
	scan->n_extra += n_words - (uint32_t)STEP_SAMPLING_WORDS;
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
	scan.n_sampling = scan.n_extra = 0;
	slot_set_init(&scan.used, limits->max_sequences);
	slot_set_init(&scan.freed, limits->max_sequences);
	if (check_frees(step, limits, &scan, err) != SC_OK)
		return SC_E_PROTOCOL;
	for (uint32_t i = 0; i < step->n_segments; i++) {
		const struct segment *segment = &step->segments[i];

		if (check_slot(segment, i, limits, &scan, err) != SC_OK ||
		    check_ranges(segment, i, header, limits, &scan, err) != SC_OK ||
		    check_blocks(step, i, limits, &scan, err) != SC_OK ||
		    check_scores(segment, i, limits, err) != SC_OK ||
		    check_sampling(step, i, limits, &scan, err) != SC_OK)
			return SC_E_PROTOCOL;
	}
	if (scan.n_rows != step->n_rows)
		return error_set(err, SC_E_PROTOCOL, "step: segments have %" PRIu32 " rows, "
				 "expected n_rows %" PRIu32, scan.n_rows, step->n_rows);
	if (scan.n_blocks != step->n_blocks)
		return error_set(err, SC_E_PROTOCOL, "step: segments have %" PRIu32 " blocks, "
				 "expected n_blocks %" PRIu32, scan.n_blocks, step->n_blocks);
	if (scan.n_sampling != step->n_sampling)
		return error_set(err, SC_E_PROTOCOL, "step: segments have %" PRIu32 " words of "
				 "sampling, expected n_sampling %" PRIu32, scan.n_sampling,
				 step->n_sampling);
	return check_count("biases and bans, in words,", scan.n_extra, step_max_extra(limits),
			   err);
}

static enum sc_status check_tokens(const struct step *step, const struct step_limits *limits,
				   struct error *err)
{
	for (uint32_t i = 0; i < step->n_rows; i++)
		if (step_token(step->tokens[i]) >= limits->n_vocab)
			return error_set(err, SC_E_PROTOCOL, "step: token %" PRIu32 " is %" PRIu32
					 ", expected below %" PRIu32, i,
					 step_token(step->tokens[i]), limits->n_vocab);
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
		.n_sampling = header.n_sampling,
	};
	step.segments = (const struct segment *)(at + sizeof header);
	step.sampling = (const uint64_t *)(step.segments + step.n_segments);
	step.tokens = (const uint32_t *)(step.sampling + step.n_sampling);
	step.blocks = step.tokens + step.n_rows;
	step.frees = step.blocks + step.n_blocks;
	if (step.dim)
		step.activations = (const float *)(at + activations_offset(&header));
	if (check_segments(&step, &header, limits, err) != SC_OK ||
	    check_tokens(&step, limits, err) != SC_OK ||
	    check_padding(&header, at, err) != SC_OK)
		return SC_E_PROTOCOL;
	*step_out = step;
	return SC_OK;
}
