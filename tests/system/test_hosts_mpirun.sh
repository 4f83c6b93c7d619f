#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cluster that mpirun has started on three hosts with --enable-recovery: a stage is killed, then a
# host is cut off. The text goes on with the same tokens, and nobody is left at the end. Prints a
# table as test_hosts_partition.sh does.
. "$(dirname "$0")/daemon.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/hosts.sh"
. "$(dirname "$0")/partition.sh"
N_TOKENS=2000

make_hosts one two three

# mpirun on host one, process i on host i; their deadline is short. All orteds bind their first
# process to the same core, if they may.
begin() {	# begin N
	: >"$dir/log"
	"$agent" one exec "$MPIRUN" --enable-recovery --bind-to none --oversubscribe --map-by node \
		--host one,two,three -n "$@" --mca plm_rsh_agent "$agent" \
		--mca orte_tmpdir_base "$dir" -x NETNS_PREFIX -x NETNS_HOSTS \
		-x UCX_NET_DEVICES=eth0 -x UCX_TLS=tcp,self \
		"$BUILDDIR/stagecoachd" -m "$MODEL" --config /dev/null --listen none \
		--socket "$socket" $CLUSTER_OPTIONS $TEXT_OPTIONS \
		>"$dir/out" 2>"$dir/log" </dev/null &
	launcher=$!
	wait_for is_started || fail "the daemon did not become ready"
	grep -q 'ready: gRPC and HTTP on unix' "$dir/log" || fail "the daemon ended before it was ready"
}
pid_of_stage() {
	list_workers | sed -n "s/.* ready  *$1 (.*:\([0-9]*\), cpu.*/\1/p"
}

reference $N_TOKENS
row CASE WHO FOUND GAP RESULT

end_all() {
	kill -TERM "$(pid_of_rank 0)" || fail "$what: rank 0 is gone"
	wait_launcher
	expect_none_left
	row 'end in good order' one - - "mpirun ended with $code"
}

begin 3
what='killed'
disturb "kill -9 $(pid_of_stage 2)"
print_row 'stage 2, three'
end_all

# The worker that comes back gets layers again.
begin 3
what='both directions'
disturb "$(do_cut two '*')$(do_cut '*' two)"
print_row 'stage 1, two'
join two
is_whole() { [ "$(list_workers | grep -c ' ready  *[12] (')" = 2 ]; }
wait_for is_whole || fail "$what: worker two.1 does not come back: $(list_workers)"
text_and_kill $N_TOKENS 999999999 :
same_text
row 'joined again' two - - 'same tokens'

# A host whose orted has ended has ended for mpirun, and so have its processes.
what='orted killed'
is_alone() { [ "$(list_workers | grep -c ' gone ')" = 1 ]; }
for pid in $(pgrep orted); do
	[ "$(readlink /proc/$pid/ns/net)" = "$(ip netns exec "${NETNS_PREFIX}two" \
		readlink /proc/self/ns/net)" ] && orted=$pid
done
disturb "kill -9 $orted"
print_row "orted of two"
# mpirun itself waits for ever for that host.
wait_for is_alone || fail "$what: the processes of its host are left"
end_all
