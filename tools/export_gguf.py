#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a checkpoint of train_demo.py as a GGUF file: matrices in Q8_0, norms in F32.

    export_gguf.py RUN_DIR OUT.gguf [--checkpoint best.pt] [--check TEXT]

--check reads the file back with gguf_forward.py, which knows only what GGUF says, and
compares it with the training model: logits of the first tokens of TEXT, and a greedy text.

Development only: needs torch, tokenizers, gguf, numpy and regex (PyPI).
"""
import argparse
import json
import os

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

import gguf_write
from gguf_forward import GgufModel
from train_demo import BOS, Model, Shape, sample

CONTROL, NORMAL = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL


def load(run_dir, checkpoint):
    saved = torch.load(os.path.join(run_dir, checkpoint), weights_only=True, map_location="cpu")
    shape = Shape(**saved["shape"])
    model = Model(shape)
    model.load_state_dict(saved["model"])
    return shape, model.eval(), saved["state"]


def read_vocabulary(run_dir):
    with open(os.path.join(run_dir, "tokenizer.json"), encoding="utf-8") as f:
        bpe = json.load(f)["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]]
    types = [CONTROL if t == BOS else NORMAL for t in tokens]
    bos = bpe["vocab"][BOS]
    return gguf_write.Vocabulary(tokens, types, merges, bos, bos, add_bos=True)


def export(a):
    shape, model, state = load(a.run_dir, a.checkpoint)
    hp = gguf_write.HyperParameters(
        arch="llama", vocab=shape.vocab, layers=shape.layers, dim=shape.dim, heads=shape.heads,
        kv_heads=shape.kv_heads, head_dim=shape.head_dim, ffn=shape.ffn, context=shape.context,
        rope_base=shape.rope_base, norm_eps=shape.norm_eps)
    n_params = sum(p.numel() for p in model.parameters())
    w = gguf_write.open_model(
        a.out, hp, read_vocabulary(a.run_dir), gguf.LlamaFileType.MOSTLY_Q8_0, "Stagecoach demo",
        f"{n_params / 1e6:.1f} million parameters that write like Shakespeare's plays")
    w.add_size_label(f"{n_params / 1e6:.1f}M")
    for name, tensor in model.state_dict().items():
        if tensor.dim() == 2:
            gguf_write.add_matrix(w, name, tensor.numpy(), gguf.GGMLQuantizationType.Q8_0)
        else:
            gguf_write.add_vector(w, name, tensor.numpy())
    gguf_write.finish(w)
    print(f"{a.out}: {os.path.getsize(a.out)} bytes, {n_params} parameters, {state}")


def relative_error(got, expected):
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


@torch.no_grad()
def check(a):
    _, model, _ = load(a.run_dir, a.checkpoint)
    tokenizer = Tokenizer.from_file(os.path.join(a.run_dir, "tokenizer.json"))
    with open(a.check, encoding="utf-8") as f:
        text = f.read(20000)
    read = GgufModel(a.out)
    tokens = tokenizer.encode(text).ids
    assert read.encode(text) == tokens, "the vocabulary in the file encodes otherwise"
    assert read.decode(tokens) == text.encode(), "the vocabulary in the file decodes otherwise"
    tokens = [read.bos] + tokens[:300]
    logits = read.forward(tokens)
    trained = model(torch.tensor([tokens]))[0].numpy()
    print(f"logits of {len(tokens)} tokens: relative error {relative_error(logits, trained):.2e} "
          "(quantisation)")
    # The same model with the file's rounded weights: what is left is arithmetic.
    state = {name: torch.tensor(read.tensors[name]) for name in model.state_dict()}
    model.load_state_dict(state)
    exact = relative_error(logits, model(torch.tensor([tokens]))[0].numpy())
    print(f"with the same rounded weights: relative error {exact:.2e}")
    assert exact < 1e-5, "the file does not mean what the model means"
    prompt = "ROMEO:\n"
    greedy = read.decode(read.generate([read.bos] + read.encode(prompt), 60)).decode()
    assert sample(model, tokenizer, prompt, 60, temperature=0) == prompt + greedy
    print(f"same greedy text:\n{prompt}{greedy}")


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("run_dir", help="the directory train_demo.py wrote")
    ap.add_argument("out", help="the GGUF file to write")
    ap.add_argument("--checkpoint", default="best.pt")
    ap.add_argument("--check", metavar="TEXT", help="read the file back and compare")
    a = ap.parse_args()
    export(a)
    if a.check:
        check(a)


if __name__ == "__main__":
    main()
