#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Weights that are not numbers fail the jobs that meet them, with the tensor and the file, and
# nothing else. Keys and values that F16 cannot hold are counted and told.
. "$(dirname "$0")/daemon.sh"

write() { "$BUILDDIR/tests/system/write_model" "$1" "$dir/$1.gguf" || fail "write_model $1"; }
write spoilt-token
write spoilt-norm
reason="NaN or infinity in token_embd.weight of $dir/spoilt-token.gguf"

# Text of 64 sequences that ends where it ends, without the spoilt token.
innocent() {
	stagecoach generate --socket "$socket" -p 'the thin' -n 300 --sequences 64 --seed 3 \
		>"$dir/lines" 2>"$dir/$1.log" || return
	# Which sequence is the first to end a line depends on what else runs.
	LC_ALL=C sort -s -t ']' -k 1,1 "$dir/lines" >"$dir/$1"
}
poison() {
	stagecoach generate --socket "$socket" --parse-special -p 'the <|end|>' -n 3 >"$dir/poison" \
		2>"$dir/poison.log"
}
poison_fails() {
	poison
	code=$?
	[ $code = 65 ] || fail "$1: exit code $code instead of 65"
	grep -q "sequence 0: the logit of token 0 at position .* is NaN; stage 1 has $reason" \
		"$dir/poison.log" || fail "$1: the reason is not told"
}

MODEL=$dir/spoilt-token.gguf
for ranks in 1 3; do
	start_daemon $ranks
	grep -q "warning: stage 1: $reason. Jobs that use these values will fail" "$dir/log" ||
		fail "$ranks ranks: nothing is said while loading"
	innocent alone || fail "$ranks ranks: exit code $?"
	innocent beside &
	client=$!
	for i in 1 2 3 4 5 6; do
		poison_fails "$ranks ranks, $i"
	done
	wait $client || fail "$ranks ranks: the innocent job failed: $(cat "$dir/beside.log")"
	cmp -s "$dir/alone" "$dir/beside" || fail "$ranks ranks: other tokens"
	stagecoach status --socket "$socket" | grep -q ' 6 failed' || fail "$ranks ranks: status"
	# Once: whoever asks does not fill the log.
	[ "$(grep -c 'the logit of token 0' "$dir/log")" = 1 ] || fail "$ranks ranks: the log"
	stop_daemon
	[ $code = 0 ] || fail "$ranks ranks: exit code $code"
	expect_none_left
	echo "$ranks ranks: six spoilt jobs failed, and nothing else"
done

# Where nothing has logits, every program says why.
for verb in "run -p x -n 3" "perplexity -c 64 -f $SRCDIR/tests/data/perplexity.txt" \
		"bench --tests prompt -p 8 -r 1"; do
	# shellcheck disable=SC2086
	stagecoach ${verb%% *} -m "$dir/spoilt-norm.gguf" ${verb#* } >"$dir/out" 2>"$dir/log"
	code=$?
	[ $code = 65 ] || fail "$verb: exit code $code instead of 65"
	grep -q "error: .* is infinite; stage 1 has NaN or infinity in output_norm.weight of $dir" \
		"$dir/log" || fail "$verb: the reason is not told"
	echo "${verb%% *} told the reason"
done

# What F16 cuts is told once, with the layer; the status counts it.
write large-values
write bf16
cut='keys or values of layer 3 are beyond what kv-type holds'
is_counted() { stagecoach status --socket "$socket" | grep -q "^stage $1: [1-9][0-9]* keys"; }
MODEL=$dir/large-values.gguf
for ranks in 1 3; do
	start_daemon $ranks --kv-type f16 --stages 2
	grep -q 'keys and values in F16' "$dir/log" || fail "$ranks ranks: the type is not told"
	for i in 1 2; do
		stagecoach generate --socket "$socket" -p 'the thin' -n 20 >"$dir/text" 2>"$dir/err.log" ||
			fail "$ranks ranks: exit code $?"
	done
	wait_for is_counted 2 || fail "$ranks ranks: nothing is counted"
	is_counted 1 && fail "$ranks ranks: the wrong stage counts"
	stop_daemon
	[ $code = 0 ] || fail "$ranks ranks: exit code $code"
	[ "$(grep -c "warning: stage 2: $cut" "$dir/log")" = 1 ] ||
		fail "$ranks ranks: not one warning"
	expect_none_left
	echo "$ranks ranks: what was cut is told and counted"
done

# tells_cut TYPE VERB...
tells_cut() {
	type=$1
	verb=$2
	shift 2
	stagecoach "$verb" -m "$MODEL" --kv-type "$type" "$@" >"$dir/out" 2>"$dir/log" ||
		fail "$verb --kv-type $type: exit code $?"
	grep -q "warning: stage 1: $cut and were cut .*. Use --kv-type bf16 or f32" "$dir/log"
}
tells_cut f16 run -p x -n 3 || fail "run: no warning"
tells_cut f16 perplexity -c 64 --chunks 2 -f "$SRCDIR/tests/data/perplexity.txt" ||
	fail "perplexity: no warning"
tells_cut auto run -p x -n 3 || fail "auto is not f16"
for type in bf16 f32; do
	tells_cut $type run -p x -n 3 && fail "$type: a warning"
done
MODEL=$dir/bf16.gguf
tells_cut auto run -p x -n 3
grep -q 'keys and values in BF16' "$dir/log" || fail "BF16 weights: not auto's bf16"
tells_cut f16 run -p x -n 3
grep -q 'keys and values in F16' "$dir/log" || fail "BF16 weights: not the f16 that was asked for"
echo "run and perplexity told what was cut; weights in BF16 choose bf16"
