#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# GET /metrics of a real daemon: the numbers add up after known jobs; promtool and
# python3-prometheus-client read it, where they are installed. The access log has a line for each
# request, and no text of any of them.
. "$(dirname "$0")/daemon.sh"

scrape_py() { /usr/bin/python3 "$SRCDIR/tests/system/scrape.py" "$@"; }

# Sets $dir/scrape to what the server says now.
scrape() {
	scrape_py get "$address" /metrics "$@" >"$dir/answer" || fail "no answer from /metrics"
	[ "$(sed -n 1p "$dir/answer")" = 200 ] || fail "status $(head -n 1 "$dir/answer")"
	[ "$(sed -n 2p "$dir/answer")" = "text/plain; version=0.0.4; charset=utf-8" ] ||
		fail "content type $(sed -n 2p "$dir/answer")"
	sed 1,3d "$dir/answer" >"$dir/scrape"
}

expect() { scrape_py check "$dir/scrape" "$@" || fail "the scrape does not add up"; }

# promtool calls colons and vLLM's name of a histogram bad style. All else is a fault.
check_with_promtool() {
	command -v promtool >/dev/null || { echo "promtool is not installed"; return; }
	promtool check metrics <"$dir/scrape" >"$dir/promtool" 2>&1
	grep -v -e "should not contain ':'" \
		-e 'vllm:iteration_tokens_total non-counter metrics should not have "_total"' \
		"$dir/promtool" >"$dir/faults"
	[ -s "$dir/faults" ] && fail "promtool: $(cat "$dir/faults")"
	echo "promtool: no fault"
}

generate() {
	stagecoach generate --socket "$socket" "$@" >"$dir/text" 2>"$dir/client.log" ||
		fail "no text: $(cat "$dir/client.log")"
}

# The metrics count what happened once the client has it.
is_over() { ! pgrep -f "stagecoach generate.*$dir" >/dev/null; }

start_daemon 1 --stages 2 -t 1 --access-log --log-format json $LONG
scrape
expect vllm:generation_tokens_total=0 vllm:request_success_total=0
check_with_promtool
scrape_py read "$dir/scrape" || [ $? = 77 ] || fail "python3-prometheus-client cannot read it"

for i in 1 2 3; do
	generate -p 'SECRET PROMPT' -n 20 --ignore-eos
done
generate -p 'SECRET PROMPT' -n 10 --ignore-eos --sequences 2
begin_text $LONG_TOKENS
kill -INT "$client"
wait "$client" 2>/dev/null
wait_for is_over
stagecoach status --socket "$socket" --json >"$dir/status" || fail "no status"
scrape
expect vllm:request_success_total,finished_reason=length=5 \
	"vllm:request_prompt_tokens_count=5" \
	vllm:request_generation_tokens_sum=80 \
	"vllm:generation_tokens_total=>80" \
	vllm:request_params_n_sum=5 \
	vllm:e2e_request_latency_seconds_count=5 \
	"vllm:time_to_first_token_seconds_count=>4" \
	vllm:num_requests_running=0 vllm:num_requests_waiting=0 \
	stagecoach_jobs_total,state=done=4 \
	stagecoach_phase=1 stagecoach_phase,phase=ready=1 \
	"stagecoach_stage_busy_seconds_total,stage=2=>0" \
	"stagecoach_stage_sent_bytes_total,stage=1=>1000" \
	stagecoach_epoch=1 stagecoach_worker_losses_total=0 \
	http_requests_total,handler=/metrics,status=2xx=1 \
	"grpc_server_handled_total,grpc_method=Generate,grpc_code=OK=4" \
	"process_cpu_seconds_total=>0" "process_resident_memory_bytes=>1e6"
# All stages have computed the same steps and rows, and the coordinator knows of as many.
for name in steps rows; do
	one=$(sed -n "s/^stagecoach_stage_${name}_total{stage=\"1\"} //p" "$dir/scrape")
	two=$(sed -n "s/^stagecoach_stage_${name}_total{stage=\"2\"} //p" "$dir/scrape")
	[ "$one" -gt 50 ] && [ "$one" = "$two" ] || fail "$name of stages: $one and $two"
done
check_with_promtool
scrape_py read "$dir/scrape" || [ $? = 77 ] || fail "python3-prometheus-client cannot read it"
echo "metrics add up"

# Over HTTP: what the answer says of its tokens is what metrics and the log say.
value() { sed -n "s/^$1{[^}]*} //p" "$dir/scrape"; }
prompt_before=$(value vllm:prompt_tokens_total)
output_before=$(value vllm:generation_tokens_total)
scrape_py post "$address" /v1/completions '{"prompt": "SECRET PROMPT", "max_tokens": 12,
	"ignore_eos": true}' X-Request-Id:completion-1 >"$dir/answer" || fail "no completion"
usage=$(/usr/bin/python3 -c '
import json, sys
usage = json.loads(open(sys.argv[1]).read().split("\n\n", 1)[1])["usage"]
print(usage["prompt_tokens"], usage["completion_tokens"])' "$dir/answer") ||
	fail "no usage: $(cat "$dir/answer")"
scrape
[ "$usage" = "$(($(value vllm:prompt_tokens_total) - prompt_before)) \
$(($(value vllm:generation_tokens_total) - output_before))" ] ||
	fail "usage $usage, and metrics: $(value vllm:prompt_tokens_total) since $prompt_before," \
		"$(value vllm:generation_tokens_total) since $output_before"
expect 'http_requests_total,handler=/v1/completions,method=POST,status=2xx=1'

trace=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
scrape_py grpc "$address" /stagecoach.v1.Stagecoach/GetModel x-request-id:grpc-1 \
	traceparent:$trace && has_grpc=1 || has_grpc=0

scrape_py get "$address" '/v1/nothing?token=SECRET' X-Request-Id:abc-1 \
	traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 >/dev/null
stop_daemon
[ "$code" = 0 ] || fail "exit code $code"
expect_none_left

/usr/bin/python3 - "$dir/log" "$usage" $has_grpc <<'END' || fail "the access log is not as expected"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
access = [line for line in lines if line["message"] == "access"]
calls = [line for line in access if line.get("path", "").endswith("/Generate")]
assert len(calls) == 5, calls
assert {line["status"] for line in calls} == {"OK", "CANCELLED"}, calls
for line in access:
    assert line["bytes_out"] >= 0 and line["seconds"] >= 0 and line["request_id"], line
done = [line for line in access if line["request_id"] == "completion-1"][0]
assert "%d %d" % (done["prompt_tokens"], done["output_tokens"]) == sys.argv[2], done
if sys.argv[3] == "1":
    model = [line for line in access if line["request_id"] == "grpc-1"][0]
    assert model["path"].endswith("/GetModel") and model["protocol"] == "gRPC", model
    assert model["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736", model
last = access[-1]
assert last["method"] == "GET" and last["path"] == "/v1/nothing" and last["status"] == 404, last
assert last["request_id"] == "abc-1", last
assert last["trace_id"] == "0af7651916cd43dd8448eb211c80319c", last
assert all(line["time"] and line["level"] for line in lines)
print("%d lines of the log are JSON, %d of them requests" % (len(lines), len(access)))
END
grep -q SECRET "$dir/log" && fail "the log has texts of requests"

# With keys /metrics needs one; the log has the key's name, and never the key.
echo 'monitor 0123456789abcdef-SECRET' >"$dir/keys"
chmod 600 "$dir/keys"
start_daemon 1 --access-log --api-key-file "$dir/keys"
scrape_py get "$address" /metrics >"$dir/answer"
[ "$(head -n 1 "$dir/answer")" = 401 ] || fail "/metrics without a key"
scrape 'Authorization:Bearer 0123456789abcdef-SECRET'
expect http_requests_total,handler=/metrics,status=4xx=1
stop_daemon
grep -q 'info: access protocol=HTTP/1 .*key=monitor method=GET path=/metrics status=200' \
	"$dir/log" || fail "no line with the key's name"
grep -q 'access .*method=GET path=/metrics status=401' "$dir/log" || fail "no line of the refusal"
grep -q SECRET "$dir/log" && fail "the log has a key"

start_daemon 1
scrape
stop_daemon
grep -q access "$dir/log" && fail "a line of a request without --access-log"
expect_none_left
