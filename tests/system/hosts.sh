# SPDX-License-Identifier: Apache-2.0
# Sourced after daemon.sh by tests of several hosts. A host is a network namespace with its own host
# name, /etc/hosts and shared memory. The hosts hang on a switch in user space (net_switch.c), which
# can delay, lose and cut.
#
#	make_hosts NAME...	makes hosts 10.77.N.1, .2, ..; skips the test (77) where the
#				machine does not permit it. Before it, only what daemon.sh defines
#	on HOST COMMAND...	becomes a command on a host: use it in ( ) or with &
#	address_of HOST
#	tell_switch WORD...	a command of net_switch; waits for its answer
#	cut HOST, join HOST	silently, in both directions
#	remove_hosts		to be called by the test's own clean-up; done at exit otherwise

PATH=$PATH:/usr/sbin:/sbin
export PATH
NETNS_PREFIX=sc$$-
NETNS_HOSTS=$dir/hosts
export NETNS_PREFIX NETNS_HOSTS
agent=$SRCDIR/tests/system/rsh_agent.sh
subnet=10.77.$(($$ % 250 + 1))
all_hosts=
switch_pid=

skip() { echo "$*: skipped"; exit 77; }

# Processes on the hosts have this test's directory in their arguments or environment.
of_this_test() { pgrep -f "(orted|mpirun|stagecoachd|stagecoach).*$dir"; }

remove_hosts() {
	for pid in $(of_this_test); do
		kill -9 "$pid" 2>/dev/null
	done
	exec 7>&- 8<&-		# the switch ends
	[ -z "$switch_pid" ] || wait "$switch_pid"
	for host in $all_hosts switch; do
		ip netns del "$NETNS_PREFIX$host" 2>/dev/null
	done
	clean_up
}

make_host() {
	ip netns add "$NETNS_PREFIX$1" &&
		ip -n "${NETNS_PREFIX}switch" link set dev "$1" netns "$NETNS_PREFIX$1" name eth0 &&
		ip -n "$NETNS_PREFIX$1" addr add "$subnet.$2/24" dev eth0 &&
		ip -n "$NETNS_PREFIX$1" link set eth0 up &&
		ip -n "$NETNS_PREFIX$1" link set lo up &&
		echo "$subnet.$2 $1" >>"$NETNS_HOSTS"
}

start_switch() {
	mkfifo "$dir/to_switch" "$dir/from_switch" || return 1
	ip netns exec "${NETNS_PREFIX}switch" "$BUILDDIR/tests/system/net_switch" "$@" \
		<"$dir/to_switch" >"$dir/from_switch" 2>"$dir/switch.log" &
	switch_pid=$!
	exec 7>"$dir/to_switch" 8<"$dir/from_switch"
	read -r answer <&8 && [ "$answer" = ready ]
}

make_hosts() {
	[ "$(id -u)" -eq 0 ] || skip "only root makes network namespaces"
	command -v ip >/dev/null || skip "no ip (package iproute2)"
	[ -c /dev/net/tun ] || skip "no /dev/net/tun"
	unshare --uts --ipc --mount true || skip "no namespaces here"
	trap remove_hosts EXIT
	all_hosts=$*
	echo '127.0.0.1 localhost' >"$NETNS_HOSTS"
	ip netns add "${NETNS_PREFIX}switch" 2>/dev/null || skip "no network namespaces here"
	start_switch "$@" || skip "no tap devices here: $(cat "$dir/switch.log")"
	last_byte=0
	for host in "$@"; do
		last_byte=$((last_byte + 1))
		make_host "$host" "$last_byte" || skip "a network namespace cannot be set up here"
	done
}

# As rsh_agent.sh, but with arguments as they are.
on() {
	host=$1
	shift
	exec ip netns exec "$NETNS_PREFIX$host" unshare --uts --ipc --mount sh -c '
		hostname "$1" && mount --bind "$NETNS_HOSTS" /etc/hosts || exit 1
		shift
		exec "$@"' sh "$host" "$@"
}
address_of() { sed -n "s/ $1\$//p" "$NETNS_HOSTS"; }

tell_switch() {
	echo "$*" >&7
	read -r answer <&8 || fail "the switch has ended: $(cat "$dir/switch.log")"
	case $answer in
	ok*) answer=${answer#ok} ;;
	*) fail "the switch: $answer" ;;
	esac
}
cut() { tell_switch cut "$1" '*' && tell_switch cut '*' "$1"; }
join() { tell_switch join "$1" '*' && tell_switch join '*' "$1"; }
