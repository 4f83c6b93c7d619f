#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""scripted_model.py FILE: a model that gives scripted answers, so that clients see real tool calls.

The next token depends on the last one alone: embeddings are unit vectors, the only layer adds
nothing, and the head's row of a token is the unit vector of the token before it. The vocabulary is
the 256 bytes, control tokens, and one token for each piece of a script. The chat template, which is
in the manner of Hermes, ends the prompt with the control token that begins a script:

  <|say|>     a plain answer
  <|ask|>     a tool call: when there are tools and the last message is no tool's
  <|report|>  an answer after a tool's result
  <|think|>   reasoning, then the plain answer: with chat_template_kwargs {"enable_thinking": true}

A byte is followed by <|say|>'s script, but for the two bytes at which a forced tool call goes on:
'"' (any tool) and ' ' (a named tool).
"""
import struct
import sys

DIM = 384
CONTROL = ["<|im_start|>", "<|im_end|>", "<|say|>", "<|ask|>", "<|report|>", "<|think|>"]
SAY = ["Hello", " from", " the", " stage", "coach", "."]
REPORT = ["It", " is", " 21", " degrees", " in", " Paris", "!"]
THINK = ["<think>", "\nThe", " user", " greets", " me", ".\n", "</think>", "\n\n"]
CALL = ["<tool_call>\n{\"", "name\": \"", "get_weather", "\", \"arguments\": "]
ARGUMENTS = ["{\"", "city", "\": \"", "Pa", "ris", "\"}", "}\n</tool_call>"]
ANY_TOOL = ["get_weather\"", ", \"arguments\": "]

TEMPLATE = """\
{%- if tools -%}
<|im_start|>system
Call tools as <tool_call>{"name": ..., "arguments": ...}</tool_call>. There are:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif -%}
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif -%}
{{ message.content or "" }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% if messages[-1].role == "tool" -%} <|report|>
{%- elif tools -%} <|ask|>
{%- elif enable_thinking -%} <|think|>
{%- else -%} <|say|>
{%- endif -%}
{%- endif -%}
"""


def byte_letters():
    """The letter of each byte in vocabularies of the GPT-2 kind."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    odd = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}
    letters.update((byte, chr(256 + i)) for i, byte in enumerate(odd))
    return letters


LETTERS = byte_letters()


def chain(following, token_of, start, pieces, end):
    """The tokens of PIECES follow START, and END follows them."""
    last = start
    for piece in [*pieces, end]:
        following[last] = token_of[piece]
        last = token_of[piece]


def vocabulary():
    scripts = [SAY, REPORT, THINK, CALL, ARGUMENTS, ANY_TOOL]
    pieces = [piece for script in scripts for piece in script]
    assert len(set(pieces)) == len(pieces), "a piece must be in one place alone"
    token_of = {name: 256 + i for i, name in enumerate(CONTROL + pieces)}
    following = {byte: token_of[SAY[0]] for byte in range(256)}
    chain(following, token_of, token_of["<|say|>"], SAY, "<|im_end|>")
    chain(following, token_of, token_of["<|report|>"], REPORT, "<|im_end|>")
    chain(following, token_of, token_of["<|think|>"], THINK, SAY[0])
    chain(following, token_of, token_of["<|ask|>"], CALL, ARGUMENTS[0])
    chain(following, token_of, ord('"'), ANY_TOOL, ARGUMENTS[0])
    chain(following, token_of, ord(" "), ARGUMENTS, "<|im_end|>")
    for name in ("<|im_start|>", "<|im_end|>"):
        following[token_of[name]] = token_of[SAY[0]]
    names = [LETTERS[byte] for byte in range(256)] + CONTROL
    names += ["".join(LETTERS[byte] for byte in piece.encode()) for piece in pieces]
    types = [1] * 256 + [3] * len(CONTROL) + [1] * len(pieces)
    return names, types, token_of, following


def pack_text(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def pack_value(value):
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + pack_text(value)
    if value and isinstance(value[0], int):
        return struct.pack("<IIQ%di" % len(value), 9, 5, len(value), *value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(pack_text(text) for text in value)


def matrix(n_rows, n_columns, ones=()):
    rows = [[0.0] * n_columns for _ in range(n_rows)]
    for row, column in ones:
        rows[row][column] = 1.0
    data = b"".join(struct.pack("<%df" % n_columns, *row) for row in rows)
    return [n_columns, n_rows], data


def norm():
    return [DIM], struct.pack("<%df" % DIM, *[1.0] * DIM)


def tensors(n_vocab, following):
    zeros = matrix(DIM, DIM)
    layer = {"attn_q": zeros, "attn_k": zeros, "attn_v": zeros, "attn_output": zeros,
             "ffn_gate": zeros, "ffn_up": zeros, "ffn_down": zeros,
             "attn_norm": norm(), "ffn_norm": norm()}
    every = {"token_embd.weight": matrix(n_vocab, DIM, ((i, i) for i in range(n_vocab))),
             "output_norm.weight": norm(),
             "output.weight": matrix(n_vocab, DIM, ((to, at) for at, to in following.items()))}
    every.update(("blk.0.%s.weight" % name, tensor) for name, tensor in layer.items())
    return every


def write(path, context=4096):
    names, types, token_of, following = vocabulary()
    n_vocab = len(names)
    assert n_vocab <= DIM
    values = {
        "general.architecture": "llama", "general.name": "scripted",
        "llama.context_length": context, "llama.embedding_length": DIM, "llama.block_count": 1,
        "llama.feed_forward_length": DIM, "llama.attention.head_count": 6,
        "llama.attention.head_count_kv": 6, "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": 64, "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": ["a a"],
        "tokenizer.ggml.eos_token_id": token_of["<|im_end|>"],
        "tokenizer.ggml.add_bos_token": False, "tokenizer.chat_template": TEMPLATE,
    }
    head = b""
    body = b""
    for name, (dims, data) in tensors(n_vocab, following).items():
        head += pack_text(name) + struct.pack("<I%dQ" % len(dims), len(dims), *dims)
        head += struct.pack("<IQ", 0, len(body))
        body += data
    start = struct.pack("<4sIQQ", b"GGUF", 3, head.count(b".weight"), len(values))
    start += b"".join(pack_text(key) + pack_value(value) for key, value in values.items()) + head
    with open(path, "wb") as file:
        file.write(start + b"\0" * (-len(start) % 32) + body)


if __name__ == "__main__":
    write(sys.argv[1])
