/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_FLOAT16_H
#define STAGECOACH_MODEL_FLOAT16_H
/*
 * float16 - conversions of the 16-bit floats of model files: IEEE 754 half precision (1 sign, 5
 * exponent and 10 fraction bits) and bfloat16 (the upper half of a float).
 * To float: exact. From float: rounds to nearest, ties to even; overflow becomes infinity; NaN
 * stays NaN. Thread: any.
 */
#include "base/bytes.h"

#include <stdint.h>

static inline float f16_to_f32(uint16_t half)
{
	const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	const uint32_t exponent = (half >> 10) & 0x1f;
	const uint32_t mantissa = half & 0x3ff;
	uint32_t bits;

	if (exponent == 0) {
		const float magnitude = (float)mantissa * 0x1p-24f;

		return sign ? -magnitude : magnitude;
	}
	bits = sign | (exponent == 31 ? 0xffu : exponent + 127 - 15) << 23 | mantissa << 13;
	return load_lef32(&bits);
}

static inline float bf16_to_f32(uint16_t brain)
{
	const uint32_t bits = (uint32_t)brain << 16;

	return load_lef32(&bits);
}

static inline uint16_t f32_to_f16(float x)
{
	uint32_t bits, magnitude;
	uint16_t sign;
	float tiny;

	memcpy(&bits, &x, sizeof bits);
	magnitude = bits & 0x7fffffff;
	sign = (uint16_t)(bits >> 16 & 0x8000);
	if (magnitude > 0x7f800000)
		return sign | 0x7e00;
	if (magnitude >= 0x47800000)		/* 2^16 */
		return sign | 0x7c00;
	if (magnitude >= 0x38800000)		/* 2^-14: the bias changes by 112 */
		return (uint16_t)(sign | (magnitude - (112u << 23) + 0xfff +
					  (magnitude >> 13 & 1)) >> 13);
	/* Below 2^-14 results are subnormal, in units of 2^-24. Adding 1/2 makes the float addition
	 * round to these units. */
	memcpy(&tiny, &magnitude, sizeof tiny);
	tiny += 0.5f;
	memcpy(&magnitude, &tiny, sizeof magnitude);
	return (uint16_t)(sign | (magnitude - 0x3f000000));
}

static inline uint16_t f32_to_bf16(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
