dnl SPDX-License-Identifier: Apache-2.0
dnl SC_WARNINGS: the warnings that the code is written for; --enable-werror makes them errors.
AC_DEFUN([SC_WARNINGS], [
	AC_ARG_ENABLE([werror],
		[AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])],
		[sc_werror=$enableval], [sc_werror=no])
	WARN_CFLAGS="-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 -Wwrite-strings"
	AS_IF([test "$sc_werror" = yes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
	AC_SUBST([WARN_CFLAGS])
])
