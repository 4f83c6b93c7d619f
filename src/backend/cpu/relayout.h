/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_RELAYOUT_H
#define STAGECOACH_BACKEND_CPU_RELAYOUT_H
/* relayout - converts stored tensors into panels and back. Pure functions. Thread: any. */
#include "backend/cpu/cpu.h"

/* How a format is stored. */
struct cpu_stored_format {
	enum tensor_type type;
	unsigned block_length;	/* inputs */
	unsigned block_bytes;
};

/* Returns NULL if the backend has no kernels for this type. */
const struct cpu_stored_format *cpu_stored_format(enum tensor_type type,
						  enum cpu_format *format_out);

/* Bytes of n_in inputs of a panel. n_in must be a whole number of blocks; for F32, F16 and BF16 any
 * number. */
size_t cpu_panel_bytes(enum cpu_format format, size_t n_in, unsigned panel);

/* Packs outputs first .. first + n_outputs - 1 of a stored matrix into one panel. Unused lanes get
 * zero weights. */
void cpu_pack_panel(const struct cpu_kernels *kernels, enum cpu_format format, size_t n_in,
		    const uint8_t *stored, size_t first, size_t n_outputs, uint8_t *to);

/* Unpacks all inputs of one output of a panel. */
void cpu_panel_row(const struct cpu_kernels *kernels, enum cpu_format format, size_t n_in,
		   const uint8_t *panel, unsigned lane, float *out);

#endif
