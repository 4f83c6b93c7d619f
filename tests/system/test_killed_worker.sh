#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill -9 of a stage while it generates, and one that hangs, where the loss ends the run: mpirun without
# --enable-recovery kills the other ranks, and links over MPI do not survive. Clients are told which
# stage was lost and why, everyone ends, nobody is left. Where the run goes on, test_recovery.sh looks
# at the text; here is what else has to end.
. "$(dirname "$0")/daemon.sh"

# lose_stage LEVEL SIGNAL RANK WHY OPTION...
# LEVEL: of the line in the log. A loss over ucx is a warning, even if mpirun then ends the run.
lose_stage() {
	level=$1 signal=$2 rank=$3 why=$4
	shift 4
	start_daemon 4 $LONG "$@"
	begin_text $LONG_TOKENS
	lost_pid=$(pid_of_rank "$rank")
	kill -"$signal" "$lost_pid"
	wait_for is_gone $client || fail "the client hangs"
	wait $client
	code=$?
	[ $code = 69 ] || fail "client: exit code $code, expected 69"
	grep -q "stage $rank (worker [^,]*, host .*, pid $lost_pid): .*$why" "$dir/client.log" ||
		fail "the client was not told which stage was lost: $(cat "$dir/client.log")"
	wait_launcher
	grep -q "$level: stage $rank (worker [^,]*, host .*, pid $lost_pid): .*$why" "$dir/log" ||
		fail "the log does not name the stage"
	expect_none_left
	echo "SIG$signal to rank $rank, $*: $(tail -n 1 "$dir/client.log")"
}

for rank in 1 2 3; do
	lose_stage warning KILL $rank . --transport ucx
done
for rank in 1 3; do
	lose_stage error KILL $rank . --transport mpi
done
# Those that are left must not wait for the stopped one in a collective operation of MPI.
lose_stage error STOP 2 'silent for' --transport mpi --heartbeat-ms 200 --deadline-ms 3000
plain_flags=$MPIRUN_FLAGS
MPIRUN_FLAGS="$plain_flags --enable-recovery"
lose_stage error KILL 2 . --transport mpi

# An mpirun that hangs, as it does when it cannot reach a host any more, is ended: else no
# supervisor would notice. Over ucx this is due when nobody is left to take the layers.
# lose_with_launcher VICTIMS OPTION...
lose_with_launcher() {
	victims=$1
	shift
	start_daemon 3 "$@"
	kill -STOP "$launcher"
	for rank in $victims; do
		kill -9 "$(pid_of_rank "$rank")"
	done
	wait_launcher
	[ $code = 137 ] || fail "an mpirun that hangs, $*: exit code $code, expected 137"
	expect_none_left
	echo "an mpirun that hangs was ended, $*"
}
MPIRUN_FLAGS=$plain_flags
lose_with_launcher 1 --transport mpi
lose_with_launcher '1 2' --transport ucx --start-ms 1000
MPIRUN_FLAGS="$plain_flags --enable-recovery"

# Idle, the loss is noticed all the same. Over ucx the next client gets its text from those that are
# left; over mpi the run ends.
start_daemon 4 --transport ucx
lost_pid=$(pid_of_rank 2)
kill -9 "$lost_pid"
is_replaced() { grep -q 'epoch 2 runs' "$dir/log"; }
wait_for is_replaced || fail "idle: the loss is not noticed"
grep -q "warning: stage 2 (worker [^,]*, host .*, pid $lost_pid):" "$dir/log" ||
	fail "idle: the log does not name the stage"
begin_text 20
wait $client || fail "idle: the next client gets no text"
grep -q 'a stage was lost' "$dir/client.log" && fail "idle: a client of later is told of the loss"
stop_daemon
[ "$code" = 0 ] || fail "idle: exit code $code after a loss that was overcome"
expect_none_left
start_daemon 4 --transport mpi
kill -9 "$(pid_of_rank 2)"
wait_launcher
grep -q 'error: stage 2 (worker [^,]*,' "$dir/log" || fail "idle, mpi: the log names no stage"
expect_none_left
echo "idle: noticed"

# Workers under a launcher do not wait for another coordinator, whatever --rejoin-ms says.
start_daemon 3 --transport ucx --rejoin-ms 600000
kill -9 "$(pid_of_rank 0)"
wait_launcher
expect_none_left
echo "kill -9 of the coordinator: its workers ended"
