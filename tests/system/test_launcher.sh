#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The processes of a launcher end with it, within two seconds, whatever ends it: clients are told
# why, no process is left and the port is free. A daemon that no launcher started lives on.
. "$(dirname "$0")/daemon.sh"

# The promise. A machine that is busy with other tests is late with everything: as late as it was
# meanwhile with a process that only sleeps.
LIMIT_MS=${LIMIT_MS:-2000}
/usr/bin/python3 - "$dir/late_ms" <<-END &
	import sys, time
	late = 0.0
	with open(sys.argv[1], "w") as file:
	    while True:
	        begin = time.monotonic()
	        time.sleep(0.01)
	        late += max(0, time.monotonic() - begin - 0.011)
	        file.seek(0)
	        file.write("%d\n" % (late * 1000))
	        file.flush()
END
meter=$!
trap 'kill $meter; clean_up' EXIT
late_ms() { head -n 1 "$dir/late_ms"; }
has_lateness() { [ -s "$dir/late_ms" ]; }
wait_for has_lateness || fail "no lateness is measured"

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
	late_before=$(late_ms)
	start_daemon "$@"
	rank_pids=$(for pid in $(processes); do
		[ "$(cat /proc/$pid/comm)" = stagecoachd ] && echo $pid
	done)
	late_before=$(late_ms)
}

is_port_free() {
	/usr/bin/python3 - "$address" <<-END
	import socket, sys
	host, port = sys.argv[1].rsplit(":", 1)
	socket.create_server((host, int(port))).close()
	END
}

# expect_in_time MS LATE_MS: it took so long; the lateness at the beginning was LATE_MS.
expect_in_time() {
	limit=$((LIMIT_MS + $(late_ms) - $2))
	[ "$1" -le $limit ] || fail "$what: the ranks took $1 ms to end, expected at most $limit"
}

# The ranks end, in time after $1; begin or mark has noted the lateness.
expect_end() {
	for pid in $rank_pids; do
		wait_for is_ended "$pid" ||
			fail "$what: a rank lives on: $(ps -o pid,stat,args -p "$pid")"
	done
	took=$(($(now_ms) - $1))
	expect_in_time $took "$late_before"
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
t=$(($(now_ms) + 4000))
begin 'timeout 4 mpirun' 3 --transport ucx $LONG
begin_text $LONG_TOKENS
wait_for is_ended "$launcher"
expect_told 69 .
expect_end "$t"
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
# Not mpirun, which has this path among its arguments, too.
late_pid=$(pgrep -f "^/bin/sh $dir/late")
late_before=$(late_ms)
t=$(now_ms)
kill -9 "$launcher"
for pid in $rank_pids; do
	wait_for is_ended "$pid" || fail "$what: a rank lives on: $(ps -o pid,stat,args -p "$pid")"
done
took=$(($(now_ms) - t))
expect_in_time $took "$late_before"
echo "$what: the ranks ended within $took ms"
touch "$dir/go"
wait_for is_ended "$late_pid" || fail "$what: a rank that begins after the launcher's end lives on"
expect_none_left
echo "$what: a late rank ended too"

# Started by hand, in a shell that ends.
what='a daemon of its own'
: >"$dir/log"
sh -c '"$@" &' sh "$BUILDDIR/stagecoachd" -m "$MODEL" --listen 127.0.0.1:0 \
	--socket "$socket" >"$dir/out" 2>"$dir/log" </dev/null
is_alone_ready() { grep -q 'ready: gRPC and HTTP on unix' "$dir/log"; }
wait_for is_alone_ready || fail "$what: did not become ready"
stagecoach generate --socket "$socket" -p x -n 3 >/dev/null 2>&1 || fail "$what: does not serve"
launcher=$(pgrep -f "^$BUILDDIR/stagecoachd.*$dir")
kill -TERM "$launcher"
wait_for is_ended "$launcher" || fail "$what: does not end"
launcher=
expect_none_left
echo "$what: outlives its shell"
