/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_RANGE_H
#define STAGECOACH_QUANT_RANGE_H
/*
 * range - which values a tensor type can hold. The scale of a block is an f16 number, so the
 * largest value of a type is 65504 times the largest number that its blocks multiply by the scale.
 * Thread: any.
 */
#include "quant/encode.h"

/* The first of n elements that the type cannot hold: NaN, infinity, or a value outside its range.
 * n: the type holds all of them. x begins at the first element of a (super-)block. */
size_t quant_find_misfit(const struct quant_kernels *kernels, enum tensor_type type, const float *x,
			 size_t n);

#endif
