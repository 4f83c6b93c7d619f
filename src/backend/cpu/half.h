/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_HALF_H
#define STAGECOACH_BACKEND_CPU_HALF_H
/* half - 16-bit floats to float, exactly. Thread: any. */
#include <stdint.h>
#include <string.h>

static inline float float_from_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

/* IEEE binary16: the exponent and fraction move up by 13 bits and the bias changes by 112, which
 * a multiplication does for subnormals too. */
static inline float half_to_float(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	uint32_t rest = (uint32_t)(h & 0x7fff) << 13;
	float f;
	uint32_t bits;

	if ((h & 0x7c00) == 0x7c00)
		return float_from_bits(sign | 0x7f800000 | rest);
	f = float_from_bits(rest) * 0x1p112f;
	memcpy(&bits, &f, sizeof bits);
	return float_from_bits(sign | bits);
}

static inline float bfloat_to_float(uint16_t b)
{
	return float_from_bits((uint32_t)b << 16);
}

#endif
