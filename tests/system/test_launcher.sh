#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The processes of a launcher end with it, within two seconds, whatever ends it: clients are told
# why, no process is left and the port is free. A daemon that no launcher started lives on.
. "$(dirname "$0")/daemon.sh"

# The promise is 2000. A machine that is busy with other tests is late with everything.
LIMIT_MS=${LIMIT_MS:-6000}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# Nobody may have reaped it yet.
is_ended() {
	case $(ps -o stat= -p "$1") in
	'' | Z*) return 0 ;;
	esac
	return 1
}

# begin WHAT RANKS OPTION...: a daemon; sets $what, and $rank_pids to its processes.
begin() {
	what=$1
	shift
	start_daemon "$@"
	rank_pids=$(for pid in $(processes); do
		[ "$(cat /proc/$pid/comm)" = stagecoachd ] && echo $pid
	done)
}

is_port_free() {
	/usr/bin/python3 - "$address" <<-END
	import socket, sys
	host, port = sys.argv[1].rsplit(":", 1)
	socket.create_server((host, int(port))).close()
	END
}

# The ranks end, in time after $1.
expect_end() {
	for pid in $rank_pids; do
		wait_for is_ended "$pid" ||
			fail "$what: a rank lives on: $(ps -o pid,stat,args -p "$pid")"
	done
	took=$(($(now_ms) - $1))
	[ $took -le "$LIMIT_MS" ] || fail "$what: the ranks took $took ms to end"
	expect_none_left
	is_port_free || fail "$what: $address is still in use"
	echo "$what: all ranks ended within $took ms"
}

# The client ends with $1 and was told $2.
expect_told() {
	wait_for is_gone $client || fail "$what: the client hangs"
	wait $client
	code=$?
	[ $code = "$1" ] || fail "$what: client: exit code $code, expected $1"
	grep -q "$2" "$dir/client.log" ||
		fail "$what: the client was not told why: $(cat "$dir/client.log")"
	echo "$what: $(cat "$dir/client.log")"
}

for transport in ucx mpi; do
	begin "kill -9 of mpirun, $transport" 3 --transport $transport $LONG
	begin_text $LONG_TOKENS
	t=$(now_ms)
	kill -9 "$launcher"
	expect_end "$t"
	expect_told 69 "the launcher (.*, pid $launcher) has ended"
done

begin 'kill -9 of mpirun, idle' 4 --transport ucx
t=$(now_ms)
kill -9 "$launcher"
expect_end "$t"

# mpirun gives its processes a second: clients are told before it is over.
begin 'SIGTERM to mpirun' 3 --transport ucx $LONG
begin_text $LONG_TOKENS
t=$(now_ms)
kill -TERM "$launcher"
expect_told 69 'shutting down'
expect_end "$t"

# The second signal makes mpirun go at once and leave its processes alone, if it does not come in
# the same moment as the first.
begin 'two SIGINT to mpirun' 3 --transport ucx $LONG
begin_text $LONG_TOKENS
t=$(now_ms)
kill -INT "$launcher"
sleep 0.3
kill -INT "$launcher"
expect_told 69 "the launcher (.*, pid $launcher) has ended"
expect_end "$t"

# timeout signals mpirun twice: by its pid, and with its group.
what='timeout 4 mpirun'
MPIRUN_BEFORE=$MPIRUN
cat >"$dir/mpirun" <<END
#!/bin/sh
exec timeout 4 $MPIRUN "\$@"
END
chmod +x "$dir/mpirun"
MPIRUN=$dir/mpirun
begin 'timeout 4 mpirun' 3 --transport ucx $LONG
begin_text $LONG_TOKENS
wait_for is_ended "$launcher"
expect_told 69 .
expect_end "$(now_ms)"
MPIRUN=$MPIRUN_BEFORE

# A shell between mpirun and the process: the shell lives on, but the process does not.
cat >"$dir/stagecoachd" <<END
#!/bin/sh
"$BUILDDIR/stagecoachd" "\$@"
exit \$?
END
chmod +x "$dir/stagecoachd"
BUILT=$BUILDDIR
BUILDDIR=$dir
begin 'kill -9 of mpirun, shells between' 3 --transport ucx
BUILDDIR=$BUILT
t=$(now_ms)
kill -9 "$launcher"
expect_end "$t"

# The last rank is late, so that the others wait in MPI_Init. It begins only after mpirun is gone.
what='kill -9 of mpirun, ranks in MPI_Init'
cat >"$dir/late" <<END
#!/bin/sh
until [ -e "$dir/go" ]; do sleep 0.1; done
exec "$BUILDDIR/stagecoachd" "\$@"
END
chmod +x "$dir/late"
set -- -m "$MODEL" --listen none --socket "$socket" --config /dev/null
"$MPIRUN" $MPIRUN_FLAGS -np 2 "$BUILDDIR/stagecoachd" "$@" : -np 1 "$dir/late" "$@" \
	>"$dir/out" 2>"$dir/log" </dev/null &
launcher=$!
# Two wait: each has the thread that watches the launcher, and one of MPI's.
are_in_init() {
	rank_pids=$(pgrep -f "^$BUILDDIR/stagecoachd.*$dir")
	[ "$(echo $rank_pids | wc -w)" = 2 ] || return 1
	for pid in $rank_pids; do
		[ "$(ls "/proc/$pid/task" | wc -l)" -ge 3 ] || return 1
	done
}
wait_for are_in_init || fail "$what: the ranks did not come"
late_pid=$(pgrep -f "$dir/late")
t=$(now_ms)
kill -9 "$launcher"
for pid in $rank_pids; do
	wait_for is_ended "$pid" || fail "$what: a rank lives on: $(ps -o pid,stat,args -p "$pid")"
done
echo "$what: the ranks ended within $(($(now_ms) - t)) ms"
touch "$dir/go"
wait_for is_ended "$late_pid" || fail "$what: a rank that begins after the launcher's end lives on"
expect_none_left
echo "$what: a late rank ended too"

# Started by hand, in a shell that ends.
what='a daemon of its own'
: >"$dir/log"
sh -c '"$@" &' sh "$BUILDDIR/stagecoachd" -m "$MODEL" --listen 127.0.0.1:0 \
	--socket "$socket" >"$dir/out" 2>"$dir/log" </dev/null
is_alone_ready() { grep -q 'ready: gRPC on unix' "$dir/log"; }
wait_for is_alone_ready || fail "$what: did not become ready"
stagecoach generate --socket "$socket" -p x -n 3 >/dev/null 2>&1 || fail "$what: does not serve"
launcher=$(processes)
kill -TERM "$launcher"
wait_for is_ended "$launcher" || fail "$what: does not end"
launcher=
expect_none_left
echo "$what: outlives its shell"
