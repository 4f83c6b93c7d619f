#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stagecoach chat: with a model in its own process and with a server, over pipes and on a terminal.
. "$(dirname "$0")/daemon.sh"

cat >"$dir/template" <<'END'
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
END
export XDG_STATE_HOME="$dir/nobody"	# whoever runs this test has a history of their own
local="-m $MODEL --chat-template $dir/template"

chat() { stagecoach chat "$@" >"$dir/out" 2>"$dir/chat.log"; code=$?; }
expect_code() { [ "$code" = "$1" ] || fail "$2: exit code $code"; }
terminal() {
	mode=$1
	shift
	timeout 240 /usr/bin/python3 "$SRCDIR/tests/system/chat_terminal.py" "$dir" "$mode" \
		"$BUILDDIR/stagecoach" chat "$@" || fail "on a terminal ($mode, $*)"
}
roles() {
	/usr/bin/python3 -c 'import json, sys
print(" ".join(message["role"] for message in json.load(open(sys.argv[1]))))' "$1"
}

# What is the same wherever the model is: $@ names it.
check_pipes() {
	chat "$@" -p 'to be, or not to be' -n 8 --seed 1
	expect_code 0 "one turn"
	cp "$dir/out" "$dir/one"
	[ -s "$dir/one" ] || fail "no answer"
	grep -q 'cut at 8 tokens' "$dir/chat.log" || fail "a cut answer is not told"

	printf 'to be, or not to be\n' | stagecoach chat "$@" -q -n 8 --seed 1 >"$dir/out" \
		2>"$dir/chat.log" || fail "a line of a pipe"
	cmp -s "$dir/one" "$dir/out" || fail "-p and a pipe give different answers"
	[ -s "$dir/chat.log" ] && fail "-q: $(cat "$dir/chat.log")"

	# Each line is a turn, and later ones know the earlier ones.
	printf '%s\n' 'one' 'two\' 'lines' '"""' '/quit' '"""' "/save $dir/saved" '/quit' 'three' |
		stagecoach chat "$@" --system 'be brief' -n 4 >"$dir/out" 2>"$dir/chat.log"
	code=$?
	expect_code 0 "a conversation"
	[ "$(roles "$dir/saved")" = "system user assistant user assistant user assistant" ] ||
		fail "saved: $(roles "$dir/saved")"
	grep -q '"two\\nlines"' "$dir/saved" || fail "a backslash continues no line"
	grep -q '"/quit"' "$dir/saved" || fail 'text in """ is a command'

	# An answer depends on what was said before.
	printf '/load %s\nmore\n' "$dir/saved" |
		stagecoach chat "$@" -q -n 16 --temp 0 >"$dir/after" 2>"$dir/chat.log" ||
		fail "/load"
	printf 'more\n' | stagecoach chat "$@" -q -n 16 --temp 0 >"$dir/alone" ||
		fail "a conversation of one turn"
	cmp -s "$dir/after" "$dir/alone" && fail "a loaded conversation changes nothing"

	chat "$@" --json -p 'hello' -n 4
	expect_code 0 "--json"
	/usr/bin/python3 - "$dir/out" <<'END' || fail "--json: $(cat "$dir/out")"
import json, sys
lines = open(sys.argv[1]).read().splitlines()
assert len(lines) == 1, lines
answer = json.loads(lines[0])
assert answer["message"]["role"] == "assistant" and answer["message"]["content"], answer
assert answer["finish_reason"] == "length", answer
assert answer["usage"]["completion_tokens"] == 4, answer
END

	# Sampling flags arrive.
	chat "$@" -p 'hello' -n 30 --temp 0 --samplers 'penalties;temperature' --repeat-penalty 9
	expect_code 0 "sampling flags"
	cp "$dir/out" "$dir/penalized"
	chat "$@" -p 'hello' -n 30 --temp 0
	cmp -s "$dir/out" "$dir/penalized" && fail "--repeat-penalty changes nothing"

	# The first failure ends a pipe.
	printf '/frobnicate\nhello\n' | stagecoach chat "$@" >"$dir/out" 2>"$dir/chat.log"
	code=$?
	expect_code 64 "an unknown command"
	[ -s "$dir/out" ] && fail "the pipe goes on after an error"
	grep -q 'no such command' "$dir/chat.log" || fail "an unknown command is not told"
	printf '/load %s\n' "$dir/template" | stagecoach chat "$@" >"$dir/out" 2>"$dir/chat.log"
	code=$?
	expect_code 1 "a file that is no conversation"
	awk 'BEGIN { for (i = 0; i < 3000; i++) printf "word "; print "" }' |
		stagecoach chat "$@" >"$dir/out" 2>"$dir/chat.log"
	code=$?
	expect_code 64 "a message that is too long"
	grep -q 'the context holds' "$dir/chat.log" || fail "a full context is not told"
}

# In one process.
check_pipes $local
chat -m "$MODEL" -p hello
expect_code 1 "a model without a template"
grep -q 'no chat template' "$dir/chat.log" || fail "no word of the template"
terminal all $local
terminal plain $local

# A daemon.
start_daemon 1 --chat-template "$dir/template"
check_pipes --socket "$socket"
terminal all --listen "$address"
terminal plain --socket "$socket"

# The daemon goes and comes back.
echo "$launcher" >"$dir/pid"
terminal gone --socket "$socket" &
person=$!
is_killed() { [ -e "$dir/killed" ]; }
is_told() { [ -e "$dir/told" ] || is_gone "$person"; }
wait_for is_killed || fail "the first turn does not end"
wait_launcher
: >"$dir/ended"
wait_for is_told
start_daemon 1 --chat-template "$dir/template"
: >"$dir/back"
wait "$person" || fail "the person whose daemon went away"
chat --socket "$socket" -p 'still there?' -n 2
expect_code 0 "after all"
stop_daemon

# Nobody there.
chat --socket "$dir/nobody.sock" -p hello
expect_code 69 "no server"
# A daemon whose model cannot chat.
start_daemon 1
chat --socket "$socket" -p hello
[ "$code" != 0 ] || fail "a daemon without a template: exit code 0"
grep -q 'chat template' "$dir/chat.log" || fail "no word of the daemon's template"
stop_daemon
expect_none_left
