/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WIRE_FRAME_H
#define STAGECOACH_WIRE_FRAME_H
/*
 * frame - one message between two processes: a fixed header and a payload, in one run of memory
 * that a link sends without copying. Frames come from pools that are sized at start.
 *
 * Header, 64 bytes, little-endian, so that the payload is aligned to 64 bytes:
 *	0 magic "SCF1"   4 type u16   6 flags u16 (0)   8 epoch u32   12 n_bytes u32 (payload)
 *	16 sequence u64 (per link and direction, set by the link, from 1)   24..63 zero
 * Ownership: whoever holds a frame calls frame_release once.
 * Thread: a pool may be used from any thread; a frame from one at a time.
 */
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 64

enum frame_type {
	FRAME_STEP = 1,
	FRAME_TOKENS = 2,
	FRAME_CONTROL = 3,	/* a stagecoach.cluster.v1 Control message */
	FRAME_N_TYPES,
};

struct frame_pool;

typedef void frame_release_fn(void *arg);

struct frame {
	struct frame_pool *pool;	/* where it goes on release */
	struct frame *next;		/* private to the current owner's queue */
	/* Set by a link on frames that it hands out, to learn of their release (credits). Called
	 * once, on the releasing thread, when the frame is back in its pool; cleared by
	 * frame_take. The frame must not be touched from there: it may be someone else's. */
	frame_release_fn *on_release;
	void *release_arg;
	uint8_t *data;			/* header and payload, aligned to 64 bytes */
	size_t capacity;		/* bytes at data, header included */
	enum frame_type type;
	uint32_t epoch;
	uint64_t sequence;
	uint32_t n_bytes;		/* payload */
};

/* n_frames frames of max_payload bytes each, allocated and touched now. */
must_check enum sc_status frame_pool_create(size_t n_frames, size_t max_payload,
					    struct frame_pool **pool_out);
/* Frames that are still out keep the pool's memory alive; the last release frees it. */
void frame_pool_destroy(struct frame_pool *pool);

/* NULL: all are out. Epoch, sequence and n_bytes are 0. */
struct frame *frame_take(struct frame_pool *pool, enum frame_type type);
void frame_release(struct frame *frame);
size_t frame_pool_n_free(struct frame_pool *pool);

static inline void *frame_payload(const struct frame *frame)
{
	return frame->data + FRAME_HEADER_BYTES;
}

static inline size_t frame_max_payload(const struct frame *frame)
{
	return frame->capacity - FRAME_HEADER_BYTES;
}

/* Write type, epoch, n_bytes and sequence into the header, before sending. */
void frame_seal(struct frame *frame);

/* Check a received header (FRAME_HEADER_BYTES at data) and read it into the fields.
 * SC_E_PROTOCOL: err names the field. n_total: bytes that came, header included. */
must_check enum sc_status frame_open(struct frame *frame, size_t n_total, struct error *err);

#endif
