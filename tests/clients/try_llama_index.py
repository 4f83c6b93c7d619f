# SPDX-License-Identifier: Apache-2.0
"""llama-index's OpenAILike."""
import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from server import REPORTED, SAID, Server, check, run

QUESTION = [ChatMessage(role="system", content="You are brief."),
            ChatMessage(role="user", content="What is the weather in Paris?")]


def get_weather(city: str) -> str:
    """The weather in a city."""
    return "21 degrees in " + city


def connect(server, model="scripted", **options):
    return OpenAILike(model=model, api_base=server.url, api_key="none", context_window=4096,
                      **options)


def test_complete():
    with Server("demo") as server:
        model = connect(server, "demo", is_chat_model=False, max_tokens=8, temperature=0.0)
        whole = model.complete("ROMEO:\n").text
        last = None
        for last in model.stream_complete("ROMEO:\n"):
            pass
        check(whole and last.text == whole, whole, last)
        return repr(whole)


def test_chat():
    with Server("scripted") as server:
        model = connect(server, is_chat_model=True)
        check(model.chat(QUESTION).message.content == SAID, "chat")
        deltas = [part.delta for part in model.stream_chat(QUESTION)]
        check("".join(deltas) == SAID, deltas)
        check(asyncio.run(model.achat(QUESTION)).message.content == SAID, "achat")


def test_tools():
    with Server("scripted") as server:
        model = connect(server, is_chat_model=True, is_function_calling_model=True)
        tool = FunctionTool.from_defaults(get_weather)
        for is_required in (False, True):
            answer = model.chat_with_tools([tool], QUESTION[1].content,
                                           tool_required=is_required)
            calls = model.get_tool_calls_from_response(answer)
            check(calls[0].tool_kwargs == {"city": "Paris"}, calls)
        answer = model.predict_and_call([tool], QUESTION[1].content)
        check("21 degrees in Paris" in str(answer), answer)


def test_agent():
    """An agent, which streams and goes around until there are no more tool calls."""
    with Server("scripted") as server:
        model = connect(server, is_chat_model=True, is_function_calling_model=True)
        agent = FunctionAgent(tools=[get_weather], llm=model, system_prompt="You are brief.")

        async def talk():
            return await agent.run("What is the weather in Paris?")
        answer = str(asyncio.run(talk()))
        check(answer == REPORTED, answer)
        return answer


if __name__ == "__main__":
    run(globals(), "llama-index-llms-openai-like", "llama-index-core", "openai")
