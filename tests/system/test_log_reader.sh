#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A daemon whose log is a pipe that nobody reads goes on serving, says how many lines it lost, and
# ends when it is told to.
. "$(dirname "$0")/daemon.sh"

mkfifo "$dir/pipe" || fail "no pipe"
# Somebody has it open, and does not read.
exec 8<>"$dir/pipe"

# Until it is full.
fill() {
	tr "\0" "\n" </dev/zero | dd of="$dir/pipe" bs=4096 iflag=fullblock oflag=nonblock 2>/dev/null
}
status_json() { stagecoach status --socket "$socket" --json; }
generate() {
	timeout $PATIENCE "$BUILDDIR/stagecoach" generate --socket "$socket" -p 'ROMEO:' -n 3 \
		--temp 0 >"$dir/text" 2>"$dir/client.log"
}
has_dropped() { status_json | grep -q '"log_lines_dropped":"\?[1-9]'; }

"$BUILDDIR/stagecoachd" -m "$MODEL" --listen 127.0.0.1:0 --socket "$socket" --log-level debug \
	>"$dir/out" 2>"$dir/pipe" </dev/null 8>&- &
launcher=$!
timeout $PATIENCE "$BUILDDIR/stagecoach" status --socket "$socket" --wait >/dev/null ||
	fail "the daemon did not become ready"
fill

n=0
while [ $n -lt 3 ]; do
	generate || fail "with a full log pipe: no answer"
	n=$((n + 1))
done
timeout $PATIENCE "$BUILDDIR/stagecoach" status --socket "$socket" >"$dir/text" ||
	fail "with a full log pipe: no status"
grep -q '^log  *[1-9][0-9]* lines dropped' "$dir/text" || fail "status does not tell: $(cat "$dir/text")"
has_dropped || fail "status --json does not tell"

# Somebody reads again: the next line has room, and what was lost is told before it.
cat <&8 >"$dir/log" &
reader=$!
is_told() { grep -qa '^[1-9][0-9]* lines dropped$' "$dir/log"; }
generate || fail "with a reader: no answer"
wait_for is_told || fail "the log does not tell what it lost"
kill "$reader"
wait "$reader" 2>/dev/null

# The end waits for nobody either.
fill
stop_daemon
[ "$code" = 0 ] || fail "exit code $code"
expect_none_left
