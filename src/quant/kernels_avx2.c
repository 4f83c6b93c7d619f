/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders for AVX2. */
#define LANES 8
#include "quant/isa/table.h"

const struct quant_kernels quant_kernels_avx2 = QUANT_KERNELS;
