# SPDX-License-Identifier: Apache-2.0
# Sourced after daemon.sh by tests of clusters whose workers dial in. All processes are on this
# machine, or on the hosts of hosts.sh: then set coordinator_host, and HOST_OF_<id> for workers.
#
#	start_coordinator N OPTION...	N workers make a plan; sets $coordinator (pid), $cluster
#					(where workers dial). Returns at once: is_ready tells
#	start_worker ID OPTION...	sets $worker_ID (pid); its log is $dir/ID.log
#	wait_ready			fails if the coordinator does not become ready
#	pid_of_worker ID
#	is_here ID			has it come?
#	worker_of_stage STAGE		the id of the worker that has it, from 1; "" if nobody
#	wait_status PATTERN		until a line of `stagecoach workers` matches
#	reference N			the text of N tokens, undisturbed: $dir/reference
#	text_and_kill N AT COMMAND	asks for N tokens; after AT bytes runs COMMAND; the text is
#					$dir/text, the longest pause in ms $dir/gap, the client's
#					exit code $client_code, its log $dir/client.log
#	same_text			fails if text and reference differ

coordinator= cluster= worker_ids=
key_file=$dir/cluster.key
(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$key_file")
# The default deadline is for clusters in use.
CLUSTER_OPTIONS="--heartbeat-ms 200 --deadline-ms 3000"
TEXT_OPTIONS="-c 8000 --kv-positions 16000"

run_on() {	# run_on HOST COMMAND...: becomes COMMAND, on a host or ("") here
	if [ -n "$1" ]; then
		on "$@"
	else
		shift
		exec "$@"
	fi
}

start_coordinator() {
	n=$1
	shift
	: >"$dir/log"
	run_on "${coordinator_host-}" "$BUILDDIR/stagecoachd" --role coordinator --workers "$n" \
		--cluster-listen "${cluster_address:-127.0.0.1}:${cluster_port:-0}" \
		--cluster-key-file "$key_file" -m "$MODEL" --config /dev/null --listen none \
		--socket "$socket" $CLUSTER_OPTIONS $TEXT_OPTIONS "$@" \
		>"$dir/out" 2>"$dir/log" </dev/null &
	coordinator=$!
	wait_for is_listening || fail "the coordinator does not wait for workers"
	cluster=$(sed -n 's/.*workers connect to \([^ ,]*\).*/\1/p' "$dir/log" | head -n 1)
}
is_listening() { grep -q 'workers connect to' "$dir/log" || is_gone "$coordinator"; }

# On this machine other tests may run at the same time, and a machine has one worker of an id.
name_of() {
	eval "host=\${HOST_OF_$1-}"
	[ -n "$host" ] && echo "$1" || echo "$1-$$"
}

start_worker() {
	id=$1
	shift
	eval "host=\${HOST_OF_$id-}"
	run_on "$host" "$BUILDDIR/stagecoachd" --role worker --coordinator "$cluster" \
		--cluster-key-file "$key_file" --worker-id "$(name_of $id)" -m "$MODEL" --config /dev/null \
		$CLUSTER_OPTIONS "$@" >"$dir/$id.out" 2>>"$dir/$id.log" </dev/null &
	eval "worker_$id=\$!"
	case " $worker_ids " in
	*" $id "*) ;;
	*) worker_ids="$worker_ids $id" ;;
	esac
}
pid_of_worker() { eval "echo \$worker_$1"; }

is_ready() { grep -q 'ready: gRPC' "$dir/log" || is_gone "$coordinator"; }
wait_ready() {
	wait_for is_ready && grep -q 'ready: gRPC' "$dir/log" ||
		fail "the coordinator did not become ready"
}

list_workers() { stagecoach workers --socket "$socket" | sed "s/^\([a-z]*\)-$$/\1/"; }
is_here() { grep -q "worker $(name_of "$1") .*is here" "$dir/log"; }
worker_of_stage() {
	stagecoach workers --json --socket "$socket" |
		sed -n "s/.*\"id\":\"\([^\"]*\)\".*\"stage\":$1[,}].*/\1/p" | head -n 1
}
shows() { list_workers | grep -q -- "$1"; }
wait_status() { wait_for shows "$1" || fail "workers do not show '$1': $(list_workers)"; }

reference() {
	"$BUILDDIR/stagecoach" run -m "$MODEL" $TEXT_OPTIONS -p 'ROMEO:' -n "$1" --temp 0 \
		--ignore-eos >"$dir/reference" 2>"$dir/reference.log" || fail "no reference text"
}

text_and_kill() {
	{
		"$BUILDDIR/stagecoach" generate --socket "$socket" -p 'ROMEO:' -n "$1" --temp 0 \
			--ignore-eos 2>"$dir/client.log"
		echo $? >"$dir/client.code"
	} | "$BUILDDIR/tests/system/stream_gap" "$dir/text" "$2" "$3" >"$dir/gap"
	client_code=$(cat "$dir/client.code")
}

same_text() {
	cmp -s "$dir/text" "$dir/reference" ||
		fail "$what: the text is not the undisturbed one: $(cmp "$dir/text" \
			"$dir/reference" 2>&1); $(cat "$dir/client.log")"
}

stop_cluster() {
	kill -TERM "$coordinator" 2>/dev/null
	wait "$coordinator"
	code=$?
	for id in $worker_ids; do
		kill -9 "$(pid_of_worker "$id")" 2>/dev/null
		wait "$(pid_of_worker "$id")" 2>/dev/null
	done
	worker_ids=
}
