#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `stagecoach tokenize`: the tokens that a prompt gets, and bytes that are no text.
. "$(dirname "$0")/daemon.sh"

# tokenize EXPECTED ARGUMENT...: of $dir/in, compared with all that it prints.
tokenize() {
	printf "$1" >"$dir/expected"
	shift
	stagecoach tokenize -m "$MODEL" "$@" <"$dir/in" >"$dir/out" 2>"$dir/log" ||
		fail "tokenize $*: exit code $?"
	cmp -s "$dir/out" "$dir/expected" || fail "tokenize $*: $(cat "$dir/out")"
	[ -s "$dir/log" ] && fail "something on standard error"
}
# refuse CODE PATTERN ARGUMENT...
refuse() {
	code=$1 pattern=$2
	shift 2
	stagecoach tokenize "$@" >"$dir/out" 2>"$dir/log" </dev/null
	got=$?
	[ $got = "$code" ] || fail "tokenize $*: exit code $got, expected $code"
	grep -q -- "$pattern" "$dir/log" || fail "$*: expected '$pattern'"
	[ -s "$dir/out" ] && fail "$*: something on standard output"
}

: >"$dir/in"
tokenize '      0  "<|endoftext|>"  special\n    373  "hi"\n2 tokens, 2 bytes\n' -p hi
tokenize '0 373\n' -p hi --ids
tokenize '373\n' -p hi --ids --no-bos
tokenize '\n' -p '' --ids --no-bos
tokenize '{"n_tokens":1,"n_bytes":2,"is_utf8":true,"ids":[373],"pieces":["hi"]}\n' -p hi --no-bos --json
printf hi >"$dir/in"
tokenize '373\n' --ids --no-bos
tokenize '373\n' --ids --no-bos -f -
tokenize '373\n' --ids --no-bos -p -
tokenize '373\n' --ids --no-bos -f "$dir/in"

# Control tokens are text unless asked for.
tokenize '0\n' --special --ids --no-bos -p '<|endoftext|>'
stagecoach tokenize -m "$MODEL" --ids --no-bos -p '<|endoftext|>' >"$dir/out" || fail "no tokens"
grep -qw 0 "$dir/out" && fail "a control token from text: $(cat "$dir/out")"

# NUL, bytes that are not UTF-8, what a terminal would obey.
printf 'a\000b\377\303 \033[2J\342\200\256' >"$dir/in"
stagecoach tokenize -m "$MODEL" --no-bos <"$dir/in" >"$dir/out" || fail "bytes: exit code $?"
[ "$(tail -n 1 "$dir/out")" = '14 tokens, 13 bytes, not UTF-8 at byte 3' ] ||
	[ "$(tail -n 1 "$dir/out" | sed 's/.* tokens, //')" = '13 bytes, not UTF-8 at byte 3' ] ||
	fail "$(tail -n 1 "$dir/out")"
for piece in 'u{0}' xFF xC3 'u{1B}' xE2 xAE; do
	grep -qF "\"\\$piece\"" "$dir/out" || fail "no $piece in: $(cat "$dir/out")"
done
LC_ALL=C grep -q '[^ -~]' "$dir/out" && fail "bytes that do not print: $(cat "$dir/out")"
stagecoach tokenize -m "$MODEL" --no-bos --json <"$dir/in" >"$dir/out" || fail "--json: code $?"
grep -q '"is_utf8":false,.*"pieces":\["a","\\u0000","b",\[255\],\[195\],' "$dir/out" ||
	fail "$(cat "$dir/out")"

# The bytes of the pieces are the text.
stagecoach tokenize -m "$MODEL" --json --no-bos <"$SRCDIR/tests/data/perplexity.txt" |
	/usr/bin/python3 -c '
import json, sys
answer = json.load(sys.stdin)
text = b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in answer["pieces"])
assert text == open(sys.argv[1], "rb").read(), "the pieces are not the text"
assert len(text) == answer["n_bytes"] and len(answer["ids"]) == answer["n_tokens"]
' "$SRCDIR/tests/data/perplexity.txt" || fail "pieces"

# A prompt has as many tokens: run counts them.
n_tokens() { stagecoach tokenize -m "$MODEL" "$@" --ids | wc -w; }
for text in 'JULIET:' ' two  spaces' '<|endoftext|>' 'w\303\266rld'; do
	printf "$text" >"$dir/in"
	for flag in --special=off --special=on; do
		stagecoach run -m "$MODEL" -f "$dir/in" $flag -n 1 >"$dir/out" 2>"$dir/log" ||
			fail "run: exit code $?"
		n=$(sed -n 's/^prompt: \([0-9]*\) tokens\{0,1\} in .*/\1/p' "$dir/log")
		grep -q '^prompt: 1 tokens' "$dir/log" && fail "the plural of one token"
		[ "$n" = "$(n_tokens -f "$dir/in" $flag)" ] ||
			fail "'$text' $flag: run has $n tokens, tokenize $(n_tokens -f "$dir/in" $flag)"
	done
done

# A vocabulary alone will do.
"$BUILDDIR/tests/system/write_odd_file" vocabulary "$dir/vocabulary.gguf" || fail "no vocabulary"
[ "$(stagecoach tokenize -m "$dir/vocabulary.gguf" -p 'a a' --no-bos --ids)" = '261 261' ] ||
	fail "a vocabulary alone: $(stagecoach tokenize -m "$dir/vocabulary.gguf" -p 'a a')"

refuse 64 'no model: give a model file, a folder' -p hi
refuse 64 'no prompt' -m "$MODEL"
refuse 64 'expected one of them' -m "$MODEL" -p hi -f "$dir/in"
refuse 66 'No such file' -m "$dir/missing.gguf" -p hi
refuse 66 'No such file' -m "$MODEL" -f "$dir/missing"
refuse 64 '--bogus: no such option' -m "$MODEL" --bogus
echo "ok"
