/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_ENVELOPE_H
#define STAGECOACH_TRANSPORT_ENVELOPE_H
/*
 * envelope - the messages of links apart from frames, and the header of a fabric's address. Both
 * come from other processes, so decoding checks every field.
 *
 * Every link object has an id that is unique among all processes (with high probability: 32 random
 * bits per fabric, then a counter). With this id a link recognises and drops messages for an
 * earlier link of the same two peers, and messages of an earlier process or epoch. The upper half
 * of the id is the fabric's random number, so a hello names the fabric that it is meant for before
 * its sender knows the link.
 * Thread: any.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 40 bytes, little-endian: 0 magic "SCL2"   4 kind u32   8 peer u32   12 credits u32
 * 16 from u64   24 to u64   32 sequence u64; in hello: max_payload */
#define ENVELOPE_BYTES 40

enum envelope_kind {
	ENVELOPE_HELLO = 1,	/* announces the link `from` and what it receives */
	ENVELOPE_FRAME,		/* carries frame number `sequence` */
	ENVELOPE_CREDIT,	/* carries credits only */
	ENVELOPE_GOODBYE,	/* announces that no frames follow `sequence` */
	ENVELOPE_FAREWELL,	/* answers goodbye: all frames arrived */
	ENVELOPE_N_KINDS,
};

struct envelope {
	enum envelope_kind kind;
	uint32_t peer;		/* the sender's number */
	uint32_t credits;	/* hello: all credits of the receiver;
				 * other kinds: credits that this message gives back to it */
	uint64_t from;		/* link ids. While the receiver's link is
				 * unknown, `to` is the id of its fabric */
	uint64_t to;
	uint64_t sequence;	/* 0 in hello */
	uint64_t max_payload;	/* hello: the largest payload that the
				 * sender receives; 0 in other kinds */
};

/* Whether two ids are of the same fabric. */
static inline bool is_same_fabric(uint64_t a, uint64_t b) { return a >> 32 == b >> 32; }

void envelope_encode(const struct envelope *envelope, uint8_t bytes_out[ENVELOPE_BYTES]);
/* SC_E_PROTOCOL: err names the wrong field. */
must_check enum sc_status envelope_decode(const void *data, size_t n_bytes,
					  struct envelope *envelope_out, struct error *err);

/* 32 bytes, little-endian: 0 magic "SCA2"   4 transport, four characters   8 peer u32
 * 12 n_native u32   16 id u64   24 FNV-1a hash of all other bytes u64; the transport's native bytes
 * follow. */
#define ADDRESS_HEADER_BYTES 32
#define ADDRESS_MAX_NATIVE 65536

struct fabric_address {
	char transport[5];	/* "ucx " */
	uint32_t peer;		/* the number of the fabric's end */
	uint64_t id;		/* of the fabric; its lower half is 0 */
	const void *native;	/* private to the transport; borrowed from the decoded bytes */
	uint32_t n_native;
};

/* Makes a random id for a fabric. */
must_check enum sc_status address_make_id(uint64_t *id_out);

/* Allocates *bytes_out; the caller frees it with free(). */
must_check enum sc_status address_encode(const struct fabric_address *address,
					 uint8_t **bytes_out, size_t *n_bytes_out);
/* SC_E_PROTOCOL: not an address of this transport and peer; err names the wrong field. */
must_check enum sc_status address_decode(const void *data, size_t n_bytes, const char *transport,
					 unsigned peer, struct fabric_address *address_out,
					 struct error *err);

#endif
