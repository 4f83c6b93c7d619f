#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The plan keeps the limits of the process: it fits and survives, or is refused before loading.
# Groups of the kernel need rights that tests seldom have: tests/base/test_resources.c has them in
# files.
. "$(dirname "$0")/daemon.sh"

grep -q '__[at]san_init' "$BUILDDIR/stagecoachd" && { echo "a sanitizer takes all addresses"; exit 77; }

# 400 MiB of addresses. With more threads glibc would take 64 MiB for each.
ulimit -v 409600
export MALLOC_ARENA_MAX=2

# Keys and values of 10,000,000 positions take some 10 GB.
stagecoachd -m "$MODEL" -t 1 --listen none --socket "$dir/a.sock" --kv-positions 10000000 \
	2>"$dir/log" </dev/null
code=$?
[ $code = 64 ] || fail "a pool beyond the limit: exit code $code, expected 64"
grep -q 'error: .* MiB for KV .*at most [0-9]* positions fit' "$dir/log" ||
	fail "a pool beyond the limit: not said, or not what would fit"
grep -q 'loading' "$dir/log" && fail "a pool beyond the limit: weights were loaded"
cat "$dir/log"

start_daemon 1 -t 1 --stages 2
grep -q 'job-memory: [0-9]* MiB instead of 1024' "$dir/log" || fail "less job-memory: not said"
stagecoach generate --socket "$socket" -p 'ROMEO:' -n 300 --ignore-eos --sequences 16 \
	>"$dir/text" 2>"$dir/client.log" || fail "no text within the limit"
[ -s "$dir/text" ] || fail "an empty text"
stop_daemon
[ "$code" = 0 ] || fail "SIGTERM: exit code $code"
expect_none_left
