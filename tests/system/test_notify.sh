#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What systemd hears of a daemon under mpirun, and how the unit's commands reach it: ready only once
# all stages answer, the watchdog fed, busy while reloading, stopping on SIGTERM, exit code 0. Then
# what it hears of a coordinator that loses a worker and goes on with another.
. "$(dirname "$0")/daemon.sh"
. "$(dirname "$0")/cluster.sh"
grep -q '^#define HAVE_SYSTEMD 1' "$BUILDDIR/config.h" ||
	{ echo "built without libsystemd"; exit 77; }

notices=$dir/notices.log
"$BUILDDIR/tests/system/notify_listener" "$dir/notify" >>"$notices" &
listener=$!
trap 'kill $listener; clean_up' EXIT
has_socket() { [ -S "$dir/notify" ]; }
wait_for has_socket || fail "the listener did not start"
# The unit's lines that begin with $1=, as shell commands.
of_unit() {
	sed -n "s/^$1=\(.*\)/\1/p" "$SRCDIR/systemd/stagecoach.service.in"
}
n_heard() { grep -c "^$1" "$notices"; }
has_heard() { [ "$(n_heard "$1")" -ge "${2:-1}" ]; }

# Rank 2 is late.
printf 'log_level = "info";\n' >"$dir/conf"
cat >"$dir/late" <<END
#!/bin/sh
while [ ! -e "$dir/go" ]; do sleep 0.1; done
exec "$BUILDDIR/stagecoachd" "\$@"
END
chmod +x "$dir/late"
set -- -m "$MODEL" --listen none --socket "$socket" --config "$dir/conf"
NOTIFY_SOCKET=$dir/notify WATCHDOG_USEC=400000 "$SRCDIR/systemd/launch" "$MPIRUN" $MPIRUN_FLAGS \
	--enable-recovery -np 1 "$SRCDIR/systemd/first_rank" "$BUILDDIR/stagecoachd" "$@" : \
	-np 1 "$BUILDDIR/stagecoachd" "$@" : \
	-np 1 "$dir/late" "$@" >"$dir/out" 2>"$dir/log" </dev/null &
launcher=$!
sleep 2
has_heard READY=1 && fail "ready before the last stage is there"
touch "$dir/go"
wait_for has_heard READY=1 || fail "never ready"
grep -q '^STATUS=Loading' "$notices" || fail "nothing was said of loading"
grep -q '^EXTEND_TIMEOUT_USEC=' "$notices" || fail "no time was asked for while loading"
# Ready means that a step has gone through: the door is open, and each stage has counted it.
stagecoach status --socket "$socket" --json >"$dir/status.log" || fail "no status when ready"
grep -q '"phase": *"ready"' "$dir/status.log" || fail "ready, but not by its status"
echo "ok: ready when all stages are"

n=$(n_heard WATCHDOG=1)
wait_for has_heard WATCHDOG=1 $((n + 3)) || fail "the watchdog is not fed"
echo "ok: the watchdog is fed"

# As ExecReload= of the unit does it.
printf 'log_level = "debug";\n' >"$dir/conf"
MAINPID=$launcher sh -c "$(of_unit ExecReload)" || fail "ExecReload failed"
wait_for has_heard RELOADING=1 || fail "no word of reloading"
wait_for has_heard READY=1 2 || fail "not ready again after reloading"
grep -q 'reload: log-level changed' "$dir/log" || fail "nothing was reloaded"
[ "$(processes | wc -l)" -ge 3 ] || fail "the signal for reloading ended a process"
stagecoach generate --socket "$socket" -p x -n 3 >/dev/null 2>&1 || fail "does not serve any more"
echo "ok: reloaded"

kill -TERM "$launcher"
wait_for has_heard STOPPING=1 || fail "no word of stopping"
wait_launcher
[ $code = 0 ] || fail "exit code $code"
expect_none_left
echo "ok: stopped"

# mpirun returns 0 if a rank fails, because it goes on without it; a supervisor must see the failure.
"$SRCDIR/systemd/launch" "$MPIRUN" $MPIRUN_FLAGS --enable-recovery \
	-np 1 "$SRCDIR/systemd/first_rank" "$BUILDDIR/stagecoachd" "$@" -m "$dir/no-such-model" : \
	-np 1 "$BUILDDIR/stagecoachd" -m "$dir/no-such-model" >"$dir/out" 2>"$dir/log" </dev/null
code=$?
[ $code = 66 ] || fail "a model that does not exist: exit code $code, expected 66"
expect_none_left
echo "ok: a failed start has its exit code"

: >"$notices"
export NOTIFY_SOCKET="$dir/notify" WATCHDOG_USEC=400000
start_coordinator 1
unset NOTIFY_SOCKET WATCHDOG_USEC
first=one second=two
start_worker "$first"
wait_ready
start_worker "$second"
wait_status "^$second .*spare"
wait_for has_heard STATUS=Serving || fail "not serving"
kill -9 "$(pid_of_worker "$first")"
wait_for has_heard 'STATUS=Recovering: stage 1 (worker ' || fail "no word of the recovery"
serves_again() { grep '^STATUS=' "$notices" | tail -n 1 | grep -q '^STATUS=Serving$'; }
wait_for serves_again || fail "no word of its end: $(grep ^STATUS= "$notices" | tail -n 5)"
[ "$(n_heard READY=1)" = 1 ] || fail "ready more than once"
n=$(n_heard WATCHDOG=1)
wait_for has_heard WATCHDOG=1 $((n + 3)) || fail "the watchdog is not fed after a loss"
stop_cluster
echo "ok: recovered"
