dnl SPDX-License-Identifier: Apache-2.0
dnl SC_SANITIZE: --enable-sanitize=address,undefined or thread, for every object and program.
AC_DEFUN([SC_SANITIZE], [
	AC_ARG_ENABLE([sanitize],
		[AS_HELP_STRING([--enable-sanitize=LIST], [build with -fsanitize=LIST (no)])],
		[sc_sanitize=$enableval], [sc_sanitize=no])
	SANITIZE_CFLAGS=
	AS_IF([test "$sc_sanitize" != no],
		[SANITIZE_CFLAGS="-fsanitize=$sc_sanitize -fno-sanitize-recover=all -fno-omit-frame-pointer"])
	AC_SUBST([SANITIZE_CFLAGS])
	AM_CONDITIONAL([SANITIZE], [test "$sc_sanitize" != no])
])
