/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_TILES_H
#define STAGECOACH_BACKEND_CPU_ISA_TILES_H
/*
 * tiles - quantises activations into tiles; include after vec_*.h.
 *
 * A row's scale is its largest magnitude / 127 / 2^CPU_MAX_SHIFT. Each block of 32 uses the
 * smallest shift with which its own largest magnitude fits into +-127. The rounding step is
 * therefore at most twice as large as with a scale per block, unless the block is 2^CPU_MAX_SHIFT
 * times smaller than the row's largest number.
 */
#include "backend/cpu/kernels.h"
#include "model/float16.h"

#include <math.h>

/* The quantisation steps of a row. A row of only tiny numbers becomes zeros. A row with a number
 * that is not finite gets a scale that is not finite. */
struct row_steps {
	float scale;
	float inverse;		/* of scale */
	float per_most;		/* 2^CPU_MAX_SHIFT / the largest magnitude */
};

static inline struct row_steps steps_for(float most)
{
	if (most < 1e-30f)
		return (struct row_steps){ .scale = 0 };
	return (struct row_steps){
		.scale = most * (1.0f / 127 / (1 << CPU_MAX_SHIFT)),
		.inverse = 127 * (1 << CPU_MAX_SHIFT) / most,
		.per_most = (1 << CPU_MAX_SHIFT) / most,
	};
}

#endif
