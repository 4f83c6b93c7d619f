#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The load client bench/serve in each mode against a real daemon, and against a program that answers
# as llama-server does: counts that must be true however fast anything is.
. "$(dirname "$0")/daemon.sh"

# load NAME OPTION...: a run with 7 tokens after prompts of 20; JSON in $dir/NAME.
load() {
	name=$1
	shift
	"$BUILDDIR/bench/serve" $door --prompt 20 --tokens 7 --json --csv "$dir/$name.csv" "$@" \
		>"$dir/$name" 2>"$dir/client.log"
}

# check NAME CONDITION...: Python, in which r is the run, f its foreground and b its background.
check() {
	name=$1
	shift
	python3 - "$dir/$name" "$@" <<'PYTHON' || fail "$name: $(cat "$dir/$name")"
import csv, json, sys
with open(sys.argv[1]) as file:
    r = json.load(file)
with open(sys.argv[1] + ".csv") as file:
    events = list(csv.DictReader(file))
f, b = r["foreground"], r.get("background")
common = """r["seconds"] > 0 and 0 <= r["client_cpu"] < 2
f["requests"] == f["done"] + f["cut"] + f["failed"]
f["first_ms"]["n"] <= f["requests"] and f["whole_ms"]["n"] == f["done"]
all(f[p]["p50"] <= f[p]["p90"] <= f[p]["p99"] <= f[p]["max"] for p in ("first_ms", "gap_ms"))
f["gap_ms"]["max"] <= f["longest_wait_ms"] + 0.002
sum(e["event"] == "due" for e in events) == f["requests"] + (b["requests"] if b else 0)
sum(e["event"] == "done" and e["class"] == "foreground" for e in events) == f["done"]
sum(int(e["tokens"]) for e in events if e["class"] == "foreground") >= f["tokens"]"""
for condition in common.splitlines() + sys.argv[2:]:
    if not eval(condition):
        sys.exit(f"not true: {condition}")
PYTHON
}

all_done='f["done"] == f["requests"] == f["first_ms"]["n"] == 12 and f["tokens"] == 12 * 7'

modes() {
	load closed --streams 3 --requests 12 || fail "closed: $(cat "$dir/client.log")"
	check closed "$all_done" 'r["streams"] == r["connections"] == 3'
	load burst --burst --requests 12 || fail "burst: $(cat "$dir/client.log")"
	check burst "$all_done" 'r["connections"] == 12'
	load poisson --rate 200 --requests 12 || fail "poisson: $(cat "$dir/client.log")"
	check poisson "$all_done"
	# Requests that are due wait for the only stream.
	load waiting --rate 1000 --requests 12 --streams 1 || fail "waiting"
	check waiting "$all_done" 'f["first_ms"]["max"] > f["first_ms"]["p50"]'
	load cut --streams 2 --seconds 1 || fail "cut: $(cat "$dir/client.log")"
	check cut 'f["cut"] <= 2 and f["failed"] == 0 and f["done"] > 0' \
		'f["tokens"] >= 7 * f["done"]'
	load beside --background 3 --background-tokens 300 --lead 0.5 --requests 2 ||
		fail "beside: $(cat "$dir/client.log")"
	check beside 'f["done"] == 2 and f["tokens"] == 14 and b["cut"] <= 3' \
		'b["requests"] == b["done"] + b["cut"] and b["failed"] == 0' \
		'sum(w["gap_ms"]["n"] for w in r["windows"].values()) <= b["gap_ms"]["n"]' \
		'all(r["windows"][w]["gap_ms"]["n"] > 0 for w in ("before", "after"))' \
		'r["seconds"] >= 1.4'
}

# Many connections come from here at once, and leave at once.
start_daemon 1
door="--socket $socket"
modes
load one --burst --requests 12 --connections 1 || fail "one connection: $(cat "$dir/client.log")"
check one "$all_done" 'r["connections"] == 1'
"$BUILDDIR/bench/serve" $door --wait 60 || fail "--wait"
"$BUILDDIR/bench/serve" $door --requests 2 >"$dir/table" || fail "a table"
[ "$(grep -c '^|' "$dir/table")" -eq 3 ] || fail "not one row: $(cat "$dir/table")"

# Prompts that are longer than the context are refused: that is said, and counted.
load refused --requests 3 --prompt 5000 && fail "refused requests are no failure"
check refused 'f["failed"] == 3 and f["done"] == 0 and f["tokens"] == 0'
grep -q '3 requests failed.*INVALID_ARGUMENT' "$dir/client.log" ||
	fail "no reason: $(cat "$dir/client.log")"

# Nothing measured is no zero.
"$BUILDDIR/bench/serve" $door --requests 1 --prompt 5000 >"$dir/table" 2>/dev/null
grep -q '^| grpc | 1 | 1 | – | – | – |' "$dir/table" || fail "zeros: $(cat "$dir/table")"
# What cannot be written is said, and a file before the run.
load nowhere --requests 1 --csv "$dir/missing/file"
[ $? = 1 ] && [ ! -s "$dir/nowhere" ] || fail "a run without its file: $(cat "$dir/client.log")"
"$BUILDDIR/bench/serve" $door --requests 1 --json >/dev/full 2>"$dir/client.log"
[ $? = 1 ] || fail "a full disk: $(cat "$dir/client.log")"

# What does not end in time is given up.
load late --requests 1 --background 1 --lead 50 --timeout 0.3
[ $? = 1 ] || fail "a run without an end"
grep -q 'did not end within 0.3 s' "$dir/client.log" || fail "no limit: $(cat "$dir/client.log")"
# The other doors: OpenAI's, and llama-server's, whose own endpoint a daemon does not have.
load http --door openai --streams 3 --requests 12 || fail "openai: $(cat "$dir/client.log")"
check http "$all_done"
load other --door llama --listen "$address" --requests 1 && fail "a daemon as llama-server"
grep -q 'HTTP status 501: ' "$dir/client.log" || fail "no reason: $(cat "$dir/client.log")"
stop_daemon
load gone --requests 1
[ $? = 69 ] || fail "without a server: exit code $?"

fake() {
	exec 9>&-
	rm -f "$dir/port" "$dir/pipe"
	mkfifo "$dir/pipe"
	python3 "$SRCDIR/tests/system/fake_llama_server.py" "$dir/port" "$1" <"$dir/pipe" \
		2>"$dir/fake.log" &
	exec 9>"$dir/pipe"	# the server ends when nobody holds this any more
	wait_for test -s "$dir/port" || fail "the fake server does not start"
	door="--door llama --listen 127.0.0.1:$(cat "$dir/port")"
}

fake keep
modes
load many --streams 2 --connections 1
[ $? = 64 ] || fail "two requests at once on a connection of HTTP/1.1"
fake close
load again --streams 3 --requests 12 || fail "closed connections: $(cat "$dir/client.log")"
check again "$all_done"
fake short
load short --requests 2 && fail "missing tokens are no failure"
check short 'f["failed"] == 2 and f["done"] == 0'
grep -q 'ended after 5 of 7 tokens' "$dir/client.log" || fail "no reason: $(cat "$dir/client.log")"
fake more
load more --requests 2 && fail "surplus tokens are no failure"
check more 'f["failed"] == 2 and f["tokens"] == 14'
grep -q 'sent [89] tokens, but 7 were asked for' "$dir/client.log" ||
	fail "no reason: $(cat "$dir/client.log")"
fake refuse
load busy --requests 2 && fail "a server that refuses is no failure"
grep -q 'HTTP status 503: ?.31mloading' "$dir/client.log" ||
	fail "no reason: $(cat "$dir/client.log")"
grep -q "$(printf '\033')" "$dir/client.log" && fail "the server's control bytes are printed"
load other --door grpc --requests 1 && fail "a server of HTTP/1.1 as a daemon"
grep -q 'what answers there is no gRPC server' "$dir/client.log" ||
	fail "no reason: $(cat "$dir/client.log")"
exec 9>&-
wait

# wrong PATTERN OPTION...: refused before anything is asked.
wrong() {
	pattern=$1
	shift
	"$BUILDDIR/bench/serve" "$@" >"$dir/out" 2>"$dir/client.log"
	[ $? = 64 ] || fail "$*: not refused"
	grep -q -- "^serve: $pattern" "$dir/client.log" || fail "$*: $(cat "$dir/client.log")"
	[ ! -s "$dir/out" ] || fail "$*: something on standard output"
}
wrong "--tokens: expected a whole number from 1 to 1048576, found '0'" --tokens 0
wrong "--rate: expected a number above 0, found '0'" --rate 0
wrong "--rate: expected a number from 0 to 1000000, found 'nan'" --rate nan
wrong "--wait: expected a number above 0" --wait 0
wrong "--ids: expected a whole number from 10 .*, found '3'" --ids 9-3
wrong "--rate and --burst exclude each other" --rate 1 --burst
wrong "--door: expected grpc or llama, found 'http'" --door http
