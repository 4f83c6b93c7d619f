#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Settings from flags, variables and the file: what --check-config and --print-config make of them,
# and what clients do.
. "$(dirname "$0")/daemon.sh"

for name in $(env | sed -n 's/^\(STAGECOACH_[A-Z_]*\)=.*/\1/p'); do
	unset "$name"
done

# What is refused, without its time.
errors() { sed -n 's/.*error: //p' "$1"; }

# Checking finds what starting finds, in the same words and with the same exit code.
check_as_start() {
	timeout $PATIENCE "$BUILDDIR/stagecoachd" "$@" >"$dir/out" 2>"$dir/log" </dev/null
	started=$?
	stagecoachd --check-config "$@" >"$dir/out" 2>"$dir/check.log"
	checked=$?
	[ $started != 0 ] && [ $checked = $started ] ||
		fail "$*: starting ended with $started, checking with $checked"
	[ -s "$dir/out" ] && fail "$*: something on standard output"
	[ "$(errors "$dir/log")" = "$(errors "$dir/check.log")" ] ||
		fail "$*: other words: $(cat "$dir/log" "$dir/check.log")"
	echo "exit code $checked: $(errors "$dir/check.log")"
}

head -c 1000000 "$MODEL" >"$dir/truncated.gguf"
echo 'host = "nowhere.invalid";' >"$dir/host.conf"
printf 'port = 4294967376;\n' >"$dir/wide.conf"
check_as_start --config /dev/null
check_as_start -m "$dir/missing.gguf"
check_as_start -m "$dir/truncated.gguf"
check_as_start -m "$MODEL" --listen nonsense
check_as_start -m "$MODEL" --listen 127.0.0.1:99999
check_as_start -m "$MODEL" --listen 192.0.2.1:0
check_as_start -m "$MODEL" --listen none
check_as_start -m "$MODEL" --listen none --socket "$dir/no/such.sock"
check_as_start -m "$MODEL" --listen none --socket "$MODEL"
check_as_start -m "$MODEL" -C "$dir/host.conf"
check_as_start -m "$MODEL" -C "$dir/wide.conf"
check_as_start -m "$MODEL" --port 0 --stages 99
check_as_start -m "$MODEL" --port 0 --deadline-ms 600
check_as_start -m "$MODEL" --temprature 1

# Clusters without a launcher.
(umask 077 && echo 00112233445566778899aabbccddeeff >"$dir/cluster.key" && echo no >"$dir/bad.key")
cp "$dir/cluster.key" "$dir/open.key"
chmod 644 "$dir/open.key"
coordinator="-m $MODEL --role coordinator --cluster-key-file $dir/cluster.key --listen 127.0.0.1:0"
worker="-m $MODEL --role worker --cluster-key-file $dir/cluster.key --coordinator"
check_as_start $coordinator --cluster-listen 127.0.0.1:99999
check_as_start $coordinator --cluster-listen nowhere.invalid
for key in missing bad open; do
	check_as_start $coordinator --cluster-key-file "$dir/$key.key"
	grep -q "cluster-key-file: $dir/$key.key" "$dir/log" || fail "$key.key: $(cat "$dir/log")"
done
check_as_start $worker 127.0.0.1:99999
check_as_start $worker 127.0.0.1:0
check_as_start $worker 127.0.0.1 --worker-id "$(printf %99d 0)"
stagecoachd --check-config $worker 10.0.0.1 >"$dir/out" || fail "a worker's settings are refused"
grep -q 'coordinator: *10.0.0.1' "$dir/out" || fail "where it dials: $(cat "$dir/out")"
grep -q 'TCP:\|stage$' "$dir/out" && fail "a worker serves no clients: $(cat "$dir/out")"

# A valid one is told, also beside a server that has the same port.
start_daemon 1
stagecoachd --check-config -m "$MODEL" --listen "$address" >"$dir/out" 2>"$dir/log" ||
	fail "--check-config beside a running server: $(cat "$dir/log")"
[ -s "$dir/log" ] && fail "--check-config: something on standard error"
for pattern in 'configuration is valid' "TCP: *$address" 'socket: *none' '8 layers in 1 stage' \
	'memory: *is enough now'; do
	grep -q "$pattern" "$dir/out" || fail "--check-config: no '$pattern' in: $(cat "$dir/out")"
done
# What is free changes: too little of it is told, and no error. What --memory says does not change:
# a start would end with the same error.
stagecoachd --check-config -m "$MODEL" --ctx-size 16777216 >"$dir/out" ||
	fail "a lack of free memory is refused"
grep -q 'memory: *is ' "$dir/out" || fail "nothing about memory: $(cat "$dir/out")"
for check in --check-config ''; do
	stagecoachd $check -m "$MODEL" --memory 1M --listen 127.0.0.1:0 >"$dir/out" 2>"$dir/log"
	code=$?
	[ $code = 64 ] || fail "$check --memory 1M: exit code $code, expected 64"
	grep -q 'error: .* needs .*MiB' "$dir/log" || fail "$check --memory 1M: $(cat "$dir/log")"
done
launch 3 "$BUILDDIR/stagecoachd" --check-config -m "$MODEL" >"$dir/out" 2>"$dir/log" ||
	fail "--check-config under mpirun: $(cat "$dir/log")"
[ "$(grep -c 'configuration is valid' "$dir/out")" = 1 ] || fail "not said once: $(cat "$dir/out")"
grep -q 'layers in 2 stages' "$dir/out" || fail "not two stages: $(cat "$dir/out")"

# Variables count for clients; a flag comes first.
export XDG_RUNTIME_DIR="$dir"
STAGECOACH_HOST=127.0.0.1 STAGECOACH_PORT=${address##*:} stagecoach status >/dev/null ||
	fail "STAGECOACH_PORT does not reach the server"
STAGECOACH_SOCKET=$socket stagecoach status >/dev/null ||
	fail "STAGECOACH_SOCKET does not reach the server"
STAGECOACH_PORT=nonsense stagecoach status --listen "$address" 2>"$dir/log" >/dev/null
[ $? = 78 ] || fail "a bad STAGECOACH_PORT that no flag overrides: exit code"
STAGECOACH_PORT=nonsense stagecoach status --port "${address##*:}" >/dev/null ||
	fail "--port does not win over a bad STAGECOACH_PORT"
STAGECOACH_TEMP=0 stagecoach generate --socket "$socket" -p JULIET: -n 8 >"$dir/one" 2>/dev/null
stagecoach generate --socket "$socket" -p JULIET: -n 8 --temp 0 >"$dir/two" 2>/dev/null
[ -s "$dir/one" ] && cmp "$dir/one" "$dir/two" || fail "STAGECOACH_TEMP=0 is not --temp 0"
stop_daemon

# Kubernetes' variables are passed over; the debug log says so. Empty is unset.
STAGECOACH_PORT=tcp://10.0.0.7:8080 STAGECOACH_SERVICE_HOST=10.0.0.7 STAGECOACH_THREADS= \
	STAGECOACH_CPU= stagecoachd --check-config -m "$MODEL" >"$dir/out" 2>"$dir/log" ||
	fail "Kubernetes' variables: $(cat "$dir/log")"
[ -s "$dir/log" ] && fail "Kubernetes' variables: $(cat "$dir/log")"
STAGECOACH_PORT=tcp://10.0.0.7:8080 stagecoachd --check-config -m "$MODEL" --log-level debug \
	>/dev/null 2>"$dir/log"
grep -q 'STAGECOACH_PORT is ignored: Kubernetes' "$dir/log" || fail "no note: $(cat "$dir/log")"

# A slip is told once, whoever reads the variable.
STAGECOACH_TEMPRATURE=1 launch 3 "$BUILDDIR/stagecoachd" --check-config -m "$MODEL" >/dev/null \
	2>"$dir/log" || fail "a misspelt variable is an error: $(cat "$dir/log")"
[ "$(grep -c 'STAGECOACH_TEMPRATURE.*did you mean STAGECOACH_TEMP?' "$dir/log")" = 1 ] ||
	fail "a misspelt variable: $(cat "$dir/log")"
STAGECOACH_PROT=1 stagecoach status --port 1 2>"$dir/log"
grep -q 'STAGECOACH_PROT.*did you mean STAGECOACH_PORT?' "$dir/log" ||
	fail "a misspelt variable of a client: $(cat "$dir/log")"

# What is in effect, and whence.
printf '\nctx_size = 100;\n' >"$dir/some.conf"
STAGECOACH_MAX_QUEUE=5 stagecoachd --print-config -C "$dir/some.conf" -m "$MODEL" >"$dir/all.conf"
grep -q "^ctx_size = 100; *# $dir/some.conf:2$" "$dir/all.conf" || fail "ctx_size: not of the file"
grep -q '^max_queue = 5; *# STAGECOACH_MAX_QUEUE$' "$dir/all.conf" || fail "max_queue: no variable"
grep -q '^model = .*# flag --model$' "$dir/all.conf" || fail "model: no flag"
grep -q '^port = 8080; *# default$' "$dir/all.conf" || fail "port: no default"
stagecoachd --check-config -C "$dir/all.conf" >/dev/null || fail "--print-config prints no valid file"
stagecoach generate --print-config --port 3 | grep -q '^port = 3; *# flag --port$' ||
	fail "a verb does not print its settings"
for program in stagecoachd 'stagecoach status'; do
	STAGECOACH_PROT=3 "$BUILDDIR/"$program --print-config >"$dir/out" 2>"$dir/log"
	grep -q 'STAGECOACH_PROT.*did you mean' "$dir/log" ||
		fail "$program --print-config: no word of STAGECOACH_PROT"
done

# A key that the model does not have was probably meant to be another.
stagecoach run -m "$MODEL" -p JULIET: -n 1 --ignore-key general.nmae >/dev/null 2>"$dir/log"
grep -q 'no key general.nmae; did you mean general.name?' "$dir/log" ||
	fail "--ignore-key of a misspelt key: $(cat "$dir/log")"

# Errors of one prompt come under the daemon's own name.
[ ! -e /dev/full ] || stagecoachd -m "$MODEL" -p JULIET: -n 1 >/dev/full 2>"$dir/log"
[ ! -e /dev/full ] || grep -q '^stagecoachd: error: standard output: ' "$dir/log" ||
	fail "stagecoachd -p: $(cat "$dir/log")"
expect_none_left
