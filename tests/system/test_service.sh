#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the unit runs, as systemd sees it: each kind of end gives the right exit code, SIGTERM lets jobs
# end, SIGHUP reaches the daemon, and no hanging mpirun keeps the service from ending.
. "$(dirname "$0")/daemon.sh"

# The command line of the unit, with this test's programs and options.
unit=$SRCDIR/systemd/stagecoach.service.in
grep -q '^ExecStop' "$unit" && fail "the unit has a command for stopping again: test it here"
begin() {
	: >"$dir/log"
	sed -n '/^ExecStart=/,/[^\\]$/p' "$unit" | sed -e 's/^ExecStart=/exec /' \
		-e "s|@pkglibexecdir@|$SRCDIR/systemd|; s|@MPIRUN@|$MPIRUN|" \
		-e "s|@sbindir@|$BUILDDIR|" >"$dir/command.sh"
	WORKERS=2 MPIRUN_OPTIONS= STAGECOACHD_OPTIONS="-m $MODEL --listen none --socket $socket $*" \
		sh "$dir/command.sh" >"$dir/out" 2>"$dir/log" </dev/null &
	launcher=$!
}
begin_ready() {
	begin "$@"
	wait_for is_started && grep -q 'ready: gRPC and HTTP on unix' "$dir/log" || fail "not ready"
}
mpirun_pid() { pgrep -P "$launcher"; }
has_mpirun() { [ -n "$(mpirun_pid)" ]; }
expect_code() {
	wait_launcher
	[ "$code" = "$2" ] || fail "$1: exit code $code, expected $2"
	expect_none_left
	echo "$1: exit code $code"
}

begin_ready $LONG
begin_text 2000
kill -TERM "$launcher"
expect_code "SIGTERM" 0
wait "$client" || fail "SIGTERM: the job did not end well"
grep -q '2000 new tokens' "$dir/client.log" || fail "SIGTERM: the job was cut short"

# While it starts: at any time, and once there are ranks.
for delay in 0 0.05 0.1 0.2 0.5; do
	begin
	[ $delay = 0 ] && wait_for has_mpirun
	sleep $delay
	kill -TERM "$launcher"
	expect_code "SIGTERM after $delay s of starting" 0
done

# An mpirun that hangs, with a rank that does not end either. Neither of the two obeys SIGTERM.
cat >"$dir/mpirun" <<END
#!/bin/sh
trap '' TERM
setsid sh -c 'while :; do sleep 1; done' stagecoachd "$dir" &
[ ! -e "$dir/has_first" ] || "$SRCDIR/systemd/first_rank" false
touch "$dir/hangs"
wait
END
chmod +x "$dir/mpirun"
real_mpirun=$MPIRUN
MPIRUN=$dir/mpirun
begin
wait_for test -e "$dir/hangs" || fail "the mpirun that hangs does not start"
kill -TERM "$launcher"
expect_code "SIGTERM to an mpirun that hangs" 0
touch "$dir/has_first"
begin
expect_code "the first rank fails and mpirun hangs" 1
MPIRUN=$real_mpirun

# The others must not wait in MPI_Init for one that never comes.
first_rank_daemon() {
	for pid in $(processes); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = stagecoachd ] &&
			tr "\0" "\n" <"/proc/$pid/environ" | grep -qx OMPI_COMM_WORLD_RANK=0 &&
			echo "$pid" && return
	done
	return 1
}
begin
wait_for first_rank_daemon || fail "rank 0 does not start"
kill -9 "$(first_rank_daemon)" || fail "rank 0 has ended"
expect_code "kill -9 of rank 0 while it starts" 137

printf 'max_queue = 7;\n' >"$dir/conf"
begin_ready --config "$dir/conf"
printf 'max_queue = 8;\n' >"$dir/conf"
kill -HUP "$launcher"
is_reloaded() { grep -q 'reload: max-queue changed' "$dir/log"; }
wait_for is_reloaded || fail "SIGHUP: nothing was read again"
kill -0 "$launcher" || fail "SIGHUP: it ended"
echo "SIGHUP: settings read again"

kill -9 "$(mpirun_pid)"
expect_code "kill -9 of mpirun" 137

begin --stages 7
expect_code "bad settings" 78
begin -m "$dir/missing.gguf"
expect_code "no model" 66
