#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run a command in a network of its own, which has no interface but loopback: whatever port the
# command opens, no other machine and no other user of this one reaches it. Unix sockets work as
# ever. mpirun needs this, because its control port is open on all interfaces and no setting of
# Open MPI 4 changes that.
#	tools/private_network.sh COMMAND [ARGUMENT...]
# Needs no privilege where the kernel lets users make namespaces; otherwise run it as root. Exit
# code 125: no such network can be made here, and the command did not run.
set -u
[ $# -gt 0 ] || { sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 64; }
PATH=$PATH:/usr/sbin:/sbin

if [ "${PRIVATE_NETWORK_INSIDE-}" ]; then
	unset PRIVATE_NETWORK_INSIDE
	ip link set lo up || exit 125
	# A user has got the capabilities of the namespace until here.
	exec setpriv --inh-caps=-all --ambient-caps=-all -- "$@"
fi
if ! command -v ip >/dev/null || ! command -v unshare >/dev/null; then
	echo 'private_network.sh: needs ip (iproute2) and unshare (util-linux)' >&2
	exit 125
fi
namespaces=--net
[ "$(id -u)" -eq 0 ] || namespaces='--net --map-current-user --keep-caps'
unshare $namespaces true 2>/dev/null || {
	echo 'private_network.sh: this kernel or container allows no network namespace' >&2
	exit 125
}
# No fork from here on: the command keeps this process id.
PRIVATE_NETWORK_INSIDE=1 exec unshare $namespaces sh "$0" "$@"
