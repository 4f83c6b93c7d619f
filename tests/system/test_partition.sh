#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A link between hosts is cut while a text is generated, under an mpirun without --enable-recovery.
# What mpirun does not notice is survived, and the text goes on. What it notices ends everything:
# clients are told why. In both cases all processes end at the end, and so do mpirun, so that a
# supervisor notices, and orted on the host that was cut off. The hosts are network namespaces on a switch in another one; only root may make them.
PATH=$PATH:/usr/sbin:/sbin
export PATH
. "$(dirname "$0")/daemon.sh"

NETNS_PREFIX=stagecoach-$$-
NETNS_HOSTS=$dir/hosts
export NETNS_PREFIX NETNS_HOSTS
agent=$SRCDIR/tests/system/rsh_agent.sh
switch=${NETNS_PREFIX}switch
hosts='a b c'

[ "$(id -u)" -eq 0 ] || { echo "only root makes network namespaces: skipped"; exit 77; }
command -v ip >/dev/null || { echo "no ip (iproute2): skipped"; exit 77; }

of_this_test() { pgrep -f "(orted|mpirun|stagecoachd).*$dir"; }

remove_hosts() {
	for pid in $(of_this_test); do
		kill -9 "$pid" 2>/dev/null
	done
	for host in $hosts switch; do
		ip netns del "$NETNS_PREFIX$host" 2>/dev/null
	done
	clean_up
}
trap remove_hosts EXIT

# make_host NAME LAST_BYTE
make_host() {
	ip netns add "$NETNS_PREFIX$1" &&
		ip link add "v$1" netns "$switch" type veth peer name eth0 \
			netns "$NETNS_PREFIX$1" &&
		ip -n "$switch" link set "v$1" master br0 up &&
		ip -n "$NETNS_PREFIX$1" addr add "10.77.9.$2/24" dev eth0 &&
		ip -n "$NETNS_PREFIX$1" link set eth0 up &&
		ip -n "$NETNS_PREFIX$1" link set lo up &&
		echo "10.77.9.$2 $1" >>"$NETNS_HOSTS"
}

echo '127.0.0.1 localhost' >"$NETNS_HOSTS"
ip netns add "$switch" 2>/dev/null && ip -n "$switch" link add br0 type bridge &&
	ip -n "$switch" link set br0 up && make_host a 1 && make_host b 2 && make_host c 3 ||
	{ echo "no network namespaces or bridges here: skipped"; exit 77; }
unshare --uts --ipc --mount true || { echo "no other namespaces here: skipped"; exit 77; }

# begin_on "HOSTS" OPTION...: mpirun on host a, three processes on HOSTS; their deadline is short.
begin_on() {
	on=$1
	shift
	: >"$dir/log"
	"$agent" a exec "$MPIRUN" --bind-to none --oversubscribe --map-by node --host "$on" -n 3 \
		--mca plm_rsh_agent "$agent" --mca orte_tmpdir_base "$dir" \
		-x NETNS_PREFIX -x NETNS_HOSTS -x UCX_NET_DEVICES=eth0 "$@" \
		"$BUILDDIR/stagecoachd" -m "$MODEL" --config /dev/null --listen none \
		--socket "$socket" $LONG --heartbeat-ms 200 --deadline-ms 5000 --rejoin-ms 2000 \
		>"$dir/out" 2>"$dir/log" </dev/null &
	launcher=$!
	wait_for is_started || fail "the daemon did not become ready"
	grep -q 'ready: gRPC and HTTP on unix' "$dir/log" || fail "the daemon ended before it was ready"
}

cut() { ip -n "$switch" link set "v$1" nomaster; }
join() { ip -n "$switch" link set "v$1" master br0; }

is_all_gone() { [ -z "$(of_this_test)" ]; }

# All processes of all hosts end while the link is still cut.
expect_all_gone() {
	wait_for is_gone "$launcher" || fail "$what: mpirun hangs"
	wait "$launcher"
	code=$?
	launcher=
	[ $code != 0 ] || fail "$what: mpirun says that all was well"
	wait_for is_all_gone || fail "$what: left: $(ps -o pid,args -p $(of_this_test | tr '\n' ,)1)"
	echo "$what: mpirun ended with $code, nothing is left"
}

# expect_told WHY
expect_told() {
	wait_for is_gone $client || fail "$what: the client hangs"
	wait $client
	[ $? = 69 ] || fail "$what: the client's exit code"
	grep -q "$1" "$dir/client.log" ||
		fail "$what: the client was not told: $(cat "$dir/client.log")"
	tail -n 1 "$dir/client.log"
}

what='stage on b cut off, rank 0 beside mpirun'
begin_on a,b,c
begin_text 6000
cut b
wait_for is_gone $client || fail "$what: the client hangs"
wait $client || fail "$what: the client's exit code"
grep -q 'a stage was lost.*stage [12] (worker b[^,]*, host b, pid .*): silent for' \
	"$dir/client.log" || fail "$what: no stage was lost: $(cat "$dir/client.log")"
kill -TERM "$(pid_of_rank 0)"
expect_all_gone
join b

what='orted of a stage killed'
begin_on a,b,c
begin_text $LONG_TOKENS
for pid in $(pgrep orted); do
	[ "$(readlink /proc/$pid/ns/net)" = "$(ip netns exec "${NETNS_PREFIX}b" \
		readlink /proc/self/ns/net)" ] && kill -9 "$pid"
done
expect_told "host b, pid .*): the launcher (orted, pid .*) has ended"
expect_all_gone

# No process of the cluster is on mpirun's host. mpirun notices by itself when it asks its daemons
# for a sign of life more often than the deadline, and ends the job.
what='stage on b cut off, rank 0 on another host'
begin_on c,b --mca oob_tcp_keepalive_time 1 --mca oob_tcp_keepalive_intvl 1 \
	--mca oob_tcp_keepalive_probes 2
begin_text $LONG_TOKENS
cut b
expect_told 'shutting down\|silent for'
expect_all_gone
