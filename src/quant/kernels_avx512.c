/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders for AVX-512. */
#define LANES 16
#include "quant/isa/table.h"

const struct quant_kernels quant_kernels_avx512 = QUANT_KERNELS;
