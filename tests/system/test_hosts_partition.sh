#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Hosts are cut off silently, in one direction, or from one other host; processes are frozen; a host
# goes with all it has. The text goes on with the same tokens, through a spare or by absorption, and
# whoever comes back is a spare. Prints a table: seconds until the loss was found, and the longest
# pause of the text.
. "$(dirname "$0")/daemon.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/hosts.sh"
. "$(dirname "$0")/partition.sh"
N_TOKENS=2000

make_hosts boss one two three x
coordinator_host=boss
HOST_OF_a=one HOST_OF_b=two HOST_OF_c=three
host_of() { eval "echo \$HOST_OF_$1"; }
cluster_address=eth0
export UCX_TLS=tcp,self UCX_NET_DEVICES=eth0
resident_kib() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"; }

# The worker is admitted once more, and stays.
expect_back() {
	wait_for is_admitted "$1" $(($2 + 1)) || fail "$what: worker $1 does not come back"
	wait_status "^$1 .*\(spare\|ready\)"
}

expect_one_return() {
	[ "$(n_admitted "$1")" = $(($2 + 1)) ] || fail "$what: worker $1 came back more than once"
}

# cut_off CASE STAGE FROM TO FROM TO..: with the host of the stage's worker as "it"
cut_off() {
	what=$1
	id=$(worker_of_stage "$2")
	stage=$2
	[ -n "$id" ] || fail "$what: no worker for stage $2"
	it=$(host_of "$id")
	n=$(n_admitted "$id")
	shift 2
	cuts= joins=
	while [ $# -gt 0 ]; do
		[ "$1" = it ] && from=$it to=$2 || from=$1 to=$it
		cuts="$cuts$(do_cut "$from" "$to")"
		joins="$joins$(do_join "$from" "$to")"
		shift 2
	done
	disturb "$cuts"
	print_row "stage $stage, $it"
	eval "$joins"
	expect_back "$id" "$n"
	wait_settled
	expect_one_return "$id" "$n"
}
# Two workers have all layers.
is_settled() { [ "$(list_workers | grep -c '^[abc] .* ready ')" = 2 ]; }
wait_settled() { wait_for is_settled || fail "$what: not ready again: $(list_workers)"; }

reference $N_TOKENS
row CASE WHO FOUND GAP RESULT

start_coordinator 2
for id in a b c; do
	start_worker $id
	wait_for is_admitted $id 1 || fail "$id does not come"
done
wait_ready

cut_off 'both directions' 1 it '*' '*' it
rss=$(resident_kib "$coordinator")
cut_off 'from it only' 2 it '*'
cut_off 'to it only' 1 '*' it

# Both reach the coordinator, but not each other.
what='stages 1 and 2 from each other'
one=$(host_of "$(worker_of_stage 1)") two=$(host_of "$(worker_of_stage 2)")
disturb "$(do_cut "$one" "$two")$(do_cut "$two" "$one")"
print_row "$one, $two"
tell_switch join "$one" "$two"
tell_switch join "$two" "$one"
wait_settled

# A worker that is frozen for longer than the deadline, and thawed.
what='frozen'
id=$(worker_of_stage 2)
n=$(n_admitted "$id")
disturb "kill -STOP $(pid_of_worker "$id")"
print_row "stage 2, $(host_of "$id")"
kill -CONT "$(pid_of_worker "$id")"
expect_back "$id" "$n"
wait_settled

what='the memory of the coordinator'
now=$(resident_kib "$coordinator")
row "$what" - - - "$rss KiB after the first loss, $now KiB after the fifth"
[ $((now - rss)) -lt 16384 ] || fail "$what: $rss KiB, then $now KiB"

# The host goes without a word: its cable, its processes and its network.
what='host gone'
id=$(worker_of_stage 1)
gone=$(host_of "$id")
cat >"$dir/end_host" <<END
$(do_cut "$gone" '*')$(do_cut '*' "$gone")
kill -9 \$(ip netns pids "$NETNS_PREFIX$gone")
ip netns del "$NETNS_PREFIX$gone"
END
disturb ". $dir/end_host"
print_row "stage 1, $gone"
wait_settled
wait_status "^$id .*gone"
text_and_kill $N_TOKENS 999999999 :
same_text

# Two workers are left, so one of them takes all layers. The other one was lost for the third time,
# and is not trusted for a while after it has come back.
what='no spare'
id=$(worker_of_stage 2)
it=$(host_of "$id")
disturb "$(do_cut "$it" '*')$(do_cut '*' "$it")"
print_row "stage 2, $it"
join "$it"
wait_status "^$id .*quarantined"
shows ' ready  *1 (0-7)' || fail "$what: $(list_workers)"

stop_cluster
[ "$code" = 0 ] || fail "the coordinator ended with $code"
expect_none_left
