#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a short job of one client waits for beside a large job of another, and what short jobs cost
# the large one.
#
#	bench/fairness.sh [MODEL [REPETITIONS]]		(models/demo.gguf, 5)
#
# The large job is 64 sequences of 500 tokens, the short ones have 3 tokens. Each job comes over a
# connection of its own. The runs with and without short jobs take turns; prints medians as a
# Markdown table. EXTRA: more options of the daemon, for instance "--kv-positions 40000".
set -eu
SRCDIR=$(cd "$(dirname "$0")/.." && pwd)
BUILDDIR=${BUILDDIR:-$SRCDIR/build}
MODEL=${1:-$SRCDIR/models/demo.gguf}
REPETITIONS=${2:-5}
dir=$(mktemp -d)
pid=
stop() {
	[ -z "$pid" ] || { kill -TERM "$pid"; wait "$pid" || true; } 2>/dev/null
	rm -rf "$dir"
}
trap stop EXIT

# shellcheck disable=SC2086
"$BUILDDIR/stagecoachd" -m "$MODEL" -t 1 --listen none --socket "$dir/sock" --parallel 32 \
	${EXTRA-} >"$dir/log" 2>&1 &
pid=$!
"$BUILDDIR/stagecoach" status --socket "$dir/sock" --wait >/dev/null 2>&1

# Milliseconds of a job; options of generate.
job() {
	begin=$(date +%s%N)
	"$BUILDDIR/stagecoach" generate --socket "$dir/sock" --temp 0 --ignore-eos "$@" \
		>/dev/null 2>&1
	echo $((($(date +%s%N) - begin) / 1000000))
}
short() { job -p 'KING:' -n 3; }
large() { job -p 'KING:' -n 500 --sequences 64; }
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
worst() { sort -n "$1" | tail -1; }

for i in $(seq "$REPETITIONS"); do
	short >>"$dir/alone"
	large >>"$dir/large"
	large >"$dir/one" &
	large_pid=$!
	sleep 1
	while [ ! -s "$dir/one" ]; do
		short >>"$dir/beside"
		sleep 0.1
	done
	wait $large_pid
	cat "$dir/one" >>"$dir/large_beside"
	rm "$dir/one"
done
echo '| job | alone, ms | beside each other, ms: median (worst) |'
echo '|---|---|---|'
echo "| 3 tokens | $(median "$dir/alone") | $(median "$dir/beside") ($(worst "$dir/beside")) |"
echo "| 64 x 500 tokens | $(median "$dir/large") | $(median "$dir/large_beside")" \
	"($(worst "$dir/large_beside")) |"
"$BUILDDIR/stagecoach" status --socket "$dir/sock" | grep -i preempt
