# SPDX-License-Identifier: Apache-2.0
"""Families whose code is not in transformers, as small torch models after their published
formulas: minicpm, internlm2, baichuan. Independent of transformers and of the C code.

All three are decoders of Llama's kind; the differences are:

    minicpm     embeddings times scale_emb, branches times scale_depth / sqrt(layers), and the
                last hidden state divided by hidden_size / dim_model_base
    internlm2   one matrix wqkv, [KV head][its query heads, key, value][head size]
    baichuan    one matrix W_pack, query, key, value; ALiBi instead of rope when the
                configuration has no max_position_embeddings (13B)
"""
import math

import torch

MODEL_TYPES = ("minicpm", "internlm2", "baichuan")


def tensor_shapes(c):
    """{name: shape} of the checkpoint, as on the Hub."""
    dim, ffn, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    heads = c["num_attention_heads"]
    kv = c.get("num_key_value_heads", heads)
    head = dim // heads
    layer = {}
    if c["model_type"] == "internlm2":
        shapes = {"model.tok_embeddings.weight": (vocab, dim), "output.weight": (vocab, dim)}
        layer = {"attention.wqkv.weight": ((heads + 2 * kv) * head, dim),
                 "attention.wo.weight": (dim, dim), "feed_forward.w1.weight": (ffn, dim),
                 "feed_forward.w3.weight": (ffn, dim), "feed_forward.w2.weight": (dim, ffn),
                 "attention_norm.weight": (dim,), "ffn_norm.weight": (dim,)}
    else:
        shapes = {"model.embed_tokens.weight": (vocab, dim)}
        if not c.get("tie_word_embeddings"):
            shapes["lm_head.weight"] = (vocab, dim)
        layer = {"self_attn.o_proj.weight": (dim, dim), "mlp.gate_proj.weight": (ffn, dim),
                 "mlp.up_proj.weight": (ffn, dim), "mlp.down_proj.weight": (dim, ffn),
                 "input_layernorm.weight": (dim,), "post_attention_layernorm.weight": (dim,)}
        if c["model_type"] == "baichuan":
            layer["self_attn.W_pack.weight"] = (3 * dim, dim)
        else:
            layer.update({"self_attn.q_proj.weight": (heads * head, dim),
                          "self_attn.k_proj.weight": (kv * head, dim),
                          "self_attn.v_proj.weight": (kv * head, dim)})
    shapes["model.norm.weight"] = (dim,)
    for i in range(c["num_hidden_layers"]):
        shapes.update({f"model.layers.{i}.{name}": s for name, s in layer.items()})
    return shapes


def rms_norm(x, weight, eps):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def rope(x, c):
    """Rotates pairs (i, i + n/2). x: [heads, positions, head size]."""
    n = x.shape[-1]
    scaling = c.get("rope_scaling") or {"factor": 1.0}
    frequencies = float(c.get("rope_theta", 10000.0)) ** (-torch.arange(0, n, 2).float() / n)
    angle = torch.arange(x.shape[1]).float()[:, None] * (frequencies / scaling["factor"])[None, :]
    cos, sin = angle.cos(), angle.sin()
    a, b = x[..., : n // 2], x[..., n // 2:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def alibi_slopes(heads):
    """Press et al.: a geometric sequence for a power of two, and every second of the next one's
    for the heads beyond it."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    slopes += [2 ** (-4 * (2 * i + 1) / power) for i in range(heads - power)]
    return torch.tensor(slopes)


def split_heads(x, heads):
    return x.view(x.shape[0], heads, -1).transpose(0, 1)


def projections(c, w, prefix, x):
    """Query, key and value: [heads, positions, head size]."""
    dim, heads = c["hidden_size"], c["num_attention_heads"]
    kv = c.get("num_key_value_heads", heads)
    head = dim // heads
    if c["model_type"] == "internlm2":
        group = heads // kv
        y = (x @ w[prefix + "attention.wqkv.weight"].T).view(len(x), kv, group + 2, head)
        q = y[:, :, :group].reshape(len(x), heads, head).transpose(0, 1)
        return q, y[:, :, group].transpose(0, 1), y[:, :, group + 1].transpose(0, 1)
    if c["model_type"] == "baichuan":
        q, k, v = (x @ w[prefix + "self_attn.W_pack.weight"].T).split(dim, -1)
    else:
        q, k, v = (x @ w[prefix + f"self_attn.{n}_proj.weight"].T for n in "qkv")
    return split_heads(q, heads), split_heads(k, kv), split_heads(v, kv)


def attention(c, w, prefix, x):
    q, k, v = projections(c, w, prefix, x)
    heads, n, head = q.shape
    position = torch.arange(n)
    bias = torch.zeros(1, n, n)
    if c["model_type"] == "baichuan" and "max_position_embeddings" not in c:
        distance = (position[None, :] - position[:, None]).float()
        bias = alibi_slopes(heads)[:, None, None] * distance[None]
    else:
        q, k = rope(q, c), rope(k, c)
    k, v = (t.repeat_interleave(heads // t.shape[0], 0) for t in (k, v))
    scores = q @ k.transpose(1, 2) / math.sqrt(head) + bias
    scores = scores.masked_fill(position[None, None, :] > position[None, :, None], -math.inf)
    return (scores.softmax(-1) @ v).transpose(0, 1).reshape(n, heads * head)


NAMES = {"internlm2": ("attention_norm", "ffn_norm", "attention.wo", "feed_forward.w1",
                       "feed_forward.w3", "feed_forward.w2", "model.tok_embeddings", "output")}
COMMON = ("input_layernorm", "post_attention_layernorm", "self_attn.o_proj", "mlp.gate_proj",
          "mlp.up_proj", "mlp.down_proj", "model.embed_tokens", "lm_head")


@torch.no_grad()
def forward(c, w, tokens):
    """Logits of all positions, [positions, vocabulary], float32."""
    norm1, norm2, out, gate, up, down, embedding, head = NAMES.get(c["model_type"], COMMON)
    is_minicpm = c["model_type"] == "minicpm"
    residual = c["scale_depth"] / math.sqrt(c["num_hidden_layers"]) if is_minicpm else 1.0
    eps = c["rms_norm_eps"]
    x = w[embedding + ".weight"][torch.tensor(tokens)] * (c["scale_emb"] if is_minicpm else 1.0)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        y = attention(c, w, p, rms_norm(x, w[p + norm1 + ".weight"], eps))
        x = x + residual * (y @ w[p + out + ".weight"].T)
        y = rms_norm(x, w[p + norm2 + ".weight"], eps)
        y = torch.nn.functional.silu(y @ w[p + gate + ".weight"].T) * (y @ w[p + up + ".weight"].T)
        x = x + residual * (y @ w[p + down + ".weight"].T)
    x = rms_norm(x, w["model.norm.weight"], eps)
    if is_minicpm:
        x = x / (c["hidden_size"] / c["dim_model_base"])
    return x @ w.get(head + ".weight", w[embedding + ".weight"]).T
