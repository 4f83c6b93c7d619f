/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_ENVELOPE_H
#define STAGECOACH_TRANSPORT_ENVELOPE_H
/*
 * envelope - what two ends of a link tell each other beside frames, and what a fabric's address
 * says beside the transport's own bytes. Both come from outside: decoding checks every field.
 *
 * Each link object has an id that no other link of any process has (by chance: 32 random bits per
 * fabric, then a counter), so that what was sent to an earlier link of the same two ranks, or
 * by an earlier process of the same rank, is recognised and dropped.
 * Thread: any.
 */
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* 40 bytes, little-endian: 0 magic "SCL1"   4 kind u32   8 rank u32   12 credits u32
 * 16 from u64   24 to u64   32 sequence u64 */
#define ENVELOPE_BYTES 40

enum envelope_kind {
	ENVELOPE_HELLO = 1,	/* the link `from` is there; `to` is 0 while unknown */
	ENVELOPE_FRAME,		/* a frame comes with it, number `sequence` */
	ENVELOPE_CREDIT,	/* nothing but credits */
	ENVELOPE_GOODBYE,	/* no frames after `sequence` */
	ENVELOPE_FAREWELL,	/* answer to goodbye: all frames came */
	ENVELOPE_N_KINDS,
};

struct envelope {
	enum envelope_kind kind;
	uint32_t rank;		/* of the sender */
	uint32_t credits;	/* that go back to the receiver of this, in every kind */
	uint64_t from;		/* link ids */
	uint64_t to;
	uint64_t sequence;
};

void envelope_encode(const struct envelope *envelope, uint8_t bytes_out[ENVELOPE_BYTES]);
/* SC_E_PROTOCOL: err names the field. */
must_check enum sc_status envelope_decode(const void *data, size_t n_bytes,
					  struct envelope *envelope_out, struct error *err);

/* 40 bytes, little-endian: 0 magic "SCA1"   4 transport, four characters   8 rank u32
 * 12 credits u32   16 max_payload u64   24 n_native u32   28 zero u32
 * 32 FNV-1a hash of the native bytes u64; the transport's native bytes follow. */
#define ADDRESS_HEADER_BYTES 40
#define ADDRESS_MAX_NATIVE 65536
#define ADDRESS_MAX_CREDITS 65536
#define ADDRESS_MAX_PAYLOAD (UINT64_C(1) << 31)

struct fabric_address {
	char transport[5];	/* "ucx " */
	uint32_t rank;
	uint32_t credits;	/* frames that each peer may have under way to this fabric */
	uint64_t max_payload;	/* the largest that it receives */
	const void *native;	/* for the transport alone; borrowed from the bytes decoded */
	uint32_t n_native;
};

/* One allocation, the caller frees it. */
must_check enum sc_status address_encode(const struct fabric_address *address,
					 uint8_t **bytes_out, size_t *n_bytes_out);
/* SC_E_PROTOCOL: not an address of that transport and rank; err names the field. */
must_check enum sc_status address_decode(const void *data, size_t n_bytes, const char *transport,
					 unsigned rank, struct fabric_address *address_out,
					 struct error *err);

#endif
