dnl SPDX-License-Identifier: Apache-2.0
dnl SC_FUZZERS: --enable-fuzzers builds tests/fuzz/fuzz_* with libFuzzer, and everything with what
dnl it needs to see which code an input reaches. After SC_SANITIZE: adds to its flags.
AC_DEFUN([SC_FUZZERS], [
	AC_ARG_ENABLE([fuzzers],
		[AS_HELP_STRING([--enable-fuzzers], [build libFuzzer programs; needs CC=clang (no)])],
		[sc_fuzzers=$enableval], [sc_fuzzers=no])
	FUZZER_LDFLAGS=
	AS_IF([test "$sc_fuzzers" != no], [
		AS_IF([test "$sc_sanitize" = no],
			[sc_sanitize=address,undefined
			 SANITIZE_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"])
		SANITIZE_CFLAGS="$SANITIZE_CFLAGS -fsanitize=fuzzer-no-link"
		FUZZER_LDFLAGS=-fsanitize=fuzzer
		AC_MSG_CHECKING([whether $CC has libFuzzer])
		sc_saved_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -fsanitize=fuzzer"
		AC_LINK_IFELSE([AC_LANG_SOURCE([[
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { (void)data; return size > 1u << 30; }
]])],
			[AC_MSG_RESULT([yes])],
			[AC_MSG_RESULT([no])
			 AC_MSG_ERROR([--enable-fuzzers needs CC=clang and its runtime: install clang and libclang-rt-14-dev])])
		CFLAGS=$sc_saved_CFLAGS
	])
	AC_SUBST([FUZZER_LDFLAGS])
	AM_CONDITIONAL([FUZZERS], [test "$sc_fuzzers" != no])
])
