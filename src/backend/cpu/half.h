/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_HALF_H
#define STAGECOACH_BACKEND_CPU_HALF_H
/* half - 16-bit floats to float, exactly, and back, to the nearest. Thread: any. */
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

static inline uint32_t float_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof bits);
	return bits;
}

/* To nearest even; what is too large becomes infinite. Subnormals are rounded by an addition that
 * moves their last bit to the float's last bit. */
static inline uint16_t float_to_half(float f)
{
	uint32_t bits = float_bits(f), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;

	if (rest > 0x7f800000)
		return (uint16_t)(sign | 0x7e00);
	if (rest >= 0x477ff000)
		return (uint16_t)(sign | 0x7c00);
	if (rest < 0x38800000)
		return (uint16_t)(sign | (float_bits(float_from_bits(rest) + 0.5f) - 0x3f000000));
	rest += 0xfff + (rest >> 13 & 1);
	return (uint16_t)(sign | (rest - 0x38000000) >> 13);
}

/* To nearest even. */
static inline uint16_t float_to_bfloat(float f)
{
	uint32_t bits = float_bits(f);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float bfloat_to_float(uint16_t b)
{
	return float_from_bits((uint32_t)b << 16);
}

#endif
