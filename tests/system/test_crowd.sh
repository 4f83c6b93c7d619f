#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# More connections than the server takes lock nobody out: neither new clients on the same address,
# nor the operator on the Unix socket. What was refused stands in `status`.
. "$(dirname "$0")/daemon.sh"
PYTHON=${PYTHON:-/usr/bin/python3}
command -v "$PYTHON" >/dev/null || { echo "no $PYTHON"; exit 77; }

# hold ADDRESS N KIND: N connections of a kind: idle ones say hello, busy ones hold a request open
# that never ends, watch ones watch health. Tells when they are there, and ends with standard input.
hold() {
	"$PYTHON" -c '
import socket, struct, sys
address, n, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
path = {"busy": b"/stagecoach.v1.Stagecoach/Generate", "watch": b"/grpc.health.v1.Health/Watch"}
def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) \
        + payload
def field(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
if kind in path:
    hello += frame(1, 4, 1, field(b":method", b"POST") + field(b":scheme", b"http") +
                   field(b":authority", b"x") + field(b":path", path[kind]) +
                   field(b"content-type", b"application/grpc"))
if kind == "watch":
    hello += frame(0, 1, 1, bytes(5))
held = []
for _ in range(n):
    host, port = address.rsplit(":", 1)
    s = socket.create_connection((host, int(port)))
    try:
        s.sendall(hello)
    except OSError:
        pass
    held.append(s)
print("held", flush=True)
sys.stdin.read()
' "$@"
}

# crowd N KIND: such a crowd in the background, until crowd_leaves.
crowd() {
	rm -f "$dir/pipe"
	mkfifo "$dir/pipe"
	: >"$dir/crowd"
	hold "$address" "$1" "$2" <"$dir/pipe" >"$dir/crowd" 2>"$dir/crowd.log" &
	crowd=$!
	exec 9>"$dir/pipe"
	wait_for grep -q held "$dir/crowd" || fail "the crowd did not come"
}
crowd_leaves() {
	exec 9>&-
	wait $crowd
}

start_daemon 1 --max-connections 16
answers() { stagecoach status "$@" >"$dir/out" 2>&1; }
# A connection of the reserve may not: this takes the place of an idle one.
generates() { stagecoach generate "$@" -p x -n 1 >"$dir/out" 2>&1; }

for kind in idle watch; do
	crowd 40 $kind
	answers --socket "$socket" ||
		fail "$kind connections lock the operator out: $(cat "$dir/out")"
	wait_for generates --listen "$address" ||
		fail "$kind connections lock out: $(cat "$dir/out")"
	crowd_leaves
	echo "$kind connections lock nobody out"
done
stop_daemon

start_daemon 1 --max-connections 16 --idle-ms 2000 --request-ms 600000
crowd 40 busy
answers --socket "$socket" || fail "busy connections lock the operator out: $(cat "$dir/out")"
wait_for answers --listen "$address" || fail "no way to ask for health: $(cat "$dir/out")"
stagecoach generate --listen "$address" -p x -n 1 >"$dir/out" 2>&1 &&
	fail "a connection of the reserve may generate"
stagecoach generate --socket "$socket" -p x -n 1 >/dev/null 2>&1 || fail "the operator may not"
stagecoach status --socket "$socket" | grep '^limits met: .*reserve [1-9]' ||
	fail "what was refused is not shown"
crowd_leaves
echo "busy connections leave room for health and the operator"

# Idle ones are closed, and counted.
is_idle_counted() { stagecoach status --socket "$socket" | grep -q '^limits met: .*idle [1-9]'; }
crowd 4 idle
wait_for is_idle_counted || fail "idle connections stay"
crowd_leaves
stop_daemon
[ $code = 0 ] || fail "exit code $code"
expect_none_left
