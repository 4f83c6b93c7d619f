#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# On one host no process listens where another machine could reach it. Rank 0 opens the port of gRPC
# and one for its workers, both on loopback; mpirun, which listens on all interfaces, has a network of
# its own, by the command of README.md, in ./demo and in the unit.
. "$(dirname "$0")/daemon.sh"

private=$SRCDIR/tools/private_network.sh

# listeners PID: its listening TCP sockets, as address:port in hexadecimal.
listeners() {
	inodes=$(ls -l "/proc/$1/fd" | sed -n 's/.*socket:\[\(.*\)\]$/\1/p')
	cat "/proc/$1/net/tcp" "/proc/$1/net/tcp6" 2>/dev/null |
		awk -v inodes="$inodes" '
			BEGIN { n = split(inodes, list, "\n"); for (i in list) own[list[i]] = 1 }
			$4 == "0A" && ($10 in own) { print $2 }'
}

interfaces() { sed -n 's/^ *\([^:]*\):.*/\1/p' "/proc/$1/net/dev" | tr '\n' ' '; }

ranks() {
	for pid in $(processes); do
		[ "$(cat "/proc/$pid/comm")" = stagecoachd ] && echo "$pid"
	done
}

# A test that finds nothing must have been able to find something.
listeners_are_seen() {
	/usr/bin/python3 -c 'import socket, time
s = socket.create_server(("0.0.0.0", 0)); print("open", flush=True); time.sleep(60)' \
		>"$dir/opened" &
	opener=$!
	is_open() { grep -q open "$dir/opened"; }
	wait_for is_open || fail "the example did not open its port"
	listeners $opener | grep -q '^00000000:' || fail "an open port is not seen"
	kill $opener
}

# Everything under mpirun, in the network of this test: gRPC and the control port of rank 0, both on
# loopback, and nothing else.
expect_loopback_only() {
	start_daemon 3 "$@"
	port=$(printf '%04X' "${address##*:}")
	found=$(for pid in $(ranks); do listeners "$pid"; done)
	[ "$(echo "$found" | grep -c '^0100007F:')" = 2 ] && [ "$(echo "$found" | wc -l)" = 2 ] &&
		echo "$found" | grep -q ":$port\$" || fail "$*: the ranks listen on: $found"
	[ "$(listeners "$(pid_of_rank 0)")" = "$found" ] || fail "$*: a worker listens"
	stop_daemon
	expect_none_left
	echo "$*: rank 0 listens on loopback alone, and the others not at all"
}

# All processes are where there is no interface but loopback, and no port is open to clients.
expect_private() {
	[ "$(interfaces self)" != 'lo ' ] || echo "this test itself has no network"
	for pid in "$launcher" $(ranks); do
		[ "$(interfaces "$pid")" = 'lo ' ] ||
			fail "$1: process $pid sees $(interfaces "$pid")"
	done
	found=$(for pid in $(ranks); do listeners "$pid"; done)
	echo "$found" | grep -qv '^0100007F:' && fail "$1: the ranks listen on: $found"
	stagecoach generate --socket "$socket" -p x -n 3 >/dev/null 2>"$dir/client.log" ||
		fail "$1: the Unix socket does not serve"
}

listeners_are_seen
expect_loopback_only --transport ucx
expect_loopback_only --transport mpi

# Workers connect where the setting says. A key file that only a worker has is told.
start_daemon 3 --cluster-listen 127.0.0.2:0
listeners "$(pid_of_rank 0)" | grep -q '^0200007F:' ||
	fail "cluster-listen: rank 0 listens on $(listeners "$(pid_of_rank 0)")"
stop_daemon
[ $code = 0 ] || fail "cluster-listen: exit code $code"
(umask 077 && echo 00112233445566778899aabbccddeeff >"$dir/key")
"$MPIRUN" $MPIRUN_FLAGS -n 1 "$BUILDDIR/stagecoachd" -m "$MODEL" --listen none --socket "$socket" : \
	-n 1 "$BUILDDIR/stagecoachd" -m "$MODEL" --listen none --socket "$socket" \
	--cluster-key-file "$dir/key" >"$dir/out" 2>"$dir/log" </dev/null &&
	fail "a key file for one rank alone: it runs"
grep -q 'cluster-key-file: rank 1 has one and rank 0 has none' "$dir/log" ||
	fail "a key file for one rank alone: $(cat "$dir/log")"
expect_none_left
echo "cluster-listen and cluster-key-file count under mpirun, too"

unit=$SRCDIR/systemd/stagecoach.service.in
grep -q '^PrivateNetwork=yes$' "$unit" || fail "the unit has no network of its own"
grep -q '^Environment="STAGECOACHD_OPTIONS=.*--listen keys --allowed-hosts \*"$' "$unit" ||
	fail "the unit listens on TCP without keys"

"$private" true || { echo "no network namespaces here: the rest is skipped"; exit 77; }
command=$(sed -n '/^    tools\/private_network.sh/,/[^\\]$/p' "$SRCDIR/README.md" | tr -d '\\\n' |
	sed -e "s|tools/private_network.sh|$private|; s| build/| $BUILDDIR/|" \
		-e "s|models/demo.gguf|$MODEL|; s|/tmp/stagecoach.sock|$socket|; s|mpirun|$MPIRUN|")
echo "$command"
$command >"$dir/out" 2>"$dir/log" </dev/null &
launcher=$!
wait_for is_started && grep -q 'ready' "$dir/log" || fail "README's command does not become ready"
expect_private "README's command"
stop_daemon
expect_none_left
echo "README's command: nothing is reachable from outside"

# ./demo as it is, with what is built here. Its text, which names this test, lasts long.
tree=$dir/tree
mkdir -p "$tree/tools" && cp "$SRCDIR/demo" "$tree" && ln -s "$private" "$tree/tools" &&
	ln -s "$BUILDDIR" "$tree/build" &&
	ln -s "$SRCDIR/models" "$SRCDIR/systemd" "$tree" ||
	fail "no place for the demo"
printf '#!/bin/sh\n' >"$tree/tools/prepare.sh"
chmod +x "$tree/tools/prepare.sh"
STAGECOACH_CTX_SIZE=30000 STAGECOACH_KV_POSITIONS=30000 STAGECOACH_IGNORE_EOS=1 \
	STAGECOACH_N_PREDICT=$LONG_TOKENS "$tree/demo" "$dir" >"$dir/text" 2>"$dir/log" </dev/null &
launcher=$!
has_demo_text() { [ "$(wc -c <"$dir/text")" -gt 200 ]; }
wait_for has_demo_text || fail "./demo gives no text"
[ "$(ranks | wc -l)" = 3 ] || fail "./demo has not three ranks: $(ranks)"
for pid in $(ranks) $(pgrep -P "$launcher"); do
	[ "$(interfaces "$pid")" = 'lo ' ] || fail "./demo: process $pid sees $(interfaces "$pid")"
done
kill -TERM "$launcher"
wait_launcher
[ "$code" = 143 ] || fail "./demo: exit code $code"
expect_none_left
echo "./demo: nothing is reachable from outside"
