# SPDX-License-Identifier: Apache-2.0
"""litellm, as a library, with its providers for servers that speak OpenAI's API."""
import asyncio
import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

from server import SAID, WEATHER, Server, check, expect, run  # noqa: E402

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]


def options(server, provider="openai", model="scripted"):
    return {"model": provider + "/" + model, "api_base": server.url, "api_key": "none",
            "num_retries": 0}


def test_completion():
    with Server("scripted") as server:
        for provider in ("openai", "hosted_vllm", "llamafile"):
            answer = litellm.completion(messages=ASK, **options(server, provider))
            check(answer.choices[0].message.content == SAID, provider, answer)
            check(answer.usage.completion_tokens > 5, answer.usage)
            chunks = list(litellm.completion(messages=ASK, stream=True,
                                             stream_options={"include_usage": True},
                                             **options(server, provider)))
            text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
            check(text == SAID, provider, text)
            check(chunks[-1].usage.completion_tokens == answer.usage.completion_tokens, chunks[-1])


def test_async():
    async def talk(server):
        stream = await litellm.acompletion(messages=ASK, stream=True, **options(server))
        return [c.choices[0].delta.content or "" async for c in stream]
    with Server("scripted") as server:
        check("".join(asyncio.run(talk(server))) == SAID, "acompletion")


def test_text_completion():
    with Server("demo") as server:
        where = options(server, "text-completion-openai", "demo")
        answer = litellm.text_completion(prompt="ROMEO:\n", max_tokens=8, temperature=0, **where)
        check(answer.choices[0].text, answer)
        chunks = list(litellm.text_completion(prompt="ROMEO:\n", max_tokens=8, temperature=0,
                                              stream=True, **where))
        text = "".join(c.choices[0].text or "" for c in chunks)
        check(text == answer.choices[0].text, text, answer)


def test_tools():
    with Server("scripted") as server:
        for choice in ("auto", "required", {"type": "function",
                                            "function": {"name": "get_weather"}}):
            body = dict(messages=ASK, tools=[WEATHER], tool_choice=choice, **options(server))
            call = litellm.completion(**body).choices[0].message.tool_calls[0]
            check(json.loads(call.function.arguments) == {"city": "Paris"}, call)
            whole = litellm.stream_chunk_builder(list(litellm.completion(stream=True, **body)),
                                                 messages=ASK)
            call = whole.choices[0].message.tool_calls[0]
            check(json.loads(call.function.arguments) == {"city": "Paris"}, whole)


def test_errors():
    with Server("demo") as server:
        where = options(server, model="demo")
        expect(litellm.ContextWindowExceededError, lambda: litellm.completion(
            messages=[{"role": "user", "content": "word " * 3000}], **where))
        expect(litellm.BadRequestError, lambda: litellm.completion(
            messages=ASK, temperature=-1, **where))
        expect(litellm.NotFoundError, lambda: litellm.completion(
            messages=ASK, **options(server, model="other")))


if __name__ == "__main__":
    run(globals(), "litellm", "openai")
