#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SIGTERM lets jobs end, a second one does not wait; SIGHUP takes what may change; Ctrl-C cancels.
. "$(dirname "$0")/daemon.sh"

is_draining() { stagecoach status --socket "$socket" | grep -q 'draining'; }

for ranks in 1 3; do
	start_daemon $ranks $LONG
	begin_text 2000
	stop_daemon
	[ $code = 0 ] || fail "$ranks ranks, drained: exit code $code"
	wait $client || fail "$ranks ranks: the job did not end well: $(cat "$dir/client.log")"
	grep -q '2000 new tokens' "$dir/client.log" || fail "$ranks ranks: the job was cut short"
	expect_none_left
	echo "$ranks ranks: SIGTERM let the job end"

	start_daemon $ranks $LONG
	begin_text $LONG_TOKENS
	rank0=$(pid_of_rank 0)
	kill -TERM "$rank0"
	wait_for is_draining || fail "$ranks ranks: no status while it drains"
	stagecoach jobs --socket "$socket" | grep -q running ||
		fail "$ranks ranks: the job that is left is not listed"
	stagecoach generate --listen "$address" -p x -n 1 >"$dir/out" 2>&1
	[ $? = 69 ] && grep -q draining "$dir/out" ||
		fail "$ranks ranks: a new job is not refused: $(cat "$dir/out")"
	grep -q 'draining: 1 job under way' "$dir/log" || fail "the log does not tell the jobs"
	kill -TERM "$rank0"
	wait_launcher
	# mpirun tells how the first process ended: a worker that lost its coordinator may be it.
	[ $code = 143 ] || [ "$ranks,$code" = 3,69 ] ||
		fail "$ranks ranks, second SIGTERM: exit code $code"
	wait $client && fail "$ranks ranks: the client did not notice"
	expect_none_left
	echo "$ranks ranks: a second SIGTERM did not wait"
done

# Ctrl-C at the client cancels the job at the server.
start_daemon 3 $LONG
begin_text $LONG_TOKENS
kill -INT $client
wait $client
code=$?
[ $code = 130 ] || fail "Ctrl-C at the client: exit code $code"
is_cancelled() { stagecoach jobs --socket "$socket" | grep -q cancelled; }
wait_for is_cancelled || fail "the job goes on after Ctrl-C"
echo "Ctrl-C cancelled the job"

# A server that hangs, as one whose host is gone, is given up.
begin_text $LONG_TOKENS
kill -STOP "$(pid_of_rank 0)"
stagecoach status --socket "$socket" --silence 1 >"$dir/out" 2>&1
code=$?
kill -CONT "$(pid_of_rank 0)"
[ $code = 69 ] && grep -q 'no sign of life' "$dir/out" ||
	fail "a server that hangs: exit code $code: $(cat "$dir/out")"
kill -INT $client
wait $client
echo "a client gives a server up that hangs"

# The settings file again, by SIGHUP.
stop_daemon
printf 'log_level = "info";\nmax_queue = 7;\n' >"$dir/conf"
start_daemon 3 --config "$dir/conf"
printf 'log_level = "debug";\nmax_queue = 8;\nbatch_size = 33;\n' >"$dir/conf"
kill -HUP "$(pid_of_rank 0)"
reloaded() { grep -q "reload: $1" "$dir/log"; }
wait_for reloaded 'log-level changed' || fail "log-level was not reloaded"
wait_for reloaded 'max-queue changed' || fail "max-queue was not reloaded"
wait_for reloaded 'batch-size changed, but takes effect only' || fail "batch-size was not told"
printf 'log_level = "loud";\n' >"$dir/conf"
kill -HUP "$(pid_of_rank 0)"
wait_for reloaded 'no setting changed: .*conf:1: log_level' || fail "a bad file was not told"
stagecoach generate --socket "$socket" -p 'x' -n 3 >/dev/null 2>&1 || fail "does not serve any more"
stop_daemon
[ $code = 0 ] || fail "exit code $code"
expect_none_left
echo "SIGHUP took what may change"

grep -q 'stopping: no jobs are running' "$dir/log" || fail "the log does not say that it stops"
grep -q draining "$dir/log" && fail "it says draining, and there is no job to wait for"

# Ctrl-C ends a run of one text.
: >"$dir/text"
$interruptible "$BUILDDIR/stagecoach" run -m "$MODEL" -p 'x' -n $LONG_TOKENS --ignore-eos \
	>"$dir/text" 2>"$dir/log" &
run=$!
wait_for has_text || fail "no text comes"
kill -INT $run
wait $run
code=$?
[ $code = 130 ] || fail "Ctrl-C at run: exit code $code"
echo "Ctrl-C ended run"
