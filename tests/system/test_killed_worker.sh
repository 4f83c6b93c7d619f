#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill -9 of a stage while it generates, and one that hangs, where that is the end: clients are told
# which stage was lost and why, everyone ends, nobody is left. Over links that survive no loss, and
# under a launcher that kills the rest. Where it is not the end: test_recovery.sh.
. "$(dirname "$0")/daemon.sh"

# lose_stage SIGNAL RANK WHY OPTION...
lose_stage() {
	signal=$1 rank=$2 why=$3
	shift 3
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
	grep -q "error: stage $rank (worker [^,]*," "$dir/log" ||
		fail "the log does not name the stage"
	expect_none_left
	echo "SIG$signal to rank $rank, $*: $(tail -n 1 "$dir/client.log")"
}

# Links over MPI do not survive a loss.
for rank in 1 3; do
	lose_stage KILL $rank . --transport mpi
done
# Those that are left must not wait for the stopped one in a collective operation of MPI.
lose_stage STOP 2 'silent for' --transport mpi --heartbeat-ms 200 --deadline-ms 3000
plain_flags=$MPIRUN_FLAGS
MPIRUN_FLAGS="$plain_flags --enable-recovery"
lose_stage KILL 2 . --transport mpi

# Links over ucx do. But mpirun ends all ranks when one dies, unless it was told otherwise. The log
# and the client are told of the stage, and then that the server ends.
MPIRUN_FLAGS=$plain_flags
for rank in 1 3; do
	start_daemon 4 $LONG --transport ucx
	begin_text $LONG_TOKENS
	kill -9 "$(pid_of_rank $rank)"
	wait_for is_gone $client || fail "the client hangs"
	wait $client
	code=$?
	[ $code = 69 ] || fail "client: exit code $code, expected 69"
	grep -q "stage $rank (worker [^,]*," "$dir/client.log" ||
		fail "the client was not told which stage was lost"
	wait_launcher
	grep -q "warning: stage $rank (worker [^,]*," "$dir/log" ||
		fail "the log does not name the stage"
	expect_none_left
	echo "mpirun ended all after rank $rank: $(tail -n 1 "$dir/client.log")"
done

# An mpirun that hangs, as it does when it cannot reach a host any more, is ended: else no
# supervisor would notice.
MPIRUN_FLAGS=$plain_flags
start_daemon 3 --transport mpi
kill -STOP "$launcher"
kill -9 "$(pid_of_rank 1)"
wait_launcher
[ $code = 137 ] || fail "an mpirun that hangs: exit code $code, expected 137"
expect_none_left
echo "an mpirun that hangs was ended"
MPIRUN_FLAGS="$plain_flags --enable-recovery"

# Idle, the loss is noticed all the same, and the next client is served. test_recovery.sh kills
# workers under load.
start_daemon 4 --transport ucx
kill -9 "$(pid_of_rank 2)"
wait_for grep -q 'epoch 2 runs' "$dir/log" || fail "no other epoch runs"
grep -q 'warning: stage 2 (worker [^,]*,' "$dir/log" || fail "the log does not name the stage"
stagecoach generate --socket "$socket" -p ROMEO: -n 20 --temp 0 >"$dir/text" 2>"$dir/client.log" ||
	fail "the next client is not served"
stop_daemon
expect_none_left

# Workers whose coordinator has died look for another one for a while, and end.
start_daemon 3 --transport ucx --rejoin-ms 1000
kill -9 "$(pid_of_rank 0)"
wait_launcher
expect_none_left
