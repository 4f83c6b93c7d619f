#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The completion of bash offers every verb, every flag that --help shows, and files.
set -u
export LC_ALL=C
BUILDDIR=${BUILDDIR:-$(pwd)}
SRCDIR=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
dir=$(mktemp -d "${TMPDIR:-/tmp}/stagecoach-test.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAIL: $*"; exit 1; }

"$SRCDIR/completion/make.sh" "$BUILDDIR" >"$dir/completion" || fail "make.sh"
. "$dir/completion" || fail "bash cannot read it"
complete -p stagecoach stagecoachd >/dev/null || fail "it is for no command"

# offered WORD...: what bash would offer for the last word, one a line.
offered() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_stagecoach "$1"
	printf '%s\n' "${COMPREPLY[@]}"
}
# expect WANTED WORD...: WANTED, lines, is what is offered.
expect() {
	local wanted=$1
	shift
	[ "$(offered "$@" | sort)" = "$wanted" ] || fail "$*: expected $wanted, found $(offered "$@")"
}

verbs=$("$BUILDDIR/stagecoach" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
[ "$(echo "$verbs" | wc -l)" -ge 10 ] || fail "--help lists few verbs: $verbs"
expect "$(printf '%s\n' $verbs --help --version | sort)" stagecoach ''

# Every flag in the help, as it is written there.
for verb in $verbs stagecoachd; do
	if [ "$verb" = stagecoachd ]; then
		command=(stagecoachd)
	else
		command=(stagecoach "$verb")
	fi
	shown=$(env -i "PATH=$PATH" "$BUILDDIR/${command[0]}" "${command[@]:1}" --help |
		grep -oE '^(      |  -[A-Za-z], )--[a-z-]+' | grep -oE -e '--?[A-Za-z-]+' | sort)
	[ "$(echo "$shown" | wc -l)" -ge 5 ] || fail "$verb --help shows few flags: $shown"
	# Aliases are not in the help.
	missing=$(offered "${command[@]}" - | sort | comm -13 - <(echo "$shown"))
	[ -z "$missing" ] || fail "$verb: not offered: $missing"
done
echo "all verbs and flags are offered"

cd "$dir" && mkdir models && touch 'my model.gguf' other.gguf notes.txt models/x.gguf || fail "cd"
expect "$(printf '%s\n' models 'my model.gguf' other.gguf | sort)" stagecoach run -m ''
expect "$(printf '%s\n' models/x.gguf)" stagecoachd --model models/
expect 'notes.txt' stagecoachd --config n
expect 'notes.txt' stagecoach run -m n
expect "$(printf '%s\n' auto avx2 avx512 avx512-bf16 | grep avx | sort)" stagecoach run --cpu av
expect scalar stagecoach run --cpu = s
expect '' stagecoach run --ctx-size 4
expect other.gguf stagecoach quantize -t 2 o
expect "$(printf '%s\n' Q8_0)" stagecoach quantize -t 2 in.gguf out.gguf Q8
expect Q8_0 stagecoach convert in.gguf out.gguf Q8
expect other.gguf stagecoach quantize in.gguf o
expect Q8_0 stagecoach quantize --threads = 2 --quiet = on in.gguf out.gguf Q8
expect other.gguf stagecoach inspect o
expect '' stagecoach watch o
[ "$(offered stagecoach quantize in out '' | wc -l)" -ge 15 ] || fail "few types"
expect '--ctx-size' stagecoachd --ctx
echo "values and files are offered"
