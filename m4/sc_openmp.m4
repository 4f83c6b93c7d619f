dnl SPDX-License-Identifier: Apache-2.0
dnl SC_OPENMP: OpenMP for the CPU kernels; --disable-openmp for TSan, which cannot see into libgomp.
AC_DEFUN([SC_OPENMP], [
	AC_OPENMP
	sc_openmp=no
	AS_IF([test -n "$OPENMP_CFLAGS"],
		[sc_openmp=yes
		 AC_DEFINE([HAVE_OPENMP], [1], [the compiler has OpenMP and it was not disabled])])
])
