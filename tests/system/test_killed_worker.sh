#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill -9 of a stage while it generates: clients are told which stage was lost and why, everyone
# ends, nobody is left. Under a launcher that kills the rest, and under one that does not.
. "$(dirname "$0")/daemon.sh"

kill_stage() {
	rank=$1
	start_daemon 4 --transport ucx $LONG
	begin_text $LONG_TOKENS
	kill -9 "$(pid_of_rank "$rank")"
	wait_for is_gone $client || fail "the client hangs"
	wait $client
	code=$?
	[ $code = 69 ] || fail "client: exit code $code, expected 69"
	grep -q "stage $rank (rank $rank, host .*, pid .*)" "$dir/client.log" ||
		fail "the client was not told which stage was lost: $(cat "$dir/client.log")"
	wait_launcher
	grep -q "error: stage $rank (rank $rank," "$dir/log" ||
		fail "the log does not name the stage"
	expect_none_left
	echo "rank $rank killed: $(cat "$dir/client.log")"
}

for rank in 1 2 3; do
	kill_stage $rank
done
MPIRUN_FLAGS="$MPIRUN_FLAGS --enable-recovery"
kill_stage 2

# Idle, the loss is noticed all the same, and the next client is told.
start_daemon 4 --transport ucx
kill -9 "$(pid_of_rank 2)"
wait_launcher
grep -q 'error: stage 2 (rank 2,' "$dir/log" || fail "the log does not name the stage"
expect_none_left

# A coordinator that dies takes its workers along.
start_daemon 3 --transport ucx
kill -9 "$(pid_of_rank 0)"
wait_launcher
expect_none_left
