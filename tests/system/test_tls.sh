#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A daemon with TLS: gRPC and HTTP/1.1 over it, by our verbs and by Python's libraries; certificates
# that are wrong, and clients that speak TLS where there is none or the reverse, are told in words;
# SIGHUP reads the certificate again.
. "$(dirname "$0")/daemon.sh"

key=alice-0123456789abcdef
"$BUILDDIR/tests/gateway/make_certificates" "$dir" || fail "no certificates"

# verb CODE WORDS VERB...: over TCP
verb() {
	wanted=$1
	words=$2
	shift 2
	stagecoach "$@" >"$dir/out.verb" 2>"$dir/client.log"
	code=$?
	[ $code = "$wanted" ] && { [ -z "$words" ] || grep -q "$words" "$dir/client.log"; } ||
		fail "$*: expected exit code $wanted and '$words', found $code"
}
# Another server, for certificates that are wrong.
start_with() {
	start_daemon 1 --tls-cert "$dir/$1.crt" --tls-key "$dir/$1.key"
	port=${address##*:}
}

start_daemon 1 --tls-cert "$dir/server.crt" --tls-key "$dir/server.key" --api-key $key
port=${address##*:}
to="--port $port --ca $dir/ca.crt --api-key $key"
prompt="-p ROMEO: -n 100 --temp 0 -q"

# gRPC.
for host in 127.0.0.1 localhost; do
	stagecoach generate --host $host $to $prompt >"$dir/text" 2>"$dir/client.log" ||
		fail "generate over TLS to $host"
	stagecoach generate --socket "$socket" $prompt >"$dir/plain" 2>"$dir/client.log"
	cmp -s "$dir/text" "$dir/plain" || fail "the text over TLS differs"
done
verb 77 "didn't provide an API key" status --port $port --ca "$dir/ca.crt"
verb 1 'not signed by an authority of the --ca file' status --port $port --ca "$dir/other.crt"
verb 1 'Give with --ca FILE' status --port $port --tls
verb 1 'the server speaks TLS. Give --tls' status --port $port
verb 66 'no.crt: No such file' status --port $port --ca "$dir/no.crt"
echo "gRPC over TLS, and its faults in words"

# HTTP/1.1 by Python's ssl, and what ALPN agrees on.
/usr/bin/python3 - "$port" "$dir/ca.crt" <<-'END' || fail "HTTP over TLS"
import http.client, socket, ssl, sys
port, ca = int(sys.argv[1]), sys.argv[2]

def agreed(protocols):
    context = ssl.create_default_context(cafile=ca)
    if protocols:
        context.set_alpn_protocols(protocols)
    with socket.create_connection(("127.0.0.1", port), 60) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            return tls.selected_alpn_protocol()

assert agreed(["h2", "http/1.1"]) == "http/1.1"
assert agreed(["h2"]) == "h2"
assert agreed([]) is None
context = ssl.create_default_context(cafile=ca)
client = http.client.HTTPSConnection("localhost", port, timeout=60, context=context)
for path, key, status in (("/nothing", None, 401), ("/nothing", "alice-0123456789abcdef", 404)):
    client.request("GET", path, headers={"Authorization": "Bearer " + key} if key else {})
    answer = client.getresponse()
    answer.read()
    assert answer.status == status, (path, answer.status)
# In one piece with the end of TLS: what is asked is still answered.
context.minimum_version = ssl.TLSVersion.TLSv1_3
client = http.client.HTTPSConnection("localhost", port, timeout=60, context=context)
client.request("GET", "/nothing", headers={"Connection": "close"})
assert client.getresponse().read()
client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
client.request("GET", "/")
answer = client.getresponse()
assert answer.status == 400 and b"this port speaks TLS" in answer.read()
END
echo "HTTP/1.1 over TLS, and without TLS in words"

# A stock gRPC client.
/usr/bin/python3 - "$port" "$dir/ca.crt" $key <<-'END'
import sys
try:
    import grpc
except ImportError:
    print("no python3-grpcio: not tried")
    sys.exit()
port, ca, key = sys.argv[1:]
with open(ca, "rb") as file:
    tls = grpc.ssl_channel_credentials(file.read())
path = "/stagecoach.v1.Stagecoach/GetStatus"
both = grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(key))
with grpc.secure_channel("localhost:" + port, both) as channel:
    assert channel.unary_unary(path)(b"", timeout=60)
with grpc.secure_channel("localhost:" + port, tls) as channel:
    try:
        channel.unary_unary(path)(b"", timeout=60)
        sys.exit("no key is needed")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60)
END
[ $? = 0 ] || fail "grpcio over TLS"
echo "grpcio over TLS with a bearer"

# SIGHUP: another certificate, for the connections to come.
fingerprint() {
	/usr/bin/python3 -c 'import ssl, sys; print(ssl.get_server_certificate(
		("127.0.0.1", int(sys.argv[1])), timeout=60))' "$port" 2>/dev/null
}
is_second() { [ "$(fingerprint)" = "$(cat "$dir/second.crt")" ]; }
[ "$(fingerprint)" = "$(cat "$dir/server.crt")" ] || fail "not the certificate of the file"
for kind in crt key; do
	cp "$dir/server.$kind" "$dir/first.$kind"
	cp "$dir/second.$kind" "$dir/server.$kind"
done
kill -HUP "$launcher"
wait_for is_second || fail "SIGHUP does not read the certificate"
cp "$dir/first.key" "$dir/server.key"
kill -HUP "$launcher"
has_complained() { grep -q 'old TLS stay.*server.key is not the key of' "$dir/log"; }
wait_for has_complained || fail "a faulty key: no complaint"
is_second || fail "a faulty key changes the certificate"
stop_daemon
[ "$code" = 0 ] || fail "exit code $code"
echo "SIGHUP reads certificate and key, faulty ones change nothing"
for kind in crt key; do cp "$dir/first.$kind" "$dir/server.$kind"; done

start_with expired
grep -q 'warning: .*expired.crt has expired' "$dir/log" || fail "no warning of an old certificate"
verb 1 'certificate has expired' status --port $port --ca "$dir/ca.crt"
stop_daemon
start_with name
verb 1 "not for '127.0.0.1' but for server.example" status --port $port --ca "$dir/ca.crt"
stop_daemon
start_with other
verb 0 '' status --host localhost --port $port --ca "$dir/other.crt"
stop_daemon
echo "certificates that are old, of another name, and trusted by themselves"

start_daemon 1 --tls-cert "$dir/server.crt" --tls-key "$dir/server.key" \
	--tls-client-ca "$dir/ca.crt"
port=${address##*:}
verb 1 'it demands a certificate of its clients' status --port $port --ca "$dir/ca.crt"
verb 0 '' status --port $port --ca "$dir/ca.crt" --cert "$dir/client.crt" \
	--cert-key "$dir/client.key"
verb 1 'refused TLS' status --port $port --ca "$dir/ca.crt" --cert "$dir/other.crt" \
	--cert-key "$dir/other.key"
stagecoach status --socket "$socket" --json >"$dir/status" || fail "status"
grep -q '"name":"tls","count":[1-9]' "$dir/status" || fail "status does not count tls"
stop_daemon
echo "certificates of clients"

# TLS to a port without.
start_daemon 1
port=${address##*:}
verb 1 'the server does not speak TLS. Leave out --tls' status --port $port --tls
stop_daemon
expect_none_left
for fault in "--tls-cert $dir/server.crt" "--tls-key $dir/server.key" \
	"--tls-client-ca $dir/ca.crt" "--tls-cert $dir/server.crt --tls-key $dir/client.key"; do
	stagecoachd --check-config -m "$MODEL" --port 0 $fault >"$dir/out" 2>&1 &&
		fail "--check-config accepts $fault"
done
echo "TLS where there is none, and faulty settings, in words"
