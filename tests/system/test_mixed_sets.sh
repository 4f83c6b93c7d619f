#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Workers whose processors have different instruction sets: all use the best that is common to them,
# so the text is the one of that set alone, wherever which layers are; plan and status say so.
. "$(dirname "$0")/daemon.sh"

generate="-p MENENIUS: -n 120 --temp 0.8 --seed 5 --ignore-eos --config /dev/null"

stagecoach run -m "$MODEL" $generate --cpu scalar >"$dir/scalar" 2>"$dir/run.log" || fail "scalar"
grep -qx 'instruction set: scalar, .* stage 1 also has .*' "$dir/run.log" ||
	grep -qx 'instruction set: scalar' "$dir/run.log" || fail "the plan does not name the set"
stagecoach run -m "$MODEL" $generate >"$dir/best" 2>"$dir/run.log" || fail "run"
best=$(sed -n 's/^instruction set: //p' "$dir/run.log")
[ "$best" != scalar ] || { echo "this processor has one set only"; exit 77; }
! cmp -s "$dir/scalar" "$dir/best" || fail "sets give the same text: this test cannot fail"

# mixed SET1 SET2: the text of two stages whose workers have these sets, on rank 1 and rank 2.
mixed() {
	set -- "$BUILDDIR/stagecoachd" "$1" "$2" -m "$MODEL" $generate
	daemon=$1 first=$2 second=$3
	shift 3
	"$MPIRUN" $MPIRUN_FLAGS -n 1 "$daemon" "$@" : \
		-n 1 -x STAGECOACH_CPU="$first" "$daemon" "$@" : \
		-n 1 -x STAGECOACH_CPU="$second" "$daemon" "$@" >"$dir/text" 2>"$dir/log" ||
		fail "$first and $second: exit code $?"
	expect_none_left
}

mixed scalar "$best"
cmp -s "$dir/scalar" "$dir/text" || fail "scalar and $best: not the text of scalar"
grep -qx "instruction set: scalar, the best one that all stages have; stage 2 also has $best" \
	"$dir/log" || fail "the plan does not say what stage 2 has"
mixed "$best" scalar
cmp -s "$dir/scalar" "$dir/text" || fail "$best and scalar: not the text of scalar"
mixed auto "$best"
cmp -s "$dir/best" "$dir/text" || fail "auto and $best: not the text of $best"
grep -qx "instruction set: $best" "$dir/log" || fail "the plan does not name $best"

start_daemon 3 --cpu scalar
stagecoach status --socket "$socket" >"$dir/status" || fail "status"
[ "$(grep -c ', cpu scalar, ' "$dir/status")" = 2 ] || fail "status: $(cat "$dir/status")"
stop_daemon
[ "$code" = 0 ] || fail "the daemon ended with $code"
