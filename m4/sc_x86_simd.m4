dnl SPDX-License-Identifier: Apache-2.0
dnl SC_X86_SIMD: which instruction-set archives can be compiled; which one runs is chosen at start.
dnl BF16 is asked for function by function (cpu/isa/gemm_bf16_avx512.h), not by a flag.
dnl The compiler may use whatever these flags name: base/cpu.c must ask the processor for all of it.
AC_DEFUN([SC_X86_SIMD], [
	sc_simd=scalar
	sc_have_x86=no
	AVX2_CFLAGS="-mavx2 -mfma -mf16c"
	AVX512_CFLAGS="$AVX2_CFLAGS -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni"
	AS_CASE([$host_cpu], [x86_64], [
		AC_MSG_CHECKING([whether $CC compiles AVX2 and AVX-512])
		sc_saved_cflags=$CFLAGS
		CFLAGS="$CFLAGS $AVX512_CFLAGS"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <immintrin.h>
			__attribute__((target("avx512bf16"))) __m512
			dot(__m512 sum, __m512bh a) { return _mm512_dpbf16_ps(sum, a, a); }]],
			[[__m512i a = _mm512_setzero_si512(); a = _mm512_dpbusd_epi32(a, a, a);
			  return _mm512_cvtsi512_si32(a);]])],
			[sc_have_x86=yes])
		CFLAGS=$sc_saved_cflags
		AC_MSG_RESULT([$sc_have_x86])
	])
	AS_IF([test "$sc_have_x86" = yes], [
		sc_simd="scalar avx2 avx512"
		AC_DEFINE([HAVE_X86_SIMD], [1], [AVX2 and AVX-512 archives are built])
	])
	AM_CONDITIONAL([HAVE_X86_SIMD], [test "$sc_have_x86" = yes])
	AC_SUBST([AVX2_CFLAGS])
	AC_SUBST([AVX512_CFLAGS])
])
