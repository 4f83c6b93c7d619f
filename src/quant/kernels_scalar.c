/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders for any processor. Four lanes match SSE2 and NEON. */
#define LANES 4
#include "quant/isa/table.h"

const struct quant_kernels quant_kernels_scalar = QUANT_KERNELS;
