/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_TILES_H
#define STAGECOACH_BACKEND_CPU_ISA_TILES_H
/*
 * tiles - activations as products read them; include after vec_*.h.
 *
 * The scale of a row is its largest magnitude / 127 / 2^CPU_MAX_SHIFT. A block of 32 takes the
 * least shift with which its own largest magnitude fits into +-127: it is rounded to steps at most
 * twice as large as a scale of its own would give, unless it is 2^CPU_MAX_SHIFT times smaller than
 * the largest one.
 */
#include "backend/cpu/kernels.h"
#include "model/float16.h"

#include <math.h>

/* What a row is quantised by. Rows of nothing but tiny numbers become zeros, rows with a number
 * that is not finite get a scale that is none. */
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
