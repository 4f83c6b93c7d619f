#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A daemon with API keys: over TCP only those who know one get in, over gRPC and HTTP alike, within
# the limits of their key; SIGHUP reads the keys again; web pages get what the settings allow.
. "$(dirname "$0")/daemon.sh"

keys=$dir/api-keys
alice=alice-0123456789abcdef
bob=bob-0123456789abcdef
carol=carol-0123456789abcdef

# reads "STATUS", the header fields and the body of a request into $dir/answer
# http METHOD PATH [FIELD: VALUE]...
http() {
	/usr/bin/python3 - "$address" "$@" >"$dir/answer" <<-'END'
	import http.client, sys
	address, method, path, *fields = sys.argv[1:]
	client = http.client.HTTPConnection(address, timeout=60)
	client.putrequest(method, path, skip_host=any(f.startswith("Host:") for f in fields))
	for field in fields:
	    client.putheader(*field.split(": ", 1))
	client.endheaders()
	answer = client.getresponse()
	print(answer.status)
	print(answer.headers)
	print(answer.read().decode())
	END
}
# expect STATUS WHAT: of the last answer
expect() {
	[ "$(head -n 1 "$dir/answer")" = "$1" ] || fail "$2: expected $1, found $(cat "$dir/answer")"
}
# verb CODE WHAT VERB...: over TCP
verb() {
	wanted=$1
	what=$2
	shift 2
	stagecoach "$@" --listen "$address" >"$dir/out.verb" 2>"$dir/client.log"
	code=$?
	[ $code = "$wanted" ] || fail "$what: expected exit code $wanted, found $code"
}
get_in() { stagecoach status --listen "$address" --api-key "$1" >/dev/null 2>&1; }

cat >"$keys" <<END
# NAME KEY
alice $alice
bob $bob rate=2/h
carol $carol concurrent=1
END
chmod 600 "$keys"
start_daemon 1 $LONG --api-key-file "$keys" --cors-origins https://chat.example

# Whoever knows no key is told so. A wait for a server that is there ends.
verb 77 "no key" status
grep -q 'Authorization: Bearer KEY' "$dir/client.log" || fail "no key: no words"
verb 77 "a wrong key" generate -p x -n 1 --api-key "${alice}x"
grep -q 'Incorrect API key' "$dir/client.log" || fail "a wrong key: no words"
verb 77 "a wait without a key" status --wait
verb 0 "a key" status --api-key $alice
STAGECOACH_API_KEY=$alice verb 0 "a key of the environment" generate -p x -n 1
stagecoach status --socket "$socket" >/dev/null 2>"$dir/client.log" ||
	fail "the Unix socket asks for a key"
echo "gRPC: only with a key"

http GET /nothing
expect 401 "no key"
grep -qi '^WWW-Authenticate: Bearer' "$dir/answer" || fail "401 without WWW-Authenticate"
grep -q '"type":"authentication_error"' "$dir/answer" || fail "401 without its object"
http GET /nothing "Authorization: Bearer ${alice}x"
expect 401 "a wrong key"
http GET /nothing "Authorization: Bearer $alice"
expect 404 "a key"
http GET /nothing "X-Api-Key: $alice"
expect 404 "a key in X-Api-Key"
echo "HTTP: only with a key"

# Limits.
verb 0 "the first of two" generate -p x -n 1 --api-key $bob
verb 0 "the second of two" generate -p x -n 1 --api-key $bob
verb 75 "the third of two" generate -p x -n 1 --api-key $bob
grep -q "'bob' allows 2 requests per hour" "$dir/client.log" || fail "no words of the rate"
http GET /nothing "Authorization: Bearer $bob"
expect 429 "the third of two over HTTP"
grep -qi '^Retry-After: [1-9]' "$dir/answer" || fail "429 without Retry-After"
verb 0 "status, which does not count" status --api-key $bob
$interruptible "$BUILDDIR/stagecoach" generate --listen "$address" --api-key $carol -p 'ROMEO:' \
	-n $LONG_TOKENS --temp 0 --ignore-eos >"$dir/text" 2>"$dir/long.log" &
client=$!
wait_for has_text || fail "no text comes"
verb 75 "a second one at the same time" generate -p x -n 1 --api-key $carol
grep -q "'carol' allows 1 request at the same time" "$dir/client.log" || fail "no words of it"
kill -INT $client
wait $client
one_more() { stagecoach generate --listen "$address" --api-key $carol -p x -n 1 >/dev/null 2>&1; }
wait_for one_more || fail "a request that has ended still counts"
echo "rates and requests at once are limited"

# Jobs of one key are nobody else's, but for those who may open the Unix socket.
job=$(stagecoach submit --listen "$address" --api-key $alice -p secret -n 1 -q) || fail "submit"
verb 0 "the own job" watch "$job" --api-key $alice
for verb in watch cancel; do verb 66 "$verb of another's job" $verb "$job" --api-key $bob; done
verb 0 "own jobs" jobs --api-key $alice
grep -q "$job" "$dir/out.verb" || fail "the own job is not listed"
verb 0 "own jobs" jobs --api-key $carol
grep -q "$job" "$dir/out.verb" && fail "another's job is listed"
stagecoach jobs --socket "$socket" | grep -q "$job" || fail "the Unix socket does not show all jobs"
echo "each key sees its own jobs"

# SIGHUP.
printf 'alice %s\ndave dave-0123456789abcdef\n' $alice >"$keys"
kill -HUP "$launcher"
wait_for get_in dave-0123456789abcdef || fail "a new key is not known after SIGHUP"
verb 77 "a key that was removed" generate -p x -n 1 --api-key $bob
verb 0 "a key that stayed" generate -p x -n 1 --api-key $alice
printf 'alice\n' >"$keys"
echo "erin erin-0123456789abcdef often" >>"$keys"
kill -HUP "$launcher"
has_complained() { grep -q "old API keys .*stay in use: $keys:2: expected NAME KEY" "$dir/log"; }
wait_for has_complained || fail "a faulty file: no complaint"
verb 0 "a key of before" status --api-key $alice
echo "SIGHUP reads the keys, faulty ones change nothing"

# Web pages.
http GET /nothing "Host: evil.example" "Authorization: Bearer $alice"
expect 403 "the host of another"
http OPTIONS /v1/completions "Origin: https://chat.example" \
	"Access-Control-Request-Method: POST" "Access-Control-Request-Headers: authorization"
expect 204 "a preflight"
grep -q '^Access-Control-Allow-Origin: https://chat.example' "$dir/answer" &&
	grep -q '^Access-Control-Allow-Headers: authorization' "$dir/answer" ||
	fail "a preflight: $(cat "$dir/answer")"
http OPTIONS /v1/completions "Origin: https://evil.example" "Access-Control-Request-Method: POST"
expect 403 "a preflight of another origin"
http POST /v1/completions "Origin: https://evil.example" "Content-Type: text/plain" \
	"Content-Length: 0" "Authorization: Bearer $alice"
expect 403 "a simple request of another origin"
echo "web pages: hosts and origins are checked"

stagecoach status --socket "$socket" --json >"$dir/status" || fail "status"
for limit in key key-rate key-calls origin; do
	grep -q "\"name\":\"$limit\",\"count\":[1-9]" "$dir/status" ||
		fail "status does not count $limit: $(cat "$dir/status")"
done
for key in $alice $bob $carol dave-0123456789abcdef erin-0123456789abcdef; do
	grep -q $key "$dir/log" "$dir/out" && fail "a key is in the log"
done
stop_daemon
[ "$code" = 0 ] || fail "exit code $code"

STAGECOACH_API_KEY=$alice stagecoachd --print-config >"$dir/settings" || fail "--print-config"
grep -q $alice "$dir/settings" && fail "--print-config shows a key"
grep -q 'api_key is set and not shown; # STAGECOACH_API_KEY' "$dir/settings" ||
	fail "--print-config hides that there is a key"
stagecoachd --check-config -m "$MODEL" --port 0 --api-key-file "$keys" >"$dir/out" 2>&1 &&
	fail "--check-config accepts a faulty file"
expect_none_left
echo "no key is shown anywhere"
