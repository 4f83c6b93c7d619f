/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_ENVELOPE_H
#define STAGECOACH_TRANSPORT_ENVELOPE_H
/*
 * envelope - the messages of links apart from frames, and the header of a fabric's address. Both
 * come from other processes, so decoding checks every field.
 *
 * Every link object has an id that is unique among all processes (with high probability: 32 random
 * bits per fabric, then a counter). With this id a link recognises and drops messages for an
 * earlier link of the same two ranks, and messages of an earlier process with the same rank.
 * Thread: any.
 */
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* 40 bytes, little-endian: 0 magic "SCL1"   4 kind u32   8 rank u32   12 credits u32
 * 16 from u64   24 to u64   32 sequence u64 */
#define ENVELOPE_BYTES 40

enum envelope_kind {
	ENVELOPE_HELLO = 1,	/* announces the link `from`; `to` is 0 while unknown */
	ENVELOPE_FRAME,		/* carries frame number `sequence` */
	ENVELOPE_CREDIT,	/* carries credits only */
	ENVELOPE_GOODBYE,	/* announces that no frames follow `sequence` */
	ENVELOPE_FAREWELL,	/* answers goodbye: all frames arrived */
	ENVELOPE_N_KINDS,
};

struct envelope {
	enum envelope_kind kind;
	uint32_t rank;		/* rank of the sender */
	uint32_t credits;	/* credits that this message returns to
				 * its receiver; valid in every kind */
	uint64_t from;		/* link ids */
	uint64_t to;
	uint64_t sequence;
};

void envelope_encode(const struct envelope *envelope, uint8_t bytes_out[ENVELOPE_BYTES]);
/* SC_E_PROTOCOL: err names the wrong field. */
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
	uint32_t credits;	/* number of frames that each peer may
				 * have in flight to this fabric */
	uint64_t max_payload;	/* largest payload that this fabric receives */
	const void *native;	/* private to the transport; borrowed from the decoded bytes */
	uint32_t n_native;
};

/* Allocates *bytes_out; the caller frees it with free(). */
must_check enum sc_status address_encode(const struct fabric_address *address,
					 uint8_t **bytes_out, size_t *n_bytes_out);
/* SC_E_PROTOCOL: not an address of this transport and rank; err names the wrong field. */
must_check enum sc_status address_decode(const void *data, size_t n_bytes, const char *transport,
					 unsigned rank, struct fabric_address *address_out,
					 struct error *err);

#endif
