# SPDX-License-Identifier: Apache-2.0
# Sourced by the system tests: real daemons in a directory of their own, and no process left behind.
#
#	start_daemon RANKS [OPTION...]	under mpirun with RANKS processes, or alone with RANKS 1;
#					returns when it says "ready"; log in $dir/log
#	stop_daemon			SIGTERM to rank 0, waits; sets $code
#	expect_none_left		fails if a process of this test still lives
#	begin_text N			a client that asks for N tokens, once it has some; sets
#					$client; its output: $dir/text and $dir/client.log
#	fail TEXT			ends the test

set -u
BUILDDIR=${BUILDDIR:-$(pwd)}
SRCDIR=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
MPIRUN=${MPIRUN:-mpirun}
MODEL=${MODEL:-$SRCDIR/models/demo.gguf}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
MPIRUN_FLAGS="--oversubscribe --bind-to none"
# Options for texts that last some ten seconds: whatever is done to them must not come too late.
LONG="-c 30000 --kv-positions 30000"
LONG_TOKENS=29000
# Wait for anything at most this long: machines that build and test at once are slow.
PATIENCE=60

[ -f "$MODEL" ] || { echo "no model at $MODEL"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/stagecoach-test.XXXXXX") || exit 99
socket=$dir/grpc.sock
# Of several mpiruns at once, one removes the directory that another is about to use.
export OMPI_MCA_orte_tmpdir_base="$dir"
# Else processes that are killed leave files in /dev/shm.
export OMPI_MCA_btl_vader_backing_directory="$dir"
launcher=

stagecoachd() { "$BUILDDIR/stagecoachd" "$@"; }
stagecoach() { "$BUILDDIR/stagecoach" "$@"; }

launch() {
	ranks=$1
	shift
	if [ "$ranks" = 1 ]; then
		"$@"
	else
		"$MPIRUN" $MPIRUN_FLAGS -n "$ranks" "$@"
	fi
}

# Every process of this test has its directory in its arguments.
processes() { pgrep -f "stagecoachd.*$dir"; }

clean_up() {
	for pid in $(processes) $launcher; do
		kill -9 "$pid" 2>/dev/null
	done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

fail() {
	echo "FAIL: $*"
	for log in "$dir"/*log; do
		[ -f "$log" ] && { echo "--- $log"; tail -n 40 "$log"; }
	done
	exit 1
}

# wait_for COMMAND...
wait_for() {
	end=$(($(date +%s) + PATIENCE))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }
is_nobody() { [ -z "$(processes)" ]; }

start_daemon() {
	ranks=$1
	shift
	set -- "$BUILDDIR/stagecoachd" -m "$MODEL" --listen 127.0.0.1:0 --socket "$socket" "$@"
	# The one before must not be taken for it, in the moment until its shell empties the file.
	: >"$dir/log"
	# Not through a function: $! is to be the process itself.
	if [ "$ranks" = 1 ]; then
		"$@" >"$dir/out" 2>"$dir/log" </dev/null &
	else
		"$MPIRUN" $MPIRUN_FLAGS -n "$ranks" "$@" >"$dir/out" 2>"$dir/log" </dev/null &
	fi
	launcher=$!
	wait_for is_started || fail "the daemon did not become ready"
	grep -q 'ready: gRPC and HTTP on 127' "$dir/log" || fail "the daemon ended before it was ready"
	address=$(sed -n 's/.*ready: gRPC and HTTP on \(127[0-9.:]*\).*/\1/p' "$dir/log")
}
is_started() { grep -q 'ready: gRPC and HTTP on unix' "$dir/log" || is_gone "$launcher"; }

# The pid of rank N: the daemon's processes in the order of their ranks.
pid_of_rank() {
	for pid in $(processes); do
		its_rank=$(tr "\0" "\n" <"/proc/$pid/environ" |
			   sed -n "s/^OMPI_COMM_WORLD_RANK=//p")
		if [ "$its_rank" = "$1" ] && [ "$(cat "/proc/$pid/comm")" = stagecoachd ]; then
			echo "$pid"
			return
		fi
	done
	[ "$1" = 0 ] && echo "$launcher"
}

wait_launcher() {
	wait_for is_gone "$launcher" || fail "the daemon did not end"
	wait "$launcher"
	code=$?
	launcher=
}

stop_daemon() {
	kill -TERM "$(pid_of_rank 0)" || fail "rank 0 is gone already"
	wait_launcher
}

expect_none_left() {
	wait_for is_nobody || fail "processes are left: $(processes | tr '\n' ' ')"
}

# A shell without job control has its background jobs ignore SIGINT.
interruptible="env --default-signal=INT"
has_text() { [ -s "$dir/text" ]; }
begin_text() {
	: >"$dir/text"
	$interruptible "$BUILDDIR/stagecoach" generate --socket "$socket" -p 'ROMEO:' -n "$1" \
		--temp 0 --ignore-eos >"$dir/text" 2>"$dir/client.log" &
	client=$!
	wait_for has_text || fail "no text comes"
}
