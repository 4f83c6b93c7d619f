# SPDX-License-Identifier: Apache-2.0
"""The requests of two web pages' backends, replayed with requests: Open WebUI (its router "openai")
and llama.cpp's web UI (its services "chat", "props" and "models")."""
import json

import requests

from server import REPORTED, SAID, WEATHER, Server, check, run

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]


def read_stream(response):
    """What a page does: lines that begin with "data: ", each JSON with a list of choices."""
    check(response.status_code == 200, response.text)
    check(response.headers["Content-Type"].startswith("text/event-stream"), response.headers)
    chunks = []
    is_done = False
    for line in response.iter_lines():
        if line.startswith(b"data: "):
            check(not is_done, "events after [DONE]")
            if line == b"data: [DONE]":
                is_done = True
            else:
                chunks.append(json.loads(line[6:]))
                check(isinstance(chunks[-1]["choices"], list), chunks[-1])
    check(is_done, "no [DONE]")
    return chunks


def text_of(chunks, field="content"):
    return "".join(chunk["choices"][0]["delta"].get(field) or "" for chunk in chunks
                   if chunk["choices"])


# --- Open WebUI ---

USER = {"X-OpenWebUI-User-Name": "Jane%20Doe", "X-OpenWebUI-User-Id": "7f0c",
        "X-OpenWebUI-User-Email": "jane@example.org", "X-OpenWebUI-User-Role": "admin"}
BEARER = {"Authorization": "Bearer secret-secret-secret", **USER}


def open_webui_chat(server, **fields):
    """Its server asks with all headers and fields that it may send."""
    body = {"model": "scripted", "messages": ASK, "stream": True, "temperature": 0.7,
            "stream_options": {"include_usage": True}, **fields}
    return requests.post(server.url + "/chat/completions", data=json.dumps(body), stream=True,
                         headers={"Content-Type": "application/json",
                                  "X-OpenWebUI-Chat-Id": "c1", **BEARER})


def test_open_webui():
    with Server("scripted", "--api-key", "secret-secret-secret") as server:
        models = requests.get(server.url + "/models", headers=BEARER, timeout=10).json()
        check(models["data"][0]["id"] == "scripted", models)
        chunks = read_stream(open_webui_chat(server, max_tokens=64, top_k=40, min_p=0.05,
                                             repeat_penalty=1.1, frequency_penalty=0.1,
                                             presence_penalty=0.1, seed=1, stop=["zzz"],
                                             logit_bias={"5": -10}, mirostat=0, num_ctx=2048,
                                             keep_alive="5m", reasoning={"effort": "low"},
                                             user={"name": "Jane", "id": "7f0c"}))
        check(text_of(chunks) == SAID, chunks)
        check(chunks[-1]["usage"]["completion_tokens"], chunks[-1])
        # Titles and tags: whole answers.
        title = requests.post(server.url + "/chat/completions", headers=BEARER, json={
            "model": "scripted", "messages": ASK, "stream": False,
            "max_completion_tokens": 50}).json()
        check(title["choices"][0]["message"]["content"] == SAID, title)
        # "Verify connection" with a wrong key.
        wrong = requests.post(server.url + "/chat/completions", json={"messages": ASK},
                              headers={"Authorization": "Bearer wrong"})
        check(wrong.status_code == 401 and wrong.json()["error"]["message"], wrong.text)
        # Content in parts, with the mark of a cache, as its filters make it.
        parts = [{"role": "user", "content": [{"type": "text", "text": "Hello",
                                               "cache_control": {"type": "ephemeral"}}]}]
        check(text_of(read_stream(open_webui_chat(server, messages=parts))) == SAID, "parts")


def test_open_webui_tools():
    with Server("scripted") as server:
        chunks = read_stream(open_webui_chat(server, tools=[WEATHER]))
        deltas = [delta for chunk in chunks if chunk["choices"]
                  for delta in chunk["choices"][0]["delta"].get("tool_calls", [])]
        call = dict(deltas[0], function={
            "name": deltas[0]["function"]["name"],
            "arguments": "".join(delta["function"].get("arguments", "") for delta in deltas)})
        check(json.loads(call["function"]["arguments"]) == {"city": "Paris"}, call)
        back = [*ASK, {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}]
        text = text_of(read_stream(open_webui_chat(server, messages=back, tools=[WEATHER])))
        check(text == REPORTED, text)


# --- llama.cpp's web UI ---

def page_chat(server, **fields):
    body = {"messages": ASK, "stream": True, "return_progress": True, "reasoning_format": "auto",
            "temperature": 0.8, "max_tokens": -1, "dynatemp_range": 0, "dynatemp_exponent": 1,
            "top_k": 40, "top_p": 0.95, "min_p": 0.05, "xtc_probability": 0, "xtc_threshold": 0.1,
            "typ_p": 1, "repeat_last_n": 64, "repeat_penalty": 1, "presence_penalty": 0,
            "frequency_penalty": 0, "dry_multiplier": 0, "dry_base": 1.75, "dry_allowed_length": 2,
            "dry_penalty_last_n": -1, "samplers": ["top_k", "typ_p", "top_p", "min_p",
                                                   "temperature"],
            "timings_per_token": True, **fields}
    return requests.post(server.url + "/chat/completions", json=body, stream=True,
                         headers={"Origin": server.root})


def test_llama_cpp():
    with Server("scripted") as server:
        props = requests.get(server.root + "/props").json()
        for name in ("default_generation_settings", "total_slots", "model_path", "chat_template",
                     "modalities"):
            check(name in props, name, "is missing in", sorted(props))
        settings = props["default_generation_settings"]
        check("n_ctx" in settings and "temperature" in settings.get("params", {}), settings)
        check(requests.get(server.url + "/models").json()["data"][0]["id"] == "scripted", "models")
        # The page may send back what it was told.
        chunks = read_stream(page_chat(server, **settings["params"]))
        check(text_of(chunks) == SAID, chunks)
        timed = [chunk for chunk in chunks if "timings" in chunk]
        check(len(timed) > 3, len(timed), "chunks with timings")
        for name in ("prompt_n", "prompt_ms", "predicted_n", "predicted_ms"):
            check(name in timed[-1]["timings"], timed[-1])
        thought = read_stream(page_chat(server, chat_template_kwargs={"enable_thinking": True}))
        check("greets" in text_of(thought, "reasoning_content"), thought)
        check("<think>" not in text_of(thought), thought)
        raw = read_stream(page_chat(server, reasoning_format="none",
                                    chat_template_kwargs={"enable_thinking": True}))
        check("<think>" in text_of(raw), text_of(raw))


def test_llama_cpp_progress():
    """Of a prompt that takes a while; those that take less than half a second have none."""
    with Server("demo", "-c", "30000", "--kv-positions", "30000") as server:
        chunks = read_stream(page_chat(server, max_tokens=4, messages=[
            {"role": "user", "content": "The quick brown fox. " * 400}]))
        progress = [chunk["prompt_progress"] for chunk in chunks if "prompt_progress" in chunk]
        check(progress and {"total", "cache", "processed", "time_ms"} <= set(progress[-1]),
              progress, chunks[-1])
        return "%d times, %s" % (len(progress), progress[-1])


def test_llama_cpp_stop():
    """The button "stop" closes the stream."""
    with Server("demo", "-c", "30000", "--kv-positions", "30000") as server:
        response = page_chat(server, ignore_eos=True)
        next(response.iter_lines())
        response.close()
        server.wait_cancelled()


def test_llama_cpp_errors():
    with Server("demo") as server:
        error = page_chat(server, messages=[{"role": "user", "content": "word " * 3000}])
        check(error.status_code == 400 and error.json()["error"]["message"], error.text)
        check(requests.get(server.root + "/slots").status_code == 501, "slots")


if __name__ == "__main__":
    run(globals(), "requests")
