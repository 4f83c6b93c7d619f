/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_FORMATS_H
#define STAGECOACH_BACKEND_CPU_FORMATS_H
/*
 * formats - the layout of weights in a panel: the bits of the file, regrouped so that each lane of
 * a vector is one output.
 *
 * A panel is a sequence of blocks along the inputs. A block has, in this order: the halves of all
 * outputs (float16, [n_halves][panel]), then bytes ([n_bytes][panel]), then words
 * ([n_words][panel]; a word is four bytes of one output). A block has exactly as many bytes as in
 * the file.
 *
 * Halves are the scales; in formats with a minimum, scale and minimum. Words hold the integers, 32
 * inputs at a time. Group g is inputs 4 g .. 4 g + 3, one in each byte of a word. Integers are
 * split into planes of bits:
 *   eight bits  8 words: group g in word g
 *   four bits   4 words: group g in word g % 4, in the low nibbles if g < 4, else in the high ones
 *   two bits    2 words: group g in word g / 4, at bit 2 (g % 4) of each byte
 *   one bit     1 word: group g at bit g of each byte
 *
 *   format         bits    value                            more
 *   Q8_0           8       d q                              q xored with byte_flip
 *   Q4_0, Q5_0     4 (+1)  d (q - 8), d (q - 16)
 *   Q4_1, Q5_1     4 (+1)  d q + m
 *   IQ4_NL         4       d table[q]
 *   MXFP4          4       2^(e - 128) table[q]             byte: e
 *   Q2_K           2       d s q - dmin m, by 16 inputs     byte of each 16: s | m << 4
 *   Q3_K           2 + 1   d (s - 32) (q - 4), by 16        byte i % 8 of scale i: low four bits,
 *                                                           at 4 (i / 8); bytes 8 + i % 4: high
 *                                                           two, at 2 (i / 4)
 *   Q4_K, Q5_K     4 (+1)  d s q - dmin m, by 32            byte b < 8: low four bits of s, of m;
 *                                                           bytes 8 + b % 4: high bits, two each,
 *                                                           at 4 (b / 4)
 *   Q6_K           4 + 2   d s (q - 32), by 16              byte of each 16: s, signed
 *   IQ4_XS         4       d (s - 32) table[q], by 32       byte b % 4: low four bits of s, at
 *                                                           4 (b / 4); bytes 4 + b % 2: high two,
 *                                                           at 2 (b / 2)
 * F32 has a word per input, F16 a half. BF16 has a word per two inputs; the last one is zero if the
 * number is odd. The stored formats are GGUF's (ggml/docs/gguf.md, ggml-quants).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CPU_QUANT_BLOCK = 32 };	/* inputs per shift of the activations */

/* How weights are stored on the device. */
enum cpu_format {
	CPU_F32,
	CPU_F16,
	CPU_BF16,
	CPU_Q8_0,
	CPU_Q4_0,
	CPU_Q4_1,
	CPU_Q5_0,
	CPU_Q5_1,
	CPU_IQ4_NL,
	CPU_MXFP4,
	CPU_Q2_K,
	CPU_Q3_K,
	CPU_Q4_K,
	CPU_Q5_K,
	CPU_Q6_K,
	CPU_IQ4_XS,
	CPU_N_FORMATS,
	/* The forms that kernels unpack other formats into: float[panel] scales (and minima) of
	 * each 32 or 16 inputs, then a byte per input. */
	CPU_BYTES_32 = CPU_N_FORMATS,
	CPU_BYTES_32_MIN,
	CPU_BYTES_16,
	CPU_BYTES_16_MIN,
};

/* The kinds of tiles that activations are converted to. */
enum cpu_tile_kind {
	CPU_TILE_FLOAT,
	CPU_TILE_BF16,
	CPU_TILE_INT,
	CPU_N_TILE_KINDS,
};

static inline enum cpu_tile_kind cpu_tile_kind(enum cpu_format format)
{
	return format == CPU_BF16 ? CPU_TILE_BF16 :
	       format == CPU_F32 || format == CPU_F16 ? CPU_TILE_FLOAT : CPU_TILE_INT;
}

/* The values of IQ4_NL and IQ4_XS, and twice those of MXFP4, plus offset. */
#define CPU_IQ4_TABLE(o) (o) - 127, (o) - 104, (o) - 83, (o) - 65, (o) - 49, (o) - 35, (o) - 22, \
			 (o) - 10, (o) + 1, (o) + 13, (o) + 25, (o) + 38, (o) + 53, (o) + 69,	\
			 (o) + 89, (o) + 113
#define CPU_MXFP4_TABLE(o) (o), (o) + 1, (o) + 2, (o) + 3, (o) + 4, (o) + 6, (o) + 8, (o) + 12,	\
			   (o), (o) - 1, (o) - 2, (o) - 3, (o) - 4, (o) - 6, (o) - 8, (o) - 12

/*
 * Properties that kernels are specialised by: constants once inlined.
 */

/* Returns true for blocks of 256 inputs with integer scales inside. */
static inline bool cpu_is_super(enum cpu_format format)
{
	return format >= CPU_Q2_K && format <= CPU_IQ4_XS;
}

static inline bool cpu_has_min(enum cpu_format format)
{
	return format == CPU_Q4_1 || format == CPU_Q5_1 || format == CPU_Q2_K ||
	       format == CPU_Q4_K || format == CPU_Q5_K || format == CPU_BYTES_32_MIN ||
	       format == CPU_BYTES_16_MIN;
}

/* Number of scales per 32 inputs. */
static inline unsigned cpu_n_parts(enum cpu_format format)
{
	return format == CPU_Q2_K || format == CPU_Q3_K || format == CPU_Q6_K ||
	       format == CPU_BYTES_16 || format == CPU_BYTES_16_MIN ? 2 : 1;
}

/* Number of words per 32 inputs. */
static inline unsigned cpu_n_words(enum cpu_format format)
{
	switch (format) {
	case CPU_Q2_K:
		return 2;
	case CPU_Q3_K:
		return 3;
	case CPU_Q5_0:
	case CPU_Q5_1:
	case CPU_Q5_K:
		return 5;
	case CPU_Q6_K:
		return 6;
	case CPU_Q8_0:
	case CPU_BYTES_32:
	case CPU_BYTES_32_MIN:
	case CPU_BYTES_16:
	case CPU_BYTES_16_MIN:
		return 8;
	default:
		return 4;
	}
}

static inline unsigned cpu_n_halves(enum cpu_format format)
{
	if (format == CPU_F32 || format == CPU_BF16 || format == CPU_MXFP4 ||
	    format >= CPU_BYTES_32)
		return 0;
	return cpu_has_min(format) ? 2 : 1;
}

static inline unsigned cpu_n_bytes(enum cpu_format format)
{
	switch (format) {
	case CPU_MXFP4:
		return 1;
	case CPU_IQ4_XS:
		return 6;
	case CPU_Q3_K:
	case CPU_Q4_K:
	case CPU_Q5_K:
		return 12;
	case CPU_Q2_K:
	case CPU_Q6_K:
		return 16;
	default:
		return 0;
	}
}

/* Bytes of one output's scales at the front of a block. */
static inline unsigned cpu_head_bytes(enum cpu_format format)
{
	if (format >= CPU_BYTES_32)
		return 4 * cpu_n_parts(format) * (cpu_has_min(format) ? 2 : 1);
	return 2 * cpu_n_halves(format) + cpu_n_bytes(format);
}

/* The constant by which stored integers exceed their values; 0 for formats with a minimum. */
static inline unsigned cpu_offset(enum cpu_format format)
{
	switch (format) {
	case CPU_Q3_K:
		return 4;
	case CPU_Q4_0:
		return 8;
	case CPU_Q5_0:
		return 16;
	case CPU_Q6_K:
		return 32;
	default:
		return cpu_has_min(format) ? 0 : 128;
	}
}

#endif
