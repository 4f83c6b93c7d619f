#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program that may open hardly any file, has hardly any memory, or was started without standard
# streams ends with a message and an exit code, or does its work. No signal ends it.
. "$(dirname "$0")/daemon.sh"

# outcome LIMITS COMMAND...: sets $code; the shell's ulimit gets LIMITS. Redirections come first,
# because they take descriptors too.
outcome() {
	sh -c 'ulimit $0; exec "$@"' "$@" >"$dir/out" 2>"$dir/log" </dev/null
	code=$?
}

run="run -m $MODEL -p x -n 2"
for n in 4 5 6 7 8 9 10 11 12; do
	for verb in "$run" "bench -m $MODEL --tests decode -n 2 -r 1" \
		"perplexity -m $MODEL -f $SRCDIR/tests/data/perplexity.txt --chunks 1"; do
		outcome "-n $n" "$BUILDDIR/stagecoach" $verb
		[ $code = 0 ] && [ "$n" -ge 11 ] && continue
		[ $code = 1 ] && grep -q 'error: .*needed: the limit is .*ulimit -n' "$dir/log" ||
			fail "ulimit -n $n, $verb: exit code $code"
	done
	outcome "-n $n" "$BUILDDIR/stagecoachd" -m "$MODEL" --listen none --socket "$socket"
	[ $code = 1 ] && grep -q 'error: .*needed: the limit is .*ulimit -n' "$dir/log" ||
		fail "ulimit -n $n, stagecoachd: exit code $code"
	outcome "-n $n" "$BUILDDIR/stagecoach" status --socket "$dir/none"
	[ $code = 69 ] || fail "ulimit -n $n, status: exit code $code"
	outcome "-n $n" "$BUILDDIR/stagecoach" quantize --allow-requantize "$MODEL" "$dir/q" Q4_0
	[ $code = 0 ] || fail "ulimit -n $n, quantize: exit code $code"
done
echo "few descriptors: said so"

outcome "-n 40" timeout 60 "$BUILDDIR/stagecoachd" -m "$MODEL" -p x -n 1
[ $code = 0 ] || fail "ulimit -n 40, a prompt: exit code $code"

# A daemon of few descriptors says that not all clients have a place, and serves.
sh -c 'ulimit -n 40; exec "$@"' sh "$BUILDDIR/stagecoachd" -m "$MODEL" --listen none \
	--socket "$socket" >"$dir/out" 2>"$dir/log" </dev/null &
launcher=$!
wait_for is_started || fail "ulimit -n 40: does not start"
grep -q 'warning: .*limit of open files is 40.*ulimit -n' "$dir/log" || fail "no warning"
stagecoach generate --socket "$socket" -p x -n 3 >/dev/null 2>&1 || fail "does not serve"
stop_daemon
[ $code = 0 ] || fail "ulimit -n 40: exit code $code"
echo "40 descriptors: warned, served"

# Kibibytes of address space. Below some 23 MB the dynamic linker cannot load the libraries.
for kib in 30000 40000 60000 80000; do
	for verb in "$run" "quantize --allow-requantize $MODEL $dir/q Q4_0"; do
		outcome "-v $kib" "$BUILDDIR/stagecoach" $verb
		[ $code = 0 ] || { [ $code = 1 ] && grep -q 'error: ' "$dir/log"; } ||
			fail "ulimit -v $kib, $verb: exit code $code"
	done
done
echo "little memory: said so"

# Closed streams: text that has to go there is an error, and nobody waits.
expect_closed() {
	expected=$1
	closed=$2
	shift 2
	sh -c 'exec timeout 50 "$@" '"$closed" sh "$@" >"$dir/out" 2>"$dir/log" </dev/null
	code=$?
	[ $code = "$expected" ] || fail "$* $closed: exit code $code, expected $expected"
}
for closed in '<&-' '2>&-' '<&- 2>&-' '2>/dev/full'; do
	expect_closed 0 "$closed" "$BUILDDIR/stagecoach" $run
	[ -s "$dir/out" ] || fail "$closed: no text"
done
for closed in '>&-' '>&- 2>&-' '<&- >&- 2>&-' '>/dev/full' '>/dev/full 2>/dev/full'; do
	expect_closed 1 "$closed" "$BUILDDIR/stagecoach" $run
	expect_closed 1 "$closed" "$BUILDDIR/stagecoach" --help
	expect_closed 1 "$closed" "$BUILDDIR/stagecoach" --version
	expect_closed 1 "$closed" "$BUILDDIR/stagecoachd" --help
	expect_closed 1 "$closed" "$BUILDDIR/stagecoach" quantize --allow-requantize "$MODEL" \
		"$dir/q" Q4_0
done
echo "closed streams: ended at once"
expect_none_left
