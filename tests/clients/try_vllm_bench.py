# SPDX-License-Identifier: Apache-2.0
"""The requests of vLLM's `bench serve`, sent by its own functions: $VLLM_REQUESTS is the file
vllm/benchmarks/lib/endpoint_request_func.py of vLLM, which needs no other part of vLLM."""
import asyncio
import importlib.util
import os

import aiohttp

from server import Server, check, run


def load(path):
    spec = importlib.util.spec_from_file_location("endpoint_request_func", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


vllm = load(os.environ["VLLM_REQUESTS"])
N_REQUESTS = 24
N_OUTPUT = 32


def ask_all(server, function, path, prompts, output_len=N_OUTPUT, **fields):
    async def talk():
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, trust_env=True) as session:
            async with session.get(server.url + "/models") as response:
                model = (await response.json())["data"][0]
            return await asyncio.gather(*(function(vllm.RequestFuncInput(
                prompt=prompt, api_url=server.url + path, prompt_len=1, output_len=output_len,
                model=model["id"], model_name=model["root"], request_id="bench-%d" % i, **fields),
                session) for i, prompt in enumerate(prompts)))
    return asyncio.run(talk())


def check_outputs(outputs, n_events, n_tokens=N_OUTPUT):
    for output in outputs:
        check(output.success, output.error)
        check(output.output_tokens == n_tokens, output.output_tokens)
        # One event per token, and those around them: bench takes each for a token's time.
        check(len(output.itl) + 1 == n_events, len(output.itl))
        check(0 < output.ttft <= output.latency, output.ttft, output.latency)


def test_completions():
    with Server("demo") as server:
        texts = ["Line %d of a play.\n" % i for i in range(N_REQUESTS)]
        ask = vllm.async_request_openai_completions
        outputs = ask_all(server, ask, "/completions", texts, ignore_eos=True)
        check_outputs(outputs, N_OUTPUT + 1)
        check(all(output.prompt_len > 4 for output in outputs), "prompt_len")
        ids = [[(7 * i + j) % 1000 + 1 for j in range(40)] for i in range(N_REQUESTS)]
        outputs = ask_all(server, ask, "/completions", ids, ignore_eos=True, logprobs=1)
        check_outputs(outputs, N_OUTPUT + 1)
        check(all(output.prompt_len == 40 for output in outputs), "prompt_len")
        return "%d requests at once, twice" % N_REQUESTS


def test_chat():
    with Server("demo") as server:
        texts = ["Line %d of a play.\n" % i for i in range(N_REQUESTS)]
        outputs = ask_all(server, vllm.async_request_openai_chat_completions,
                          "/chat/completions", texts, ignore_eos=True,
                          extra_body={"temperature": 0.0})
        check_outputs(outputs, N_OUTPUT + 2)
        return "%d requests at once" % N_REQUESTS


def test_waiting():
    """Streams that wait for their turn, with comments between."""
    with Server("demo", "--parallel", "1", "--sse-ping-ms", "20") as server:
        texts = ["Line %d of a play.\n" % i for i in range(8)]
        outputs = ask_all(server, vllm.async_request_openai_completions, "/completions", texts,
                          output_len=400, ignore_eos=True)
        check_outputs(outputs, 401, 400)
        return "first tokens after %.2f to %.2f s" % (min(output.ttft for output in outputs),
                                                      max(output.ttft for output in outputs))


if __name__ == "__main__":
    run(globals(), "aiohttp")
