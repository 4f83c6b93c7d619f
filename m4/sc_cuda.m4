dnl SPDX-License-Identifier: Apache-2.0
dnl SC_CUDA: --with-cuda=auto|yes|no|DIR finds nvcc and the run-time library.
dnl An explicit yes or DIR fails hard when it is missing.
AC_DEFUN([SC_CUDA], [
	AC_ARG_WITH([cuda],
		[AS_HELP_STRING([--with-cuda=auto|yes|no|DIR], [build the CUDA backend (auto)])],
		[], [with_cuda=auto])
	AC_ARG_VAR([NVCC], [the CUDA compiler])
	AC_ARG_VAR([NVCCFLAGS], [flags for the CUDA compiler])
	sc_cuda=no
	sc_cuda_dir=
	AS_CASE([$with_cuda],
		[no], [],
		[yes|auto], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH:/usr/local/cuda/bin])],
		[sc_cuda_dir=$with_cuda
		 AC_PATH_PROG([NVCC], [nvcc], [], [$with_cuda/bin])])
	AS_IF([test "$with_cuda" != no && test -n "$NVCC"], [
		AS_IF([test -z "$sc_cuda_dir"],
			[sc_cuda_dir=`dirname "\`dirname "\\\`readlink -f $NVCC\\\`"\`"`])
		for sc_lib in lib64 targets/x86_64-linux/lib lib; do
			AS_IF([test -f "$sc_cuda_dir/$sc_lib/libcudart_static.a"],
				[CUDA_LIBS="$sc_cuda_dir/$sc_lib/libcudart_static.a -ldl -lrt -lpthread -lstdc++"
				 sc_cuda=$sc_cuda_dir
				 break])
		done
	])
	AS_IF([test "$sc_cuda" = no && test "$with_cuda" != no && test "$with_cuda" != auto],
		[AC_MSG_ERROR([--with-cuda=$with_cuda, but nvcc and libcudart_static.a were not found there])])
	AS_IF([test "$sc_cuda" != no],
		[AC_DEFINE([HAVE_CUDA], [1], [the CUDA backend is built])])
	: ${NVCCFLAGS="-O3 -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90,code=sm_90 -gencode=arch=compute_90,code=compute_90"}
	AM_CONDITIONAL([HAVE_CUDA], [test "$sc_cuda" != no])
	AC_SUBST([CUDA_LIBS])
])
