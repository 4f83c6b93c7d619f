/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_BYTES_H
#define STAGECOACH_BASE_BYTES_H
/*
 * bytes - little-endian loads and stores at any alignment, and a cursor that reads foreign bytes
 * without ever going past their end.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "frames and model files are little-endian and used in place: a big-endian port must convert"
#endif
_Static_assert(sizeof(size_t) == 8, "sizes of files and of memory are kept in size_t");

static inline uint16_t load_le16(const void *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint32_t load_le32(const void *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint64_t load_le64(const void *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }
static inline float load_lef32(const void *p) { float v; memcpy(&v, p, sizeof v); return v; }
static inline void store_le16(void *p, uint16_t v) { memcpy(p, &v, sizeof v); }
static inline void store_le32(void *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static inline void store_le64(void *p, uint64_t v) { memcpy(p, &v, sizeof v); }
static inline void store_lef32(void *p, float v) { memcpy(p, &v, sizeof v); }

/* Reads move `at` from start to end. The first read that does not fit sets is_short; that read and
 * all later ones return zeros. A caller can therefore read a whole record and check is_short
 * once. */
struct cursor {
	const uint8_t *start;
	const uint8_t *at;
	const uint8_t *end;
	bool is_short;
};

static inline struct cursor cursor_init(const void *data, size_t n_bytes)
{
	const uint8_t *start = data;

	return (struct cursor){ .start = start, .at = start, .end = start + n_bytes };
}

static inline size_t cursor_offset(const struct cursor *c) { return (size_t)(c->at - c->start); }
static inline size_t cursor_left(const struct cursor *c) { return (size_t)(c->end - c->at); }

/* Returns n_bytes in place, or NULL if fewer are left. */
static inline const void *cursor_take(struct cursor *c, uint64_t n_bytes)
{
	const uint8_t *p = c->at;

	if (c->is_short || n_bytes > cursor_left(c)) {
		c->is_short = true;
		return NULL;
	}
	c->at += n_bytes;
	return p;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 1);
	return p ? *p : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	const void *p = cursor_take(c, 2);
	return p ? load_le16(p) : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	const void *p = cursor_take(c, 4);
	return p ? load_le32(p) : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	const void *p = cursor_take(c, 8);
	return p ? load_le64(p) : 0;
}

static inline float cursor_f32(struct cursor *c)
{
	const void *p = cursor_take(c, 4);
	return p ? load_lef32(p) : 0.0f;
}

#endif
