#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The bundled model with smaller tensors, and what is said of mistakes.
. "$(dirname "$0")/daemon.sh"
f16=$dir/f16.gguf

stagecoach quantize --allow-requantize "$MODEL" "$f16" f16 >"$dir/out" 2>"$dir/log" ||
	fail "F16: exit code $?"
grep -q "demo.gguf: 3.5 MiB -> $f16: 6.5 MiB, F16, 16.0[0-9] bits per weight, " "$dir/out" ||
	fail "no summary: $(cat "$dir/out")"
[ -s "$dir/log" ] && fail "something on standard error"

stagecoach quantize -t 1 "$f16" "$dir/q8.gguf" Q8_0 >"$dir/out" || fail "Q8_0: exit code $?"

# Both are the bundled model but for rounding; what is expected stands in test_perplexity.sh.
for file in "$f16" "$dir/q8.gguf"; do
	stagecoach perplexity -m "$file" -f "$SRCDIR/tests/data/perplexity.txt" -c 128 \
		>"$dir/out" 2>"$dir/log" || fail "$file: exit code $?"
	awk '/^PPL = / { ratio = $3 / 16.43057 - 1; n++ }
		END { exit !(n == 1 && ratio < 0.002 && ratio > -0.002) }' "$dir/out" ||
		fail "$file: $(cat "$dir/out")"
done

for type in Q4_K_M iq4_xs Q2_K mxfp4; do
	stagecoach quantize "$f16" "$dir/small.gguf" $type >"$dir/out" || fail "$type: code $?"
	grep -q "small.gguf: [12]\.[0-9] MiB, " "$dir/out" || fail "$type: $(cat "$dir/out")"
done

# Through a link: the link stays, and the model is where it points.
mkdir "$dir/big" && ln -s big/out.bin "$dir/link" || fail "no place for a link"
stagecoach quantize "$f16" "$dir/link" Q4_0 >"$dir/out" || fail "through a link: code $?"
[ -L "$dir/link" ] && [ -s "$dir/big/out.bin" ] && [ "$(ls "$dir/big")" = out.bin ] ||
	fail "through a link: $(ls -l "$dir/link" "$dir/big")"

# expect CODE PATTERN ARGUMENT...: it fails so, and leaves what was there.
cksum "$dir"/*.gguf >"$dir/sums"
expect() {
	code=$1 pattern=$2
	shift 2
	stagecoach quantize "$@" >"$dir/out" 2>"$dir/log"
	got=$?
	[ $got = "$code" ] || fail "$*: exit code $got, expected $code"
	grep -q "$pattern" "$dir/log" || fail "$*: expected '$pattern'"
	[ -s "$dir/out" ] && fail "$*: something on standard output"
	[ -c /dev/full ] && [ -L /dev/stdout ] || fail "$*: a device is gone"
	cksum "$dir"/*.gguf* | cmp -s - "$dir/sums" || fail "$*: files have changed"
}
expect 64 'expected INPUT, OUTPUT and TYPE' "$f16" "$dir/x.gguf"
expect 64 "found 'more' too" "$f16" "$dir/x.gguf" Q4_0 more
expect 64 "threads: expected .* from 0 to 1024, found '1025'" -t 1025 "$f16" "$dir/x.gguf" Q4_0
expect 64 "TYPE: expected one of F16, .*Q2_K; found 'Q9'" "$f16" "$dir/x.gguf" Q9
expect 66 'No such file' "$dir/missing.gguf" "$dir/x.gguf" Q4_0
expect 1 'is Q8_0 already: .*--allow-requantize' "$MODEL" "$dir/x.gguf" Q4_0
expect 64 'another file than the input' "$f16" "$f16" Q4_0
expect 1 'No such file' "$f16" "$dir/missing/x.gguf" Q4_0
expect 1 'found a device' "$f16" /dev/full Q4_0
expect 1 'found a directory' "$f16" "$dir" Q4_0
expect 1 'standard output' "$f16" /dev/stdout Q4_0
expect 1 'expected a GGUF file\|expected "GGUF"' "$0" "$dir/x.gguf" Q4_0

# A limit instead of a full disk: 2,000 blocks of 512 bytes are less than the model.
(
	ulimit -f 2000
	expect 1 'no room for .*: File too large' "$f16" "$dir/x.gguf" Q8_0
) || exit 1

stagecoach quantize --help >"$dir/out" || fail "--help: exit code $?"
grep -q 'INPUT OUTPUT TYPE' "$dir/out" || fail "--help: $(cat "$dir/out")"
echo "ok"
