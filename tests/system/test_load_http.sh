#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clients that misbehave in all ways at once over HTTP and gRPC, beside honest ones; many requests
# in the same memory; and an end under load. LOAD=full: a minute of the first, 50,000 of the second.
. "$(dirname "$0")/daemon.sh"

seconds=6 requests=1500
[ "${LOAD:-}" != full ] || { seconds=60 requests=50000; }
load() {
	/usr/bin/python3 "$SRCDIR/tests/system/load_http.py" "$@" || fail "$1"
}

# 1,000 connections that are held, and those of the clients that misbehave.
[ "$(ulimit -n)" -ge 4096 ] || ulimit -n 4096 2>/dev/null ||
	{ echo "too few descriptors"; exit 77; }
start_daemon 1 --max-connections 2000 --max-peer-connections 1500 --keep-jobs 100
load crowd "$address" "$launcher" "$BUILDDIR/stagecoach" --seconds $seconds
load memory "$address" "$launcher" --requests $requests
load drain "$address" "$launcher" "$BUILDDIR/stagecoach"
wait_launcher
[ "$code" = 0 ] || fail "after the drain: exit code $code"
expect_none_left
