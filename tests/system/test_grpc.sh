#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stock gRPC client (python3-grpcio) against a coordinator and two stages, over TCP and the Unix
# socket, up to and including the drain.
. "$(dirname "$0")/daemon.sh"

client() {
	/usr/bin/python3 "$SRCDIR/tests/system/grpc_client.py" "$@" --max-message 1048576
	code=$?
	[ $code = 77 ] && exit 77
	[ $code = 0 ] || fail "the client ended with $code"
}

start_daemon 3 --transport ucx --max-message 1M
client "$address"
client "unix:$socket" --drain-pid "$(pid_of_rank 0)"
wait_launcher
[ $code = 0 ] || fail "after the drain: exit code $code"
expect_none_left
