#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The verbs that talk to a server: what they print, and what they end with.
BUILDDIR=${BUILDDIR:-.}
stagecoach=$BUILDDIR/stagecoach
work=$(mktemp -d) || exit 99
server=
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
unset STAGECOACH_LISTEN
export STAGECOACH_SOCKET="$work/grpc.sock" XDG_RUNTIME_DIR="$work"
n_failed=0
n_checks=0

# check NAME EXPECTED FOUND
check() {
	n_checks=$((n_checks + 1))
	[ "$2" = "$3" ] && return
	n_failed=$((n_failed + 1))
	printf 'FAILED %s: expected <%s>, found <%s>\n' "$1" "$2" "$3"
}

# ends CODE ARGUMENT...: run a verb; its output goes to $work/out and $work/err.
ends() {
	wanted=$1
	shift
	"$stagecoach" "$@" >"$work/out" 2>"$work/err" </dev/null
	check "exit code of: $*" "$wanted" $?
}
out() { cat "$work/out"; }
lines() { wc -l <"$work/$1" | tr -d ' '; }

ends 69 status
check "one line on standard error" 1 "$(lines err)"
check "no server" "stagecoach: error: no server at $work/grpc.sock: No such file or directory" \
	"$(cat "$work/err")"

# status --wait begins before the server does, and sees it load.
"$stagecoach" status --wait --timeout 60 --json >"$work/waited" 2>"$work/waited.err" &
waiter=$!
"$BUILDDIR/tests/gateway/serve_fake" --listen 127.0.0.1:0 --socket "$STAGECOACH_SOCKET" \
	--load 500 >"$work/address" 2>"$work/log" &
server=$!
wait $waiter
check "exit code of status --wait" 0 $?
check "no bar without a terminal" "" "$(cat "$work/waited.err")"
check "status --wait" 1 "$(grep -c '^{"phase":"ready",.*"stages":\[{"rank":1,' "$work/waited")"
check "the longest turn" "loop    longest turn 12.3 ms" \
	"$("$stagecoach" status | grep '^loop')"

ends 0 generate -p hello -n 5
check "generate" "w0 w1 w2 w3 w4 " "$(out)"
check "speed" 1 "$(grep -c '6 prompt and 5 new tokens in .* tokens/s' "$work/err")"
ends 0 generate -p hello -n 2 --listen "$(cat "$work/address")"
check "generate over TCP" "w0 w1 " "$(out)"
printf 'from standard input' | "$stagecoach" generate -p - -n 1 >"$work/out" 2>"$work/err"
check "prompt from standard input" 1 "$(grep -c '20 prompt and 1 new' "$work/err")"
ends 0 generate -p hi -n 2 --sequences 2 --quiet
check "two sequences" "[0] w0 w1 |[1] w0 w1 |" "$(out | tr '\n' '|')"
check "nothing beside the answer with --quiet" "" "$(cat "$work/err")"
ends 0 generate -p hi -n 2 -s 7 --json --logprobs
check "lines of --json" 4 "$(lines out)"
check "first line" '{"started":{"job_id":"fake-5","n_prompt_tokens":3,"n_sequences":1,"seed":7,"warnings":[]}}' \
	"$(head -n 1 "$work/out")"
check "second line" '{"token":{"sequence":0,"id":0,"text":"w0 ","logprob":-0.5,"top":[]}}' \
	"$(sed -n 2p "$work/out")"
ends 0 generate -p hi -n 2 -s 7 --json
check "no log-probability unasked" '{"token":{"sequence":0,"id":0,"text":"w0 ","top":[]}}' \
	"$(sed -n 2p "$work/out")"
ends 69 generate -p fail
check "a lost stage" "stagecoach: error: stage 1: link closed: connection reset" \
	"$(tail -n 1 "$work/err")"
ends 1 generate -p "stall$(printf '%0100d' 0)" --timeout 2.8
check "how far the prompt is" 1 "$(grep -c '^prompt [1-9][0-9]* of 106 tokens$' "$work/err")"
ends 1 generate -p stall --timeout 0.1
check "a deadline" "stagecoach: error: the job's deadline passed" "$(tail -n 1 "$work/err")"

ends 0 submit -p hello -n 4
id=$(out)
ends 0 watch "$id"
check "watch" "w0 w1 w2 w3 " "$(out)"
ends 0 cancel "$id"
check "cancel after the end" "$id done" "$(out)"
ends 0 submit -p stall
id=$(out)
ends 0 cancel "$id"
check "cancel" "$id cancelled" "$(out)"
ends 1 watch "$id"
ends 0 jobs --limit 2
check "lines of jobs" 3 "$(lines out)"
check "the newest job" "$id cancelled" "$(sed -n 2p "$work/out" | awk '{ print $1, $2 }')"
ends 0 jobs --json --state failed
check "failed jobs" 1 "$(grep -c '"state":"failed"' "$work/out")"
ends 0 submit -p stall
id=$(out)
ends 66 cancel no-such-job "$id"
check "one of two cancelled" "$id cancelled" "$(out)"
ends 66 cancel no-such-job
check "no such job" "stagecoach: error: no job no-such-job" "$(cat "$work/err")"

# Ctrl-C cancels the job.
"$stagecoach" generate -p stall >"$work/out" 2>"$work/err" &
verb=$!
tries=0
while ! "$stagecoach" jobs --state running --limit 1 | grep -q running && [ $tries -lt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
kill -INT $verb
wait $verb
check "exit code after SIGINT" 130 $?
tries=0
while "$stagecoach" jobs --state running | grep -q running && [ $tries -lt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
ends 0 jobs --state running --json
check "jobs after SIGINT" "" "$(out)"

ends 0 workers
check "workers: one that runs" 1 "$("$stagecoach" workers | grep -c '^node-a  *ready  *1 (0-3) ')"
check "workers: one in quarantine" 1 \
	"$("$stagecoach" workers | grep -c '^node-b  *quarantined  *- .*in quarantine for another 3 min')"
check "workers --json" 1 "$("$stagecoach" workers --json | grep -c '"id":"node-c","state":"gone"')"

# lose ARGUMENT...: a job whose stage is lost and replaced, as generate tells it with these flags.
lose() {
	"$stagecoach" generate -p lose -n 5 "$@" >"$work/out" 2>"$work/err" &
	verb=$!
	tries=0
	while ! "$stagecoach" status >"$work/status" || ! grep -q recovering "$work/status"; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || break
		sleep 0.05
	done
	"$stagecoach" status --wait --timeout 60 >"$work/waited" 2>"$work/waited.err" &
	waiter=$!
	kill -USR2 $server
	wait $verb
	check "exit code after a loss ($*)" 0 $?
	wait $waiter
	check "exit code of status --wait after a loss" 0 $?
}
lost="a stage was lost; waiting for others to take over: stage 2 (worker b): it hung up"
check "before a loss" "epoch   1; 0 recoveries" "$("$stagecoach" status | grep '^epoch')"
lose
check "the text after a loss" "w0 w1 w2 w3 w4 " "$(out)"
check "a loss is told" "$lost" "$(sed -n 1p "$work/err")"
check "its end is told" 1 "$(sed -n 2p "$work/err" | grep -c '^going on after [0-9]*\.[0-9] s$')"
check "lines after a loss" 4 "$(lines err)"
check "phase during the recovery" 1 "$(grep -c '^fake model: recovering' "$work/status")"
check "status during the recovery" \
	"epoch   1; 1 recovery; last loss 2 s ago: stage 2 (worker b): it hung up" \
	"$(grep '^epoch' "$work/status")"
check "status --wait after the recovery" 1 "$(grep -c '^fake model: ready' "$work/waited")"
lose --quiet
check "the text after a loss with --quiet" "w0 w1 w2 w3 w4 " "$(out)"
check "nothing of a loss with --quiet" "" "$(cat "$work/err")"
lose --json
check "events of a loss" \
	'{"recovering":{"reason":"stage 2 (worker b): it hung up","epoch":3}}|{"recovered":{"epoch":4,"seconds":}}|' \
	"$(grep recover "$work/out" | sed 's/\("seconds":\)[0-9.e-]*/\1/' | tr '\n' '|')"
check "nothing else of a loss with --json" "" "$(cat "$work/err")"
ends 0 submit -p x -n 3
id=$(out)
kill -USR1 $server
ends 0 submit -p y -n 3
later=$(out)
"$stagecoach" watch "$later" >"$work/out" 2>"$work/err" &
verb=$!
tries=0
while [ ! -s "$work/err" ] && [ $tries -lt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
kill -USR2 $server
wait $verb
check "watch of a loss" "w0 w1 w2 |a stage was lost; waiting for others to take over: stage 1 (worker a): it hung up" \
	"$(out)|$(sed -n 1p "$work/err")"
ends 0 watch "$id"
check "watch of what is over" "w0 w1 w2 |0" "$(out)|$(grep -c 'a stage was lost' "$work/err")"

# A server that hangs is not waited for longer than asked.
kill -STOP $server
ends 69 status --timeout 0.3
check "a server that hangs" \
	"stagecoach: error: $work/grpc.sock: the server did not answer within the time limit. \`stagecoach status\` shows whether it is busy" \
	"$(cat "$work/err")"
kill -CONT $server

# A reader that leaves ends the verb without a word.
{ "$stagecoach" generate -p x -n 4000 2>"$work/err"; echo $? >"$work/rc"; } | head -c 10 >/dev/null
check "exit code without a reader" 141 "$(cat "$work/rc")"
check "silence without a reader" "" "$(cat "$work/err")"

# A closed standard output is not the next socket.
"$stagecoach" generate -p x -n 3 >&- 2>"$work/err"
check "exit code with standard output closed" 1 $?
check "standard output closed" "stagecoach: error: standard output: Bad file descriptor" \
	"$(tail -n 1 "$work/err")"
"$stagecoach" status --json >&- 2>"$work/err"
check "exit code of status --json with standard output closed" 1 $?

ends 64 generate
ends 64 generate -p x --temp warm
ends 64 generate -p x --no-such-flag
ends 64 watch
ends 64 jobs --state tired
ends 64 status --listen nowhere
ends 64 generate -p x --temp 999 --sequences 65
ends 66 generate -f "$work/no-such-file"
for verb in generate submit jobs watch cancel status; do
	ends 0 $verb --help
	check "help of $verb" 1 "$(grep -c "^usage: stagecoach $verb" "$work/out")"
done

kill -TERM $server
wait $server
check "exit code of the server" 0 $?
server=
echo "$((n_checks - n_failed)) of $n_checks checks passed"
[ $n_failed -eq 0 ]
