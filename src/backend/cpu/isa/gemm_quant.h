/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_H
/* gemm_quant - one function per quantised format and number of rows, from gemm_quant() of a
 * gemm_quant_*.h. */

#define GEMM_QUANT(name, format, r)							\
	static void name##_##r(const void *weights, const void *tile, size_t n_k,	\
			       const float *init, float *y, size_t ldy)			\
	{										\
		gemm_quant(format, r, weights, tile, n_k, init, y, ldy);		\
	}

#define GEMM_QUANT_4(name, format)							\
	GEMM_QUANT(name, format, 1)							\
	GEMM_QUANT(name, format, 2)							\
	GEMM_QUANT(name, format, 3)							\
	GEMM_QUANT(name, format, 4)
#define GEMM_QUANT_6(name, format)							\
	GEMM_QUANT_4(name, format)							\
	GEMM_QUANT(name, format, 5)							\
	GEMM_QUANT(name, format, 6)

#endif
