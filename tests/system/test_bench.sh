#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `stagecoach bench` prints; never how fast anything is.
. "$(dirname "$0")/daemon.sh"

bench() {
	stagecoach bench -m "$MODEL" -p 24 -n 4 --sequences 1,3 -d 40 -t 1 -r 2 --ubatch-size 8 "$@" \
		2>"$dir/log"
}

names='pp24
pp24 x4
tg4
pp24+tg4
tg4
tg4 x3
pp24 @ d40
tg4 @ d40'

bench >"$dir/md" || fail "exit code $?"
found=$(sed -n 's/^| \([pt][pg][^|]*[^ |]\) *|.*/\1/p' "$dir/md")
[ "$found" = "$names" ] || fail "rows of the table: $found"
grep -q '1 thread at most: reading [0-9.]* GB/s' "$dir/md" || fail "no speeds: $(cat "$dir/md")"
columns=$(awk -F'|' '/^\|/ { n[NF]++ } END { for (i in n) print i, n[i] }' "$dir/md")
[ "$columns" = "9 10" ] || fail "a crooked table: $columns"

# The model is smaller than the last level of caches of any processor that says how large it is.
if [ -r /sys/devices/system/cpu/cpu0/cache/index3/size ]; then
	grep -q '^| tg4 .*| *in cache | *– |$' "$dir/md" || fail "not in cache: $(cat "$dir/md")"
fi

bench -o csv --stages 1,2 >"$dir/csv" || fail "--output csv: exit code $?"
[ "$(wc -l <"$dir/csv")" -eq 17 ] || fail "lines of CSV: $(wc -l <"$dir/csv")"
bench -o json >"$dir/json" || fail "--output json: exit code $?"
python3 - "$dir/csv" "$dir/json" <<'PYTHON' || fail "CSV or JSON"
import csv, json, sys
with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
with open(sys.argv[2]) as file:
    objects = [json.loads(line) for line in file]
assert len(rows) == 16 and len(objects) == 8, (len(rows), len(objects))
assert [r["stages"] for r in rows] == ["1"] * 8 + ["2"] * 8
for row, found in zip(rows, objects):
    assert list(row) == list(found), (list(row), list(found))
for found in objects + rows:
    rate, limit = float(found["tokens_per_second"]), float(found["limit"])
    assert 0 < float(found["least"]) <= rate <= float(found["most"]), found
    share = float(found["of_limit"])
    if found["in_cache"] in (True, "true"):
        assert limit == share == 0, found
    else:
        assert limit > 0 and abs(share - rate / limit) < 1e-3 * rate / limit, found
    assert int(found["samples"]) == 2 and int(found["threads"]) == 1
    assert found["type"] == "Q8_0" and int(found["parameters"]) == 3412224
one = next(o for o in objects if o["test"] == "tg4 x3")
assert (one["n_prompt"], one["n_gen"], one["sequences"], one["depth"]) == (0, 4, 3, 0)
PYTHON

# The instruction set is told by the word that forces it; what the processor lacks is refused.
for word in scalar avx2 avx512 avx512-bf16; do
	if STAGECOACH_CPU=$word bench --tests decode -o csv >"$dir/isa"; then
		grep -q ",\"*$word\"*," "$dir/isa" || fail "not $word: $(cat "$dir/isa")"
	else
		grep -q "this processor supports" "$dir/log" || fail "$word: $(cat "$dir/log")"
	fi
done

# Over stages a prompt at a depth goes in steps of a length that depends on its own: there is room.
stagecoach bench -m "$MODEL" --tests depth -p 256 -n 4 -d 600 --stages 2,3 -t 1 -r 5 -o csv \
	>"$dir/deep" 2>"$dir/log" || fail "deep prompts over stages: $(cat "$dir/log")"
[ "$(grep -c "pp256 @ d600" "$dir/deep")" -eq 2 ] || fail "deep prompts: $(cat "$dir/deep")"

# Figures: the same bytes from the same numbers, and well formed.
for copy in one two; do
	python3 "$SRCDIR/bench/plot.py" "$dir/csv" "$dir/$copy" >"$dir/out" || fail "plot.py"
done
[ "$(ls "$dir/one" | tr '\n' ' ')" = "batch.svg decode.svg prompt.svg " ] || fail "$(ls "$dir/one")"
diff -r "$dir/one" "$dir/two" || fail "plot.py is not deterministic"
python3 - "$dir"/one/*.svg <<'PYTHON' || fail "plot.py: no XML"
import sys
import xml.etree.ElementTree as tree
for path in sys.argv[1:]:
    lines = [e for e in tree.parse(path).iter() if e.tag.endswith("polyline")]
    assert len(lines) >= 2, path	# of one stage and of two
PYTHON

# Without other engines, and with one that is our own words.
cat >"$dir/llama-bench" <<'PEER'
#!/bin/sh
case $* in
*--help*) ;;
*) echo '[{"n_prompt": 0, "n_gen": 4, "n_threads": 1, "avg_ts": 0.5},
	{"n_prompt": 24, "n_gen": 0, "n_threads": 1, "avg_ts": 0.5}]' ;;
esac
PEER
cat >"$dir/llama-batched-bench" <<'PEER'
#!/bin/sh
echo '|  PP |  TG |  B | N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |'
echo '|   1 |   4 |  3 |   15 |    0.001 |  1636.66 |    0.002 |     0.25 |    0.002 |  4151.29 |'
PEER
chmod +x "$dir/llama-bench" "$dir/llama-batched-bench"
compare() {
	STAGECOACH=$BUILDDIR/stagecoach IK_BENCH='' "$SRCDIR/bench/compare.sh" -p 24 -n 4 -b 3 \
		-t 1 -r 2 "$@" "$MODEL" 2>"$dir/log" || fail "compare.sh: exit code $?"
}
LLAMA_BENCH='' compare >"$dir/alone"
[ "$(grep -c '^| demo | .* | 1 | [0-9.]* ([0-9.–]*) | – | ' "$dir/alone")" -eq 3 ] ||
	fail "$(cat "$dir/alone")"
LLAMA_BENCH=$dir/llama-bench compare >"$dir/beside"
grep -q '^| demo | tg4 x3 | 1 | [0-9.]* ([0-9.–]*) | 0.2 [^|]*| [0-9.]* | \(in cache\|[0-9]* %\) |$' "$dir/beside" ||
	fail "$(cat "$dir/beside")"
[ "$(grep -c ' | 0.5 [^|]*| ' "$dir/beside")" -eq 2 ] || fail "$(cat "$dir/beside")"

# expect CODE PATTERN OPTION...
expect() {
	code=$1 pattern=$2
	shift 2
	stagecoach bench "$@" >"$dir/out" 2>"$dir/log"
	got=$?
	[ $got = "$code" ] || fail "$*: exit code $got, expected $code"
	grep -q -- "error: $pattern" "$dir/log" || fail "$*: expected '$pattern'"
	[ -s "$dir/out" ] && fail "$*: something on standard output"
}
expect 64 'no model'
expect 64 "--tests: expected prompt, .*, found 'speed'" -m "$MODEL" --tests decode,speed
expect 64 "--n-gen: expected whole numbers .*, found 'x'" -m "$MODEL" -n 4,x
expect 64 "--sequences: expected .* from 1 to 64 .*, found '65'" -m "$MODEL" --sequences 65
expect 64 '--threads: no number' -m "$MODEL" -t ''
expect 64 'nothing to measure' -m "$MODEL" --tests depth
expect 66 '.*missing.gguf: .*No such file' -m "$dir/missing.gguf"

# Ctrl-C, which a background process of a script would not get. The first row of the table says that
# the model is loaded; before that the signal simply kills.
python3 - "$BUILDDIR/stagecoach" "$MODEL" <<'PYTHON' || fail "Ctrl-C"
import signal, subprocess, sys
bench = subprocess.Popen([sys.argv[1], "bench", "-m", sys.argv[2], "-t", "1", "-r", "1000",
                          "--tests", "prompt,decode", "-o", "csv", "-p", "1", "-n", "400"],
                         stdout=subprocess.PIPE)
bench.stdout.readline()
row = bench.stdout.readline()
assert b"pp1" in row, row
bench.send_signal(signal.SIGINT)
rest, code = bench.stdout.read(), bench.wait(60)
assert code == 130 and not rest, (code, rest)
PYTHON
echo ok
