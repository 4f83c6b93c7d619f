#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What clients of our daemon feel, beside an older build and llama-server: time to first token, gaps
# between tokens, throughput. bench/serve.c is the client, and defines the numbers.
#
#	bench/serve.sh [OPTION...] MODEL.gguf
#
#	-s LIST  scenarios (gaps,burst,burst-one,closed,open,ready), see below; crowd is one more
#	-r N	 rounds (3)
#	-t N	 threads of a server, shared out over its stages (0: all processors)
#	-n N	 pipeline stages of ours (1)
#	-T NAME  run the stages as processes under mpirun, with this transport (ucx or mpi)
#	-x NAME=OPTIONS	 our daemon once more, with these options; may be repeated
#	-w	 our daemon once more, asked over HTTP (POST /v1/completions) instead of gRPC
#	-o DIR	 keep results.json, and of each run its events as CSV
#	-a	 add to what DIR holds already; with -r 0: only print its tables
#
#	gaps	   8 streams decode; then a prompt of 4000 tokens comes; then they go on
#	burst	   16 prompts of 200 tokens at once, each over its own connection, 32 tokens each
#	burst-one  the same over one connection (gRPC only)
#	closed	   8 streams, prompts of 128 tokens, 64 tokens each, 3 requests a stream
#	open	   requests of that shape come at random, RATE a second, for 30 s
#	crowd	   64 prompts of one token at once, 64 tokens each, one connection each; and as many
#		   sequences in one process without any client (stagecoach bench): "engine alone".
#		   Each server does it once before, to warm up
#	ready	   from the start of the process to the first token that anyone gets
#
# Environment: BUILDDIR (build), EXTRA: more options of the daemon; OLD_BUILDDIR: another build,
# shown as "before", with OLD_EXTRA; LLAMA_SERVER: the program llama-server, with LLAMA_FLAGS; PORT
# (21200).
# Sizes: BACKGROUND (8), LONG (4000), LONG_TOKENS (32), LEAD (3: seconds before and after the long
# prompt), BURST (16), SHORT (200), SHORT_TOKENS (32), STREAMS (8), RATE (1), CROWD (64),
# CROWD_TOKENS (64).
#
# In each round every server does every scenario once, in a process of its own, alone; medians of
# the rounds are printed, least and most in brackets. One Markdown table for each scenario.
set -eu
SRCDIR=$(cd "$(dirname "$0")/.." && pwd)
. "$SRCDIR/bench/checks.sh"
BUILDDIR=${BUILDDIR:-$SRCDIR/build}
OLD_BUILDDIR=${OLD_BUILDDIR:-}
LLAMA_SERVER=${LLAMA_SERVER:-}
PORT=${PORT:-21200}
BACKGROUND=${BACKGROUND:-8} LONG=${LONG:-4000} LONG_TOKENS=${LONG_TOKENS:-32} LEAD=${LEAD:-3}
BURST=${BURST:-16} SHORT=${SHORT:-200} SHORT_TOKENS=${SHORT_TOKENS:-32}
STREAMS=${STREAMS:-8} RATE=${RATE:-1} CROWD=${CROWD:-64} CROWD_TOKENS=${CROWD_TOKENS:-64}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
scenarios=gaps,burst,burst-one,closed,open,ready
rounds=3 threads=0 stages=1 transport='' out='' adds=no
variants=() http=''

usage() {
	sed -n '3,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
	exit "$1"
}

while getopts s:r:t:n:T:x:wo:ah option; do
	case $option in
	s) scenarios=$OPTARG ;;
	r) rounds=$OPTARG ;;
	t) threads=$OPTARG ;;
	n) stages=$OPTARG ;;
	T) transport=$OPTARG ;;
	x) variants+=("$OPTARG") ;;
	w) http=http ;;
	o) out=$OPTARG ;;
	a) adds=yes ;;
	h) usage 0 ;;
	*) usage 64 >&2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# = 1 ] || usage 64 >&2
model=$(realpath "$1")
need_whole -r "$rounds" 0
need_whole -t "$threads" 0
need_whole -n "$stages" 1
need_whole PORT "$PORT" 1
[ "$threads" != 0 ] || threads=$(nproc)
each=$((threads / stages > 0 ? threads / stages : 1))
for file in "$model" "$BUILDDIR/stagecoachd" "$BUILDDIR/bench/serve" \
	    ${LLAMA_SERVER:+"$LLAMA_SERVER"} ${OLD_BUILDDIR:+"$OLD_BUILDDIR/stagecoachd"}; do
	[ -f "$file" ] || die 66 "$file is not there"
done
# A server runs in a directory of its own.
BUILDDIR=$(realpath "$BUILDDIR")
[ -z "$OLD_BUILDDIR" ] || OLD_BUILDDIR=$(realpath "$OLD_BUILDDIR")
[ -z "$LLAMA_SERVER" ] || LLAMA_SERVER=$(realpath -s "$LLAMA_SERVER")
for program in python3 setsid ${transport:+mpirun}; do
	command -v "$program" >/dev/null || die 69 "the program $program is not there"
done
[ -n "${scenarios//,/}" ] || die 64 "-s: expected scenarios, see bench/serve.sh -h"
for scenario in ${scenarios//,/ }; do
	case $scenario in
	gaps | burst | burst-one | closed | open | crowd | ready) ;;
	*) die 64 "no scenario \"$scenario\"; see bench/serve.sh -h" ;;
	esac
done
names=' stagecoach before llama-server http '
for variant in "${variants[@]}"; do
	[[ $variant =~ ^[A-Za-z0-9_.-]+= ]] || die 64 "-x: expected NAME=OPTIONS with a NAME of \
letters, digits, _, . and -, found '$variant'"
	[[ $names != *" ${variant%%=*} "* ]] || die 64 "-x: the name ${variant%%=*} is taken"
	names+="${variant%%=*} "
done

work=$(mktemp -d)
if [ -n "$out" ]; then
	mkdir -p "$out"
	out=$(realpath "$out")
else
	out=$work
fi
[ $adds = yes ] || : >"$out/results.json"
touch "$out/results.json"
before=$(sed -n 's/.*"round":\([0-9]*\).*/\1/p' "$out/results.json" | sort -n | tail -n 1)
server='' waiter=''
mkfifo "$work/alive"	# the server has its other end: it is at its end when the server is gone
stop() {
	[ -z "$waiter" ] || { kill "$waiter" && wait "$waiter"; } 2>/dev/null || true
	waiter=''
	[ -n "$server" ] || return 0
	kill -TERM -- "-$server" 2>/dev/null || true
	read -r -t 30 -u 9 || true
	exec 9<&-
	kill -KILL -- "-$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	server=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# start SIDE SEQUENCES CONTEXT: the server in a process group of its own.
start() {
	local side=$1 sequences=$2 context=$3 build=$BUILDDIR extra=${EXTRA:-} command
	case $side in
	llama-server)
		command=("$LLAMA_SERVER" -m "$model" --host 127.0.0.1 --port "$PORT" -t "$threads"
			 -np "$sequences" -c $((sequences * context)))
		for flag in --no-webui --no-ui; do
			if "$LLAMA_SERVER" --help 2>/dev/null | grep -q -e " $flag\>"; then
				command+=("$flag")
				break
			fi
		done
		extra=${LLAMA_FLAGS:-} ;;
	before) build=$OLD_BUILDDIR extra=${OLD_EXTRA:-} ;;&
	*=*) extra="$extra ${side#*=}" ;;&
	*)
		command=("$build/stagecoachd" -m "$model" --listen "127.0.0.1:$PORT" -t "$each"
			 --parallel "$sequences" -c "$context"
			 --kv-positions $((sequences * context)))
		if [ -z "$transport" ]; then
			command+=(--stages "$stages")
		else
			command=(mpirun --oversubscribe --bind-to none -n $((stages + 1))
				 "${command[@]}" --transport "$transport")
		fi ;;
	esac
	# shellcheck disable=SC2086
	(cd "$work" && exec setsid "${command[@]}" $extra) >"$work/log" 2>&1 </dev/null \
		9>"$work/alive" &
	server=$!
	exec 9<"$work/alive"
}

# client SIDE OPTION...
client() {
	local door=grpc
	[ "$1" != llama-server ] || door=llama
	[ "$1" != http ] || door=openai
	shift
	"$BUILDDIR/bench/serve" --door $door --listen "127.0.0.1:$PORT" "$@"
}

# wait_for_server SIDE: false when the server has ended, or gives no token within two minutes.
wait_for_server() {
	local ended code
	client "$1" --wait 120 2>"$work/error" &
	waiter=$!
	if wait -n -p ended "$waiter" "$server"; then code=0; else code=$?; fi
	if [ "$ended" = "$server" ]; then
		echo "it ended" >"$work/error"
		return 1
	fi
	waiter=''
	return "$code"
}

# run ROUND SIDE SCENARIO: one line of results.json; a failure is told, and left out.
run() {
	local round=$1 side=$2 scenario=$3 sequences context begin ready line name options
	name=$scenario.$round.$(echo "${side%%=*}" | tr -c 'a-zA-Z0-9\n' _)
	case $scenario in
	gaps)
		sequences=$((BACKGROUND + 1))
		context=$((LONG + LONG_TOKENS + 64))
		options=(--background "$BACKGROUND" --background-tokens $((context - 64))
			 --lead "$LEAD" --prompt "$LONG" --tokens "$LONG_TOKENS") ;;
	burst | burst-one)
		sequences=$BURST
		context=$((SHORT + SHORT_TOKENS + 64))
		options=(--burst --requests "$BURST" --prompt "$SHORT" --tokens "$SHORT_TOKENS") ;;&
	burst-one)
		[ "$side" != llama-server ] && [ "$side" != http ] || return 0
		options+=(--connections 1) ;;
	closed)
		sequences=$STREAMS
		context=256
		options=(--streams "$STREAMS" --requests $((3 * STREAMS))) ;;
	open)
		sequences=16
		context=256
		options=(--rate "$RATE" --seconds 30) ;;
	crowd)
		sequences=$CROWD
		context=$((CROWD_TOKENS + 64))
		options=(--burst --requests "$CROWD" --prompt 1 --tokens "$CROWD_TOKENS") ;;
	ready)
		sequences=16
		context=4096
		options=() ;;
	esac
	need_free_port PORT "$PORT"
	begin=$(date +%s%N)
	start "$side" "$sequences" "$context"
	if ! wait_for_server "$side"; then
		echo "serve.sh: $side did not start: $(cat "$work/error")" >&2
		tail -n 5 "$work/log" >&2
		stop
		return 0
	fi
	ready=$((($(date +%s%N) - begin) / 1000000))
	line='{}'
	# As stagecoach bench does: the first run after a start has memory that is still new.
	[ "$scenario" != crowd ] || client "$side" --json "${options[@]}" >"$work/warm" 2>&1 || true
	if [ ${#options[@]} -gt 0 ]; then
		line=$(client "$side" --json --csv "$out/$name.csv" "${options[@]}" \
			2>"$work/error") || {
			echo "serve.sh: $scenario of $side failed: $(cat "$work/error")" >&2
			line=
		}
	fi
	stop
	[ -z "$line" ] ||
		printf '{"scenario":"%s","side":"%s","round":%d,"ready_ms":%d,"csv":"%s","run":%s}\n' \
			"$scenario" "${side%%=*}" "$round" "$ready" "$name.csv" "$line" \
			>>"$out/results.json"
}

# run_alone ROUND: the crowd's sequences in one process, as one more line of results.json.
run_alone() {
	local line
	line=$("$BUILDDIR/stagecoach" bench -m "$model" --tests batch --sequences "$CROWD" \
		-n "$CROWD_TOKENS" -t "$each" --stages "$stages" -r 1 -o json 2>"$work/error") || {
		echo "serve.sh: stagecoach bench failed: $(cat "$work/error")" >&2
		return 0
	}
	printf '{"scenario":"crowd","side":"engine alone","round":%d,"alone":%s}\n' "$1" "$line" \
		>>"$out/results.json"
}

sides=(stagecoach ${http:+"$http"} "${variants[@]}" ${OLD_BUILDDIR:+before} ${LLAMA_SERVER:+llama-server})
for scenario in ${scenarios//,/ }; do
	for round in $(seq "$rounds"); do
		echo "$scenario: round $round of $rounds" >&2
		for side in "${sides[@]}"; do
			run $((${before:-0} + round)) "$side" "$scenario"
		done
		[ "$scenario" != crowd ] || run_alone $((${before:-0} + round))
	done
done

[ -s "$out/results.json" ] || die 1 "nothing was measured"
python3 - "$out/results.json" "$(basename "$model")" <<'PYTHON'
import csv
import json
import os
import statistics
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]


def find(row, path):
    for key in path.split("."):
        if key not in row:
            return None
        row = row[key]
    return row


def cell(found, path):
    values = [v for v in (path(r) if callable(path) else find(r, path) for r in found)
              if v is not None]
    if not values:
        return "–"
    digits = 0 if statistics.median(values) >= 1000 else 1 if statistics.median(values) >= 10 else 2
    middle, least, most = (f"{f(values):.{digits}f}" for f in (statistics.median, min, max))
    return middle if len(values) == 1 else f"{middle} ({least}–{most})"


def worse(row):
    before = find(row, "run.windows.before.gap_ms.p99")
    return find(row, "run.windows.during.gap_ms.p99") / before if before else None


def crowd_rate(row):
    """Tokens per second of each stream from its first to its last token, added up."""
    if "alone" in row:
        return row["alone"]["tokens_per_second"]
    streams = {}
    with open(os.path.join(os.path.dirname(sys.argv[1]), row["csv"]), encoding="utf-8") as file:
        for event in csv.DictReader(file):
            if event["event"] == "tokens":
                streams.setdefault(event["request"], []).append(event)
    rate = 0.0
    for events in streams.values():
        seconds = float(events[-1]["seconds"]) - float(events[0]["seconds"])
        rate += sum(int(e["tokens"]) for e in events[1:]) / seconds if seconds else 0
    return rate or None


def ratio_to(side):
    """Of a row's crowd_rate to that of another side in the same round."""
    def ratio(row):
        others = [crowd_rate(r) for r in rows if (r["scenario"], r["side"], r["round"]) ==
                  ("crowd", side, row["round"])]
        rate = crowd_rate(row)
        return rate / others[0] if rate and others and others[0] else None
    return ratio


LATENCY = [("first token p50, ms", "run.foreground.first_ms.p50"),
           ("p90", "run.foreground.first_ms.p90"), ("p99", "run.foreground.first_ms.p99")]
SPEED = [("tokens/s", "run.foreground.tokens_per_second")]
GAPS = [("gap p50, ms", "run.foreground.gap_ms.p50"), ("p90", "run.foreground.gap_ms.p90"),
        ("p99", "run.foreground.gap_ms.p99")]
CLIENT = [("client's CPU, %",
           lambda r: 100 * find(r, "run.client_cpu") if "run" in r else None)]
COLUMNS = {
    "gaps": [("gap before p50, ms", "run.windows.before.gap_ms.p50"),
             ("p99", "run.windows.before.gap_ms.p99"),
             ("during p50", "run.windows.during.gap_ms.p50"),
             ("p90", "run.windows.during.gap_ms.p90"),
             ("p99", "run.windows.during.gap_ms.p99"),
             ("longest wait", "run.windows.during.longest_wait_ms"),
             ("p99 during / before", worse),
             ("after p99", "run.windows.after.gap_ms.p99"),
             ("first token of the long prompt, ms", "run.foreground.first_ms.p50"),
             ("tokens/s before", "run.windows.before.tokens_per_second"),
             ("during", "run.windows.during.tokens_per_second")] + CLIENT,
    "burst": LATENCY + SPEED + CLIENT,
    "closed": LATENCY + GAPS + SPEED +
              [("requests/s", "run.foreground.requests_per_second")] + CLIENT,
    "crowd": [("tokens/s while decoding", crowd_rate),
              ("to engine alone", ratio_to("engine alone")),
              ("to llama-server", ratio_to("llama-server")),
              ("tokens/s in all", "run.foreground.tokens_per_second")] + GAPS + CLIENT,
    "ready": [("until the first token, ms", "ready_ms")],
}
COLUMNS["burst-one"] = COLUMNS["burst"]
COLUMNS["open"] = COLUMNS["closed"]
for scenario in dict.fromkeys(r["scenario"] for r in rows):
    columns = COLUMNS[scenario]
    of_scenario = [r for r in rows if r["scenario"] == scenario]
    print(f"\n{scenario}, {sys.argv[2]}:\n\n| server | " + " | ".join(c[0] for c in columns) + " |")
    print("|---|" + "--:|" * len(columns))
    for side in dict.fromkeys(r["side"] for r in of_scenario):
        found = [r for r in of_scenario if r["side"] == side]
        print(f"| {side} | " + " | ".join(cell(found, c[1]) for c in columns) + " |")
PYTHON
