#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A worker whose model file has the header of the others' and other weights is refused: before it
# loads them, or after, if samples do not show the difference.
. "$(dirname "$0")/daemon.sh"

for kind in tied tied-start tied-inside; do
	"$BUILDDIR/tests/system/write_model" $kind "$dir/$kind.gguf" || fail "write_model $kind"
done

# run FILE: a text of two stages, the second of which has FILE; sets $code.
run() {
	set -- "$1" "$BUILDDIR/stagecoachd" -p the -n 8 --config /dev/null -m
	other=$1
	shift
	"$MPIRUN" $MPIRUN_FLAGS -n 2 "$@" "$dir/tied.gguf" : -n 1 "$@" "$other" \
		>"$dir/text" 2>"$dir/log"
	code=$?
	expect_none_left
}

cp "$dir/tied.gguf" "$dir/copy.gguf"
run "$dir/copy.gguf"
[ "$code" = 0 ] || fail "a copy of the file: exit code $code"
[ -s "$dir/text" ] || fail "a copy of the file: no text"
run "$dir/tied-start.gguf"
[ "$code" != 0 ] || fail "other weights were not refused"
grep -q "worker .*same header as the coordinator's, but other tensor data" "$dir/log" ||
	fail "the error does not say why"
run "$dir/tied-inside.gguf"
[ "$code" != 0 ] || fail "weights that differ where no samples are were not refused"
grep -q "tensor 'token_embd.weight' has other data than that of worker" "$dir/log" ||
	fail "the error does not name the tensor"
