#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the vectors of the model families: small models with random weights, and their logits as
transformers computes them in float32.

    make_family_vectors.py OUT_DIR [NAME ...] [--folders DIR] [--check]
    make_family_vectors.py --large --folders DIR [NAME ...]

OUT_DIR is tests/data/families. For each shape of family_shapes.py it gets two files.

NAME.json: {"config": config.json of the folder, "layers": N, "tensors": [[name, shape, offset,
scale], ...]}. A name with "{}" stands for N tensors, numbered from 0. No weight is stored, because
element i of a tensor follows from its name:

    x = splitmix64(fnv1a64(name) + i * 0x9E3779B97F4A7C15)
    float(offset + scale * ((x >> 40) / 2^23 - 1))              computed in double

NAME.ref: prompts and logits, in the format of make_reference.py.

--folders DIR also writes whole folders to DIR/NAME: config.json, model.safetensors,
tokenizer.json (bytes, two special tokens and some pairs), and the logits of all positions of
prompts of 1 to 500 tokens: logits.ref, and prompts.json with logits-N.npy.

--large takes the wider models of family_shapes.py, which have folders only.

--check zeroes each tensor and changes each setting in _matters; logits that stay the same fail.

minicpm, internlm2 and baichuan are not in transformers; family_remote.py computes them.

Development only: needs torch, transformers, safetensors and numpy (PyPI). Run it with
OMP_NUM_THREADS=1, so that sums have one order.
"""
import argparse
import json
import os
import re
import struct
import tempfile

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM

import family_remote
from family_shapes import LARGE, SHAPES

MAGIC = b"SCREF001"
U64 = np.uint64
# In the tree: per length the positions whose logits are kept.
KEPT = {33: (0, 1, 32), 500: (6, 63, 64, 129, 300, 498, 499)}
LENGTHS = (1, 2, 7, 33, 130, 500)

# (regular expression, offset, scale); the first that matches holds. None: sqrt(3 / inputs), which
# keeps the variance, times the gain.
KINDS = (
    (r"alpha_[pn]$", 0.5, 0.4),
    (r"act_fn\.beta$", 0.5, 0.0),
    (r"act_fn\.eps$", -1e-6, 0.0),
    (r"bias$", 0.0, 0.25),
    (r"(norm|layernorm|ln_\d|ln_f|ln_attn|ln_mlp|norm_[\df]|norms\.\d+)\.weight$", 1.0, 0.4),
    (r"(embed_tokens|tok_embeddings|wte|wpe|embed_in|word_embeddings)\.weight$", 0.0, 0.7),
    (r"(lm_head|embed_out|^output)\.weight$", 0.0, None),
    (r"", 0.0, None),
)
# Queries and keys are larger, so that attention is neither flat nor one-hot.
GAINS = (
    (r"(q_proj|k_proj|qkv_proj|query_key_value|c_attn|Wqkv|wqkv|W_pack)\.weight$", 1.6),
    (r"(o_proj|out_proj|attention\.wo|self_attn\.dense|attention\.dense|attn\.c_proj)\.weight$",
     1.5),
)
# Families whose norms multiply by 1 + weight.
SHIFTED_NORMS = ("gemma", "gemma2", "gemma3_text", "nemotron")


def splitmix64(x):
    with np.errstate(over="ignore"):
        x = x + U64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> U64(30))) * U64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> U64(27))) * U64(0x94D049BB133111EB)
        return x ^ (x >> U64(31))


def fnv1a64(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2 ** 64
    return value


def draws(name, n):
    with np.errstate(over="ignore"):
        state = U64(fnv1a64(name)) + np.arange(n, dtype=U64) * U64(0x9E3779B97F4A7C15)
    return splitmix64(state)


def weights_of(name, dims, offset, scale):
    n = int(np.prod(dims)) if dims else 1
    unit = (draws(name, n) >> U64(40)).astype(np.float64) / 2 ** 23 - 1
    return (offset + scale * unit).astype(np.float32).reshape(dims)


def prompt_of(name, length, vocab):
    return [int(x) for x in draws(f"{name} prompt {length}", length) % U64(vocab)]


def first_match(table, name):
    return next(row for row in table if re.search(row[0], name))


def kind_of(config, gains, name, dims):
    """Offset and scale of a tensor's elements. Scales are multiples of 1/1024, so that the double
    of an element has no rounding, whatever the compiler fuses."""
    _, offset, scale = first_match(KINDS, name)
    if offset == 1.0 and config["model_type"] in SHIFTED_NORMS:
        offset = 0.0
    if scale is None:
        inputs = dims[0] if re.search(r"c_(attn|fc|proj)\.weight$", name) else dims[-1]
        gain = next((g for pattern, g in GAINS if re.search(pattern, name)), 1.0)
        scale = gain * (3.0 / inputs) ** 0.5
    for pattern, factor in gains.items():
        if re.search(pattern, name):
            scale *= factor
    return offset, round(scale * 1024) / 1024


class Model:
    """A shape's model: its tensors, and logits of a prompt."""

    def __init__(self, name, changes=None):
        row = {**SHAPES, **LARGE}[name]
        self.name = name
        self.config = {key: value for key, value in row.items() if key[0] != "_"}
        self.names = row.get("_names", {})
        self.is_remote = self.config["model_type"] in family_remote.MODEL_TYPES
        self.config.update(changes or {})
        shapes = family_remote.tensor_shapes(self.config) if self.is_remote else self.create()
        self.tensors = {file_name: (dims, *kind_of(self.config, row.get("_gain", {}), file_name,
                                                   dims))
                        for file_name, dims in ((self.in_file(n), d) for n, d in shapes.items())}
        self.needed = set(self.tensors)
        self.tensors.update({n: (dims, 0.0, 1.0) for n, dims in row.get("_extra", {}).items()})
        self.load({n: weights_of(n, *rest) for n, rest in self.tensors.items()})

    def create(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "config.json"), "w") as f:
                json.dump(self.config, f)
            config = AutoConfig.from_pretrained(folder)
        self.module = AutoModelForCausalLM.from_config(
            config, attn_implementation="eager", dtype=torch.float32).float().eval()
        state = self.module.state_dict()
        tied = set()
        if config.tie_word_embeddings:
            output = self.module.get_output_embeddings()
            tied = {n + ".weight" for n, m in self.module.named_modules() if m is output}
        return {n: tuple(t.shape) for n, t in state.items() if n not in tied}

    def in_file(self, name):
        for pattern, replacement in self.names.items():
            name = re.sub(pattern, replacement, name)
        return name

    def load(self, weights):
        """By names in the file."""
        self.weights = weights
        if self.is_remote:
            self.torch_weights = {n: torch.from_numpy(w) for n, w in weights.items()}
            return
        state = self.module.state_dict()
        with torch.no_grad():
            for n, parameter in state.items():
                if self.in_file(n) in weights:
                    parameter.copy_(torch.from_numpy(weights[self.in_file(n)]))
        self.module.tie_weights()

    @torch.no_grad()
    def logits(self, prompt):
        if self.is_remote:
            return family_remote.forward(self.config, self.torch_weights, prompt).numpy()
        return self.module(torch.tensor([prompt]), use_cache=False).logits[0].float().numpy()

    @property
    def file_config(self):
        """config.json"""
        around = {**SHAPES, **LARGE}[self.name].get("_around")
        return {**around, "text_config": self.config} if around else self.config

    @property
    def vocab(self):
        return self.config["vocab_size"]

    @property
    def layers(self):
        return next(self.config[k] for k in ("num_hidden_layers", "n_layer", "n_layers")
                    if k in self.config)


def folded(model):
    """The tensors' rows; those that all layers have alike become one row with {}."""
    rows, by_pattern = [], {}
    for name, rest in model.tensors.items():
        pattern = re.sub(r"\.(\d+)\.", ".{}.", "." + name, count=1)[1:]
        by_pattern.setdefault((pattern, rest), []).append(name)
    for (pattern, (dims, offset, scale)), names in by_pattern.items():
        if "{}" in pattern and names == [pattern.format(i) for i in range(model.layers)]:
            names = [pattern]
        rows += [[n, list(dims), offset, scale] for n in names]
    return rows


def write_json(path, model):
    rows = ",\n  ".join(json.dumps(row) for row in folded(model))
    with open(path, "w") as f:
        f.write(f'{{"config": {json.dumps(model.file_config)},\n "layers": {model.layers},\n '
                f'"tensors": [\n  {rows}]}}\n')


def write_ref(path, model, logits, kept):
    """kept: {length of a prompt: positions}"""
    with open(path, "wb") as f:
        f.write(MAGIC + struct.pack("<II", model.vocab, len(kept)))
        for length, positions in kept.items():
            f.write(struct.pack("<II", length, len(positions)))
            f.write(np.array(prompt_of(model.name, length, model.vocab), "<u4").tobytes())
            f.write(np.array(positions, "<u4").tobytes())
            f.write(logits[length][list(positions)].astype("<f4").tobytes())


def byte_characters():
    """The characters by which byte-level BPE writes the 256 bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def tokenizer_json(vocab):
    """Bytes, two special tokens, and words of byte pairs up to the vocabulary's size."""
    characters = byte_characters()
    pieces = {characters[b]: b for b in range(256)}
    merges = []
    special = [{"id": 256 + i, "content": text, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True}
               for i, text in enumerate(("<|begin|>", "<|end|>"))]
    pieces.update({s["content"]: s["id"] for s in special})
    for first in "etaoinshr":
        for second in "etaoin":
            if len(pieces) < vocab:
                merges.append(f"{first} {second}")
                pieces[first + second] = len(pieces)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
            "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": pieces, "merges": merges}}


def write_folder(folder, model, logits):
    os.makedirs(folder, exist_ok=True)
    for name, value in (("config.json", model.file_config),
                        ("tokenizer.json", tokenizer_json(model.vocab)),
                        ("prompts.json", {str(n): prompt_of(model.name, n, model.vocab)
                                          for n in LENGTHS})):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, indent=1)
    save_file({n: np.ascontiguousarray(w) for n, w in model.weights.items()},
              os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    write_ref(os.path.join(folder, "logits.ref"), model, logits, {n: range(n) for n in LENGTHS})
    for length in LENGTHS:
        np.save(os.path.join(folder, f"logits-{length}.npy"), logits[length])


def difference(a, b):
    return float(np.abs(a - b).max() / np.abs(a).max())


def check(model, logits):
    """Fails if a tensor or a setting does not matter."""
    prompt, faults = prompt_of(model.name, 130, model.vocab), []
    for name in sorted(model.needed):
        values = model.weights[name]
        if name.endswith((".beta", ".eps")):
            continue
        model.load({**model.weights, name: np.zeros_like(values)})
        effect = difference(logits[130], model.logits(prompt))
        model.load({**model.weights, name: values})
        if not effect > 1e-3:
            faults.append(f"tensor {name}: {effect:.1e}")
    for key, value in SHAPES[model.name].get("_matters", {}).items():
        effect = difference(logits[130], Model(model.name, {key: value}).logits(prompt))
        if not effect > 1e-3:
            faults.append(f"setting {key}: {effect:.1e}")
    if faults:
        raise SystemExit(f"{model.name}: these do not matter: " + "; ".join(faults))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", nargs="?")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--folders")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.large and args.out:
        args.names.insert(0, args.out)
    for name in args.names or (LARGE if args.large else SHAPES):
        model = Model(name)
        logits = {n: model.logits(prompt_of(name, n, model.vocab)) for n in LENGTHS}
        if not args.large:
            os.makedirs(args.out, exist_ok=True)
            write_json(os.path.join(args.out, name + ".json"), model)
            write_ref(os.path.join(args.out, name + ".ref"), model, logits, KEPT)
        if args.folders:
            write_folder(os.path.join(args.folders, name), model, logits)
        if args.check:
            check(model, logits)
        print(f"{name:22} {len(model.tensors):4} tensors  logits std {logits[500].std():7.3f} "
              f"max {np.abs(logits[500]).max():7.2f}", flush=True)


if __name__ == "__main__":
    main()
