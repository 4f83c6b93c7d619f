#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a GGUF model of architecture `llama` or `qwen2` in numpy, slowly and plainly.

    gguf_forward.py MODEL.gguf PROMPT [-n 100]      prints a greedy continuation
    gguf_forward.py MODEL.gguf --perplexity TEXT_FILE [-c 512]
                                                    as measure/perplexity.h defines it

A second opinion for exported files and for reference vectors: it follows what GGUF says and
shares no code with what wrote the file or trained the model. Weights are dequantised to
float32; arithmetic is float64, so that its own rounding does not count.

Development only: needs gguf, numpy and regex (PyPI).
"""
import argparse
import sys

import gguf
import numpy as np
import regex

# The pattern that `tokenizer.ggml.pre` calls `gpt-2`.
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Which pairs of a head rotate together: neighbours (NORM) or halves (NEOX).
ROPE_LAYOUT = {"llama": "norm", "qwen2": "neox"}


def byte_characters():
    """GPT-2's printable character for each byte."""
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    rest = (b for b in range(256) if b not in printable)
    table = {b: chr(b) for b in printable}
    table.update((b, chr(256 + i)) for i, b in enumerate(rest))
    return [table[b] for b in range(256)]


class GgufModel:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.fields = {k: f.contents() for k, f in reader.fields.items()}
        self.tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type)
                        for t in reader.tensors}
        self.arch = self.fields["general.architecture"]
        self.layers = self.hyper("block_count")
        self.heads = self.hyper("attention.head_count")
        self.kv_heads = self.hyper("attention.head_count_kv", self.heads)
        self.head_dim = self.hyper("attention.key_length",
                                   self.hyper("embedding_length") // self.heads)
        self.eps = self.hyper("attention.layer_norm_rms_epsilon")
        self.bos = self.fields["tokenizer.ggml.bos_token_id"]
        if self.fields["tokenizer.ggml.model"] == "gpt2":
            self.read_vocabulary()

    def hyper(self, key, *default):
        return self.fields.get(f"{self.arch}.{key}", *default) if default else \
            self.fields[f"{self.arch}.{key}"]

    def read_vocabulary(self):
        self.vocab = self.fields["tokenizer.ggml.tokens"]
        self.token_id = {t: i for i, t in enumerate(self.vocab)}
        merges = self.fields["tokenizer.ggml.merges"]
        self.rank = {tuple(m.split(" ")): i for i, m in enumerate(merges)}
        self.byte_char = byte_characters()
        self.char_byte = {c: b for b, c in enumerate(self.byte_char)}

    def encode(self, text):
        assert self.fields["tokenizer.ggml.pre"] == "gpt-2"
        ids = []
        for word in regex.findall(GPT2_PATTERN, text):
            parts = [self.byte_char[b] for b in word.encode()]
            while len(parts) > 1:
                rank, i = min((self.rank.get(pair, np.inf), i)
                              for i, pair in enumerate(zip(parts, parts[1:])))
                if rank == np.inf:
                    break
                parts[i:i + 2] = [parts[i] + parts[i + 1]]
            ids += [self.token_id[p] for p in parts]
        return ids

    def decode(self, ids):
        return bytes(self.char_byte[c] for i in ids if i != self.bos for c in self.vocab[i])

    def weight(self, name):
        return self.tensors[name].astype(np.float64)

    def linear(self, x, name):
        y = x @ self.weight(name + ".weight").T
        return y + self.weight(name + ".bias") if name + ".bias" in self.tensors else y

    def norm(self, x, name):
        scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.eps)
        return x * scale * self.weight(name + ".weight")

    def rotate(self, x):
        """x: [n, heads, head_dim], rotated by position along the first axis."""
        n, n_rot = x.shape[0], self.hyper("rope.dimension_count", self.head_dim)
        assert n_rot == self.head_dim, "partial rotation is not written here"
        base = self.hyper("rope.freq_base", 10000.0)
        frequency = float(base) ** (-np.arange(0, n_rot, 2) / n_rot)
        if "rope_freqs.weight" in self.tensors:
            frequency = frequency / self.weight("rope_freqs.weight")
        if self.hyper("rope.scaling.type", "none") == "linear":
            frequency = frequency / self.hyper("rope.scaling.factor")
        angle = np.outer(np.arange(n), frequency)[:, None, :]
        if ROPE_LAYOUT[self.arch] == "norm":
            first, second = slice(0, None, 2), slice(1, None, 2)
        else:
            first, second = slice(0, n_rot // 2), slice(n_rot // 2, None)
        out = np.empty_like(x)
        out[..., first] = x[..., first] * np.cos(angle) - x[..., second] * np.sin(angle)
        out[..., second] = x[..., first] * np.sin(angle) + x[..., second] * np.cos(angle)
        return out

    def attention(self, x, layer):
        n, group = x.shape[0], self.heads // self.kv_heads
        heads = lambda t: t.reshape(n, -1, self.head_dim)
        q = self.rotate(heads(self.linear(x, layer + "attn_q")))
        k = self.rotate(heads(self.linear(x, layer + "attn_k")))
        v = heads(self.linear(x, layer + "attn_v"))
        future = np.triu(np.ones((n, n), bool), 1)
        out = np.empty_like(q)
        for h in range(self.heads):
            score = q[:, h] @ k[:, h // group].T / np.sqrt(self.head_dim)
            score[future] = -np.inf
            p = np.exp(score - score.max(axis=1, keepdims=True))
            out[:, h] = p / p.sum(axis=1, keepdims=True) @ v[:, h // group]
        return self.linear(out.reshape(n, -1), layer + "attn_output")

    def feed_forward(self, x, layer):
        gate = self.linear(x, layer + "ffn_gate")
        return self.linear(gate / (1 + np.exp(-gate)) * self.linear(x, layer + "ffn_up"),
                           layer + "ffn_down")

    def forward(self, tokens):
        """Logits of every position: [len(tokens), vocabulary]."""
        x = self.weight("token_embd.weight")[np.asarray(tokens)]
        for i in range(self.layers):
            layer = f"blk.{i}."
            x = x + self.attention(self.norm(x, layer + "attn_norm"), layer)
            x = x + self.feed_forward(self.norm(x, layer + "ffn_norm"), layer)
        x = self.norm(x, "output_norm")
        return self.linear(x, "output" if "output.weight" in self.tensors else "token_embd")

    def generate(self, tokens, n):
        """The next n tokens, greedily; everything is computed again for each."""
        tokens, n_prompt = list(tokens), len(tokens)
        for _ in range(n):
            tokens.append(int(np.argmax(self.forward(tokens)[-1])))
        return tokens[n_prompt:]

    def perplexity(self, text, length):
        """Value, its standard error, and how many tokens were scored."""
        bos = [self.bos] if self.fields.get("tokenizer.ggml.add_bos_token") else []
        tokens, losses = bos + self.encode(text), []
        for start in range(0, len(tokens) - length + 1, length):
            chunk = bos + tokens[start + len(bos):start + length]
            logits = self.forward(chunk)
            best = logits.max(axis=1)
            total = best + np.log(np.exp(logits - best[:, None]).sum(axis=1))
            losses += [total[i - 1] - logits[i - 1, chunk[i]]
                       for i in range(length // 2 + 1, length)]
        value = np.exp(np.mean(losses))
        return value, value * np.std(losses) / np.sqrt(len(losses) - 1), len(losses)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("prompt", nargs="?", default="")
    ap.add_argument("-n", type=int, default=100, help="tokens to generate")
    ap.add_argument("--perplexity", metavar="TEXT_FILE")
    ap.add_argument("-c", type=int, default=512, help="tokens of a chunk")
    a = ap.parse_args()
    model = GgufModel(a.model)
    if a.perplexity:
        with open(a.perplexity, encoding="utf-8") as file:
            print("PPL = %.5f +/- %.5f, %d tokens" % model.perplexity(file.read(), a.c))
        return
    add_bos = model.fields.get("tokenizer.ggml.add_bos_token", False)
    tokens = ([model.bos] if add_bos else []) + model.encode(a.prompt)
    sys.stdout.buffer.write(a.prompt.encode() + model.decode(model.generate(tokens, a.n)) + b"\n")


if __name__ == "__main__":
    main()
