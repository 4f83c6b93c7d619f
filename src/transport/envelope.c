/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/envelope.h"

#include "base/bytes.h"
#include "transport/link.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#define ENVELOPE_MAGIC 0x324c4353u /* "SCL2" */
#define ADDRESS_HASH_OFFSET 24
#define ADDRESS_MAGIC 0x32414353u  /* "SCA2" */

void envelope_encode(const struct envelope *envelope, uint8_t bytes_out[ENVELOPE_BYTES])
{
	store_le32(bytes_out, ENVELOPE_MAGIC);
	store_le32(bytes_out + 4, envelope->kind);
	store_le32(bytes_out + 8, envelope->peer);
	store_le32(bytes_out + 12, envelope->credits);
	store_le64(bytes_out + 16, envelope->from);
	store_le64(bytes_out + 24, envelope->to);
	store_le64(bytes_out + 32, envelope->kind == ENVELOPE_HELLO ? envelope->max_payload
								    : envelope->sequence);
}

static enum sc_status check_hello(const struct envelope *hello, struct error *err)
{
	if (hello->credits > LINK_MAX_CREDITS || hello->max_payload > LINK_MAX_PAYLOAD)
		return error_set(err, SC_E_PROTOCOL, "link message: hello with %" PRIu32
				 " credits for frames of %" PRIu64 " bytes, expected at most %d "
				 "and %zu", hello->credits, hello->max_payload, LINK_MAX_CREDITS,
				 LINK_MAX_PAYLOAD);
	return SC_OK;
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
	*envelope_out = (struct envelope){ .kind = (enum envelope_kind)kind };
	envelope_out->peer = cursor_u32(&c);
	envelope_out->credits = cursor_u32(&c);
	envelope_out->from = cursor_u64(&c);
	envelope_out->to = cursor_u64(&c);
	if (kind != ENVELOPE_HELLO) {
		envelope_out->sequence = cursor_u64(&c);
		return SC_OK;
	}
	envelope_out->max_payload = cursor_u64(&c);
	return check_hello(envelope_out, err);
}

/* FNV-1a of everything but the hash itself. */
static uint64_t hash_address(const uint8_t *bytes, size_t n_bytes)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n_bytes; i++)
		if (i < ADDRESS_HASH_OFFSET || i >= ADDRESS_HEADER_BYTES)
			hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

enum sc_status address_make_id(uint64_t *id_out)
{
	uint32_t random;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return SC_E_IO;
	*id_out = (uint64_t)random << 32;
	return SC_OK;
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
	store_le32(bytes + 8, address->peer);
	store_le32(bytes + 12, address->n_native);
	store_le64(bytes + 16, address->id);
	if (address->n_native)
		memcpy(bytes + ADDRESS_HEADER_BYTES, address->native, address->n_native);
	store_le64(bytes + ADDRESS_HASH_OFFSET, hash_address(bytes, n_bytes));
	*bytes_out = bytes;
	*n_bytes_out = n_bytes;
	return SC_OK;
}

static enum sc_status check_address(const struct fabric_address *a, const char *transport,
				    unsigned peer, struct error *err)
{
	if (strcmp(a->transport, transport) != 0)
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: transport \"%.4s\", "
				 "expected \"%s\"", peer, a->transport, transport);
	if (a->peer != peer)
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: says peer %" PRIu32,
				 peer, a->peer);
	if ((uint32_t)a->id)
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: id %016" PRIx64
				 ", expected a lower half of 0", peer, a->id);
	return SC_OK;
}

enum sc_status address_decode(const void *data, size_t n_bytes, const char *transport,
			      unsigned peer, struct fabric_address *address_out, struct error *err)
{
	struct fabric_address a = { .transport = "" };
	struct cursor c = cursor_init(data, n_bytes);
	uint32_t magic = cursor_u32(&c);
	const void *name = cursor_take(&c, 4);
	uint64_t hash;
	enum sc_status status;

	if (name)
		memcpy(a.transport, name, 4);
	a.peer = cursor_u32(&c);
	a.n_native = cursor_u32(&c);
	a.id = cursor_u64(&c);
	hash = cursor_u64(&c);
	if (c.is_short || magic != ADDRESS_MAGIC)
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: expected a fabric "
				 "address, found %zu other bytes", peer, n_bytes);
	status = check_address(&a, transport, peer, err);
	if (status != SC_OK)
		return status;
	if (a.n_native > ADDRESS_MAX_NATIVE || a.n_native != cursor_left(&c))
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: says %" PRIu32
				 " native bytes, found %zu", peer, a.n_native, cursor_left(&c));
	a.native = cursor_take(&c, a.n_native);
	if (hash != hash_address(data, n_bytes))
		return error_set(err, SC_E_PROTOCOL, "address of peer %u: the checksum is wrong: "
				 "the address changed on the way", peer);
	*address_out = a;
	return SC_OK;
}
