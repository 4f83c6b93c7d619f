#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cluster of four hosts whose workers dial in: the text is that of one process, also over a
# network that delays and loses frames. Strangers on another host, with junk, a wrong key, a recorded
# handshake or many silent connections, do not disturb it. Two hosts cannot be the same worker.
. "$(dirname "$0")/daemon.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/hosts.sh"
N_TOKENS=300
row() { printf '%-34s %10s %12s  %s\n' "$@"; }

make_hosts boss one two three x
coordinator_host=boss
HOST_OF_a=one HOST_OF_b=two HOST_OF_c=three HOST_OF_d=x HOST_OF_e=two HOST_OF_x=x
export UCX_TLS=tcp,self UCX_NET_DEVICES=eth0

# No stage counts as lost, so the first epoch goes on.
expect_calm() {
	list_workers >"$dir/workers" || fail "$what: no list of workers"
	grep -q '^epoch 1, 0 recoveries' "$dir/workers" || fail "$what: $(cat "$dir/workers")"
}

# The text went over the switch: a step of one sequence is a frame on each of three links.
expect_text() {
	tell_switch frames
	before=$answer
	began=$(date +%s%3N)
	text_and_kill $N_TOKENS 999999999 :
	took=$(($(date +%s%3N) - began))
	tell_switch frames
	[ "$client_code" = 0 ] || fail "$what: client ended with $client_code"
	same_text
	[ $((answer - before)) -gt $((3 * N_TOKENS)) ] ||
		fail "$what: $((answer - before)) frames for $N_TOKENS tokens: not over the network"
	expect_calm
	row "$what" "$took ms" "$((answer - before))" "same tokens"
}

reference $N_TOKENS
row CASE TIME FRAMES RESULT

what='coordinator at an address'
cluster_address=$(address_of boss)
start_coordinator 2
start_worker a
start_worker b
wait_ready
expect_text
stop_cluster
[ "$code" = 0 ] || fail "$what: the coordinator ended with $code"

what='coordinator at an interface'
cluster_address=eth0
start_coordinator 3
start_worker a
start_worker b
start_worker c
wait_ready
expect_text

what='delay of 2 ms'
tell_switch delay 2000
expect_text
what='delay of 2 ms, 1 % lost'
tell_switch loss 10
expect_text
tell_switch loss 0
tell_switch delay 0


# --- strangers, all on host x ---

stranger() { on x /usr/bin/python3 "$SRCDIR/tests/system/stranger.py" "$@"; }
is_listed() { list_workers | grep -q "^$1 "; }

what='junk'
for n in 1 5 300 20000 2000000; do
	(stranger junk "$cluster" $n) >"$dir/answered" || fail "$what: $n bytes: not hung up"
done
expect_text

what='a wrong key'
(umask 077 && echo 00112233445566778899aabbccddeeff >"$dir/wrong.key")
right_key=$key_file
key_file=$dir/wrong.key
start_worker x
key_file=$right_key
wait_for grep -q 'cluster key file' "$dir/x.log" || fail "$what: it is not told"
is_listed x && fail "$what: it is listed"
expect_text
kill -9 "$worker_x"

# A worker that comes by way of the stranger is a member, but what it said is of no use to others.
what='a recorded handshake'
stranger record 7999 "$cluster" "$dir/recorded" >"$dir/recorder.out" &
recorder=$!
wait_for grep -q listening "$dir/recorder.out" || fail "$what: no recorder"
direct=$cluster
cluster=$(address_of x):7999
start_worker d
cluster=$direct
wait_status '^d .*spare'
kill -9 "$worker_d"
wait_status '^d .*gone'
wait $recorder
[ "$(wc -c <"$dir/recorded")" -gt 300 ] || fail "$what: nothing was recorded"
n_greeted=$(grep -c 'worker d .*is here' "$dir/log")
for i in 1 2 3; do
	(stranger replay "$cluster" "$dir/recorded") >"$dir/answered" ||
		fail "$what: not hung up"
	[ "$(cat "$dir/answered")" -gt 0 ] || fail "$what: no answer, so this tests nothing"
done
wait_status '^d .*gone'
[ "$(grep -c 'worker d .*is here' "$dir/log")" = "$n_greeted" ] || fail "$what: it got in"
expect_text

what='200 silent connections'
resident_kib() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"; }
n_files() { ls "/proc/$1/fd" | wc -l; }
rss=$(resident_kib "$coordinator")
stranger silent "$cluster" 200 4 >"$dir/silent.out" &
silent=$!
wait_for grep -q open "$dir/silent.out" || fail "$what: not opened"
began=$(date +%s%3N)
start_worker e
wait_status '^e .*spare'
joined=$(($(date +%s%3N) - began))
[ "$(n_files "$coordinator")" -lt 150 ] || fail "$what: $(n_files "$coordinator") are open"
expect_text
wait $silent
[ "$(tail -n 1 "$dir/silent.out")" -gt 100 ] || fail "$what: they were not dropped"
row "a worker joins meanwhile" "$joined ms" - \
	"coordinator: $rss KiB, then $(resident_kib "$coordinator")"

# --- one id on two hosts ---

what='the id of another host'"'s worker"
first=$(pid_of_worker a)
HOST_OF_a=x
start_worker a
twin=$worker_a
worker_a=$first
wait_for grep -q "its id is in use by a living process, worker a (host one, pid $first)" \
	"$dir/a.log" || fail "$what: it is not refused: $(cat "$dir/a.log")"
wait_status '^a .*ready .* one:'
list_workers | grep '^a ' | grep -q ' one:' || fail "$what: it took the place of the first"
expect_text
kill -9 "$twin"

list_workers
stop_cluster
[ "$code" = 0 ] || fail "the coordinator ended with $code"
expect_none_left
