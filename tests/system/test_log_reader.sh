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
is_told() { grep -qaE '^[0-9T:.+-]+ warning: [1-9][0-9]* lines dropped$' "$dir/log"; }
generate || fail "with a reader: no answer"
wait_for is_told || fail "the log does not tell what it lost"
kill "$reader"
wait "$reader" 2>/dev/null

# The end waits for nobody either.
fill
stop_daemon
[ "$code" = 0 ] || fail "exit code $code"
expect_none_left

# In a cluster each process has a log of its own: nobody reads rank $1's.
start_cluster() {
	cat >"$dir/rank" <<-END
	#!/bin/sh
	[ "\$OMPI_COMM_WORLD_RANK" = $1 ] && exec 2>"$dir/pipe"
	exec "$BUILDDIR/stagecoachd" "\$@"
	END
	chmod +x "$dir/rank"
	shift
	"$MPIRUN" $MPIRUN_FLAGS -n 3 "$dir/rank" -m "$MODEL" --listen 127.0.0.1:0 \
		--socket "$socket" --log-level debug "$@" \
		>"$dir/out" 2>"$dir/mpirun.log" </dev/null 8>&- &
	launcher=$!
	timeout $PATIENCE "$BUILDDIR/stagecoach" status --socket "$socket" --wait >/dev/null ||
		fail "a cluster with a full log of rank $1: not ready"
}
# By a description of its own: O_NONBLOCK would stay with ours, and cat would not wait.
empty() { dd if="$dir/pipe" of=/dev/null iflag=nonblock bs=65536 2>/dev/null; }

for rank in 0 1 2; do
	fill
	start_cluster $rank
	fill
	n=0
	while [ $n -lt 3 ]; do
		generate || fail "rank $rank has a full log pipe: no answer"
		n=$((n + 1))
	done
	stop_daemon
	[ "$code" = 0 ] || fail "rank $rank has a full log pipe: exit code $code"
	expect_none_left
	empty
	echo "rank $rank had a full log"
done
