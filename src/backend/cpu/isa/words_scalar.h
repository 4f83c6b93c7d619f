/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_WORDS_SCALAR_H
#define STAGECOACH_BACKEND_CPU_ISA_WORDS_SCALAR_H
/*
 * words_scalar - four bytes of each of LANES outputs, in the compiler's portable vectors.
 * The other words_*.h have the same functions; relayout.h is written in these and in operators.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BYTE_FLIP 0

typedef uint32_t vec_words __attribute__((vector_size(16)));

/* Four of the eight words of v and w. */
#ifdef __clang__
#define WORDS_SHUFFLE(v, w, ...) __builtin_shufflevector(v, w, __VA_ARGS__)
#else
#define WORDS_SHUFFLE(v, w, ...) __builtin_shuffle(v, w, (vec_words){ __VA_ARGS__ })
#endif

/* Sixteen bytes of each lane's row, rows `stride` bytes apart: word i of all lanes in to[i]. */
static inline void words_transpose(const uint8_t *from, size_t stride, vec_words *to)
{
	vec_words row[4], even, odd;

	for (unsigned i = 0; i < 4; i++)
		memcpy(&row[i], from + i * stride, 16);
	even = WORDS_SHUFFLE(row[0], row[1], 0, 4, 1, 5);
	odd = WORDS_SHUFFLE(row[2], row[3], 0, 4, 1, 5);
	to[0] = WORDS_SHUFFLE(even, odd, 0, 1, 4, 5);
	to[1] = WORDS_SHUFFLE(even, odd, 2, 3, 6, 7);
	even = WORDS_SHUFFLE(row[0], row[1], 2, 6, 3, 7);
	odd = WORDS_SHUFFLE(row[2], row[3], 2, 6, 3, 7);
	to[2] = WORDS_SHUFFLE(even, odd, 0, 1, 4, 5);
	to[3] = WORDS_SHUFFLE(even, odd, 2, 3, 6, 7);
}

/* Sixty-four bytes of each row. */
static inline void words_transpose_line(const uint8_t *from, size_t stride, vec_words *to)
{
	for (unsigned i = 0; i < 4; i++)
		words_transpose(from + i * 16, stride, to + i * 4);
}

static inline void words_store(uint8_t *to, vec_words w)
{
	memcpy(to, &w, sizeof w);
}

/* The low half of each word. */
static inline void words_store_halves(uint8_t *to, vec_words w)
{
	for (unsigned lane = 0; lane < LANES; lane++)
		memcpy(to + lane * 2, &(uint16_t){ (uint16_t)w[lane] }, 2);
}

/* Byte i of each word at to + i * stride, the first n of four. */
static inline void words_store_bytes(uint8_t *to, size_t stride, vec_words w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned lane = 0; lane < LANES; lane++)
			to[i * stride + lane] = (uint8_t)(w[lane] >> i * 8);
}

#endif
