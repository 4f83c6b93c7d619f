# SPDX-License-Identifier: Apache-2.0
"""LangChain's ChatOpenAI."""
import asyncio

import openai
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import BaseModel

from server import REPORTED, SAID, Server, check, expect, run

QUESTION = [SystemMessage("You are brief."), HumanMessage("What is the weather in Paris?")]


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return "21 degrees in " + city


class Weather(BaseModel):
    """The weather in a city."""
    city: str


def connect(server, model="scripted", **options):
    return ChatOpenAI(model=model, base_url=server.url, api_key="none", max_retries=0, **options)


def test_invoke():
    with Server("scripted") as server:
        answer = connect(server).invoke(QUESTION)
        check(answer.content == SAID, answer)
        check(answer.usage_metadata["output_tokens"] > 5, answer.usage_metadata)
        check(answer.response_metadata["finish_reason"] == "stop", answer)
        return answer.response_metadata["model_name"]


def test_stream():
    with Server("scripted") as server:
        chunks = list(connect(server, stream_usage=True).stream(QUESTION))
        check("".join(chunk.content for chunk in chunks) == SAID, chunks)
        usages = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
        check(len(usages) == 1, usages)

        async def talk():
            return [chunk.content async for chunk in connect(server).astream(QUESTION)]
        check("".join(asyncio.run(talk())) == SAID, "astream")
        return "%d chunks" % len(chunks)


def test_batch():
    with Server("demo") as server:
        model = connect(server, "demo", max_tokens=8, temperature=0, logprobs=True)
        answers = model.batch(["one", "two", "three", "four"])
        check(len(answers) == 4 and all(answer.content for answer in answers), answers)
        check(answers[0].response_metadata["logprobs"]["content"], answers[0])
        stops = model.invoke("one", stop=["\n"])
        check("\n" not in stops.content, stops)


def test_completion_model():
    with Server("demo") as server:
        model = OpenAI(model="demo", base_url=server.url, api_key="none", max_tokens=8)
        check(model.invoke("ROMEO:\n"), "an empty text")
        check("".join(model.stream("ROMEO:\n")), "an empty stream")


def test_tools():
    with Server("scripted") as server:
        seen = []
        for choice in ("auto", "required", "any", "get_weather", None):
            model = connect(server).bind_tools([get_weather], tool_choice=choice)
            answer = model.invoke(QUESTION)
            check(answer.tool_calls[0]["args"] == {"city": "Paris"}, choice, answer)
            total = None
            for chunk in model.stream(QUESTION):
                total = chunk if total is None else total + chunk
            check(total.tool_calls[0]["args"] == {"city": "Paris"}, choice, total)
            seen.append(answer.response_metadata["finish_reason"])
        model = connect(server).bind_tools([get_weather])
        call = model.invoke(QUESTION)
        result = get_weather.invoke(call.tool_calls[0])
        check(isinstance(result, ToolMessage), result)
        answer = model.invoke([*QUESTION, call, result])
        check(answer.content == REPORTED, answer)
        return answer.content


def test_structured_output():
    """By a tool; a schema for the text itself is refused, and the error says so."""
    with Server("scripted") as server:
        model = connect(server)
        class GetWeather(Weather):
            pass
        GetWeather.__name__ = "get_weather"
        answer = model.with_structured_output(GetWeather, method="function_calling")
        check(answer.invoke("Paris?").city == "Paris", "by a tool")
        texts = []
        for method in ("json_schema", "json_mode"):
            error = expect(openai.BadRequestError, lambda: model.with_structured_output(
                Weather, method=method).invoke("Give JSON: Paris?"))
            check("response_format" in error.message, error)
            texts.append(error.message)
        return texts[0]


if __name__ == "__main__":
    run(globals(), "langchain-openai", "langchain-core", "openai")
