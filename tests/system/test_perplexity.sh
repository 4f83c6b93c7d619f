#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The perplexity of the bundled model for a known text, and what is said of mistakes.
. "$(dirname "$0")/daemon.sh"
text=$SRCDIR/tests/data/perplexity.txt

# In float64, with the weights as the file holds them:
#	tools/gguf_forward.py models/demo.gguf --perplexity tests/data/perplexity.txt -c 128
EXPECTED=16.43057
TOLERANCE=0.001		# of it: activations are rounded to eight bits
KV_TOLERANCE=0.005	# and keys and values, to eight bits at worst

measure() {
	stagecoach perplexity -m "$MODEL" -f "$text" -c 128 --kv-type f32 "$@" 2>"$dir/log"
}

# check RESULT TOLERANCE
check() {
	echo "$1"
	echo "$1" | awk -v expected=$EXPECTED -v tolerance="$2" '
		/^PPL = [0-9.]+ \+\/- [0-9.]+$/ { ratio = $3 / expected - 1; n++ }
		END { exit !(n == 1 && ratio < tolerance && ratio > -tolerance) }' ||
		fail "expected a perplexity of $EXPECTED"
}

first=$(measure) || fail "exit code $?"
check "$first" $TOLERANCE
for type in f16 bf16 q8_0; do
	rounded=$(measure --kv-type $type) || fail "$type: exit code $?"
	check "$rounded" $KV_TOLERANCE
	[ "$rounded" = "$first" ] && fail "$type: the same as f32"
done
for options in "--stages 2 -t 1" "--stages 8 --window 3 -t 1" "--batch-size 64 --ubatch-size 7" \
		"-t 2"; do
	# shellcheck disable=SC2086
	again=$(measure $options) || fail "$options: exit code $?"
	[ "$again" = "$first" ] || fail "$options: $again"
done

measure --chunks 2 --json >"$dir/json" || fail "--json: exit code $?"
counts='"chunks":2,"chunk_tokens":128,"scored_tokens":126'
results='"ppl":[0-9.]*,"ppl_error":[0-9.]*,"seconds":[0-9.e-]*'
grep -q "^{\"model\":\"[^\"]*\",\"file\":\".*\",$counts,$results}\$" "$dir/json" ||
	fail "--json: $(cat "$dir/json")"
measure --chunks 1 -f - <"$text" >"$dir/out" || fail "standard input: exit code $?"
grep -q '^PPL = ' "$dir/out" || fail "standard input: no result"

# expect CODE PATTERN OPTION...
expect() {
	code=$1 pattern=$2
	shift 2
	stagecoach perplexity "$@" >"$dir/out" 2>"$dir/log"
	got=$?
	[ $got = "$code" ] || fail "$*: exit code $got, expected $code"
	grep -q "error: $pattern" "$dir/log" || fail "$*: expected '$pattern'"
	[ -s "$dir/out" ] && fail "$*: something on standard output"
}
expect 64 'no text' -m "$MODEL"
expect 64 'no model' -f "$text"
expect 66 '.*missing.txt: No such file' -m "$MODEL" -f "$dir/missing.txt"
expect 64 '.*two chunks of 4096 are needed' -m "$MODEL" -f "$text" -c 4096
expect 64 '--chunks: ' -m "$MODEL" -f "$text" -c 128 --chunks 0
expect 64 '--ctx-size: expected a whole number' -m "$MODEL" -f "$text" -c 3
expect 64 '--temp: stagecoach perplexity has no such option' -m "$MODEL" -f "$text" --temp 1
echo "ok"
