#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client of OpenAI's API with Python's own http.client, against a Stagecoach server.

  openai_client.py ADDRESS [TEST ...]

ADDRESS is HOST:PORT or unix:PATH. Without TESTs all run but "tools" and scripted_*. The server has
a chat template in the manner of ChatML, for "tools" one that also tells of tools, and for
scripted_* the model of scripted_model.py.
"""
import http.client
import json
import math
import socket
import sys
import threading
import time

# Long enough on a loaded machine; a hang must not last for ever.
PATIENCE = 60
ADDRESS = ""


class Failure(Exception):
    pass


def check(is_true, *what):
    if not is_true:
        raise Failure(" ".join(str(part) for part in what))


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(ADDRESS[5:])


def connect():
    if ADDRESS.startswith("unix:"):
        return UnixConnection("localhost", timeout=PATIENCE)
    return http.client.HTTPConnection(ADDRESS, timeout=PATIENCE)


def ask(method, path, body=None, status=200, connection=None):
    """One request; returns the answer's JSON."""
    conn = connection or connect()
    headers = {"Content-Type": "application/json"} if body is not None else {}
    text = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    conn.request(method, path, text, headers)
    response = conn.getresponse()
    data = response.read()
    if not connection:
        conn.close()
    check(response.status == status, path, "gave", response.status, data[:400])
    check(response.getheader("Content-Type", "").startswith("application/json"), path,
          response.getheaders())
    return json.loads(data)


def get(path, status=200):
    return ask("GET", path, status=status)


def post(path, body, status=200):
    return ask("POST", path, body, status)


def read_events(response):
    """The events of a stream, the last of them "[DONE]"; comments are left out."""
    for line in response:
        line = line.decode().rstrip("\n")
        if not line or line.startswith(":"):
            continue
        check(line.startswith("data: "), "odd line", line)
        yield line[6:]


def stream(path, body):
    conn = connect()
    conn.request("POST", path, json.dumps(dict(body, stream=True)),
                 {"Content-Type": "application/json"})
    response = conn.getresponse()
    if response.status != 200:
        raise Failure(path, "gave", response.status, response.read()[:400])
    check(response.getheader("Content-Type").startswith("text/event-stream"), "type")
    texts = list(read_events(response))
    conn.close()
    check(texts[-1] == "[DONE]", "no [DONE] at the end:", texts[-1])
    return [json.loads(text) for text in texts[:-1]]


GREEDY = {"temperature": 0, "ignore_eos": True}
PROMPT = "ROMEO:\n"


# --- what there is ---

def test_models():
    models = get("/v1/models")
    check(models["object"] == "list" and len(models["data"]) == 2, models)
    model = models["data"][0]
    check(model["id"] == "shakespeare", model)
    for field in ("object", "created", "owned_by", "root", "parent", "max_model_len",
                  "permission", "meta"):
        check(field in model, field, "is missing in", model)
    check(get("/v1/models/bard")["id"] == "bard", "by its alias")
    error = get("/models/other", 404)["error"]
    check(error["type"] == "not_found_error" and error["code"] == 404, error)


def test_status():
    check(get("/health") == {"status": "ok"}, "health")
    check(get("/v1/health") == {"status": "ok"}, "health")
    get("/livez")
    check("version" in get("/version"), "version")
    props = get("/props")
    check("im_start" in props["chat_template"], props)
    check(props["default_generation_settings"]["n_ctx"] == 512, props)
    conn = connect()
    conn.request("HEAD", "/health")
    response = conn.getresponse()
    check(response.status == 200 and not response.read(), "HEAD")
    conn.close()


def test_missing():
    check(post("/v1/embeddings", {"input": "a"}, 501)["error"]["type"] == "not_supported_error",
          "embeddings")
    get("/nowhere", 404)
    get("/v1/completions", 405)


def test_tokens():
    tokens = post("/tokenize", {"prompt": PROMPT, "add_special_tokens": True})
    check(tokens["count"] == len(tokens["tokens"]) and tokens["tokens"][0] == 0, tokens)
    check(tokens["max_model_len"] == 512, tokens)
    plain = post("/tokenize", {"content": PROMPT})
    check(plain["tokens"] == tokens["tokens"][1:], plain)
    text = post("/detokenize", {"tokens": plain["tokens"]})
    check(text["prompt"] == PROMPT and text["content"] == PROMPT, text)
    pieces = post("/tokenize", {"content": PROMPT, "with_pieces": True})["tokens"]
    check("".join(piece["piece"] for piece in pieces) == PROMPT, pieces)
    check(get("/tokenizer_info")["eos_token"] == "<|endoftext|>", "eos_token")
    # Text that is no ASCII, and a long one.
    odd = "na\u00efve \U0001f600 " * 2000
    back = post("/detokenize", {"tokens": post("/tokenize", {"content": odd})["tokens"]})
    check(back["content"] == odd, "a long text comes back changed")


# --- completions ---

def test_completion():
    answer = post("/v1/completions", dict(GREEDY, model="shakespeare", prompt=PROMPT,
                                          max_tokens=8))
    choice = answer["choices"][0]
    check(answer["object"] == "text_completion", answer)
    check(choice["finish_reason"] == "length" and choice["logprobs"] is None, choice)
    usage = answer["usage"]
    check(usage["completion_tokens"] == 8, usage)
    check(usage["total_tokens"] == usage["prompt_tokens"] + 8, usage)
    check(usage["prompt_tokens_details"]["cached_tokens"] == 0, usage)
    check(answer["timings"]["predicted_n"] == 8, answer["timings"])
    # The same by ids, without /v1, and in a stream.
    ids = post("/tokenize", {"prompt": PROMPT})["tokens"]
    again = post("/completions", dict(GREEDY, prompt=ids, max_tokens=8))
    check(again["choices"][0]["text"] == choice["text"], again)
    events = stream("/v1/completions", dict(GREEDY, prompt=PROMPT, max_tokens=8,
                                            stream_options={"include_usage": True}))
    check("".join(e["choices"][0]["text"] for e in events[:-1]) == choice["text"], events)
    check(len(events) == 8 + 2, len(events), "events")
    check(events[-2]["choices"][0]["finish_reason"] == "length", events[-2])
    check(events[-1]["choices"] == [] and events[-1]["usage"] == usage, events[-1])
    check(len({(e["id"], e["created"], e["model"]) for e in events}) == 1, "ids differ")


def test_prompts():
    one = [post("/v1/completions", dict(GREEDY, prompt=p, max_tokens=4))["choices"][0]["text"]
           for p in ("ROMEO:\n", "JULIET:\n")]
    both = post("/v1/completions", dict(GREEDY, prompt=["ROMEO:\n", "JULIET:\n"], max_tokens=4,
                                        n=2))
    check([c["index"] for c in both["choices"]] == [0, 1, 2, 3], both)
    check([c["text"] for c in both["choices"]] == [one[0], one[0], one[1], one[1]], both)
    check(both["usage"]["completion_tokens"] == 16, both["usage"])
    events = stream("/v1/completions", dict(GREEDY, prompt=["ROMEO:\n", "JULIET:\n"],
                                            max_tokens=4))
    for index in (0, 1):
        text = "".join(e["choices"][0]["text"] for e in events
                       if e["choices"][0]["index"] == index)
        check(text == one[index], index, text)


def test_seed():
    body = dict(prompt=PROMPT, max_tokens=12, seed=7, n=2, temperature=1)
    first, second = (post("/v1/completions", body)["choices"] for _ in (0, 1))
    check([c["text"] for c in first] == [c["text"] for c in second], "a seed does not repeat")
    check(first[0]["text"] != first[1]["text"], "choices are equal")


def test_best_of():
    body = dict(prompt=PROMPT, max_tokens=6, seed=3, temperature=1)
    every = post("/v1/completions", dict(body, n=5, logprobs=0))["choices"]
    every.sort(key=lambda c: -sum(c["logprobs"]["token_logprobs"]))
    best = post("/v1/completions", dict(body, n=2, best_of=5))
    check([c["text"] for c in best["choices"]] == [c["text"] for c in every[:2]], best, every)
    check(best["usage"]["completion_tokens"] == 30, best["usage"])


def test_stops():
    whole = post("/v1/completions", dict(GREEDY, prompt=PROMPT, max_tokens=20))
    text = whole["choices"][0]["text"]
    stop = text[5:8]
    cut = post("/v1/completions", dict(GREEDY, prompt=PROMPT, max_tokens=20, stop=[stop, "\0x"]),
               400)
    check(cut["error"]["param"] == "stop", cut)
    cut = post("/v1/completions", dict(GREEDY, prompt=PROMPT, max_tokens=20, stop=stop))
    check(cut["choices"][0]["text"] == text[:text.index(stop)], cut)
    check(cut["choices"][0]["finish_reason"] == "stop", cut)
    events = stream("/v1/completions", dict(GREEDY, prompt=PROMPT, max_tokens=20, stop=[stop]))
    check("".join(e["choices"][0]["text"] for e in events) == text[:text.index(stop)], events)


def test_scores():
    """What lm-evaluation-harness asks: N + 1 log-probabilities, equal floats, greedy or not."""
    ids = post("/tokenize", {"prompt": "ROMEO:\nWhat is the matter?"})["tokens"]
    body = {"prompt": [ids], "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0,
            "seed": 1234}
    scores = post("/v1/completions", body)["choices"][0]["logprobs"]
    for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        check(len(scores[name]) == len(ids) + 1, name, len(scores[name]), len(ids))
    check(scores["token_logprobs"][0] is None and scores["top_logprobs"][0] is None, scores)
    for token, tops in list(zip(scores["token_logprobs"], scores["top_logprobs"]))[1:]:
        check(token <= 0 and math.isfinite(token), token)
        check(token in tops.values() and token <= max(tops.values()), token, tops)
    check(scores["token_logprobs"][-1] == max(scores["top_logprobs"][-1].values()), "greedy")
    # Only the prompt.
    only = post("/v1/completions", dict(body, max_tokens=0))["choices"][0]
    check(only["logprobs"]["token_logprobs"] == scores["token_logprobs"][:-1], only)
    check(only["finish_reason"] == "length", only)
    # The scores of continued text are those it was generated with.
    made = post("/v1/completions", dict(GREEDY, prompt=ids, max_tokens=5, logprobs=2))
    made = made["choices"][0]["logprobs"]
    check(all(len(tops) >= 2 for tops in made["top_logprobs"]), made)
    events = stream("/v1/completions", body)
    check(events[0]["choices"][0]["logprobs"]["token_logprobs"]
          == scores["token_logprobs"][:-1], events[0])


# --- chat ---

MESSAGES = [{"role": "system", "content": "You are a poet."},
            {"role": "user", "content": "Speak."}]


def test_chat():
    body = dict(GREEDY, messages=MESSAGES, max_tokens=8)
    answer = post("/v1/chat/completions", body)
    check(answer["object"] == "chat.completion", answer)
    choice = answer["choices"][0]
    check(choice["message"]["role"] == "assistant" and choice["message"]["content"], choice)
    check(choice["finish_reason"] == "length", choice)
    events = stream("/v1/chat/completions", dict(body, stream_options={"include_usage": True}))
    check(events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}, events[0])
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events[:-1])
    check(text == choice["message"]["content"], text, choice)
    check(events[-2]["choices"][0]["delta"] == {}, events[-2])
    check(events[-1]["choices"] == [] and events[-1]["usage"] == answer["usage"], events[-1])
    # What the template wrote is what the model read.
    prompt = post("/apply-template", {"messages": MESSAGES})["prompt"]
    check(prompt.startswith("<|im_start|>system\nYou are a poet."), prompt)
    count = post("/tokenize", {"messages": MESSAGES})["count"]
    check(count == answer["usage"]["prompt_tokens"], count, answer["usage"])


def test_chat_logprobs():
    answer = post("/v1/chat/completions", dict(GREEDY, messages=MESSAGES, max_tokens=4,
                                               logprobs=True, top_logprobs=3))
    content = answer["choices"][0]["logprobs"]["content"]
    check(len(content) == 4, content)
    for item in content:
        check(len(item["top_logprobs"]) >= 3, item)
        check(item["logprob"] == item["top_logprobs"][0]["logprob"], item)
        check(bytes(item["bytes"]).decode(errors="replace") == item["token"], item)
    events = stream("/v1/chat/completions", dict(GREEDY, messages=MESSAGES, max_tokens=4,
                                                 logprobs=True))
    told = [item["token"] for e in events for item in
            ((e["choices"][0]["logprobs"] or {}).get("content") or [])]
    check(told == [item["token"] for item in content], told)


TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {
    "type": "object", "properties": {"where": {"type": "string"}}}}}]


def test_tools():
    """The template has a format of tool calls; the model has not learnt it: the call is named."""
    body = dict(GREEDY, messages=MESSAGES, tools=TOOLS, max_tokens=12,
                tool_choice={"type": "function", "function": {"name": "look"}})
    answer = post("/v1/chat/completions", body)
    choice = answer["choices"][0]
    call = choice["message"]["tool_calls"][0]
    check(call["function"]["name"] == "look" and call["type"] == "function", choice)
    check(len(call["id"]) == 9 and call["id"].isalnum(), call)
    check(choice["finish_reason"] == "length", choice)
    events = stream("/v1/chat/completions", body)
    calls = [c for e in events for c in e["choices"][0]["delta"].get("tool_calls", [])]
    check(calls[0]["index"] == 0 and calls[0]["function"]["name"] == "look", calls)
    check(all("id" not in c and "name" not in c["function"] for c in calls[1:]), calls)
    check("".join(c["function"]["arguments"] for c in calls)
          == call["function"]["arguments"], calls, call)
    prompt = post("/apply-template", {"messages": MESSAGES, "tools": TOOLS})["prompt"]
    check('"name": "look"' in prompt, prompt)


ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER = [{"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}]


def gather(events, field):
    return "".join(e["choices"][0]["delta"].get(field) or "" for e in events)


def test_scripted_tools():
    """A model that calls a tool: by itself, because it must, and because the tool is named."""
    named = {"type": "function", "function": {"name": "get_weather"}}
    for tool_choice in (None, "auto", "required", named):
        body = dict(messages=ASK, tools=WEATHER, tool_choice=tool_choice)
        choice = post("/v1/chat/completions", body)["choices"][0]
        call, = choice["message"]["tool_calls"]
        check(call["function"]["name"] == "get_weather", choice)
        check(json.loads(call["function"]["arguments"]) == {"city": "Paris"}, choice)
        check(choice["finish_reason"] == "tool_calls" and not choice["message"]["content"], choice)
        events = stream("/v1/chat/completions", body)
        deltas = [c for e in events for c in e["choices"][0]["delta"].get("tool_calls", [])]
        check(deltas[0]["function"]["name"] == "get_weather", deltas)
        check("".join(c["function"]["arguments"] for c in deltas)
              == call["function"]["arguments"], deltas)
        check(len(deltas) > 3, "the arguments are not streamed", deltas)
        check(not gather(events, "content"), "a part of the call is content", events)
        check(events[-1]["choices"][0]["finish_reason"] == "tool_calls", events[-1])
    plain = post("/v1/chat/completions", dict(body, tool_choice="none"))["choices"][0]
    check(plain["finish_reason"] == "stop" and "tool_calls" not in plain["message"], plain)


def test_scripted_result():
    """The answer to a tool's result."""
    message = post("/v1/chat/completions",
                   dict(messages=ASK, tools=WEATHER))["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "21"}
    body = dict(messages=[*ASK, message, result], tools=WEATHER)
    choice = post("/v1/chat/completions", body)["choices"][0]
    check(choice["message"]["content"] == "It is 21 degrees in Paris!", choice)
    prompt = post("/apply-template", body)["prompt"]
    check('"arguments": {"city": "Paris"}' in prompt, "not as an object:", prompt)


def test_scripted_reasoning():
    body = dict(messages=ASK, chat_template_kwargs={"enable_thinking": True})
    message = post("/v1/chat/completions", body)["choices"][0]["message"]
    check(message["reasoning_content"].strip() == "The user greets me.", message)
    check(message["content"].strip() == "Hello from the stagecoach.", message)
    events = stream("/v1/chat/completions", body)
    for field in ("reasoning_content", "content"):
        check(gather(events, field) == message[field], field, events)
    body["reasoning_format"] = "none"
    raw = post("/v1/chat/completions", body)["choices"][0]["message"]
    check(raw["content"] == "<think>\nThe user greets me.\n</think>\n\nHello from the stagecoach.",
          raw)
    check(gather(stream("/v1/chat/completions", body), "content") == raw["content"], "stream")


def test_no_tools():
    """The template has no such format."""
    error = post("/v1/chat/completions", dict(messages=MESSAGES, tools=TOOLS), 400)["error"]
    check(error["param"] == "tools" and error["type"] == "not_supported_error", error)
    post("/v1/chat/completions", dict(messages=MESSAGES, tools=[], max_tokens=1))


def test_control_tokens_of_users():
    """A control token that a user types is text."""
    def count(text):
        return post("/tokenize", {"messages": [{"role": "user", "content": text}]})["count"]
    check(count("<|endoftext|>") > count("x") + 3, "a user's text became a control token")


# --- faults ---

def test_faults():
    for body, param in (
            ({"prompt": "a", "temperature": -1}, "temperature"),
            ({"prompt": "a", "n": 5000000}, "n"),
            ({"prompt": "a", "logprobs": 999}, "logprobs"),
            ({"prompt": [99999]}, "prompt"),
            ({"prompt": "a", "response_format": {"type": "json_object"}}, "response_format"),
            ({}, "prompt")):
        error = post("/v1/completions", body, 400)["error"]
        check(error["param"] == param and error["message"], body, error)
    check(post("/v1/completions", b'{"prompt": "\\ud83d"}', 400)["error"]["type"]
          == "invalid_request_error", "a lone surrogate")
    post("/v1/completions", b'{"prompt": "a"', 400)
    post("/v1/chat/completions", {"messages": [{"role": "user"}], "chat_template": "x"}, 400)
    error = post("/v1/completions", {"prompt": "a", "model": "gpt-5"}, 404)["error"]
    check(error["code"] == "model_not_found", error)
    error = post("/v1/completions", {"prompt": "word " * 3000}, 400)["error"]
    check(error["code"] == "context_length_exceeded" and "512" in error["message"], error)
    # null is nothing, and unknown fields are ignored.
    post("/v1/completions", {"prompt": "a", "max_tokens": 1, "stop": None, "logprobs": None,
                             "temperature": None, "frobnicate": [1, {"a": None}]})


def test_keep_alive():
    conn = connect()
    for _ in range(3):
        ask("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1}, connection=conn)
    ask("POST", "/v1/completions", {"prompt": "a", "n": 0}, 400, connection=conn)
    ask("GET", "/health", connection=conn)
    conn.close()


def running():
    """Sequences that run: another request's, too."""
    conn = connect()
    conn.request("GET", "/metrics")
    response = conn.getresponse()
    text = response.read().decode()
    conn.close()
    if response.status != 200:
        return None
    for line in text.splitlines():
        if line.startswith("vllm:num_requests_running"):
            return float(line.split()[-1])
    return None


def test_disconnect():
    for is_stream in (True, False):
        conn = connect()
        conn.request("POST", "/v1/completions",
                     json.dumps({"prompt": PROMPT, "max_tokens": 480, "n": 8,
                                 "ignore_eos": True, "stream": is_stream}),
                     {"Content-Type": "application/json"})
        if is_stream:
            response = conn.getresponse()
            response.read(1)
        time.sleep(0.05)
        conn.sock.shutdown(socket.SHUT_RDWR)
        conn.close()
        end = time.monotonic() + PATIENCE
        while running():
            check(time.monotonic() < end, "the job goes on without its client")
            time.sleep(0.05)


def test_many_at_once():
    errors = []

    def one(i):
        try:
            text = "".join(e["choices"][0]["text"] for e in stream(
                "/v1/completions", dict(GREEDY, prompt=PROMPT, max_tokens=8 + i % 3)))
            texts.setdefault(i % 3, set()).add(text)
        except Exception as error:
            errors.append(error)
    texts = {}
    threads = [threading.Thread(target=one, args=(i,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not errors, errors)
    check(all(len(found) == 1 for found in texts.values()), texts)


def main():
    global ADDRESS
    ADDRESS = sys.argv[1]
    tests = {name[5:]: test for name, test in globals().items() if name.startswith("test_")}
    n_failed = 0
    for name in sys.argv[2:] or [name for name in tests if name != "tools"
                                 and not name.startswith("scripted")]:
        try:
            tests[name]()
            print("ok", name)
        except Exception as error:
            n_failed += 1
            print("FAIL", name, type(error).__name__, str(error)[:1000])
    sys.exit(n_failed > 0)


main()
