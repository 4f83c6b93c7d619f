/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_FLOAT16_H
#define STAGECOACH_MODEL_FLOAT16_H
/*
 * float16 - the two 16-bit floats of model files, to float exactly: IEEE 754 half precision (1
 * sign, 5 exponent and 10 fraction bits) and bfloat16, the upper half of a float. Thread: any.
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

#endif
