#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models from folders: run, rounded while they are loaded, by a name in the cache, and converted. The
# ways to the same model give the same tokens.
. "$(dirname "$0")/daemon.sh"
TMPDIR=$dir
export TMPDIR

# tokens ARGUMENT...: what the model continues.
tokens() {
	stagecoach run --temp 0 -n 24 -p 'Hello, 12 worlds' "$@" 2>"$dir/log" ||
		fail "run $*: exit code $?"
}

# expect_same A B WHAT
expect_same() {
	[ "$1" = "$2" ] || fail "$3: '$1' and '$2' differ"
	[ -n "$1" ] || fail "$3: no tokens"
}

for name in llama-3 qwen3-head-dim gemma3-types phi3-window gpt2-hub; do
	"$BUILDDIR/tests/system/write_folder" $name "$dir/$name" >"$dir/log" 2>&1 ||
		fail "$name: no folder"
	stagecoach convert "$dir/$name" "$dir/$name.gguf" >"$dir/out" 2>"$dir/log" ||
		fail "convert $name: exit code $?"
	grep -q "$name: .* -> $dir/$name.gguf: .* types as stored, 32.00 bits" "$dir/out" ||
		fail "no summary: $(cat "$dir/out")"
	wanted=$(tokens -m "$dir/$name")
	expect_same "$wanted" "$(tokens -m "$dir/$name.gguf")" "$name and its file"
	expect_same "$wanted" "$(tokens -m "$dir/$name/" --stages 2)" "$name in two stages"
	stagecoach tokenize -m "$dir/$name" -p 'Hello, 12 worlds' >"$dir/ids"
	stagecoach tokenize -m "$dir/$name.gguf" -p 'Hello, 12 worlds' | cmp -s - "$dir/ids" ||
		fail "$name and its file: other tokens of a text"
done

# Rounded while it is loaded, and rounded into a file: the same bytes, the same tokens.
stagecoach convert -q "$dir/llama-3" "$dir/small.gguf" BF16 >"$dir/out" || fail "BF16: code $?"
expect_same "$(tokens -m "$dir/llama-3" --weight-type bf16)" "$(tokens -m "$dir/small.gguf")" \
	"rounded at loading and by convert"
stagecoach quantize -q "$dir/llama-3.gguf" "$dir/again.gguf" BF16 >"$dir/out" || fail "code $?"
cmp "$dir/small.gguf" "$dir/again.gguf" || fail "convert BF16 and quantize BF16 differ"

# By name, offline.
HF_HOME=$dir/home
export HF_HOME
models=$HF_HOME/hub/models--some--model
mkdir -p "$models/refs" "$models/snapshots" && echo 0a1b >"$models/refs/main" &&
	cp -r "$dir/llama-3" "$models/snapshots/0a1b" || fail "no cache"
expect_same "$(tokens -m "$dir/llama-3")" "$(tokens -m some/model)" "by path and by name"
grep -q '^some/model: llama' "$dir/log" || fail "a model from the cache has another name"
stagecoach inspect some/model | grep -q '^architecture  llama$' || fail "inspect by name"

# expect CODE TEXT ARGUMENT...
expect() {
	code=$1 text=$2
	shift 2
	stagecoach "$@" >"$dir/out" 2>"$dir/log"
	found=$?
	[ $found = "$code" ] || fail "$*: exit code $found, expected $code"
	grep -q -- "$text" "$dir/log" || fail "$*: expected '$text'"
}

expect 66 "found no .*models--no--such.*: fetch it with 'hf download no/such'" \
	run -m no/such -p x
# A folder that may not be entered is not an empty one. Root may, but for its capabilities.
limited=
[ "$(id -u)" = 0 ] && limited="setpriv --bounding-set -dac_override,-dac_read_search"
mkdir -m 0 "$dir/closed"
$limited "$BUILDDIR/stagecoach" run -m "$dir/closed" -p x 2>"$dir/log" && fail "a closed folder"
grep -q 'closed: cannot open: Permission denied' "$dir/log" || fail "a closed folder: no reason"

# A file that is not there is no name in the cache, and does not mean its folder.
for name in modle.safetensors confg.json; do
	expect 66 "llama-3/$name: cannot open: No such file" run -m "$dir/llama-3/$name" -p x
	(cd "$dir" && expect 66 "llama-3/$name: cannot open: No such" run -m "llama-3/$name" -p x) ||
		exit 1
done
expect_same "$(tokens -m "$dir/llama-3")" "$(tokens -m "$dir/llama-3/config.json")" "a file in it"
rm "$models/snapshots/0a1b/model.safetensors"
expect 66 "'hf download some/model' fetches what is missing" run -m some/model -p x
: >"$models/snapshots/0a1b/pytorch_model.bin"
expect 1 'pickle' run -m some/model -p x
expect 1 'pickled weights' run -m "$models/snapshots/0a1b/pytorch_model.bin" -p x
cp "$dir/llama-3.gguf" "$dir/named.bin"
expect_same "$(tokens -m "$dir/llama-3")" "$(tokens -m "$dir/named.bin")" "a GGUF file named .bin"
expect 64 'expected one of F16, BF16' run -m "$dir/llama-3" --weight-type q9 -p x
expect 64 'expected INPUT, OUTPUT and perhaps TYPE' convert "$dir/llama-3"
expect 64 'TYPE: expected one of' convert "$dir/llama-3" "$dir/x.gguf" q9
for name in config.json tokenizer.json model.safetensors; do
	ln -sf "$dir/llama-3/$name" "$dir/link"
	expect 64 'expected another file than those of the input' \
		convert "$dir/llama-3" "$dir/llama-3/$name"
	expect 64 'expected another file than those of the input' convert "$dir/llama-3/" "$dir/link"
done
for turn in first second; do
	stagecoach convert -q "$dir/llama-3" "$dir/llama-3/x.gguf" >"$dir/out" 2>"$dir/log" ||
		fail "a file beside the weights, the $turn time: exit code $?"
done
[ -e "$dir/x.gguf" ] && fail "a file of a wrong type"
stagecoach families --json | grep -q '"architecture":"gemma3"' || fail "families --json"
echo "folders, names and converted files are the same models"
