#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each mistake gives one clear line and the right exit code, alone and under mpirun.
. "$(dirname "$0")/daemon.sh"

# expect RANKS CODE PATTERN OPTION...
expect() {
	ranks=$1 code=$2 pattern=$3
	shift 3
	launch "$ranks" "$BUILDDIR/stagecoachd" "$@" >"$dir/out" 2>"$dir/log" </dev/null
	got=$?
	[ $got = "$code" ] || fail "$*: exit code $got, expected $code"
	n=$(grep -c 'error: ' "$dir/log")
	[ "$n" = 1 ] || fail "$*: $n error lines, expected one"
	grep 'error: ' "$dir/log" | grep -q -- "$pattern" || fail "$*: expected '$pattern'"
	[ -s "$dir/out" ] && fail "$*: something on standard output"
	[ -n "$launcher" ] || expect_none_left
	echo "$ranks ranks, exit code $code: $(grep 'error: ' "$dir/log" | sed 's/.*error: //')"
}

head -c 1000000 "$MODEL" >"$dir/truncated.gguf"
echo 'this is no model' >"$dir/text.gguf"
printf 'port = 8080;\nctx_sise = 4;\n' >"$dir/unknown.conf"
printf 'port = 80\n80;\n' >"$dir/broken.conf"

for ranks in 1 3; do
	expect $ranks 66 'missing.gguf: .*No such file' -m "$dir/missing.gguf"
	expect $ranks 1 'truncated.gguf: .*truncated?' -m "$dir/truncated.gguf"
	expect $ranks 1 'text.gguf: offset 0: expected "GGUF"' -m "$dir/text.gguf"
	expect $ranks 1 'expected config.json, found text.gguf' -m "$dir"
	expect $ranks 64 'no model' --config /dev/null
	expect $ranks 64 '--bogus: no such option' -m "$MODEL" --bogus
	expect $ranks 64 '--port: expected a whole number' -m "$MODEL" --port many
	expect $ranks 64 '--temp: a value is missing' -m "$MODEL" --temp
	expect $ranks 64 '256.0.0.1: ' -m "$MODEL" --listen 256.0.0.1:0
	expect $ranks 78 'no client could reach the server' -m "$MODEL" --listen none
	expect $ranks 78 'unknown.conf:2: ctx_sise: no such setting' -C "$dir/unknown.conf"
	expect $ranks 78 'broken.conf:2: syntax error' -C "$dir/broken.conf"
	expect $ranks 78 'none.conf: No such file' -C "$dir/none.conf"
done
expect 3 78 'loopback works only in one process' -m "$MODEL" --transport loopback
expect 3 78 'stages: 4, but 3 processes' -m "$MODEL" --stages 4
expect 1 64 '99 stages for a model with 8 layers' -m "$MODEL" --stages 99
expect 11 64 '10 stages for a model with 8 layers' -m "$MODEL"

stagecoachd --check-config -C "$dir/unknown.conf" 2>"$dir/log" &&
	fail "check-config accepted nonsense"
stagecoachd --check-config -m "$MODEL" 2>"$dir/log" ||
	fail "check-config refused a good configuration"

start_daemon 1
expect 1 1 "$address: .*in use" -m "$MODEL" --listen "$address" --socket "$dir/other.sock"
expect 1 1 "grpc.sock: .*" -m "$MODEL" --listen none --socket "$socket"
expect 3 1 "$address: .*in use" -m "$MODEL" --listen "$address"
stop_daemon
[ $code = 0 ] || fail "SIGTERM: exit code $code"
expect_none_left
