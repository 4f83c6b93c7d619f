#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/stage/llama_vectors.h: random logits, settings and tokens before, and what llama.cpp's
own samplers leave of them, with probabilities.

    make_sampler_vectors.py LIBLLAMA.so [--count N] [--seed N] >tests/stage/llama_vectors.h

Calls the public functions of llama.h, and llama_sampler_init_dry_testing, which takes breakers as
tokens; with the public function DRY would need a model's vocabulary. The vectors in the tree are
from the llama.cpp in llama-cpp-python 0.3.36. Development only: needs a built libllama.
"""
import argparse
import ctypes
import math
import random
import textwrap

DEFAULT = ["penalties", "dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc",
           "temperature"]


class TokenData(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("logit", ctypes.c_float), ("p", ctypes.c_float)]


class TokenDataArray(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(TokenData)), ("size", ctypes.c_size_t),
                ("selected", ctypes.c_int64), ("sorted", ctypes.c_bool)]


class Vector(ctypes.Structure):
    """std::vector of the GNU C++ library."""
    _fields_ = [("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("room", ctypes.c_void_p)]


def vector_of(array):
    start = ctypes.addressof(array)
    end = start + ctypes.sizeof(array)
    return Vector(start, end, end)


def load(path):
    lib = ctypes.CDLL(path)
    f, i, u, size = ctypes.c_float, ctypes.c_int32, ctypes.c_uint32, ctypes.c_size_t
    arguments = {"top_k": [i], "top_p": [f, size], "min_p": [f, size], "typical": [f, size],
                 "temp_ext": [f, f, f], "xtc": [f, f, size, u], "top_n_sigma": [f],
                 "penalties": [i, i, f, f, f]}
    for name, types in arguments.items():
        init = getattr(lib, "llama_sampler_init_" + name)
        init.argtypes, init.restype = types, ctypes.c_void_p
    lib.init_dry = lib["_Z30llama_sampler_init_dry_testingffiiRKSt6vectorIS_IiSaIiEESaIS1_EE"]
    lib.init_dry.argtypes = [f, f, i, i, ctypes.c_void_p]
    lib.init_dry.restype = ctypes.c_void_p
    lib.llama_sampler_accept.argtypes = [ctypes.c_void_p, i]
    lib.llama_sampler_apply.argtypes = [ctypes.c_void_p, ctypes.POINTER(TokenDataArray)]
    lib.llama_sampler_free.argtypes = [ctypes.c_void_p]
    return lib


def make_dry(lib, s, breakers):
    inner = [(ctypes.c_int32 * 1)(token) for token in breakers]
    outer = (Vector * len(inner))(*[vector_of(one) for one in inner])
    vector = vector_of(outer)
    return lib.init_dry(s["dry_multiplier"], s["dry_base"], s["dry_allowed_length"],
                        s["dry_last_n"] or 4096, ctypes.addressof(vector))


def make_sampler(lib, name, s, breakers, n_vocab):
    if name == "penalties":
        return lib.llama_sampler_init_penalties(
            n_vocab, s["penalty_last_n"] or 4096, s["repetition_penalty"], s["frequency_penalty"],
            s["presence_penalty"])
    if name == "dry":
        return make_dry(lib, s, breakers)
    if name == "top_n_sigma":
        return lib.llama_sampler_init_top_n_sigma(s["top_n_sigma"])
    if name == "top_k":
        return lib.llama_sampler_init_top_k(s["top_k"])
    if name == "typical_p":
        return lib.llama_sampler_init_typical(s["typical_p"], 0)
    if name == "top_p":
        return lib.llama_sampler_init_top_p(s["top_p"], 0)
    if name == "min_p":
        return lib.llama_sampler_init_min_p(s["min_p"], 0)
    if name == "xtc":
        return lib.llama_sampler_init_xtc(s["xtc_probability"], s["xtc_threshold"], 0, 1)
    return lib.llama_sampler_init_temp_ext(s["temperature"], s["dynatemp_range"],
                                           s["dynatemp_exponent"])


def apply(lib, order, s, logits, past, breakers):
    """Returns the logits that are left, by token."""
    data = (TokenData * len(logits))(*[TokenData(i, logit, 0) for i, logit in enumerate(logits)])
    array = TokenDataArray(data, len(logits), -1, False)
    for name in order:
        if name == "dry" and s["dry_multiplier"] == 0:
            continue
        sampler = make_sampler(lib, name, s, breakers, len(logits))
        for token in past:
            lib.llama_sampler_accept(sampler, token)
        lib.llama_sampler_apply(sampler, ctypes.byref(array))
        lib.llama_sampler_free(sampler)
    return {array.data[i].id: array.data[i].logit for i in range(array.size)}


def run(lib, order, s, logits, past, breakers):
    left = apply(lib, order, s, logits, past, breakers)
    best = max(left.values())
    weights = {token: math.exp(logit - best) for token, logit in left.items()}
    total = sum(weights.values())
    return sorted((token, round(weight / total, 7)) for token, weight in weights.items() if weight > 0)


def on(numbers, off, *values):
    """A sampler is on in two of five vectors."""
    return numbers.choice(values) if numbers.random() < 0.4 else off


def settings(n):
    return {
        "temperature": n.choice([0.5, 0.8, 1.0, 1.5, 0.0]), "top_k": on(n, 0, 1, 3, 6, 40),
        "top_p": on(n, 1.0, 0.3, 0.8, 0.95), "min_p": on(n, 0.0, 0.05, 0.3),
        "typical_p": on(n, 1.0, 0.2, 0.6, 0.9), "top_n_sigma": on(n, 0.0, 0.5, 1.0, 2.0),
        "xtc_probability": on(n, 0.0, 1.0), "xtc_threshold": n.choice([0.05, 0.15, 0.3]),
        "dynatemp_range": on(n, 0.0, 0.3, 1.2), "dynatemp_exponent": n.choice([1.0, 0.5, 2.0]),
        "repetition_penalty": on(n, 1.0, 1.1, 1.5, 0.8),
        "presence_penalty": on(n, 0.0, 0.5, -0.5), "frequency_penalty": on(n, 0.0, 0.2, 0.7),
        "penalty_last_n": on(n, 0, 3, 10), "dry_multiplier": on(n, 0.0, 0.8, 2.0),
        "dry_base": n.choice([1.75, 1.1]), "dry_allowed_length": n.choice([1, 2, 3]),
        "dry_last_n": on(n, 0, 6, 20),
    }


def past_of(n, n_vocab):
    past, period = [], n.randint(2, 12)
    for i in range(n.randint(0, 40)):
        past.append(past[i - period] if i >= period and n.random() < 0.85 else
                    n.randrange(n_vocab))
    return past


def order_of(n):
    if n.random() < 0.6:
        return DEFAULT
    order = DEFAULT[:]
    n.shuffle(order)
    return order[:n.randint(1, 9)]


def is_sound(lib, order, s, logits, past, breakers):
    """Where a probability is 0 as a float, llama.cpp's typical computes 0 * log(0), and the result
    depends on how its sort orders NaN."""
    if s["typical_p"] == 1 or "typical_p" not in order:
        return True
    values = apply(lib, order[:order.index("typical_p")], s, logits, past, breakers).values()
    return max(values) - min(values) < 80


def list_of(values):
    return "{ " + ", ".join(values) + " }" if values else "{ 0 }"


def number(value):
    text = f"{value:.9g}"
    return text + ("f" if isinstance(value, float) and "." in text else "")


def write(indent, text):
    print(textwrap.fill(text, 96 - 8 * indent + indent, initial_indent="\t" * indent,
                        subsequent_indent="\t" * indent + "  ", break_on_hyphens=False))


def show(order, s, logits, past, breakers, left):
    marked = [f"{token} | BREAKER" if token in breakers else str(token) for token in past]
    kinds = [f"SAMPLER_{name.upper()}".replace("TYPICAL_P", "TYPICAL") for name in order]
    fields = [f".{name} = {number(value)}" for name, value in s.items() if value != 0]
    if order is not DEFAULT:
        fields.append(f".order = {list_of(kinds)}")
    write(1, "{")
    write(2, f".sampling = {list_of(fields)},")
    write(2, f".n_vocab = {len(logits)}, .logits = {list_of([number(x) for x in logits])},")
    write(2, f".n_past = {len(past)}, .past = {list_of(marked)},")
    write(2, f".n_left = {len(left)},")
    write(2, f".left = {list_of([f'{{ {token}, {number(p)} }}' for token, p in left])},")
    write(1, "},")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("libllama")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=14)
    arguments = parser.parse_args()
    lib, n = load(arguments.libllama), random.Random(arguments.seed)
    print("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by make_sampler_vectors.py. */")
    n_made = 0
    while n_made < arguments.count:
        n_vocab = n.randint(3, 24)
        s, order, past = settings(n), order_of(n), past_of(n, n_vocab)
        logits = [round(n.gauss(0, 2), 3) for _ in range(n_vocab)]
        breakers = n.sample(range(n_vocab), 2) if n.random() < 0.3 else []
        if is_sound(lib, order, s, logits, past, breakers):
            show(order, s, logits, past, breakers, run(lib, order, s, logits, past, breakers))
            n_made += 1


main()
