#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Memory is taken before the daemon says that it is ready: keys and values that nobody has used yet
# are resident. What cannot be had is an error that says how much was asked for.
. "$(dirname "$0")/daemon.sh"

# MiB of keys and values, from the plan in the log.
planned() { awk '/^1 .* e\+/ { print int($5) }' "$dir/log"; }
resident() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$launcher/status"; }

start_daemon 1 --kv-positions 25600 --parallel 2 -c 1000
small=$(planned) before=$(resident)
[ "$small" -gt 0 ] || fail "the plan does not say how much the pool takes"
[ "$before" -ge "$small" ] || fail "ready with $before MiB, and the pool has $small"
stop_daemon
start_daemon 1 --kv-positions 96000 --parallel 2 -c 1000
large=$(planned) after=$(resident)
[ "$large" -gt $((small * 3)) ] || fail "a pool of $large MiB after one of $small"
[ "$after" -ge "$large" ] || fail "ready with $after MiB, and the pool has $large"
stop_daemon
echo "ok: $large MiB of keys and values are there when it is ready ($after MiB)"

# Sanitizers reserve more address space than any limit that could be set here.
grep -q '__[at]san_init' "$BUILDDIR/stagecoachd" && exit 0
(ulimit -v $((large * 1024)) && exec "$BUILDDIR/stagecoachd" -m "$MODEL" --listen none \
	--socket "$socket" --kv-positions 96000 --memory 100G >"$dir/out" 2>"$dir/log") &&
	fail "the daemon took more than there is"
grep -q "KV cache: no memory for $large\.[0-9] MiB: 3000 blocks of 32 positions" "$dir/log" ||
	fail "the error does not say what was asked for"
echo "ok: the error says how much was asked for"
