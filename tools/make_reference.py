#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the reference vectors: small GGUF models with random weights, and their logits as
transformers computes them in float32.

    make_reference.py OUT_DIR [--verify]        (tests/data/reference)

writes NAME.gguf and NAME.ref for each model below. --verify then reads each pair back and
compares it with gguf_forward.py, which follows GGUF's definition in float64 and shares no
code with transformers; a relative error of 1e-5 or more fails.

Everything is seeded: the same versions of torch and transformers write the same bytes. Only
rounding differs between versions.

NAME.ref, all little-endian, no padding:

    char magic[8]                "SCREF001"
    u32  n_vocab
    u32  n_prompts
    n_prompts times:
        u32  n_tokens
        u32  n_positions         positions whose logits are kept, at most n_tokens
        u32  token[n_tokens]
        u32  position[n_positions]              ascending, each below n_tokens
        f32  logits[n_positions][n_vocab]       row i belongs to position[i]

Where a model's matrices are not F32, the logits are those of the weights as the file holds
them, dequantised to float32: what remains is the arithmetic of whoever reads it.

Development only: needs torch, transformers, gguf, numpy and regex (PyPI).
"""
import argparse
import dataclasses
import os
import struct

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

import gguf_write
from gguf_forward import GgufModel, byte_characters

MAGIC = b"SCREF001"
PROMPT_LENGTHS = (1, 2, 7, 33, 128, 500)
ALL_POSITIONS_AT = 33
CONTEXT = 512
BOS, EOS = "<|begin|>", "<|end|>"
MERGES = ("Ġ t", "h e", "i n", "Ġt he")
Type = gguf.GGMLQuantizationType
FILE_TYPE = {Type.F32: gguf.LlamaFileType.ALL_F32, Type.F16: gguf.LlamaFileType.MOSTLY_F16,
             Type.BF16: gguf.LlamaFileType.MOSTLY_BF16, Type.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
             Type.Q4_0: gguf.LlamaFileType.MOSTLY_Q4_0}


@dataclasses.dataclass
class Spec:
    """One model. rope: parameters of transformers' rotary embedding beside its base."""
    name: str
    arch: str = "llama"
    vocab: int = 263
    layers: int = 2
    dim: int = 48
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 12
    ffn: int = 80
    tied: bool = True
    rope_base: float = 10000.0
    rope: dict = dataclasses.field(default_factory=dict)
    type: Type = Type.F32
    seed: int = 1


# With head_dim 32 the wavelengths run from 6 to 35,000 positions, so that these bounds put
# some frequencies on each side of both and some between them.
LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 128}
TYPED = {"vocab": 288, "dim": 64, "heads": 4, "kv_heads": 2, "head_dim": 16, "ffn": 96}

SPECS = [
    Spec("llama-mha", kv_heads=4, tied=False),
    Spec("llama-gqa2", dim=64, head_dim=16, ffn=96),
    Spec("llama-gqa3-4layers", layers=4, heads=6, head_dim=8),
    Spec("llama-mqa", dim=80, heads=5, kv_heads=1, head_dim=16, ffn=48),
    Spec("llama-head-dim", head_dim=20, tied=False),
    Spec("llama-rope-linear", rope={"rope_type": "linear", "factor": 4.0}),
    Spec("llama-rope-llama3", dim=64, heads=2, kv_heads=1, head_dim=32, rope=LLAMA3_ROPE),
    Spec("qwen2-bias", arch="qwen2", heads=6, head_dim=8, tied=False, rope_base=1e6),
    Spec("qwen2-tied", arch="qwen2", dim=64, kv_heads=1, head_dim=16, rope_base=1e6),
    Spec("llama-f16", type=Type.F16, **TYPED),
    Spec("llama-bf16", type=Type.BF16, **TYPED),
    Spec("llama-q8_0", type=Type.Q8_0, **TYPED),
    Spec("llama-q4_0", type=Type.Q4_0, **TYPED),
]


def make_model(s):
    """The transformers model of a Spec, with the weights of randomise()."""
    config_class, model_class = {"llama": (LlamaConfig, LlamaForCausalLM),
                                 "qwen2": (Qwen2Config, Qwen2ForCausalLM)}[s.arch]
    config = config_class(
        vocab_size=s.vocab, hidden_size=s.dim, intermediate_size=s.ffn, num_hidden_layers=s.layers,
        num_attention_heads=s.heads, num_key_value_heads=s.kv_heads, head_dim=s.head_dim,
        max_position_embeddings=CONTEXT, tie_word_embeddings=s.tied, rms_norm_eps=1e-5,
        attn_implementation="eager", dtype="float32",
        rope_parameters={"rope_type": "default", "rope_theta": s.rope_base, **s.rope})
    model = model_class(config).float().eval()
    randomise(model, s.seed)
    return model


@torch.no_grad()
def randomise(model, seed):
    """Weights with which every part matters: attention that is neither flat nor one-hot,
    layers that outweigh the embedding, logits a few units wide, norms that are not one."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator)
        if name.endswith("norm.weight"):
            p.copy_(1 + 0.2 * noise)
        elif name.endswith(".bias"):
            p.copy_(0.5 * noise)
        elif "embed_tokens" in name or "lm_head" in name:
            p.copy_(0.3 * noise)
        else:
            gain = 1.5 if "q_proj" in name or "k_proj" in name else 1.0
            p.copy_(gain * noise * p.shape[1] ** -0.5)


def round_trip(values, ggml_type):
    """float32 values as a file of that type would give them back."""
    data = gguf.quants.quantize(values, ggml_type)
    return gguf.quants.dequantize(data, ggml_type).astype(np.float32).reshape(values.shape)


@torch.no_grad()
def round_weights(model, ggml_type):
    for p in model.parameters():
        if p.dim() == 2:
            p.copy_(torch.from_numpy(round_trip(p.numpy(), ggml_type)))


def neighbours_from_halves(w, n_heads):
    """Reorder the rows of a query or key projection from transformers' rope layout, in which
    row i of a head rotates with row i + head_dim / 2, to that of GGUF's `llama`, in which the
    two are neighbours."""
    return w.reshape(n_heads, 2, -1, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


TENSOR_NAME = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "model.embed_tokens": "token_embd", "model.norm": "output_norm",
    "lm_head": "output",
}


def tensor_name(parameter):
    """model.layers.3.mlp.up_proj.weight -> blk.3.ffn_up.weight"""
    path, kind = parameter.rsplit(".", 1)
    if path.startswith("model.layers."):
        layer, inner = path.removeprefix("model.layers.").split(".", 1)
        return f"blk.{layer}.{TENSOR_NAME[inner]}.{kind}"
    return f"{TENSOR_NAME[path]}.{kind}"


def vocabulary(n_vocab):
    """All bytes, four merges and two specials; the rest is unused, as converters fill it."""
    tokens = byte_characters() + [m.replace(" ", "") for m in MERGES]
    n_normal = len(tokens)
    tokens += [BOS, EOS]
    tokens += [f"[PAD{i}]" for i in range(len(tokens), n_vocab)]
    assert len(tokens) == n_vocab
    kind = gguf.TokenType
    types = [kind.NORMAL] * n_normal + [kind.CONTROL] * 2
    types += [kind.UNUSED] * (n_vocab - len(types))
    return gguf_write.Vocabulary(tokens, types, list(MERGES), n_normal, n_normal + 1, True)


def llama3_factors(s):
    """What each frequency is divided by, as rope_freqs.weight holds it."""
    r = s.rope
    wave = 2 * np.pi * s.rope_base ** (np.arange(0, s.head_dim, 2) / s.head_dim)
    turns = r["original_max_position_embeddings"] / wave
    low, high = r["low_freq_factor"], r["high_freq_factor"]
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return 1 / ((1 - smooth) / r["factor"] + smooth)


def write_model(s, model, path):
    linear = s.rope["factor"] if s.rope.get("rope_type") == "linear" else 1.0
    hp = gguf_write.HyperParameters(
        arch=s.arch, vocab=s.vocab, layers=s.layers, dim=s.dim, heads=s.heads,
        kv_heads=s.kv_heads, head_dim=s.head_dim, ffn=s.ffn, context=CONTEXT,
        rope_base=s.rope_base, norm_eps=1e-5, linear_rope_factor=linear)
    w = gguf_write.open_model(path, hp, vocabulary(s.vocab), FILE_TYPE[s.type], s.name,
                              "random weights, for tests")
    if s.rope.get("rope_type") == "llama3":
        gguf_write.add_vector(w, "rope_freqs.weight", llama3_factors(s))
    for parameter, p in model.named_parameters():
        values, name = p.detach().numpy(), tensor_name(parameter)
        if values.ndim == 1:
            gguf_write.add_vector(w, name, values)
            continue
        if s.arch == "llama" and "attn_q" in name:
            values = neighbours_from_halves(values, s.heads)
        if s.arch == "llama" and "attn_k" in name:
            values = neighbours_from_halves(values, s.kv_heads)
        gguf_write.add_matrix(w, name, values, s.type)
    gguf_write.finish(w)


def make_prompts(s):
    """[(tokens, positions kept)]"""
    rng = np.random.default_rng(s.seed)
    prompts = []
    for n in PROMPT_LENGTHS:
        positions = range(n) if n == ALL_POSITIONS_AT else [n - 1]
        prompts.append((rng.integers(0, s.vocab, n).tolist(), list(positions)))
    return prompts


@torch.no_grad()
def write_reference(s, model, path):
    prompts = make_prompts(s)
    with open(path, "wb") as f:
        f.write(MAGIC + struct.pack("<2I", s.vocab, len(prompts)))
        for tokens, positions in prompts:
            logits = model(torch.tensor([tokens])).logits[0, positions]
            f.write(struct.pack("<2I", len(tokens), len(positions)))
            f.write(np.array(tokens + positions, "<u4").tobytes())
            f.write(logits.numpy().astype("<f4").tobytes())


def read_reference(path):
    """[(tokens, positions, logits)]"""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == MAGIC
    n_vocab, n_prompts = struct.unpack_from("<2I", data, 8)
    at, prompts = 16, []
    for _ in range(n_prompts):
        n_tokens, n_positions = struct.unpack_from("<2I", data, at)
        ids = np.frombuffer(data, "<u4", n_tokens + n_positions, at + 8)
        at += 8 + ids.nbytes
        logits = np.frombuffer(data, "<f4", n_positions * n_vocab, at).reshape(-1, n_vocab)
        at += logits.nbytes
        prompts.append((ids[:n_tokens].tolist(), ids[n_tokens:].tolist(), logits))
    assert at == len(data)
    return prompts


def verify(gguf_path, ref_path):
    """The largest relative error (L2 of a logit vector) between the pair of files."""
    model, worst = GgufModel(gguf_path), 0.0
    for tokens, positions, expected in read_reference(ref_path):
        got = model.forward(tokens)[positions]
        error = np.linalg.norm(got - expected, axis=1) / np.linalg.norm(expected, axis=1)
        worst = max(worst, float(error.max()))
    return worst


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out_dir")
    ap.add_argument("--verify", action="store_true")
    a = ap.parse_args()
    os.makedirs(a.out_dir, exist_ok=True)
    total = 0
    for s in SPECS:
        gguf_path, ref_path = (os.path.join(a.out_dir, s.name + e) for e in (".gguf", ".ref"))
        model = make_model(s)
        round_weights(model, s.type)
        write_model(s, model, gguf_path)
        write_reference(s, model, ref_path)
        sizes = [os.path.getsize(p) for p in (gguf_path, ref_path)]
        total += sum(sizes)
        line = f"{s.name:20} {sizes[0]:7} + {sizes[1]:6} bytes"
        if a.verify:
            error = verify(gguf_path, ref_path)
            line += f", relative error {error:.1e}"
            assert error < 1e-5, line
        print(line, flush=True)
    print(f"{total} bytes")


if __name__ == "__main__":
    main()
