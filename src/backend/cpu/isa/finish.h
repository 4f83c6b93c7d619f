/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_FINISH_H
#define STAGECOACH_BACKEND_CPU_ISA_FINISH_H
/* finish - turns the sums of a panel into outputs. Include after rows.h. */
#include "backend/cpu/kernels.h"

#include <string.h>

static inline vec scaled(const float *sum, const float *scale, unsigned row)
{
	return scale ? vec_mul(vec_load(sum), vec_set1(scale[row])) : vec_load(sum);
}

static void finish(const float *sum, unsigned n_rows, const float *scale, const float *bias,
		   bool is_added, unsigned n, float *y, size_t ldy)
{
	for (unsigned row = 0; row < n_rows; row++, sum += 2 * LANES, y += ldy) {
		for (unsigned i = 0; i < n; i += LANES) {
			vec out = scaled(sum + i, scale, row);

			if (bias)
				out = vec_add(out, load_up_to(bias + i, n - i));
			if (is_added)
				out = vec_add(load_up_to(y + i, n - i), out);
			store_up_to(y + i, out, n - i);
		}
	}
}

#define FINISH_GATED(kind)								\
	for (unsigned row = 0; row < n_rows;						\
	     row++, gate += 2 * LANES, up += 2 * LANES, y += ldy)			\
		for (unsigned i = 0; i < n; i += LANES)					\
			store_up_to(y + i, vec_mul(activated(kind, a,			\
							     scaled(gate + i, gate_scale, row)), \
						   scaled(up + i, up_scale, row)), n - i);

static void finish_gated(const struct activation *a, const float *gate, const float *gate_scale,
			 const float *up, const float *up_scale, unsigned n_rows, unsigned n,
			 float *y, size_t ldy)
{
	FOR_ACTIVATION(a->kind, FINISH_GATED)
}

#endif
