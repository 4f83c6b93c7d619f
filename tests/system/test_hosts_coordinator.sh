#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The coordinator's host is cut off, or its process is frozen while another one starts: workers keep
# their weights, come back, and obey one coordinator only. Prints a table as
# test_hosts_partition.sh does.
. "$(dirname "$0")/daemon.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/hosts.sh"
. "$(dirname "$0")/partition.sh"
N_TOKENS=2000

make_hosts boss one two chief
coordinator_host=boss
HOST_OF_a=one HOST_OF_b=two
cluster_address=eth0
cluster_port=7080
export UCX_TLS=tcp,self UCX_NET_DEVICES=eth0

start_two() {
	start_worker a
	start_worker b
	wait_ready
	pids="$worker_a $worker_b"
}
expect_same_processes() {
	for pid in $pids; do
		kill -0 "$pid" 2>/dev/null || fail "$what: a worker has ended"
	done
}

reference $N_TOKENS
row CASE WHO FOUND GAP RESULT

what='coordinator cut off for 5 s'
start_coordinator 2
start_two
disturb "$(do_cut boss '*')$(do_cut '*' boss)(sleep 5; $(do_join boss '*')$(do_join '*' boss)) &"
print_row boss
expect_same_processes
stop_cluster
[ "$code" = 0 ] || fail "$what: the coordinator ended with $code"

# Jobs wait for workers as long as --start-ms says, then the coordinator ends.
what='coordinator cut off for long'
start_coordinator 2 --start-ms 2000
start_two
text_and_kill $N_TOKENS $AT "date +%s%3N >$dir/cut_ms; $(do_cut boss '*')$(do_cut '*' boss)"
[ "$client_code" = 69 ] || fail "$what: the client ended with $client_code"
wait_for is_gone "$coordinator" || fail "$what: the coordinator does not end"
wait "$coordinator"
code=$?
[ $code = 69 ] || fail "$what: the coordinator ended with $code"
cut_ms=$(cat "$dir/cut_ms")
found=$(found_ms "$cut_ms")
row "$what" boss "$(seconds $((${found%% *} - cut_ms)))" \
	"$(seconds $(($(date +%s%3N) - cut_ms)))" "$(tail -n 1 "$dir/client.log")"
tell_switch join boss '*'
tell_switch join '*' boss
start_coordinator 2
wait_ready
expect_same_processes
text_and_kill $N_TOKENS 999999999 :
same_text
row 'another one after it' boss - - "same tokens"
stop_cluster

# The old one believes that its epoch goes on, and gives orders when it is thawed.
what='coordinator frozen'
cluster_port=7080
start_coordinator 2 --start-ms 2000
cluster=$(address_of boss):7080,$(address_of chief):7080
start_two
old=$coordinator old_socket=$socket
mv "$dir/log" "$dir/old.log"
text_and_kill $N_TOKENS $AT "kill -STOP $old; touch $dir/stopped" &
text=$!
wait_for test -e "$dir/stopped" || fail "$what: no text"
coordinator_host=chief socket=$dir/second.sock
start_coordinator 2
wait_ready
expect_same_processes
"$BUILDDIR/stagecoach" generate --socket "$socket" -p 'ROMEO:' -n $N_TOKENS --temp 0 \
	--ignore-eos >"$dir/text.second" 2>"$dir/client2.log" &
client=$!
kill -CONT $old
wait $client || fail "$what: the new coordinator's client failed: $(cat "$dir/client2.log")"
cmp -s "$dir/text.second" "$dir/reference" || fail "$what: the old coordinator disturbs the text"
wait $text
[ "$(cat "$dir/client.code")" = 69 ] ||
	fail "$what: the old one's client ended with $(cat "$dir/client.code")"
wait_for is_gone "$old" || fail "$what: the old coordinator does not end"
wait "$old"
[ $? = 69 ] || fail "$what: the old coordinator's exit code"
shows '^epoch 1, 0 recoveries' || fail "$what: $(list_workers)"
row "$what" boss - - "same tokens from the new one; $(tail -n 1 "$dir/client.log")"
stop_cluster
[ "$code" = 0 ] || fail "the coordinator ended with $code"
expect_none_left
