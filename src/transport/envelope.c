/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/envelope.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>

#define ENVELOPE_MAGIC 0x314c4353u /* "SCL1" */
#define ADDRESS_MAGIC 0x31414353u  /* "SCA1" */

void envelope_encode(const struct envelope *envelope, uint8_t bytes_out[ENVELOPE_BYTES])
{
	store_le32(bytes_out, ENVELOPE_MAGIC);
	store_le32(bytes_out + 4, envelope->kind);
	store_le32(bytes_out + 8, envelope->rank);
	store_le32(bytes_out + 12, envelope->credits);
	store_le64(bytes_out + 16, envelope->from);
	store_le64(bytes_out + 24, envelope->to);
	store_le64(bytes_out + 32, envelope->sequence);
}

enum sc_status envelope_decode(const void *data, size_t n_bytes, struct envelope *envelope_out,
			       struct error *err)
{
	struct cursor c = cursor_init(data, n_bytes);
	uint32_t magic, kind;

	if (n_bytes != ENVELOPE_BYTES)
		return error_set(err, SC_E_PROTOCOL, "link message: header of %zu bytes, "
				 "expected %d", n_bytes, ENVELOPE_BYTES);
	magic = cursor_u32(&c);
	if (magic != ENVELOPE_MAGIC)
		return error_set(err, SC_E_PROTOCOL, "link message: magic %08" PRIx32
				 ", expected %08" PRIx32, magic, ENVELOPE_MAGIC);
	kind = cursor_u32(&c);
	if (kind < ENVELOPE_HELLO || kind >= ENVELOPE_N_KINDS)
		return error_set(err, SC_E_PROTOCOL, "link message: kind %" PRIu32
				 ", expected 1 to %d", kind, ENVELOPE_N_KINDS - 1);
	envelope_out->kind = (enum envelope_kind)kind;
	envelope_out->rank = cursor_u32(&c);
	envelope_out->credits = cursor_u32(&c);
	envelope_out->from = cursor_u64(&c);
	envelope_out->to = cursor_u64(&c);
	envelope_out->sequence = cursor_u64(&c);
	return SC_OK;
}

static uint64_t fnv1a(const uint8_t *bytes, size_t n_bytes)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n_bytes; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

enum sc_status address_encode(const struct fabric_address *address, uint8_t **bytes_out,
			      size_t *n_bytes_out)
{
	size_t n_bytes = ADDRESS_HEADER_BYTES + (size_t)address->n_native;
	uint8_t *bytes = calloc(1, n_bytes);

	if (!bytes)
		return SC_E_NOMEM;
	store_le32(bytes, ADDRESS_MAGIC);
	memcpy(bytes + 4, address->transport, 4);
	store_le32(bytes + 8, address->rank);
	store_le32(bytes + 12, address->credits);
	store_le64(bytes + 16, address->max_payload);
	store_le32(bytes + 24, address->n_native);
	store_le64(bytes + 32, fnv1a(address->native, address->n_native));
	if (address->n_native)
		memcpy(bytes + ADDRESS_HEADER_BYTES, address->native, address->n_native);
	*bytes_out = bytes;
	*n_bytes_out = n_bytes;
	return SC_OK;
}

static enum sc_status check_address(const struct fabric_address *a, const char *transport,
				    unsigned rank, struct error *err)
{
	if (strcmp(a->transport, transport) != 0)
		return error_set(err, SC_E_PROTOCOL, "address of rank %u: transport \"%.4s\", "
				 "expected \"%s\"", rank, a->transport, transport);
	if (a->rank != rank)
		return error_set(err, SC_E_PROTOCOL, "address of rank %u: says rank %" PRIu32,
				 rank, a->rank);
	if (a->credits == 0 || a->credits > ADDRESS_MAX_CREDITS)
		return error_set(err, SC_E_PROTOCOL, "address of rank %u: %" PRIu32
				 " credits, expected 1 to %d", rank, a->credits,
				 ADDRESS_MAX_CREDITS);
	if (a->max_payload > ADDRESS_MAX_PAYLOAD)
		return error_set(err, SC_E_PROTOCOL, "address of rank %u: frames of %" PRIu64
				 " bytes, expected at most %" PRIu64, rank, a->max_payload,
				 ADDRESS_MAX_PAYLOAD);
	return SC_OK;
}

enum sc_status address_decode(const void *data, size_t n_bytes, const char *transport,
			      unsigned rank, struct fabric_address *address_out, struct error *err)
{
	struct fabric_address a = { .transport = "" };
	struct cursor c = cursor_init(data, n_bytes);
	uint32_t magic = cursor_u32(&c);
	const void *name = cursor_take(&c, 4);
	uint64_t hash;
	enum sc_status status;

	if (name)
		memcpy(a.transport, name, 4);
	a.rank = cursor_u32(&c);
	a.credits = cursor_u32(&c);
	a.max_payload = cursor_u64(&c);
	a.n_native = cursor_u32(&c);
	(void)cursor_u32(&c);
	hash = cursor_u64(&c);
	if (c.is_short || magic != ADDRESS_MAGIC)
		return error_set(err, SC_E_PROTOCOL, "address of rank %u: expected a fabric "
				 "address, found %zu other bytes", rank, n_bytes);
	status = check_address(&a, transport, rank, err);
	if (status != SC_OK)
		return status;
	if (a.n_native > ADDRESS_MAX_NATIVE || a.n_native != cursor_left(&c))
		return error_set(err, SC_E_PROTOCOL, "address of rank %u: says %" PRIu32
				 " native bytes, found %zu", rank, a.n_native, cursor_left(&c));
	a.native = cursor_take(&c, a.n_native);
	if (hash != fnv1a(a.native, a.n_native))
		return error_set(err, SC_E_PROTOCOL, "address of rank %u: the checksum is wrong: "
				 "the native bytes changed on the way", rank);
	*address_out = a;
	return SC_OK;
}
