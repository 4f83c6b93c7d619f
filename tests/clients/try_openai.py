# SPDX-License-Identifier: Apache-2.0
"""openai-python."""
import asyncio
import json
import time

import openai

from server import REPORTED, SAID, WEATHER, Server, check, expect, run, wait_for

GREEDY = {"temperature": 0, "extra_body": {"ignore_eos": True}}
MESSAGES = [{"role": "system", "content": "You are a poet."},
            {"role": "user", "content": "Speak."}]
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
NAMED = {"type": "function", "function": {"name": "get_weather"}}


def connect(server, **options):
    return openai.OpenAI(base_url=server.url, api_key="none", **options)


def test_models():
    with Server("demo") as server:
        client = connect(server)
        models = client.models.list().data
        check(models[0].id == "demo" and models[0].owned_by, models)
        check(client.models.retrieve("demo").id == "demo", "retrieve")
        error = expect(openai.NotFoundError, lambda: client.models.retrieve("other"))
        check(error.type == "not_found_error", error)
        return models[0].id


def test_completions():
    with Server("demo") as server:
        client = connect(server)
        whole = client.completions.create(model="demo", prompt="ROMEO:\n", max_tokens=12, **GREEDY)
        check(whole.usage.completion_tokens == 12, whole)
        chunks = list(client.completions.create(model="demo", prompt="ROMEO:\n", max_tokens=12,
                                                stream=True, **GREEDY))
        text = "".join(chunk.choices[0].text for chunk in chunks)
        check(text == whole.choices[0].text, text, whole)
        check(chunks[-1].choices[0].finish_reason == "length", chunks[-1])
        many = client.completions.create(model="demo", prompt=["ROMEO:\n", "JULIET:\n"], n=2,
                                         best_of=3, max_tokens=4, logprobs=2, seed=1)
        check([c.index for c in many.choices] == [0, 1, 2, 3], many)
        scores = client.completions.create(model="demo", prompt="ROMEO:\nWhat", echo=True,
                                           logprobs=1, max_tokens=0).choices[0]
        check(scores.text == "ROMEO:\nWhat" and scores.logprobs.token_logprobs[0] is None, scores)
        return repr(text)


def test_chat():
    with Server("demo") as server:
        client = connect(server)
        body = dict(model="demo", messages=MESSAGES, max_tokens=10, **GREEDY)
        answer = client.chat.completions.create(**body)
        choice = answer.choices[0]
        check(choice.finish_reason == "length" and choice.message.content, answer)
        check(choice.message.tool_calls is None and choice.message.refusal is None, answer)
        stream = client.chat.completions.create(**body, stream=True,
                                                stream_options={"include_usage": True})
        chunks = list(stream)
        check(chunks[0].choices[0].delta.role == "assistant", chunks[0])
        text = "".join(c.choices[0].delta.content or "" for c in chunks[:-1])
        check(text == choice.message.content, text, answer)
        check(chunks[-1].choices == [] and chunks[-1].usage == answer.usage, chunks[-1])
        return "%d chunks" % len(chunks)


def test_chat_options():
    with Server("demo") as server:
        client = connect(server)
        answer = client.chat.completions.create(
            model="demo", messages=MESSAGES, n=3, max_completion_tokens=6, logprobs=True,
            top_logprobs=4, seed=5, temperature=1.2, top_p=0.9, presence_penalty=0.5,
            frequency_penalty=0.5, logit_bias={"10": -100}, stop=["zzz"], user="u",
            metadata={"a": "b"}, store=False, service_tier="auto", parallel_tool_calls=True)
        check(len(answer.choices) == 3, answer)
        check(len({c.message.content for c in answer.choices}) > 1, "choices are equal")
        for choice in answer.choices:
            for item in choice.logprobs.content:
                check(len(item.top_logprobs) >= 4 and item.logprob <= 0, item)
        helper = client.chat.completions.with_raw_response.create(
            model="demo", messages=MESSAGES, max_tokens=1)
        check(helper.headers["x-request-id"], helper.headers)
        check(helper.parse()._request_id == helper.headers["x-request-id"], "request id")


def test_stream_helper():
    """client.chat.completions.stream() gathers the chunks itself."""
    with Server("scripted") as server:
        client = connect(server)
        with client.chat.completions.stream(model="scripted", messages=ASK) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_completion()
        check(final.choices[0].message.content == SAID, final)
        check(kinds.count("content.delta") > 1 and "content.done" in kinds, kinds)
        with client.chat.completions.stream(model="scripted", messages=ASK,
                                            tools=[WEATHER]) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_completion()
        call = final.choices[0].message.tool_calls[0]
        check(json.loads(call.function.arguments) == {"city": "Paris"}, final)
        check("tool_calls.function.arguments.done" in kinds, kinds)


def test_async():
    async def talk(server):
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none") as client:
            async def one(i):
                stream = await client.chat.completions.create(
                    model="demo", messages=MESSAGES, max_tokens=8, seed=i, stream=True)
                return "".join([c.choices[0].delta.content or "" async for c in stream])
            return await asyncio.gather(*(one(i) for i in range(20)))
    with Server("demo") as server:
        texts = asyncio.run(talk(server))
        check(len(set(texts)) > 10, texts)
        return "%d streams at once" % len(texts)


def gather_calls(stream):
    """The tool calls of a stream, as the documentation of OpenAI tells to gather them."""
    calls = {}
    reason = None
    for chunk in stream:
        choice = chunk.choices[0]
        reason = choice.finish_reason or reason
        for delta in choice.delta.tool_calls or []:
            if delta.index not in calls:
                calls[delta.index] = delta
            else:
                calls[delta.index].function.arguments += delta.function.arguments
    return list(calls.values()), reason


def test_tools():
    with Server("scripted") as server:
        client = connect(server)
        reasons = {}
        for choice in ("auto", "required", NAMED):
            body = dict(model="scripted", messages=ASK, tools=[WEATHER], tool_choice=choice)
            answer = client.chat.completions.create(**body).choices[0]
            call, = answer.message.tool_calls
            check(call.function.name == "get_weather" and call.type == "function", answer)
            check(json.loads(call.function.arguments) == {"city": "Paris"}, choice, answer)
            check(not answer.message.content, answer)
            (streamed,), reason = gather_calls(client.chat.completions.create(**body, stream=True))
            check(streamed.function.name == "get_weather", streamed)
            check(streamed.function.arguments == call.function.arguments, streamed, call)
            check(reason == answer.finish_reason, reason, answer)
            reasons[str(choice if isinstance(choice, str) else "named")] = reason
        none = client.chat.completions.create(model="scripted", messages=ASK, tools=[WEATHER],
                                              tool_choice="none").choices[0]
        check(not none.message.tool_calls, none)
        return reasons


def test_tool_loop():
    """The client's own objects go back as messages."""
    with Server("scripted") as server:
        client = connect(server)
        first = client.chat.completions.create(model="scripted", messages=ASK,
                                               tools=[WEATHER]).choices[0]
        check(first.finish_reason == "tool_calls", first)
        result = {"role": "tool", "tool_call_id": first.message.tool_calls[0].id,
                  "content": '{"degrees": 21}'}
        second = client.chat.completions.create(
            model="scripted", messages=[*ASK, first.message, result], tools=[WEATHER]).choices[0]
        check(second.message.content == REPORTED, second)
        check(second.finish_reason == "stop", second)
        return second.message.content


def test_reasoning():
    with Server("scripted") as server:
        client = connect(server)
        body = dict(model="scripted", messages=ASK,
                    extra_body={"chat_template_kwargs": {"enable_thinking": True}})
        message = client.chat.completions.create(**body).choices[0].message
        check(message.content.strip() == SAID and "greets" in message.reasoning_content, message)
        chunks = list(client.chat.completions.create(**body, stream=True))
        text = "".join(getattr(c.choices[0].delta, "reasoning_content", None) or ""
                       for c in chunks)
        check(text == message.reasoning_content, text, message)


def test_errors():
    with Server("demo", "--max-queue", "0", "--parallel", "1") as server:
        client = connect(server, max_retries=0)
        def ask(**fields):
            return client.chat.completions.create(**{"model": "demo", "messages": MESSAGES,
                                                     "max_tokens": 1, **fields})
        error = expect(openai.BadRequestError, lambda: ask(temperature=-1))
        check(error.param == "temperature" and error.type == "invalid_request_error", error.body)
        error = expect(openai.BadRequestError,
                       lambda: ask(messages=[{"role": "user", "content": "word " * 3000}]))
        check(error.code == "context_length_exceeded", error.body)
        expect(openai.BadRequestError, lambda: ask(tools=[WEATHER]))
        expect(openai.BadRequestError, lambda: ask(response_format={"type": "json_object"}))
        image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
        expect(openai.BadRequestError, lambda: ask(messages=[{"role": "user", "content": image}]))
        error = expect(openai.NotFoundError, lambda: ask(model="gpt-5"))
        check(error.code == "model_not_found", error.body)
        error = expect(openai.APIStatusError,
                       lambda: client.embeddings.create(model="demo", input="a"))
        check(error.status_code == 501 and error.type == "not_supported_error", error.body)
        # The only place is taken.
        with client.completions.create(model="demo", prompt="a", max_tokens=500, n=1, stream=True,
                                       extra_body={"ignore_eos": True}) as stream:
            next(iter(stream))
            error = expect(openai.RateLimitError, lambda: [
                ask(max_tokens=400, extra_body={"ignore_eos": True}) for _ in range(3)])
            check(error.response.headers["retry-after"], error.response.headers)


def test_keys():
    with Server("demo", "--api-key", "secret") as server:
        expect(openai.AuthenticationError, lambda: connect(server).completions.create(
            model="demo", prompt="a", max_tokens=1))
        client = openai.OpenAI(base_url=server.url, api_key="secret")
        client.completions.create(model="demo", prompt="a", max_tokens=1)


LONG = ("-c", "30000", "--kv-positions", "30000")


def test_close_stream():
    """A closed stream frees its job."""
    with Server("demo", *LONG) as server:
        client = connect(server)
        stream = client.chat.completions.create(model="demo", messages=MESSAGES, stream=True,
                                                max_tokens=29000, **GREEDY)
        next(iter(stream))
        stream.close()
        job = server.wait_cancelled()
        return "job %s %s" % (job.get("id"), job["state"])


def test_cancelled_task():
    async def talk(server):
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none") as client:
            task = asyncio.create_task(client.completions.create(
                model="demo", prompt="a", max_tokens=29000, **GREEDY))
            await asyncio.to_thread(wait_for, lambda: server.jobs("running"), "the job to run")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    with Server("demo", *LONG) as server:
        asyncio.run(talk(server))
        server.wait_cancelled()


def test_timeout():
    """The client gives up, and tries again if told so."""
    with Server("demo", *LONG) as server:
        for n_retries in (0, 2):
            client = connect(server, timeout=0.5, max_retries=n_retries)
            n_before = len(server.jobs())
            expect(openai.APITimeoutError, lambda: client.completions.create(
                model="demo", prompt="a", max_tokens=29000, **GREEDY))
            server.wait_cancelled()
            check(len(server.jobs()) == n_before + 1 + n_retries, server.jobs())


def test_lost_server():
    """A server that goes away in a stream, and one that is not there."""
    with Server("demo", *LONG, "--drain-ms", "100") as server:
        client = connect(server, max_retries=0)
        stream = client.completions.create(model="demo", prompt="a", max_tokens=29000,
                                           stream=True, **GREEDY)
        next(iter(stream))
        server.process.terminate()
        error = expect(openai.APIError, lambda: list(stream))
        seen = "%s: %s" % (type(error).__name__, error)
        server.process.wait()
    expect(openai.APIConnectionError, lambda: client.models.list())
    return seen


if __name__ == "__main__":
    run(globals(), "openai")
