/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WIRE_FRAME_H
#define STAGECOACH_WIRE_FRAME_H
/*
 * frame - one message between two processes: a fixed header and a payload, contiguous in memory, so
 * that a link sends both without copying. Frames come from pools of fixed size.
 *
 * Header, 64 bytes, little-endian; the payload is therefore aligned to 64 bytes:
 *	0 magic "SCF1"   4 type u16   6 flags u16 (0)   8 epoch u32   12 n_bytes u32 (payload)
 *	16 sequence u64 (per link and direction, set by the link, from 1)   24..63 zero
 * Ownership: the holder of a frame calls frame_release exactly once.
 * Thread: a pool may be used from any thread; a frame from one thread at a time.
 */
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 64

enum frame_type {
	FRAME_STEP = 1,
	FRAME_TOKENS = 2,
	FRAME_N_TYPES,
};

struct frame_pool;

typedef void frame_release_fn(void *arg);

struct frame {
	struct frame_pool *pool;	/* frame_release returns the frame to this pool */
	struct frame *next;		/* link of the current owner's queue */
	/* A link sets this on received frames to learn of their release (credits). It is called
	 * once, on the releasing thread, after the frame has returned to its pool, so it must not
	 * touch the frame: another thread may have taken it. frame_take clears it. */
	frame_release_fn *on_release;
	void *release_arg;
	uint8_t *data;			/* header, then payload; aligned to 64 bytes */
	size_t capacity;		/* size of data in bytes, header included */
	enum frame_type type;
	uint32_t epoch;
	uint64_t sequence;
	uint32_t n_bytes;		/* size of the payload in bytes */
	uint64_t queued_ns;		/* since when it lies in its receiver's queue; only for the
					 * receiver */
};

/* Makes n_frames frames of max_payload bytes each. All memory is allocated and touched now. */
must_check enum sc_status frame_pool_create(size_t n_frames, size_t max_payload,
					    struct frame_pool **pool_out);
/* Frames in use keep the pool's memory alive; the last release frees it. */
void frame_pool_destroy(struct frame_pool *pool);

/* Takes a free frame; its epoch, sequence and n_bytes are 0. Returns NULL if all frames are in use.
 * Never blocks. */
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

/* Writes type, epoch, n_bytes and sequence into the header. Call it before sending. */
void frame_seal(struct frame *frame);

/* Checks a received header (FRAME_HEADER_BYTES at data) and copies its values into the fields.
 * n_total: received bytes, header included.
 * SC_E_PROTOCOL: err names the wrong field, its value and what was expected. */
must_check enum sc_status frame_open(struct frame *frame, size_t n_total, struct error *err);

#endif
