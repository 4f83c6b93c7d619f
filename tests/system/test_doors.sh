#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A daemon that serves all addresses is reached over IPv4 and IPv6, warns once that it asks nobody for
# a key, and tells HTTP/1 clients what it is.
. "$(dirname "$0")/daemon.sh"

start_on() {
	: >"$dir/log"
	"$BUILDDIR/stagecoachd" -m "$MODEL" --socket "$socket" --port 0 "$@" >"$dir/out" \
		2>"$dir/log" </dev/null &
	launcher=$!
	wait_for is_started && grep -q 'ready: gRPC and HTTP on unix' "$dir/log" || fail "$*: not ready"
	port=$(sed -n 's/.*ready: gRPC and HTTP on .*:\([0-9]*\)$/\1/p' "$dir/log")
}

# What a client of HTTP/1 gets of an address.
get() {
	/usr/bin/python3 - "$1" "$port" <<-END
	import socket, sys
	client = socket.create_connection((sys.argv[1], int(sys.argv[2])), 60)
	host = ("[%s]:%s" if ":" in sys.argv[1] else "%s:%s") % tuple(sys.argv[1:])
	client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\nHost: %s\r\n\r\n" % host.encode())
	with client.makefile() as answer:
	    print(answer.read())
	END
}

grep -qs . /proc/net/if_inet6 && ipv6=::1 || ipv6=
for host in 0.0.0.0 :: '*'; do
	start_on --host "$host"
	n=$(grep -c 'warning: .*needs no API key and has no TLS: ' "$dir/log")
	[ "$n" = 1 ] || fail "--host $host: $n warnings of having no keys"
	for address in 127.0.0.1 $ipv6; do
		stagecoach generate --host $address --port "$port" -p x -n 2 >/dev/null \
			2>"$dir/client.log" || fail "--host $host: does not serve $address"
		get $address >"$dir/answer"
		head -n 1 "$dir/answer" | grep -q '^HTTP/1.1 200 ' &&
			grep -q "stagecoach generate --listen .*$address.*:$port" "$dir/answer" ||
			fail "--host $host: HTTP/1 on $address got: $(cat "$dir/answer")"
	done
	# Clients may have the settings of the server.
	STAGECOACH_HOST=$host stagecoach status --port "$port" >/dev/null 2>"$dir/client.log" ||
		fail "--host $host: not the host of clients: $(cat "$dir/client.log")"
	stop_daemon
	[ "$code" = 0 ] || fail "--host $host: exit code $code"
	echo "--host $host: serves 127.0.0.1 $ipv6"
done

start_on --host 127.0.0.1
grep -q 'no API key' "$dir/log" && fail "a warning for loopback"
stop_daemon
expect_none_left
echo "--host 127.0.0.1: no warning"
