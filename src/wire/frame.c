/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include "base/bytes.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define FRAME_MAGIC 0x31464353u	/* "SCF1" */
#define FRAME_ALIGNMENT 64

enum {
	OFFSET_MAGIC = 0,
	OFFSET_TYPE = 4,
	OFFSET_FLAGS = 6,
	OFFSET_EPOCH = 8,
	OFFSET_N_BYTES = 12,
	OFFSET_SEQUENCE = 16,
	OFFSET_RESERVED = 24,
};

struct frame_pool {
	pthread_mutex_t mutex;
	struct frame *first_free;
	size_t n_free;
	size_t n_frames;
	bool is_destroyed;	/* the owner destroyed the pool while frames were still in use */
	uint8_t *memory;	/* [n_frames] headers and payloads */
	struct frame frames[];	/* [n_frames] */
};

static void pool_free(struct frame_pool *pool)
{
	pthread_mutex_destroy(&pool->mutex);
	free(pool->memory);
	free(pool);
}

static struct frame_pool *pool_allocate(size_t n_frames, size_t stride)
{
	struct frame_pool *pool = calloc(1, sizeof *pool + n_frames * sizeof pool->frames[0]);

	if (!pool)
		return NULL;
	pool->memory = aligned_alloc(FRAME_ALIGNMENT, n_frames * stride);
	if (!pool->memory) {
		free(pool);
		return NULL;
	}
	memset(pool->memory, 0, n_frames * stride);
	pthread_mutex_init(&pool->mutex, NULL);
	return pool;
}

enum sc_status frame_pool_create(size_t n_frames, size_t max_payload,
				 struct frame_pool **pool_out)
{
	size_t capacity, stride;
	struct frame_pool *pool;

	if (!n_frames || max_payload > UINT32_MAX)
		return SC_E_INVALID;
	capacity = FRAME_HEADER_BYTES + max_payload;
	stride = (capacity + FRAME_ALIGNMENT - 1) / FRAME_ALIGNMENT * FRAME_ALIGNMENT;
	if (n_frames > SIZE_MAX / 2 / (stride + sizeof(struct frame)))
		return SC_E_NOMEM;
	pool = pool_allocate(n_frames, stride);
	if (!pool)
		return SC_E_NOMEM;
	pool->n_frames = n_frames;
	pool->n_free = n_frames;
	for (size_t i = n_frames; i-- > 0;) {
		struct frame *frame = &pool->frames[i];

		frame->pool = pool;
		frame->data = pool->memory + i * stride;
		frame->capacity = capacity;
		frame->next = pool->first_free;
		pool->first_free = frame;
	}
	*pool_out = pool;
	return SC_OK;
}

void frame_pool_destroy(struct frame_pool *pool)
{
	bool is_last;

	if (!pool)
		return;
	pthread_mutex_lock(&pool->mutex);
	assert(!pool->is_destroyed);
	pool->is_destroyed = true;
	is_last = pool->n_free == pool->n_frames;
	pthread_mutex_unlock(&pool->mutex);
	if (is_last)
		pool_free(pool);
}

struct frame *frame_take(struct frame_pool *pool, enum frame_type type)
{
	struct frame *frame;

	pthread_mutex_lock(&pool->mutex);
	frame = pool->first_free;
	if (frame) {
		pool->first_free = frame->next;
		pool->n_free--;
	}
	pthread_mutex_unlock(&pool->mutex);
	if (!frame)
		return NULL;
	frame->next = NULL;
	frame->on_release = NULL;
	frame->release_arg = NULL;
	frame->type = type;
	frame->epoch = 0;
	frame->sequence = 0;
	frame->n_bytes = 0;
	return frame;
}

void frame_release(struct frame *frame)
{
	struct frame_pool *pool = frame->pool;
	frame_release_fn *on_release = frame->on_release;
	void *release_arg = frame->release_arg;
	bool is_last;

	pthread_mutex_lock(&pool->mutex);
	frame->next = pool->first_free;
	pool->first_free = frame;
	pool->n_free++;
	is_last = pool->is_destroyed && pool->n_free == pool->n_frames;
	pthread_mutex_unlock(&pool->mutex);
	if (is_last)
		pool_free(pool);
	if (on_release)
		on_release(release_arg);
}

size_t frame_pool_n_free(struct frame_pool *pool)
{
	size_t n_free;

	pthread_mutex_lock(&pool->mutex);
	n_free = pool->n_free;
	pthread_mutex_unlock(&pool->mutex);
	return n_free;
}

void frame_seal(struct frame *frame)
{
	uint8_t *header = frame->data;

	assert(frame->n_bytes <= frame_max_payload(frame));
	memset(header, 0, FRAME_HEADER_BYTES);
	store_le32(header + OFFSET_MAGIC, FRAME_MAGIC);
	store_le16(header + OFFSET_TYPE, (uint16_t)frame->type);
	store_le32(header + OFFSET_EPOCH, frame->epoch);
	store_le32(header + OFFSET_N_BYTES, frame->n_bytes);
	store_le64(header + OFFSET_SEQUENCE, frame->sequence);
}

static enum sc_status check_reserved(const uint8_t *header, struct error *err)
{
	uint16_t flags = load_le16(header + OFFSET_FLAGS);

	if (flags)
		return error_set(err, SC_E_PROTOCOL,
				 "frame header: flags at byte %d are 0x%04x, expected 0",
				 OFFSET_FLAGS, flags);
	for (int i = OFFSET_RESERVED; i < FRAME_HEADER_BYTES; i++)
		if (header[i])
			return error_set(err, SC_E_PROTOCOL,
					 "frame header: reserved byte %d is 0x%02x, expected 0", i,
					 header[i]);
	return SC_OK;
}

enum sc_status frame_open(struct frame *frame, size_t n_total, struct error *err)
{
	const uint8_t *header = frame->data;
	uint32_t magic, n_bytes;
	uint64_t sequence;
	uint16_t type;

	if (n_total < FRAME_HEADER_BYTES || n_total > frame->capacity)
		return error_set(err, SC_E_PROTOCOL,
				 "frame of %zu bytes, expected %d to %zu with its header", n_total,
				 FRAME_HEADER_BYTES, frame->capacity);
	magic = load_le32(header + OFFSET_MAGIC);
	type = load_le16(header + OFFSET_TYPE);
	n_bytes = load_le32(header + OFFSET_N_BYTES);
	sequence = load_le64(header + OFFSET_SEQUENCE);
	if (magic != FRAME_MAGIC)
		return error_set(err, SC_E_PROTOCOL,
				 "frame header: magic 0x%08x, expected 0x%08x (\"SCF1\")", magic,
				 FRAME_MAGIC);
	if (!type || type >= FRAME_N_TYPES)
		return error_set(err, SC_E_PROTOCOL, "frame header: type %u, expected 1 to %d",
				 type, FRAME_N_TYPES - 1);
	if (n_bytes != n_total - FRAME_HEADER_BYTES)
		return error_set(err, SC_E_PROTOCOL,
				 "frame header: n_bytes %u, but the payload has %zu", n_bytes,
				 n_total - FRAME_HEADER_BYTES);
	if (!sequence)
		return error_set(err, SC_E_PROTOCOL,
				 "frame header: sequence 0, expected 1 or more");
	if (check_reserved(header, err) != SC_OK)
		return SC_E_PROTOCOL;
	frame->type = (enum frame_type)type;
	frame->epoch = load_le32(header + OFFSET_EPOCH);
	frame->sequence = sequence;
	frame->n_bytes = n_bytes;
	return SC_OK;
}
