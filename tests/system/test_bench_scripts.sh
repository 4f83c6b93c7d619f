#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The scripts that measure, with programs, ports, numbers and files that are not as they should be:
# they say so, measure nothing else instead, and do not wait. And once with all in order.
. "$(dirname "$0")/daemon.sh"

# A port that nobody listens on.
PORT=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
export PORT BUILDDIR
unset LLAMA_SERVER LLAMA_BENCH IK_BENCH OLD_BUILDDIR EXTRA
export BACKGROUND=2 LONG=40 LONG_TOKENS=3 LEAD=0.3 BURST=3 SHORT=20 SHORT_TOKENS=3 STREAMS=2
export CROWD=2 CROWD_TOKENS=40

# script NAME OPTION...: output in $dir/out, errors in $dir/err; exit code in $code.
script() {
	name=$1
	shift
	timeout 100 "$SRCDIR/bench/$name" "$@" >"$dir/out" 2>"$dir/err"
	code=$?
}

# refused CODE PATTERN NAME OPTION...
refused() {
	expected=$1 pattern=$2
	shift 2
	script "$@"
	[ "$code" = "$expected" ] ||
		fail "$*: exit code $code, expected $expected: $(cat "$dir/err")"
	grep -q -- "$pattern" "$dir/err" || fail "$*: expected '$pattern', found $(cat "$dir/err")"
	[ ! -s "$dir/out" ] || fail "$*: a table: $(cat "$dir/out")"
}

refused 64 "serve.sh: -r: expected a whole number, 0 at least, found 'abc'" serve.sh -r abc "$MODEL"
refused 64 "-n: expected .* 1 at least, found '0'" serve.sh -n 0 "$MODEL"
refused 64 '-s: expected scenarios' serve.sh -s '' "$MODEL"
refused 64 "-x: expected NAME=OPTIONS .*found 'five'" serve.sh -x five "$MODEL"
refused 64 "-x: expected NAME=OPTIONS" serve.sh -x 'a"b=--pin off' "$MODEL"
refused 64 '-x: the name a is taken' serve.sh -x 'a=--pin off' -x 'a=--pin on' "$MODEL"
refused 66 'nowhere is not there' serve.sh -s ready "$dir/nowhere"
refused 1 'nothing was measured' serve.sh -r 0 "$MODEL"
# A server that ends at once is not waited for.
EXTRA=--no-such-flag refused 1 'did not start: it ended' serve.sh -r 1 -s ready "$MODEL"
grep -q 'no-such-flag' "$dir/err" || fail "no reason: $(cat "$dir/err")"

refused 64 "ready.sh: -t: expected .* found 'abc'" ready.sh -t abc "$MODEL"
refused 64 "-w: expected a number of seconds, found 'x'" ready.sh -w x "$MODEL"
SETTINGS=none refused 64 "SETTINGS: expected same or default" ready.sh "$MODEL"
STAGECOACHD=$(type -P false) refused 1 'nothing was measured' ready.sh -r 1 -w 0 -p "$PORT" "$MODEL"

refused 64 "compare.sh: -p: expected whole numbers .* found '8,x'" compare.sh -p 8,x "$MODEL"
refused 64 "-r: expected .* 1 at least" compare.sh -r 0 "$MODEL"
STAGECOACH=$(type -P false) LLAMA_BENCH='' \
	refused 1 'nothing was measured' compare.sh -r 1 -t 1 "$MODEL"

# A server that is there already is not measured instead of ours.
start_daemon 1
port=${address##*:}
PORT=$port refused 69 "listens on port $port already: .* by PORT" serve.sh -r 1 -s ready "$MODEL"
refused 69 "listens on port $port already: .* by -p" ready.sh -r 1 -w 0 -p "$port" "$MODEL"
stop_daemon

# All in order, with a build that is named from where we are. A relative peer is found, too.
cd "$BUILDDIR" || exit 99
BUILDDIR=. script serve.sh -r 1 -s gaps,burst,burst-one,closed,crowd,ready -t 1 -n 2 \
	-x 'short=--max-gap-ms 5' -o "$dir/runs" "$MODEL"
[ "$code" = 0 ] || fail "serve.sh: exit code $code: $(cat "$dir/err")"
grep -q '^| engine alone | [0-9]' "$dir/out" || fail "serve.sh: $(cat "$dir/out" "$dir/err")"
[ "$(grep -c '^| stagecoach |' "$dir/out")" = 6 ] || fail "serve.sh: $(cat "$dir/out" "$dir/err")"
[ "$(grep -c '^| short |' "$dir/out")" = 6 ] || fail "serve.sh: $(cat "$dir/out" "$dir/err")"
script serve.sh -r 0 -a -o "$dir/runs" "$MODEL"
[ "$(grep -c '^| stagecoach |' "$dir/out")" = 6 ] || fail "serve.sh -r 0 -a: $(cat "$dir/out")"
script ready.sh -r 2 -w 0 -t 1 -s 2 -c 64 -p "$PORT" "$MODEL"
[ "$(grep -c '^| stagecoachd |' "$dir/out")" = 2 ] || fail "ready.sh: $(cat "$dir/out" "$dir/err")"
cd "$dir" || exit 99
printf '#!/bin/sh\ncase $* in *--help*) ;; *) echo %s ;; esac\n' \
	"'[{\"n_prompt\": 0, \"n_gen\": 4, \"n_threads\": 1, \"avg_ts\": 0.5}]'" >llama-bench
chmod +x llama-bench
LLAMA_BENCH=./llama-bench STAGECOACH=$BUILDDIR/stagecoach \
	script compare.sh -r 1 -p 8 -n 4 -b '' -t 1 "$MODEL"
grep -q '^| demo | tg4 | 1 | [0-9.]* | 0.5 a | ' "$dir/out" ||
	fail "compare.sh: $(cat "$dir/out" "$dir/err")"
# A peer that fails is left out, with its flags.
LLAMA_BENCH=$(type -P false) STAGECOACH=$BUILDDIR/stagecoach \
	script compare.sh -r 1 -p 8 -n 4 -b '' -t 1 "$MODEL"
grep -q '^| demo | tg4 | 1 | [0-9.]* | – | ' "$dir/out" || fail "compare.sh: $(cat "$dir/out")"
grep -q llama "$dir/out" && fail "compare.sh: $(cat "$dir/out")"

# Plots: of what was measured, and of what has nothing to show.
script plot.py "$dir"/runs/*.csv "$dir/plots"
[ "$(ls "$dir/plots" | tr '\n' ' ')" = "burst.svg gaps.svg " ] || fail "plot.py: $(cat "$dir/err")"
head='seconds,class,request,event,tokens'
printf '%s\n' "$head" >"$dir/gaps.1.empty.csv"
printf '%s\n' "$head" 0.1,foreground,0,due,0 0.2,foreground,0,failed,0 >"$dir/gaps.1.failed.csv"
cp "$dir/gaps.1.failed.csv" "$dir/burst.1.failed.csv"
cp "$dir/gaps.1.failed.csv" "$dir/plain.csv"
printf '%s\n' "$head" 0.1,foreground >"$dir/gaps.1.cut.csv"
printf '%s\n' "$head" x,foreground,0,due,0 >"$dir/gaps.1.word.csv"
: >"$dir/gaps.1.nothing.csv"
for kind in gaps.1.empty gaps.1.failed burst.1.failed; do
	refused 65 'plot.py: nothing to draw' plot.py "$dir/$kind.csv" "$dir/none"
done
refused 65 'expected the name SCENARIO.ROUND.SERVER.csv' plot.py "$dir/plain.csv" "$dir/none"
refused 65 'a line has too few values' plot.py "$dir/gaps.1.cut.csv" "$dir/none"
refused 65 "'x'" plot.py "$dir/gaps.1.word.csv" "$dir/none"
refused 65 'no CSV of' plot.py "$dir/gaps.1.nothing.csv" "$dir/none"
refused 65 'No such file' plot.py "$dir/missing.csv" "$dir/none"
[ ! -e "$dir/none" ] || fail "plot.py made a folder for nothing"
# One point is enough for a picture over time.
printf '%s\n' "$head" 0,foreground,0,due,0 1.0,background,1,tokens,1 1.1,background,1,tokens,1 \
	>"$dir/gaps.1.point.csv"
script plot.py "$dir/gaps.1.point.csv" "$dir/point"
[ "$code" = 0 ] && [ -s "$dir/point/gaps.svg" ] || fail "plot.py: $(cat "$dir/err")"
echo ok
