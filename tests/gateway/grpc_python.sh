#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stock gRPC client against the gateway over an engine that only pretends: over TCP while
# everything runs, then over a Unix socket until the server is drained.
BUILDDIR=${BUILDDIR:-.}
SRCDIR=${SRCDIR:-.}
work=$(mktemp -d) || exit 99
trap 'kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/dir" || exit 99

"$BUILDDIR/tests/gateway/serve_fake" --listen 127.0.0.1:0 --socket "$work/dir/grpc.sock" \
	>"$work/address" 2>"$work/log" &
server=$!
tries=0
while [ ! -s "$work/address" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 200 ] || ! kill -0 "$server" 2>/dev/null; then
		echo "the server did not start:"
		cat "$work/log"
		exit 1
	fi
	sleep 0.1
done

client() {
	/usr/bin/python3 "$SRCDIR/tests/system/grpc_client.py" "$@" --max-message 1048576
}
client "$(cat "$work/address")" || exit $?
client "unix:$work/dir/grpc.sock" --drain-pid "$server" --can-lose || exit $?
wait "$server"
rc=$?
cat "$work/log"
[ $rc -eq 0 ] || { echo "the server ended with $rc"; exit 1; }
[ ! -e "$work/dir/grpc.sock" ] || { echo "the socket is still there"; exit 1; }
