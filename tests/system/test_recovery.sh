#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who is killed, when, and under which launcher: the text of a client that watches goes on, with the
# same tokens. Prints a table: the longest pause of the text after the kill, in seconds, and what
# became of the job.
#	test_recovery.sh [all]		all: every cell; otherwise a choice that takes a minute
. "$(dirname "$0")/daemon.sh"
. "$(dirname "$0")/cluster.sh"
N_TOKENS=2500
AT=2000		# bytes of the text after which somebody is killed
choice=${1:-${KILL_MATRIX:-some}}

row() { printf '%-8s %-12s %-12s %8s  %s\n' "$@"; }

# A choice of cells has to do in ./check.
wanted() { [ "$choice" = all ] || case " $chosen " in *" $1 "*) ;; *) return 1 ;; esac; }
chosen='dial-in:stage1:decode dial-in:last:decode dial-in:absorb:decode dial-in:last:loading
	dial-in:spare:recovering dial-in:hung:decode dial-in:coordinator:decode
	mpirun:stage2:decode'
chosen=$(echo $chosen)

gap_seconds() { awk '{ printf "%.2f", $1 / 1000 }' "$dir/gap"; }

# The job has ended well, and its text is the undisturbed one.
expect_same() {
	[ "$client_code" = 0 ] ||
		fail "$what: the client ended with $client_code: $(cat "$dir/client.log")"
	same_text
	row "$1" "$2" "$3" "$(gap_seconds)" "same tokens, 0 jobs lost"
}

start_three() {
	start_coordinator 2 "$@"
	for id in a b c; do
		start_worker $id
		wait_for is_here $id || fail "$id does not come"
	done
	wait_ready
}

# A worker's pid by its stage; "spare": of the one that has none.
pid_of_stage() {
	if [ "$1" = spare ]; then
		id=$(list_workers | sed -n 's/^\([a-z]*\) .*spare.*/\1/p' | head -n 1)
	else
		id=$(list_workers | sed -n "s/^\([a-z]*\)  *[a-z]*  *$1 (.*/\1/p" | head -n 1)
	fi
	[ -n "$id" ] || fail "$what: nobody is stage $1: $(list_workers)"
	pid_of_worker "$id"
}

reference $N_TOKENS
row LAUNCHER WHO WHEN GAP RESULT

# kill_in_decode WHO STAGE SIGNAL
kill_in_decode() {
	what="dial-in, $1, decode"
	start_three
	text_and_kill $N_TOKENS $AT "kill -$3 $(pid_of_stage "$2")"
	expect_same dial-in "$1" decode
	[ "$2" = spare ] ||
		grep -q 'epoch 2 runs .* s after the loss: worker .* takes layers' "$dir/log" ||
		fail "$what: the log does not say who took over: $(tail -n 3 "$dir/log")"
	stop_cluster
}
wanted dial-in:stage1:decode && kill_in_decode stage1 1 KILL
wanted dial-in:last:decode && kill_in_decode last 2 KILL
wanted dial-in:spare:decode && kill_in_decode spare spare KILL
# Nothing but its silence tells that this one is lost.
wanted dial-in:hung:decode && kill_in_decode hung 1 STOP

if wanted dial-in:absorb:decode; then
	what='dial-in, no spare, decode'
	start_coordinator 2
	start_worker a
	start_worker b
	wait_ready
	text_and_kill $N_TOKENS $AT "kill -9 $(pid_of_stage 2)"
	expect_same dial-in 'no spare' decode
	# The one that comes back gets layers again, once nobody is disturbed.
	start_worker "$id"
	wait_status '2 ([0-9]-7)'
	text_and_kill $N_TOKENS $AT :
	expect_same dial-in 'came back' idle
	stop_cluster
fi

if wanted dial-in:all:decode; then
	what='dial-in, all workers, decode'
	start_three
	cat >"$dir/kill_all" <<-END
		for id in a b c; do kill -9 \$(cat "$dir/\$id.pid"); done
		touch "$dir/killed"
	END
	for id in a b c; do pid_of_worker $id >"$dir/$id.pid"; done
	rm -f "$dir/killed"
	(wait_for test -e "$dir/killed"; exec 3>&-; sleep 0.5; touch "$dir/restart") &
	text_and_kill $N_TOKENS $AT "sh $dir/kill_all" &
	text=$!
	wait_for test -e "$dir/restart" || fail "$what: nobody was killed"
	for id in a b c; do start_worker $id; done
	wait $text
	client_code=$(cat "$dir/client.code")
	expect_same dial-in 'all, back' decode
	stop_cluster
fi

# A worker that is frozen takes no stage: whoever waits for it is in the middle of loading.
# kill_in_load WHO FROZEN OTHER
kill_in_load() {
	what="dial-in, $1, loading"
	start_coordinator 2
	start_worker $2
	wait_for is_here $2 || fail "$what: $2 does not come"
	kill -STOP "$(pid_of_worker $2)"
	start_worker $3
	start_worker c
	wait_for grep -q '^2 ' "$dir/log" || fail "$what: no plan"
	kill -9 "$(pid_of_worker $2)"
	wait_ready
	text_and_kill $N_TOKENS $AT :
	expect_same dial-in "$1" loading
	stop_cluster
}
wanted dial-in:stage1:loading && kill_in_load stage1 a b
wanted dial-in:last:loading && kill_in_load last b a

# The prompt takes some tenths of a second; the kill comes with its first steps.
prompt_kill() {
	what="dial-in, $1, prompt"
	start_three --kv-positions 40000 -c 20000
	steps=$(stagecoach status --json --socket "$socket" | sed 's/.*"steps":\([0-9]*\).*/\1/')
	for i in $(seq 3000); do echo "line $i of a long text."; done | head -c 24000 >"$dir/prompt"
	"$BUILDDIR/stagecoach" run -m "$MODEL" -c 20000 --kv-positions 40000 -f "$dir/prompt" \
		-n 50 --temp 0 --ignore-eos >"$dir/reference" 2>/dev/null
	victim=$(pid_of_stage "$2")
	: >"$dir/client.log"
	"$BUILDDIR/stagecoach" generate --socket "$socket" -f "$dir/prompt" -n 50 --temp 0 \
		--ignore-eos >"$dir/text" 2>"$dir/client.log" &
	client=$!
	began() {
		[ "$(stagecoach status --json --socket "$socket" |
		     sed 's/.*"steps":\([0-9]*\).*/\1/')" -gt "$steps" ]
	}
	wait_for began || fail "$what: no step"
	kill -9 "$victim"
	wait $client
	client_code=$?
	echo 0 >"$dir/gap"
	expect_same dial-in "$1" prompt
	stop_cluster
	reference $N_TOKENS
}
wanted dial-in:stage1:prompt && prompt_kill stage1 1
wanted dial-in:last:prompt && prompt_kill last 2

# The spare that is about to take over is frozen, so recovering lasts until it is killed, too.
if wanted dial-in:spare:recovering; then
	what='dial-in, second loss while recovering'
	start_three
	spare=$(pid_of_stage spare)
	first=$(pid_of_stage 1)
	text_and_kill $N_TOKENS $AT \
		"kill -STOP $spare; kill -9 $first; sleep 0.7; kill -9 $spare"
	expect_same dial-in '1, spare' recovering
	stop_cluster
fi

# Jobs do not survive the coordinator, and nobody is left to wait.
if wanted dial-in:coordinator:decode; then
	what='dial-in, coordinator, decode'
	start_three
	text_and_kill $N_TOKENS $AT "kill -9 $coordinator"
	[ "$client_code" = 69 ] || fail "$what: the client ended with $client_code"
	cluster_port=${cluster##*:}
	start_coordinator 2
	wait_ready
	text_and_kill $N_TOKENS $AT :
	expect_same dial-in coordinator decode
	stop_cluster
	cluster_port=0
fi

# kill_under_mpirun WHO RANK SIGNAL
kill_under_mpirun() {
	what="mpirun, $1, decode"
	start_daemon 4 $CLUSTER_OPTIONS $TEXT_OPTIONS
	text_and_kill $N_TOKENS $AT "kill -$3 $(pid_of_rank "$2")"
	expect_same mpirun "$1" decode
	if [ "$3" = STOP ]; then
		kill -9 $(pgrep -f "stagecoachd.*$dir" -r T) 2>/dev/null
	fi
	stop_daemon
	expect_none_left
}
MPIRUN_FLAGS="$MPIRUN_FLAGS --enable-recovery"
wanted mpirun:stage1:decode && kill_under_mpirun stage1 1 KILL
wanted mpirun:stage2:decode && kill_under_mpirun stage2 2 KILL
wanted mpirun:last:decode && kill_under_mpirun last 3 KILL
wanted mpirun:hung:decode && kill_under_mpirun hung 2 STOP
expect_none_left
