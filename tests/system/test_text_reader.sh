#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whoever reads the text of one prompt may stop reading: the cluster lives on, a signal still ends
# it, and all of the text comes once somebody reads again.
. "$(dirname "$0")/daemon.sh"

text="-p ROMEO: -n 400 --temp 0 --ignore-eos --config /dev/null"
mkfifo "$dir/pipe" || fail "no pipe"
# Somebody has it open, and does not read.
exec 8<>"$dir/pipe"

fill() {
	tr "\0" "\n" </dev/zero | dd of="$dir/pipe" bs=4096 iflag=fullblock oflag=nonblock 2>/dev/null
}
# The filling, and the text behind it.
read_again() {
	exec 9<"$dir/pipe" 8>&-	# never without a reader
	cat <&9 >"$dir/read" &
	reader=$!
	exec 9<&-
}
# All that was read but for the filling.
expect_text() {
	wait $reader
	sed '/./,$!d' "$dir/read" >"$dir/text"
	cmp "$dir/expected" "$dir/text" || fail "$1: the text differs"
}

stagecoach run -m "$MODEL" $text >"$dir/read" 2>"$dir/log" || fail "no text"
sed '/./,$!d' "$dir/read" >"$dir/expected"

# One process. The model says how fast it was when all is written.
what='stagecoach run'
fill
"$BUILDDIR/stagecoach" run -m "$MODEL" $text >"$dir/pipe" 2>"$dir/run.log" </dev/null 8>&- &
launcher=$!
is_loaded() { grep -q '^instruction set' "$dir/run.log"; }
wait_for is_loaded || fail "$what: does not load"
read_again
wait_launcher
[ "$code" = 0 ] || fail "$what: exit code $code"
expect_text "$what"
grep -q '^generated: 400 tokens' "$dir/run.log" || fail "$what: does not say how fast"

what='SIGTERM without a reader'
exec 8<>"$dir/pipe"
fill
"$BUILDDIR/stagecoach" run -m "$MODEL" $text >"$dir/pipe" 2>"$dir/run.log" </dev/null 8>&- &
launcher=$!
wait_for is_loaded || fail "$what: does not load"
kill -TERM $launcher
wait_launcher
[ "$code" = 143 ] || fail "$what: exit code $code"

# A cluster whose rank 0 finds no room for several times --deadline-ms: workers would end.
what='mpirun stagecoachd -p'
cat >"$dir/rank" <<END
#!/bin/sh
[ "\$OMPI_COMM_WORLD_RANK" = 0 ] && exec >"$dir/pipe"
exec "$BUILDDIR/stagecoachd" "\$@"
END
chmod +x "$dir/rank"
: >"$dir/log"
"$MPIRUN" $MPIRUN_FLAGS -n 3 "$dir/rank" -m "$MODEL" $text --deadline-ms 1000 \
	>"$dir/out" 2>"$dir/log" </dev/null 8>&- &
launcher=$!
is_loaded() { grep -q '^instruction set' "$dir/log"; }
wait_for is_loaded || fail "$what: does not load"
sleep 4
is_gone $launcher && fail "$what: ended because nobody reads"
read_again
wait_launcher
[ "$code" = 0 ] || fail "$what: exit code $code"
expect_text "$what"
expect_none_left

# Errors of writing are told, and end the program.
stagecoach run -m "$MODEL" $text >/dev/full 2>"$dir/log" && fail "/dev/full took the text"
grep -q 'standard output: No space left' "$dir/log" || fail "/dev/full: the error is not told"
{
	stagecoach run -m "$MODEL" $text 2>"$dir/log"
	echo $? >"$dir/code"
} | head -c 5 >/dev/null
[ "$(cat "$dir/code")" = 141 ] || fail "a reader that left: exit code $(cat "$dir/code")"
