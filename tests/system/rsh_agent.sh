#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What mpirun takes for ssh: run a command on a host that is a network namespace, see
# test_partition.sh.
#	rsh_agent.sh HOST COMMAND...
# A host has a name, an /etc/hosts and shared memory of its own, without which Open MPI and UCX take
# two of them for one. NETNS_PREFIX and NETNS_HOSTS come from the test.
host=$1
shift
exec ip netns exec "$NETNS_PREFIX$host" unshare --uts --ipc --mount sh -c '
	hostname "$1" && mount --bind "$NETNS_HOSTS" /etc/hosts || exit 1
	shift
	exec sh -c "$*"' sh "$host" "$@"
