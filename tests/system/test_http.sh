#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 on the port and the Unix socket that also speak gRPC: raw sockets, curl, and the drain.
. "$(dirname "$0")/daemon.sh"

start_daemon 1
/usr/bin/python3 "$SRCDIR/tests/system/http_client.py" "$address" "$socket" ||
	fail "raw sockets: see above"
stagecoach status --listen "$address" >"$dir/status" || fail "no gRPC on the same port"
begin_text "$LONG_TOKENS"	# gRPC on the same Unix socket, under way from here on

if command -v curl >/dev/null; then
	curl -sS -m $PATIENCE "http://$address/" >"$dir/page" || fail "curl over TCP"
	grep -q 'This is a Stagecoach server' "$dir/page" || fail "not the page: $(cat "$dir/page")"
	grep -q "generate --listen $address -p" "$dir/page" || fail "not its address"
	curl -sS -m $PATIENCE --unix-socket "$socket" http://localhost/ >"$dir/answer" ||
		fail "curl over the Unix socket"
	grep -q "generate --socket $socket -p" "$dir/answer" || fail "not the socket's path"
	curl -sS -m $PATIENCE -I "http://$address/" | grep -q '^HTTP/1.1 200' || fail "curl: HEAD"
	curl -sS -m $PATIENCE --http1.0 "http://$address/" | cmp -s - "$dir/page" || fail "HTTP/1.0"
	# An upgrade is not refused, it is not taken.
	curl -sS -m $PATIENCE --http2 "http://$address/" | cmp -s - "$dir/page" || fail "Upgrade: h2c"
	head -c 200000 /dev/zero | tr '\0' x >"$dir/body"
	code=$(curl -sS -m $PATIENCE -o "$dir/answer" -w '%{http_code}' --data-binary @"$dir/body" \
		"http://$address/nothing/here")
	[ "$code" = 404 ] || fail "curl with Expect: 100-continue: $code"
	grep -q '"type":"not_found_error"' "$dir/answer" || fail "no error object"
	code=$(curl -sS -m $PATIENCE -o "$dir/answer" -w '%{http_code}' -H 'Transfer-Encoding: chunked' \
		--data-binary @"$dir/body" "http://$address/nothing/here")
	[ "$code" = 404 ] || fail "curl, chunked: $code"
	code=$(curl -sS -m $PATIENCE -o "$dir/answer" -w '%{http_code}' -X DELETE "http://$address/")
	[ "$code" = 405 ] || fail "curl -X DELETE: $code"
fi

kill "$client" 2>/dev/null
stop_daemon
[ $code = 0 ] || fail "after the drain: exit code $code"
expect_none_left
