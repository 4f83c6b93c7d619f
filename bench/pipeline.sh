#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tokens per second of one stage and of two, and what an idle cluster costs.
#
#	bench/pipeline.sh [MODEL [REPETITIONS]]		(models/demo.gguf, 5)
#
# Each arrangement gets the same work: one text of 200 tokens, then 8 at once. The arrangements
# take turns, so that a noisy moment hits all of them; medians are printed, as a Markdown table.
set -eu
SRCDIR=$(cd "$(dirname "$0")/.." && pwd)
BUILDDIR=${BUILDDIR:-$SRCDIR/build}
MODEL=${1:-$SRCDIR/models/demo.gguf}
REPETITIONS=${2:-5}
CLIENTS=8
TOKENS=200
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
dir=$(mktemp -d)
trap 'stop; rm -rf "$dir"' EXIT

pid=
start() {
	ranks=$1
	shift
	set -- "$BUILDDIR/stagecoachd" -m "$MODEL" -t 1 --listen none --socket "$dir/sock" "$@"
	if [ "$ranks" = 1 ]; then
		"$@" >"$dir/log" 2>&1 &
	else
		mpirun --oversubscribe --bind-to none -n "$ranks" "$@" >"$dir/log" 2>&1 &
	fi
	pid=$!
	"$BUILDDIR/stagecoach" status --socket "$dir/sock" --wait >/dev/null 2>&1
}

stop() {
	[ -n "$pid" ] || return 0
	pkill -TERM -o -f "stagecoachd.*$dir/sock" || true
	wait $pid 2>/dev/null || true
	pid=
}

# Tokens per second of N texts at once, by the wall.
rate() {
	begin=$(date +%s%N)
	clients=
	for i in $(seq "$1"); do
		"$BUILDDIR/stagecoach" generate --socket "$dir/sock" -p 'KING:' -n $TOKENS \
			--temp 0 --ignore-eos >/dev/null 2>&1 &
		clients="$clients $!"
	done
	wait $clients
	echo $(($1 * TOKENS * 1000000000 / ($(date +%s%N) - begin)))
}

# Clock ticks that all processes of the cluster have used.
ticks() {
	for p in $(pgrep -f "stagecoachd.*$dir/sock"); do
		sed 's/.*) //' "/proc/$p/stat"
	done | awk '{ sum += $12 + $13 } END { print sum }'
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# NAME|RANKS|OPTIONS
arrangements='one stage in one process|1|--stages 1
two stages in one process|1|--stages 2
one stage, ucx|2|--transport ucx
two stages, ucx|3|--transport ucx
two stages, mpi|3|--transport mpi'

for repetition in $(seq "$REPETITIONS"); do
	echo "$arrangements" | while IFS='|' read -r name ranks options; do
		start "$ranks" $options
		rate 1 >/dev/null	# warm up
		rate 1 >>"$dir/$name.one"
		rate $CLIENTS >>"$dir/$name.many"
		stop
	done
done

echo "$(basename "$MODEL"), $TOKENS tokens a text, 1 thread a stage, median of $REPETITIONS:"
echo
echo "| arrangement | 1 text, tokens/s | $CLIENTS texts, tokens/s |"
echo "|---|---|---|"
echo "$arrangements" | while IFS='|' read -r name ranks options; do
	echo "| $name | $(median <"$dir/$name.one") | $(median <"$dir/$name.many") |"
done
echo
for transport in ucx mpi; do
	start 3 --transport $transport
	sleep 2
	before=$(ticks)
	sleep 10
	after=$(ticks)
	stop
	echo "idle for 10 s, 3 processes over $transport:" \
		"$(((after - before) * 1000 / $(getconf CLK_TCK))) ms of CPU time together"
done
