# SPDX-License-Identifier: Apache-2.0
"""Write the metadata and tensors of a Llama-like model as GGUF v3, with PyPI's `gguf`.

Used by export_gguf.py and make_reference.py. Reading back is gguf_forward.py's, which shares
nothing with this file, so that it can check it.
"""
import dataclasses

import gguf


@dataclasses.dataclass
class HyperParameters:
    """What a GGUF file says about a model of architecture `llama` or `qwen2`."""
    arch: str
    vocab: int
    layers: int
    dim: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    context: int
    rope_base: float
    norm_eps: float
    linear_rope_factor: float = 1.0


@dataclasses.dataclass
class Vocabulary:
    """A byte-level BPE vocabulary; `tokens` in GPT-2's byte-to-character notation."""
    tokens: list
    types: list
    merges: list
    bos: int
    eos: int
    add_bos: bool


def open_model(path, hp, vocabulary, file_type, name, description):
    """A writer with all metadata; give it tensors with add_matrix and add_vector, then finish."""
    w = gguf.GGUFWriter(path, hp.arch)
    w.add_name(name)
    w.add_description(description)
    w.add_license("apache-2.0")
    w.add_file_type(file_type)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    write_hyper_parameters(w, hp)
    write_vocabulary(w, vocabulary)
    return w


def write_hyper_parameters(w, hp):
    w.add_context_length(hp.context)
    w.add_embedding_length(hp.dim)
    w.add_block_count(hp.layers)
    w.add_feed_forward_length(hp.ffn)
    w.add_head_count(hp.heads)
    w.add_head_count_kv(hp.kv_heads)
    w.add_layer_norm_rms_eps(hp.norm_eps)
    w.add_rope_freq_base(hp.rope_base)
    w.add_rope_dimension_count(hp.head_dim)
    w.add_vocab_size(hp.vocab)
    if hp.head_dim * hp.heads != hp.dim:
        w.add_key_length(hp.head_dim)
        w.add_value_length(hp.head_dim)
    if hp.linear_rope_factor != 1.0:
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(hp.linear_rope_factor)


def write_vocabulary(w, v):
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(v.tokens)
    w.add_token_types(v.types)
    w.add_token_merges(v.merges)
    w.add_bos_token_id(v.bos)
    w.add_eos_token_id(v.eos)
    w.add_add_bos_token(v.add_bos)


def add_vector(w, name, values):
    """Norm weights, biases and rope factors are F32 in a file of any type."""
    w.add_tensor(name, values.astype("float32"))


def add_matrix(w, name, values, ggml_type):
    """values: float32 [rows, columns]; quantised along columns, round to nearest."""
    w.add_tensor(name, gguf.quants.quantize(values.astype("float32"), ggml_type),
                 raw_dtype=ggml_type)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
