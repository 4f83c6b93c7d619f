/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_H
/* gemm_int - generates the functions and table entries of quantised formats from gemm_int() and
 * unpack() of a gemm_int_*.h. */

#define GEMM_INT(name, format, r)							\
	static void name##_##r(const void *weights, const void *tile, size_t n_k, float *sum)	\
	{										\
		gemm_int(format, r, weights, tile, n_k, sum);				\
	}

#define UNPACK_INT(name, format)							\
	static void unpack_##name(const void *weights, size_t n_k, void *unpacked)	\
	{										\
		unpack(format, weights, n_k, unpacked);					\
	}

/* Each format with its name and the form that it is unpacked into. */
#define FOR_INT_FORMATS(DO)								\
	DO(q4_0, CPU_Q4_0, bytes_32)							\
	DO(q4_1, CPU_Q4_1, bytes_32_min)						\
	DO(q5_0, CPU_Q5_0, bytes_32)							\
	DO(q5_1, CPU_Q5_1, bytes_32_min)						\
	DO(q8_0, CPU_Q8_0, bytes_32)							\
	DO(iq4_nl, CPU_IQ4_NL, bytes_32)						\
	DO(mxfp4, CPU_MXFP4, bytes_32)							\
	DO(q2_k, CPU_Q2_K, bytes_16_min)						\
	DO(q3_k, CPU_Q3_K, bytes_16)							\
	DO(q4_k, CPU_Q4_K, bytes_32_min)						\
	DO(q5_k, CPU_Q5_K, bytes_32_min)						\
	DO(q6_k, CPU_Q6_K, bytes_16)							\
	DO(iq4_xs, CPU_IQ4_XS, bytes_32)

#define FOR_BYTES_FORMATS(DO)								\
	DO(bytes_32, CPU_BYTES_32, bytes_32)						\
	DO(bytes_32_min, CPU_BYTES_32_MIN, bytes_32_min)				\
	DO(bytes_16, CPU_BYTES_16, bytes_16)						\
	DO(bytes_16_min, CPU_BYTES_16_MIN, bytes_16_min)

/* The table's fields. */
#define INT_ENTRY(name, format, bytes) [format] = INT_ROWS_OF(name),
#define UNPACK_ENTRY(name, format, bytes) [format] = unpack_##name,
#define UNPACKED_ENTRY(name, format, bytes) [format] = rows_of_##bytes,

#endif
