/* SPDX-License-Identifier: Apache-2.0 */
/* TOKENS frames: what the last stage answers to a step. */
#include "wire/wire_private.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

/* The payload of a TOKENS frame: this header, records, likeliest tokens. */
struct tokens_header {
	uint64_t step_id;
	uint32_t n_records;
	uint32_t n_tops;
};

_Static_assert(sizeof(struct tokens_header) == 16, "wire format");
_Static_assert(sizeof(struct token_record) == 24, "wire format");
_Static_assert(sizeof(struct token_top) == 8, "wire format");

static size_t payload_bytes(uint32_t n_records, uint32_t n_tops)
{
	return sizeof(struct tokens_header) + n_records * sizeof(struct token_record) +
	       n_tops * sizeof(struct token_top);
}

size_t tokens_bytes(const struct tokens *tokens)
{
	return payload_bytes(tokens->n_records, tokens->n_tops);
}

size_t tokens_bytes_max(const struct step_limits *limits)
{
	return payload_bytes(limits->max_rows, step_max_tops(limits));
}

void tokens_encode(const struct tokens *tokens, void *out)
{
	struct tokens_header header = {
		.step_id = tokens->step_id,
		.n_records = tokens->n_records,
		.n_tops = tokens->n_tops,
	};
	uint8_t *at = wire_put(out, &header, sizeof header);

	at = wire_put(at, tokens->records, tokens->n_records * sizeof tokens->records[0]);
	wire_put(at, tokens->tops, tokens->n_tops * sizeof tokens->tops[0]);
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
	if (record->n_tops > (record->fault ? 0 : min_of(STEP_MAX_TOPS_EACH, limits->n_vocab)))
		return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": n_tops is "
				 "%" PRIu32 ", expected at most %d, and none with a fault or beyond "
				 "the vocabulary", i, record->n_tops, STEP_MAX_TOPS_EACH);
	if (!isfinite(record->logprob))
		return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": logprob is %g, "
				 "expected a finite number", i, (double)record->logprob);
	return check_record_order(record, i, used, err);
}

/* The likeliest tokens of record i, best first. */
static enum sc_status check_tops(const struct token_top *tops, uint32_t n, uint32_t i,
				 const struct step_limits *limits, struct error *err)
{
	for (uint32_t k = 0; k < n; k++) {
		if (tops[k].token >= limits->n_vocab)
			return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": likeliest "
					 "token %" PRIu32 " is %" PRIu32 ", expected below "
					 "%" PRIu32, i, k, tops[k].token, limits->n_vocab);
		if (!isfinite(tops[k].logprob) || (k && tops[k].logprob > tops[k - 1].logprob))
			return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": logprob "
					 "of likeliest token %" PRIu32 " is %g, expected finite "
					 "numbers that do not rise", i, k, (double)tops[k].logprob);
	}
	return SC_OK;
}

static enum sc_status check_records(const struct tokens *tokens, const struct step_limits *limits,
				    struct error *err)
{
	const struct token_record *records = tokens->records;
	struct slot_set used;
	uint32_t n_tops = 0;

	slot_set_init(&used, limits->max_sequences);
	for (uint32_t i = 0; i < tokens->n_records; i++) {
		uint32_t left = tokens->n_tops - n_tops;

		if (check_record(&records[i], i, limits, &used, err) != SC_OK)
			return SC_E_PROTOCOL;
		if (records[i].n_tops > left)
			return error_set(err, SC_E_PROTOCOL, "tokens: record %" PRIu32 ": n_tops is "
					 "%" PRIu32 ", expected at most %" PRIu32, i,
					 records[i].n_tops, left);
		if (check_tops(tokens->tops + n_tops, records[i].n_tops, i, limits, err) != SC_OK)
			return SC_E_PROTOCOL;
		n_tops += records[i].n_tops;
	}
	if (n_tops != tokens->n_tops)
		return error_set(err, SC_E_PROTOCOL, "tokens: records have %" PRIu32 " likeliest "
				 "tokens, expected n_tops %" PRIu32, n_tops, tokens->n_tops);
	return SC_OK;
}

static enum sc_status check_header(const struct tokens_header *header, size_t n_bytes,
				   const struct step_limits *limits, struct error *err)
{
	uint32_t most_tops = step_max_tops(limits);

	if (!header->step_id)
		return error_set(err, SC_E_PROTOCOL, "tokens: step_id is 0, expected 1 or more");
	if (header->n_records > limits->max_rows)
		return error_set(err, SC_E_PROTOCOL, "tokens: n_records is %" PRIu32 ", expected "
				 "at most %" PRIu32, header->n_records, limits->max_rows);
	if (header->n_tops > most_tops)
		return error_set(err, SC_E_PROTOCOL, "tokens: n_tops is %" PRIu32 ", expected at "
				 "most %" PRIu32, header->n_tops, most_tops);
	if (n_bytes != payload_bytes(header->n_records, header->n_tops))
		return error_set(err, SC_E_PROTOCOL, "tokens: payload of %zu bytes, but its counts "
				 "make %zu", n_bytes,
				 payload_bytes(header->n_records, header->n_tops));
	return SC_OK;
}

enum sc_status tokens_decode(const void *payload, size_t n_bytes,
			     const struct step_limits *limits, struct tokens *tokens_out,
			     struct error *err)
{
	struct tokens_header header;
	struct tokens tokens;

	assert((uintptr_t)payload % RECORDS_ALIGNMENT == 0);
	assert(limits->max_sequences <= STEP_MAX_SEQUENCES);
	if (n_bytes < sizeof header)
		return error_set(err, SC_E_PROTOCOL, "tokens: payload of %zu bytes, expected %zu "
				 "or more", n_bytes, sizeof header);
	memcpy(&header, payload, sizeof header);
	if (check_header(&header, n_bytes, limits, err) != SC_OK)
		return SC_E_PROTOCOL;
	tokens = (struct tokens){
		.step_id = header.step_id,
		.n_records = header.n_records,
		.n_tops = header.n_tops,
	};
	tokens.records =
		(const struct token_record *)((const uint8_t *)payload + sizeof header);
	tokens.tops = (const struct token_top *)(tokens.records + tokens.n_records);
	if (check_records(&tokens, limits, err) != SC_OK)
		return SC_E_PROTOCOL;
	*tokens_out = tokens;
	return SC_OK;
}
