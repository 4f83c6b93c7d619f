#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A worker whose C library computes with other last bits, because it takes glibc's variants without
# fused multiply-add, is refused beside one that takes the others, unless that is allowed.
. "$(dirname "$0")/daemon.sh"

getconf GNU_LIBC_VERSION >/dev/null 2>&1 || { echo "the C library is not glibc"; exit 77; }
grep -qw fma /proc/cpuinfo || { echo "this processor has no fused multiply-add"; exit 77; }
# glibc has renamed them.
other=GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-FMA,-FMA_Usable

# run OPTION...: a text of two stages, the second with the other variants; sets $code.
run() {
	set -- "$BUILDDIR/stagecoachd" -m "$MODEL" -p MENENIUS: -n 8 --config /dev/null "$@"
	"$MPIRUN" $MPIRUN_FLAGS -n 2 "$@" : -n 1 env "$other" "$@" >"$dir/text" 2>"$dir/log"
	code=$?
	expect_none_left
}

run
[ "$code" != 0 ] || fail "another C library was not refused"
grep -q 'C library gives other results of cos, .* than that of worker' "$dir/log" ||
	fail "the error does not say why"
run --allow-mixed-backends
[ "$code" = 0 ] || fail "not allowed: exit code $code"
grep -q 'stages have different backends, kernel versions or C libraries' "$dir/log" ||
	fail "no warning"
[ -s "$dir/text" ] || fail "no text"
