#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `stagecoach inspect`: the bundled model, files that are not served, broken files.
. "$(dirname "$0")/daemon.sh"
escape=$(printf '\033')

# inspect CODE ARGUMENT...
inspect() {
	code=$1
	shift
	stagecoach inspect "$@" >"$dir/out" 2>"$dir/log"
	got=$?
	[ $got = "$code" ] || fail "inspect $*: exit code $got, expected $code"
}
# has PATTERN: a line of the output matches.
has() { grep -q -- "$1" "$dir/out" || fail "no line '$1' in: $(cat "$dir/out")"; }
says() { grep -q -- "$1" "$dir/log" || fail "no line '$1' on standard error"; }
write() { "$BUILDDIR/tests/system/write_odd_file" "$1" "$dir/$2" || fail "no file $2"; }

inspect 0 "$MODEL"
[ -s "$dir/log" ] && fail "something on standard error"
has '^file  *.*demo.gguf, 3.5 MiB$'
has '^architecture  *llama$'
has '^size  *3.4 million parameters in 74 tensors, 3.5 MiB, 8.53 bits per weight$'
has '^layers  *8, width 256, feed-forward 256$'
has '^heads  *8, of keys and values 4, head size 32$'
has '^vocabulary  *1024$'
has '^context  *512 trained$'
has '^rope  *base 10000, 32 dimensions, scaling none$'
has '^types  *Q8_0  *57 tensors  *3.5 MiB$'
has '^special  *bos 0 "<|endoftext|>"$'
has '^chat template none$'
has '^servable  *yes$'
has '^keys, values  *F16, 4.0 KiB per token, 2.0 MiB for a context of 512$'
has '^fits here  *yes, in 1 stage, with a context of 512 and a KV pool of '
has '^stages  *1 with .* is enough for a context of 512$'

# What it says of memory is what run does with as much. 16 MiB: too little for the whole context.
inspect 0 -c 8192 --memory 16M "$MODEL"
has '^fits here  *no: stage 1 needs '
stagecoach run -m "$MODEL" -c 8192 --memory 16M -p x -n 1 >"$dir/text" 2>"$dir/run.log" </dev/null &&
	fail "run had room for what inspect refused"
reason=$(sed -n 's/^fits here  *no: //p' "$dir/out")
grep -qF "${reason% MiB:*}" "$dir/run.log" || fail "run gave another reason than '$reason'"
inspect 0 -c 8192 --memory 64M "$MODEL"
has '^fits here  *yes, in 1 stage, with a context of 8192 '
stagecoach run -m "$MODEL" -c 8192 --memory 64M -p x -n 1 >"$dir/text" 2>"$dir/run.log" </dev/null ||
	fail "run had no room for what inspect allowed"
inspect 0 --stages 3 --memory 1M "$MODEL"
has '^fits here  *no: stage [123] needs '
has '^stages  *no number of them is enough with 1.0 MiB each'

inspect 0 --json --keys --tensors "$MODEL"
[ "$(wc -l <"$dir/out")" = 1 ] || fail "JSON in several lines"
has '"architecture":"llama".*"n_layers":8,.*"servable":true,"fit":{"memory_bytes":[0-9]'
has '"kv_bytes_per_token":4096,.*"here":{"fits":true,"n_stages":1,"context":512,'
has '"keys":\[{"key":"general.architecture","type":"string","value":"llama"}'
has '{"key":"tokenizer.ggml.tokens","type":"string","n":1024,"first":\['
has '"tensors":\[.*{"name":"token_embd.weight","type":"Q8_0","dims":\[256,1024\],"bytes":278528}'
inspect 0 --keys --tensors "$MODEL"
has '^general.architecture (string) = "llama"$'
has '^llama.block_count (u32) = 8$'
has '^tokenizer.ggml.tokens (1024 string) = "<|endoftext|>", '
has '^token_embd.weight Q8_0 \[256, 1024\] 278528 bytes$'

# Not served, but told of.
write unknown-arch mammoth.gguf
inspect 0 "$dir/mammoth.gguf"
has '^architecture  *mammoth$'
has '^layers  *4, width 64, feed-forward 96$'
has "^servable  *no: .*architecture 'mammoth' is not supported; supported are: llama, qwen2, "
grep -q '^fits here' "$dir/out" && fail "a plan for what is not served"
write unknown-type iq2.gguf
inspect 0 "$dir/iq2.gguf"
has '^  *IQ2_XXS  *1 tensor .*(not supported)$'
has '^servable  *no: .*tensors of type IQ2_XXS (16) are not supported'
write vocabulary vocabulary.gguf
inspect 0 "$dir/vocabulary.gguf"
has '^vocabulary  *262$'
has '^servable  *no: .*no weights'

write template template.gguf
inspect 0 "$dir/template.gguf"
has '^chat template 20 bytes (--template prints it)$'
has '^  *tool_use, 8 bytes$'
inspect 0 --template "$dir/template.gguf"
printf '{{ x }}\n\033[2J{{ y }}\n' | cmp -s - "$dir/out" || fail "the template is not as it is"
inspect 0 --json --template "$dir/template.gguf"
has '"chat_templates":\[{"name":"","bytes":20,"text":"{{ x }}\\n\\u001[bB]\[2J'
inspect 0 --keys "$dir/template.gguf"
has '^tokenizer.chat_template (string) = "{{ x }}\\n\\u{1B}\[2J'
grep -q "$escape" "$dir/out" && fail "a control character for the terminal"
inspect 66 --template "$MODEL"
says 'the file has no chat template'

write shards model-00001-of-00002.gguf
inspect 0 "$dir/model-00001-of-00002.gguf"
has '^file .* in 2 files$'
has '^  *1 tensor .* model-00002-of-00002.gguf$'
has '^servable  *yes$'
inspect 1 "$dir/model-00002-of-00002.gguf"
says 'expected the first file of a split model'

# Broken: the loader's error, behind what could be read.
write no-layers no-layers.gguf
inspect 1 "$dir/no-layers.gguf"
has '^architecture  *llama$'
has "^servable  *no: .*llama.block_count': expected 1 to"
says "error: .*llama.block_count': expected 1 to"
head -c 1000000 "$MODEL" >"$dir/truncated.gguf"
inspect 1 "$dir/truncated.gguf"
says 'truncated.gguf: .*truncated?'
[ -s "$dir/out" ] && fail "something of a file that is broken"
inspect 66 "$dir/missing.gguf"
says 'No such file'
inspect 64
says 'expected one model file'
inspect 64 "$MODEL" "$MODEL"
echo "ok"
