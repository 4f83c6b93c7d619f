#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# OpenAI's API over HTTP/1.1: a client of Python's own library and curl, over TCP and the Unix
# socket, up to and including a server that loads and one that drains.
. "$(dirname "$0")/daemon.sh"

cat >"$dir/template" <<'EOF'
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
EOF

client() {
	/usr/bin/python3 "$SRCDIR/tests/system/openai_client.py" "$@" || fail "the client failed"
}

start_daemon 1 --chat-template "$dir/template" --alias shakespeare,bard
client "$address"
client "unix:$socket" completion chat scores
grep -q 'frobnicate' "$dir/log" || fail "an unknown field is not told"
[ "$(grep -c frobnicate "$dir/log")" = 1 ] || fail "an unknown field is told more than once"
grep -q 'ROMEO\|poet' "$dir/log" && fail "the log has a prompt"

if command -v curl >/dev/null; then
	curl -sS -N "http://$address/v1/chat/completions" -H 'Content-Type: application/json' -d '{
		"messages": [{"role": "user", "content": "hi"}], "stream": true, "max_tokens": 3}' \
		>"$dir/out" || fail "curl: exit code $?"
	tail -n 2 "$dir/out" | grep -q '^data: \[DONE\]$' || fail "curl: $(cat "$dir/out")"
	curl -sS --unix-socket "$socket" http://localhost/v1/models |
		grep -q '"id":"shakespeare"' || fail "curl: no model"
fi

# A drain finishes what runs and refuses the rest.
/usr/bin/python3 - "$address" >"$dir/drain.log" 2>&1 <<'EOF' &
import http.client, sys
conn = http.client.HTTPConnection(sys.argv[1], timeout=60)
conn.request("POST", "/v1/completions", '{"prompt": "a", "max_tokens": 400, "ignore_eos": true, '
             '"stream": true}', {"Content-Type": "application/json"})
response = conn.getresponse()
print(response.readline())
sys.stdout.flush()
text = response.read()
assert text.endswith(b"data: [DONE]\n\n"), text[-200:]
print("complete")
EOF
drained=$!
is_begun() { [ -s "$dir/drain.log" ]; }
wait_for is_begun || fail "the stream does not begin"
stop_daemon
[ "$code" = 0 ] || fail "after the drain: exit code $code"
wait "$drained" || fail "the stream was cut: $(cat "$dir/drain.log")"
grep -q complete "$dir/drain.log" || fail "the stream was cut: $(cat "$dir/drain.log")"

# A template that tells of tools.
{
	printf '%s' '{%- if tools -%}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}'
	printf '%s' '</tools> Answer <tool_call>{"name": ..., "arguments": ...}</tool_call>'
	printf '%s\n' '{%- endif -%}'
	cat "$dir/template"
} >"$dir/tools"
start_daemon 1 --chat-template "$dir/tools"
client "$address" tools
stop_daemon

# A model that calls tools and reasons.
/usr/bin/python3 "$SRCDIR/tests/system/scripted_model.py" "$dir/scripted.gguf" ||
	fail "the scripted model is not written"
(MODEL="$dir/scripted.gguf"; start_daemon 1; client "$address" scripted_tools scripted_result \
	scripted_reasoning; stop_daemon) || exit 1

# A template that cannot be read ends the start.
stagecoachd -m "$MODEL" --listen 127.0.0.1:0 --chat-template '{% if %}' >"$dir/out" 2>"$dir/log2"
[ $? = 78 ] || fail "a faulty template: exit code $?"
grep -q 'chat-template' "$dir/log2" || fail "a faulty template is not named"
stagecoachd -m "$MODEL" --check-config --chat-template "$dir/none" >"$dir/out" 2>"$dir/log2"
[ $? = 66 ] || fail "a missing template: exit code $?"
grep -q "chat-template: $dir/none" "$dir/log2" || fail "a missing template is not named"
echo '{% if %}' >"$dir/faulty"
stagecoachd -m "$MODEL" --check-config --chat-template "$dir/faulty" >"$dir/out" 2>"$dir/log2"
grep -q "chat-template: $dir/faulty: .*line 1" "$dir/log2" || fail "a faulty template is not named"

# Without a template a chat says what is missing.
start_daemon 1
/usr/bin/python3 - "$address" <<'EOF' || fail "a chat without a template"
import http.client, json, sys
conn = http.client.HTTPConnection(sys.argv[1], timeout=60)
conn.request("POST", "/v1/chat/completions", '{"messages": [{"role": "user", "content": "a"}]}',
             {"Content-Type": "application/json"})
response = conn.getresponse()
error = json.loads(response.read())["error"]
assert response.status == 400 and error["type"] == "not_supported_error", error
assert "template" in error["message"], error
EOF
stop_daemon
expect_none_left
