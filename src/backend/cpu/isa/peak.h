/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of peaks.h, for the vector type of the including file. Twelve independent sums hide the
 * latency of a multiply-add on all known processors, and fit into sixteen registers together with
 * the operands.
 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_PEAK_H
#define STAGECOACH_BACKEND_CPU_ISA_PEAK_H

#include <string.h>

#define PEAK_SUMS 12

/* PEAK_SUMS times sum = STEP(sum, a, b) per round; JOIN adds two sums. */
#define PEAK_LOOP(NAME, ATTRIBUTE, SUM, OPERAND, STEP, JOIN)                              \
	ATTRIBUTE static void NAME(size_t n_rounds, const void *operands, void *sink)     \
	{                                                                                 \
		SUM sums[PEAK_SUMS];                                                      \
		OPERAND a, b;                                                             \
                                                                                          \
		memcpy(&a, operands, sizeof a);                                           \
		memcpy(&b, (const char *)operands + 64, sizeof b);                        \
		memset(sums, 0, sizeof sums);                                             \
		/* Sums that are known to begin alike would be computed once for all. */  \
		for (int k = 0; k < PEAK_SUMS; k++)                                       \
			__asm__ volatile("" : "+m"(sums[k]));                             \
		for (size_t i = 0; i < n_rounds; i++) {                                   \
			_Pragma("GCC unroll 12")                                          \
			for (int k = 0; k < PEAK_SUMS; k++)                               \
				sums[k] = STEP(sums[k], a, b);                            \
		}                                                                         \
		for (int k = 1; k < PEAK_SUMS; k++)                                       \
			sums[0] = JOIN(sums[0], sums[k]);                                 \
		memcpy(sink, &sums[0], sizeof sums[0]);                                   \
	}

/* The same for sums that are too narrow for more than PASS products. FIRST(a, b) starts a narrow
 * sum, NEXT(sum, a, b) adds to it, and WIDEN(total, sum) adds it to a wide one. READ(at) loads an
 * operand. n_rounds must be a multiple of PASS. */
#define PEAK_NARROW_LOOP(NAME, TOTAL, OPERAND, PASS, READ, FIRST, NEXT, WIDEN)            \
	static void NAME(size_t n_rounds, const void *operands, void *sink)               \
	{                                                                                 \
		const OPERAND pair[2] = { READ(operands),                                 \
					  READ((const char *)operands + 64) };            \
		const OPERAND *at = pair;                                                 \
		OPERAND sums[PEAK_SUMS];                                                  \
		TOTAL total;                                                              \
                                                                                          \
		memset(&total, 0, sizeof total);                                          \
		for (size_t i = 0; i < n_rounds; i += PASS) {                             \
			_Pragma("GCC unroll 12")                                          \
			for (int k = 0; k < PEAK_SUMS; k++)                               \
				sums[k] = FIRST(at[0], at[1]);                            \
			_Pragma("GCC unroll 1")                                           \
			for (int j = 1; j < PASS; j++) {                                  \
				/* Who knows the operands can do a pass as one product. */ \
				__asm__ volatile("" : "+r"(at) : : "memory");             \
				_Pragma("GCC unroll 12")                                  \
				for (int k = 0; k < PEAK_SUMS; k++)                       \
					sums[k] = NEXT(sums[k], at[0], at[1]);            \
			}                                                                 \
			_Pragma("GCC unroll 12")                                          \
			for (int k = 0; k < PEAK_SUMS; k++)                               \
				total = WIDEN(total, sums[k]);                            \
		}                                                                         \
		memcpy(sink, &total, sizeof total);                                       \
	}

/* Eight streams of additions, one vector each per turn. */
#define PEAK_READ(NAME, VECTOR, LOAD, JOIN)                                               \
	static void NAME(const void *memory, size_t n_bytes, void *sink)                  \
	{                                                                                 \
		const VECTOR *at = memory, *end = at + n_bytes / sizeof *at;              \
		VECTOR sums[8];                                                           \
                                                                                          \
		memset(sums, 0, sizeof sums);                                             \
		for (; at < end; at += 8) {                                               \
			_Pragma("GCC unroll 8")                                           \
			for (int k = 0; k < 8; k++)                                       \
				sums[k] = JOIN(sums[k], LOAD(at + k));                    \
		}                                                                         \
		for (int k = 1; k < 8; k++)                                               \
			sums[0] = JOIN(sums[0], sums[k]);                                 \
		memcpy(sink, &sums[0], sizeof sums[0]);                                   \
	}

#endif
