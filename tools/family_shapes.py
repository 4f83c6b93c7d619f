# SPDX-License-Identifier: Apache-2.0
"""The table of make_family_vectors.py: two or more small shapes of every family.

SHAPES[name] is config.json as a folder on the Hub has it, and beside it, with an underscore:

    _gain      {regular expression: factor}     weights that are drawn larger or smaller
    _matters   {key: another value}             settings that must change the logits
    _names     {pattern: replacement}           names in the file that are not those of the class
    _extra     {name: shape}                    tensors of the file that no logit depends on
    _around    {...}                            config.json is this, with the shape as text_config

A family's first shape has the keys that older configurations have (rope_theta, rope_scaling,
sliding_window_pattern), another one those that transformers 5 writes (rope_parameters,
layer_types). Sizes are chosen so that no two are the same: heads times their size is not the
model's, the vocabulary is no multiple of 64, feed-forward sizes are odd.
"""

VOCAB = 283
CONTEXT = 512


def linear(factor):
    return {"type": "linear", "factor": factor}


def yarn(**more):
    return {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, **more}


def llama3(theta):
    return {"rope_type": "llama3", "rope_theta": theta, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 128}


def ramp(n, first, last):
    """n factors of LongRoPE."""
    return [round(first + (last - first) * i / max(1, n - 1), 4) for i in range(n)]


def shape(model_type, architecture, dim, ffn, layers, heads, kv_heads=None, head_dim=None, **more):
    """The keys that most families share."""
    config = {"model_type": model_type, "architectures": [architecture], "torch_dtype": "float32",
              "vocab_size": VOCAB, "hidden_size": dim, "intermediate_size": ffn,
              "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": kv_heads, "head_dim": head_dim,
              "max_position_embeddings": CONTEXT, "bos_token_id": 256, "eos_token_id": 257}
    config = {key: value for key, value in config.items() if value is not None}
    config.update(more)
    return {key: value for key, value in config.items() if value != "absent"}


def llama(*sizes, **more):
    return shape("llama", "LlamaForCausalLM", *sizes, rms_norm_eps=1e-5, **more)


def mistral(*sizes, **more):
    return shape("mistral", "MistralForCausalLM", *sizes, rms_norm_eps=1e-5, **more)


def qwen2(*sizes, **more):
    return shape("qwen2", "Qwen2ForCausalLM", *sizes, rms_norm_eps=1e-6, **more)


def qwen3(*sizes, **more):
    return shape("qwen3", "Qwen3ForCausalLM", *sizes, rms_norm_eps=1e-6, **more)


def smollm3(*sizes, **more):
    return shape("smollm3", "SmolLM3ForCausalLM", *sizes, rms_norm_eps=1e-6, pad_token_id=257,
                 **more)


def gemma(*sizes, **more):
    return shape("gemma", "GemmaForCausalLM", *sizes, rms_norm_eps=1e-6, **more)


def gemma2(*sizes, **more):
    return shape("gemma2", "Gemma2ForCausalLM", *sizes, rms_norm_eps=1e-6,
                 hidden_activation="gelu_pytorch_tanh", **more)


def gemma3(*sizes, **more):
    return shape("gemma3_text", "Gemma3ForCausalLM", *sizes, rms_norm_eps=1e-6,
                 hidden_activation="gelu_pytorch_tanh", **more)


def phi3(*sizes, **more):
    return shape("phi3", "Phi3ForCausalLM", *sizes, rms_norm_eps=1e-5, pad_token_id=256, **more)


def phi(*sizes, **more):
    return shape("phi", "PhiForCausalLM", *sizes, layer_norm_eps=1e-5, hidden_act="gelu_new",
                 tie_word_embeddings=False, **more)


def glm4(*sizes, **more):
    return shape("glm4", "Glm4ForCausalLM", *sizes, rms_norm_eps=1e-5, pad_token_id=256,
                 **{"partial_rotary_factor": 0.5, **more})


def glm(*sizes, **more):
    return shape("glm", "GlmForCausalLM", *sizes, rms_norm_eps=1e-5, pad_token_id=256,
                 **{"partial_rotary_factor": 0.5, **more})


def olmo3(*sizes, **more):
    return shape("olmo3", "Olmo3ForCausalLM", *sizes, rms_norm_eps=1e-6, pad_token_id=256, **more)


def granite_hybrid(*sizes, **more):
    """Without layers of Mamba, and without experts."""
    return shape("granitemoehybrid", "GraniteMoeHybridForCausalLM", *sizes, rms_norm_eps=1e-5,
                 position_embedding_type="rope", num_local_experts=0, num_experts_per_tok=0,
                 mamba_expand=2, mamba_n_heads=2, mamba_d_head=48, **more)


def olmo2(*sizes, **more):
    return shape("olmo2", "Olmo2ForCausalLM", *sizes, rms_norm_eps=1e-6, pad_token_id=256, **more)


def granite(*sizes, **more):
    return shape("granite", "GraniteForCausalLM", *sizes, rms_norm_eps=1e-5, **more)


def cohere(*sizes, **more):
    return shape("cohere", "CohereForCausalLM", *sizes, layer_norm_eps=1e-5, pad_token_id=256,
                 **more)


def cohere2(*sizes, **more):
    return shape("cohere2", "Cohere2ForCausalLM", *sizes, layer_norm_eps=1e-5, pad_token_id=256,
                 **more)


def starcoder2(*sizes, **more):
    return shape("starcoder2", "Starcoder2ForCausalLM", *sizes, norm_epsilon=1e-5,
                 hidden_act="gelu_pytorch_tanh", **more)


def falcon(dim, layers, heads, **more):
    return shape("falcon", "FalconForCausalLM", dim, None, layers, heads, layer_norm_epsilon=1e-5,
                 hidden_dropout=0.0, attention_dropout=0.0, **more)


def gpt2(dim, layers, heads, **more):
    return {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": VOCAB,
            "n_embd": dim, "n_layer": layers, "n_head": heads, "n_positions": CONTEXT,
            "n_ctx": CONTEXT, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
            "bos_token_id": 256, "eos_token_id": 257, "torch_dtype": "float32", **more}


def gptneox(*sizes, **more):
    return shape("gpt_neox", "GPTNeoXForCausalLM", *sizes, layer_norm_eps=1e-5, **more)


def stablelm(*sizes, **more):
    return shape("stablelm", "StableLmForCausalLM", *sizes, layer_norm_eps=1e-5, **more)


def exaone4(*sizes, **more):
    return shape("exaone4", "Exaone4ForCausalLM", *sizes, rms_norm_eps=1e-5, **more)


def nemotron(*sizes, **more):
    return shape("nemotron", "NemotronForCausalLM", *sizes, norm_eps=1e-5, hidden_act="relu2",
                 **more)


def minicpm(*sizes, **more):
    return shape("minicpm", "MiniCPMForCausalLM", *sizes, rms_norm_eps=1e-5, hidden_act="silu",
                 **more)


def internlm2(*sizes, **more):
    return shape("internlm2", "InternLM2ForCausalLM", *sizes, rms_norm_eps=1e-5,
                 hidden_act="silu", bias=False, tie_word_embeddings=False, **more)


def ernie(*sizes, **more):
    return shape("ernie4_5", "Ernie4_5ForCausalLM", *sizes, rms_norm_eps=1e-5, **more)


def seed_oss(*sizes, **more):
    return shape("seed_oss", "SeedOssForCausalLM", *sizes, rms_norm_eps=1e-6, residual_dropout=0.0,
                 attention_dropout=0.0, **more)


def apertus(*sizes, **more):
    return shape("apertus", "ApertusForCausalLM", *sizes, rms_norm_eps=1e-5, hidden_act="xielu",
                 **more)


def hunyuan(*sizes, **more):
    return shape("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", *sizes, rms_norm_eps=1e-5,
                 use_qk_norm=True, **more)


def baichuan(*sizes, **more):
    return shape("baichuan", "BaichuanForCausalLM", *sizes, rms_norm_eps=1e-6, hidden_act="silu",
                 tie_word_embeddings=False, **more)


def mpt(dim, layers, heads, attention=None, **more):
    return {"model_type": "mpt", "architectures": ["MPTForCausalLM"], "vocab_size": VOCAB,
            "d_model": dim, "n_layers": layers, "n_heads": heads, "max_seq_len": CONTEXT,
            "expansion_ratio": 4, "no_bias": True, "torch_dtype": "float32",
            "attn_config": {"alibi": True, "alibi_bias_max": 8, **(attention or {})},
            "bos_token_id": 256, "eos_token_id": 257, **more}


def bloom(dim, layers, heads, **more):
    return {"model_type": "bloom", "architectures": ["BloomForCausalLM"], "vocab_size": VOCAB,
            "hidden_size": dim, "n_layer": layers, "n_head": heads, "layer_norm_epsilon": 1e-5,
            "torch_dtype": "float32", "bos_token_id": 256, "eos_token_id": 257,
            "hidden_dropout": 0.0, "attention_dropout": 0.0, "seq_length": CONTEXT, **more}


# A window of W positions, the row's own included, is shorter than most prompts here.
W = 37

SHAPES = {
    # Llama 1 to 3, SmolLM2, Yi; Mistral
    "llama-biases": llama(48, 77, 3, 4, 2, 20, rope_theta=10000.0, attention_bias=True,
                          mlp_bias=True, tie_word_embeddings=False,
                          _matters={"rope_theta": 20000.0}),
    "llama-3": llama(60, 101, 2, 3, 1, 32, rope_parameters=llama3(500000.0),
                     tie_word_embeddings=True,
                     _matters={"rope_parameters": {"rope_type": "default",
                                                   "rope_theta": 500000.0}}),
    "llama-yarn": llama(48, 96, 2, 4, 1, 16, rope_theta=10000.0, rope_scaling=yarn(),
                        tie_word_embeddings=False, _matters={"rope_scaling": None}),
    "mistral-window": mistral(64, 91, 3, 4, 2, 12, rope_theta=10000.0, sliding_window=W,
                              tie_word_embeddings=False, _matters={"sliding_window": None}),
    "mistral-nemo": mistral(60, 75, 2, 6, 2, 8, sliding_window=None, tie_word_embeddings=False,
                            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
                            _extra={"model.layers.0.self_attn.rotary_emb.inv_freq": (4,)}),
    "smollm3-nope": smollm3(48, 81, 5, 4, 2, None, rope_theta=50000.0, no_rope_layer_interval=4,
                            no_rope_layers=[1, 1, 1, 0, 1], tie_word_embeddings=True,
                            _matters={"no_rope_layers": [1, 1, 1, 1, 1]}),
    "smollm3-untied": smollm3(60, 99, 4, 6, 1, None, tie_word_embeddings=False,
                              attention_bias=False,
                              rope_parameters={"rope_type": "default", "rope_theta": 5e6}),
    "smollm3-window": smollm3(48, 77, 8, 4, 2, None, rope_theta=1e6, use_sliding_window=True,
                              sliding_window=W, tie_word_embeddings=True,
                              _matters={"use_sliding_window": False}),
    "qwen2-tied": qwen2(48, 77, 3, 6, 2, None, rope_theta=1e6, use_sliding_window=False,
                        sliding_window=W, max_window_layers=1, tie_word_embeddings=True),
    "qwen2-window": qwen2(60, 85, 3, 5, 1, None, use_sliding_window=True, sliding_window=W,
                          max_window_layers=1, tie_word_embeddings=False,
                          rope_parameters=yarn(rope_theta=10000.0),
                          _matters={"use_sliding_window": False}),
    "qwen3-head-dim": qwen3(48, 77, 3, 4, 2, 20, rope_theta=1e6, attention_bias=False,
                            use_sliding_window=False, tie_word_embeddings=True),
    "qwen3-yarn": qwen3(60, 97, 2, 5, 1, 16, attention_bias=True, tie_word_embeddings=False,
                        rope_parameters=yarn(rope_theta=10000.0, attention_factor=1.3),
                        _matters={"rope_parameters": yarn(rope_theta=10000.0)}),

    "gemma-old": gemma(48, 77, 2, 4, 1, 20, rope_theta=10000.0, hidden_act="gelu"),
    "gemma-new": gemma(60, 93, 3, 3, 3, 12, hidden_act="gelu_pytorch_tanh",
                       rope_parameters={"rope_type": "default", "rope_theta": 20000.0}),
    "gemma2-caps": gemma2(48, 77, 4, 4, 2, 20, rope_theta=10000.0, sliding_window=W,
                          query_pre_attn_scalar=9, attn_logit_softcapping=8.0,
                          final_logit_softcapping=12.0,
                          _matters={"sliding_window": 512, "query_pre_attn_scalar": 20,
                                    "attn_logit_softcapping": 1e6,
                                    "final_logit_softcapping": 1e6}),
    "gemma2-new": gemma2(60, 93, 3, 6, 1, 14, sliding_window=16, query_pre_attn_scalar=14,
                         attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
                         layer_types=["sliding_attention", "full_attention",
                                      "sliding_attention"],
                         rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
                         _matters={"sliding_window": 512, "final_logit_softcapping": 1e6}),
    "gemma3-pattern": gemma3(48, 77, 7, 4, 2, 20, rope_theta=1e6, rope_local_base_freq=10000.0,
                             rope_scaling={"rope_type": "linear", "factor": 8.0},
                             sliding_window=W, sliding_window_pattern=6, query_pre_attn_scalar=20,
                             _matters={"sliding_window": 512, "rope_local_base_freq": 1e6,
                                       "rope_scaling": None, "sliding_window_pattern": 3}),
    "gemma3-types": gemma3(60, 93, 4, 6, 1, 12, sliding_window=W, query_pre_attn_scalar=30,
                           layer_types=["sliding_attention", "full_attention",
                                        "sliding_attention", "sliding_attention"],
                           rope_parameters={
                               "full_attention": {"rope_type": "default", "rope_theta": 1e6},
                               "sliding_attention": {"rope_type": "default",
                                                     "rope_theta": 10000.0}},
                           _matters={"query_pre_attn_scalar": 12}),
    # A folder with a picture encoder, of which only the language model is used.
    "gemma3-vision": gemma3(48, 81, 4, 4, 2, 16, rope_theta=1e6, rope_local_base_freq=10000.0,
                            sliding_window=W, sliding_window_pattern=3, query_pre_attn_scalar=16,
                            _names={r"^model\.": "language_model.model."},
                            _extra={"vision_tower.vision_model.post_layernorm.weight": (8,),
                                    "multi_modal_projector.mm_soft_emb_norm.weight": (8,)},
                            _around={"model_type": "gemma3", "torch_dtype": "float32",
                                     "architectures": ["Gemma3ForConditionalGeneration"],
                                     "boi_token_index": 255999, "eoi_token_index": 256000,
                                     "image_token_index": 262144, "mm_tokens_per_image": 256,
                                     "vision_config": {"hidden_size": 8, "num_hidden_layers": 1,
                                                       "model_type": "siglip_vision_model"}}),

    "phi3-window": phi3(48, 77, 3, 4, 2, None, rope_theta=10000.0, sliding_window=W,
                        rope_scaling=None, original_max_position_embeddings=CONTEXT,
                        tie_word_embeddings=False, _matters={"sliding_window": None}),
    "phi3-longrope": phi3(64, 75, 2, 4, 1, None, rope_theta=10000.0, sliding_window=None,
                          original_max_position_embeddings=64,
                          rope_scaling={"type": "longrope", "short_factor": ramp(8, 1.0, 1.9),
                                        "long_factor": ramp(8, 1.2, 7.5)},
                          tie_word_embeddings=False),
    "phi4-mini": phi3(64, 83, 2, 2, 1, None, sliding_window=None, tie_word_embeddings=True,
                      original_max_position_embeddings=128, partial_rotary_factor=0.75,
                      rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0,
                                       "partial_rotary_factor": 0.75,
                                       "original_max_position_embeddings": 128,
                                       "short_factor": ramp(12, 1.0, 1.4),
                                       "long_factor": ramp(12, 1.0, 5.0)}),
    "phi4": phi3(60, 99, 2, 6, 2, None, rope_theta=250000.0, sliding_window=None,
                 rope_scaling=None, original_max_position_embeddings=CONTEXT,
                 tie_word_embeddings=False),
    "phi2-mha": phi(48, 77, 3, 4, 4, None, rope_theta=10000.0, partial_rotary_factor=0.5,
                    qk_layernorm=False, _matters={"partial_rotary_factor": 1.0}),
    "phi2-gqa": phi(80, 111, 2, 4, 2, None, qk_layernorm=False,
                    rope_parameters={"rope_type": "default", "rope_theta": 20000.0,
                                     "partial_rotary_factor": 0.4}),

    "glm4-bias": glm4(48, 77, 3, 4, 2, 20, rope_theta=10000.0, attention_bias=True,
                      tie_word_embeddings=False),
    "glm4-plain": glm4(60, 93, 2, 5, 1, 16, attention_bias=False, tie_word_embeddings=True,
                       rope_parameters={"rope_type": "default", "rope_theta": 20000.0,
                                        "partial_rotary_factor": 0.5}),
    "glm-bias": glm(48, 77, 3, 4, 2, 20, rope_theta=10000.0, attention_bias=True,
                    tie_word_embeddings=False),
    "glm-plain": glm(60, 93, 2, 5, 1, 16, attention_bias=False, tie_word_embeddings=True,
                     rope_parameters={"rope_type": "default", "rope_theta": 20000.0,
                                      "partial_rotary_factor": 0.5}),
    "olmo3-yarn": olmo3(48, 77, 5, 4, 2, None, sliding_window=W, tie_word_embeddings=False,
                        rope_parameters={"full_attention": yarn(rope_theta=50000.0),
                                         "sliding_attention": {"rope_type": "default",
                                                               "rope_theta": 50000.0}},
                        _matters={"sliding_window": 512}),
    "granite-hybrid": granite_hybrid(48, 64, 2, 4, 2, None, shared_intermediate_size=77,
                                     rope_theta=10000.0, layer_types=["full_attention"] * 2,
                                     embedding_multiplier=3.0, attention_multiplier=0.21,
                                     residual_multiplier=0.44, logits_scaling=2.5,
                                     tie_word_embeddings=True),
    "olmo2-mha": olmo2(48, 77, 3, 4, 4, None, rope_theta=500000.0, tie_word_embeddings=False),
    "olmo2-gqa": olmo2(60, 91, 2, 6, 2, None, tie_word_embeddings=False,
                       rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
    "granite-scales": granite(48, 77, 3, 4, 2, None, rope_theta=10000.0, tie_word_embeddings=True,
                              embedding_multiplier=3.0, attention_multiplier=0.21,
                              residual_multiplier=0.44, logits_scaling=2.5,
                              _matters={"embedding_multiplier": 1.0, "attention_multiplier": 1.0,
                                        "residual_multiplier": 1.0, "logits_scaling": 1.0}),
    "granite-biases": granite(60, 93, 2, 5, 1, None, attention_bias=True, mlp_bias=True,
                              embedding_multiplier=1.5, attention_multiplier=0.35,
                              residual_multiplier=0.7, logits_scaling=0.5,
                              tie_word_embeddings=False,
                              rope_parameters={"rope_type": "default", "rope_theta": 1e6}),
    "command-r": cohere(48, 77, 3, 4, 2, None, rope_theta=10000.0, logit_scale=0.3,
                        use_qk_norm=False, _matters={"logit_scale": 1.0}),
    "command-r-plus": cohere(60, 93, 2, 6, 1, None, logit_scale=0.0625, use_qk_norm=True,
                             rope_parameters={"rope_type": "default", "rope_theta": 75000.0}),
    "cohere2-pattern": cohere2(48, 77, 5, 4, 2, None, rope_theta=10000.0, logit_scale=0.25,
                               sliding_window=W, sliding_window_pattern=4,
                               _matters={"sliding_window": 512, "sliding_window_pattern": 2}),
    "cohere2-types": cohere2(60, 93, 4, 6, 1, None, logit_scale=0.5, sliding_window=16,
                             layer_types=["sliding_attention", "sliding_attention",
                                          "sliding_attention", "full_attention"],
                             rope_parameters={"rope_type": "default", "rope_theta": 50000.0}),

    "starcoder2-window": starcoder2(48, 77, 3, 4, 2, None, rope_theta=100000.0, sliding_window=W,
                                    use_bias=True, tie_word_embeddings=True,
                                    _matters={"sliding_window": None}),
    "starcoder2-untied": starcoder2(60, 93, 2, 6, 1, None, sliding_window=None, use_bias=True,
                                    tie_word_embeddings=False,
                                    rope_parameters={"rope_type": "default",
                                                     "rope_theta": 20000.0}),
    "falcon-7b": falcon(48, 3, 4, multi_query=True, parallel_attn=True, bias=False, alibi=False,
                        new_decoder_architecture=False),
    "falcon-40b": falcon(72, 2, 6, num_kv_heads=2, new_decoder_architecture=True, bias=False,
                         parallel_attn=True, alibi=False, multi_query=True,
                         ffn_hidden_size=113),
    "falcon-11b": falcon(60, 2, 6, num_kv_heads=3, new_decoder_architecture=True, bias=False,
                         parallel_attn=True, alibi=False, multi_query=True,
                         num_ln_in_parallel_attn=1, ffn_hidden_size=150,
                         rope_parameters={"rope_type": "default", "rope_theta": 500042.0}),
    "gpt2-hub": gpt2(48, 3, 4, _names={r"^transformer\.": ""},
                     _extra={"h.0.attn.bias": (1, 1, 8, 8), "h.1.attn.bias": (1, 1, 8, 8),
                             "h.2.attn.bias": (1, 1, 8, 8)}),
    "gpt2-inner": gpt2(60, 2, 5, n_inner=101, activation_function="gelu_new"),
    "gptneox-parallel": gptneox(48, 77, 3, 4, None, None, rotary_pct=0.5, rotary_emb_base=10000,
                                use_parallel_residual=True, hidden_act="gelu",
                                tie_word_embeddings=False),
    "gptneox-serial": gptneox(60, 93, 2, 5, None, None, use_parallel_residual=False,
                              hidden_act="gelu", tie_word_embeddings=False,
                              rope_parameters={"rope_type": "default", "rope_theta": 20000.0,
                                               "partial_rotary_factor": 1.0}),
    "gptneox-tied": gptneox(48, 85, 2, 4, None, None, rotary_pct=0.5, rotary_emb_base=10000,
                            use_parallel_residual=True, hidden_act="gelu", attention_bias=False,
                            tie_word_embeddings=True),
    "stablelm-2": stablelm(64, 77, 3, 4, 4, None, rope_theta=10000.0, partial_rotary_factor=0.25,
                           use_qkv_bias=True, use_parallel_residual=False, qk_layernorm=False,
                           tie_word_embeddings=False),
    "stablelm-12b": stablelm(96, 101, 2, 6, 2, None, use_qkv_bias=False, qk_layernorm=True,
                             use_parallel_residual=True, tie_word_embeddings=False,
                             rope_parameters={"rope_type": "default", "rope_theta": 20000.0,
                                              "partial_rotary_factor": 0.25}),

    "minicpm-tied": minicpm(48, 77, 3, 4, 2, None, scale_emb=4, scale_depth=1.4,
                            dim_model_base=16, tie_word_embeddings=True, rope_theta=10000.0,
                            _matters={"scale_emb": 1, "scale_depth": 3.0, "dim_model_base": 48}),
    "minicpm-untied": minicpm(60, 93, 2, 5, 1, None, scale_emb=2, scale_depth=1.0,
                              dim_model_base=30, tie_word_embeddings=False),
    "exaone4-pattern": exaone4(48, 77, 5, 4, 2, 20, rope_theta=1e6, sliding_window=W,
                               sliding_window_pattern="LLLG", tie_word_embeddings=False,
                               layer_types=["sliding_attention"] * 3 + ["full_attention"] +
                               ["sliding_attention"], _matters={"sliding_window": 512}),
    "exaone4-full": exaone4(60, 93, 2, 5, 1, 16, sliding_window=None, sliding_window_pattern=None,
                            layer_types=["full_attention"] * 2, tie_word_embeddings=True,
                            rope_parameters=llama3(1e6)),
    "nemotron-partial": nemotron(48, 77, 3, 4, 2, 20, rope_theta=10000.0,
                                 partial_rotary_factor=0.5, tie_word_embeddings=False),
    "nemotron-mini": nemotron(60, 93, 2, 6, 1, None, tie_word_embeddings=False,
                              rope_parameters={"rope_type": "default", "rope_theta": 20000.0,
                                               "partial_rotary_factor": 0.6}),
    "internlm2-gqa": internlm2(48, 77, 3, 4, 2, None, rope_theta=1e6),
    "internlm2-mqa": internlm2(60, 93, 2, 5, 1, None, rope_theta=10000.0,
                               rope_scaling=linear(2.0), _matters={"rope_scaling": None}),

    "ernie4_5-tied": ernie(48, 77, 3, 4, 2, 20, rope_theta=500000.0, use_bias=False,
                           tie_word_embeddings=True),
    "ernie4_5-untied": ernie(60, 93, 2, 5, 1, 16, use_bias=False, tie_word_embeddings=False,
                             rope_parameters={"rope_type": "default", "rope_theta": 20000.0}),
    "seed_oss-bias": seed_oss(48, 77, 3, 4, 2, 20, rope_theta=1e7, attention_bias=True,
                              attention_out_bias=False, tie_word_embeddings=False),
    "seed_oss-plain": seed_oss(60, 93, 2, 5, 1, 16, attention_bias=True, attention_out_bias=False,
                               tie_word_embeddings=True,
                               rope_parameters={"rope_type": "default", "rope_theta": 20000.0}),
    "apertus-llama3": apertus(48, 77, 3, 4, 2, None, rope_theta=500000.0,
                              rope_scaling={key: value for key, value in llama3(0).items()
                                            if key != "rope_theta"},
                              tie_word_embeddings=False),
    "apertus-plain": apertus(60, 93, 2, 5, 1, None, tie_word_embeddings=False,
                             rope_parameters={"rope_type": "default", "rope_theta": 20000.0}),
    "hunyuan-alpha": hunyuan(48, 77, 3, 4, 2, 20, rope_theta=10000.0, tie_word_embeddings=True,
                             rope_scaling={"type": "dynamic", "alpha": 1000.0, "factor": 1.0,
                                           "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
                                           "mscale_all_dim": 1.0},
                             _matters={"rope_scaling": None}),
    "hunyuan-untied": hunyuan(60, 93, 2, 5, 1, 16, tie_word_embeddings=False,
                              rope_parameters={"rope_type": "dynamic", "alpha": 50.0,
                                               "factor": 1.0, "rope_theta": 10000.0}),
    "baichuan-7b": baichuan(48, 77, 32, 4, None, None),
    "baichuan-13b": baichuan(40, 53, 40, 5, None, None, model_max_length=CONTEXT,
                             max_position_embeddings="absent"),
    "mpt-alibi": mpt(48, 3, 6),
    "mpt-wide": mpt(64, 2, 4, expansion_ratio=3),
    "mpt-clip": mpt(48, 2, 3, {"clip_qkv": 1.5}),
    "bloom-6": bloom(48, 3, 6, _names={r"^transformer\.": ""}),
    "bloom-8": bloom(64, 2, 8),
}

# As wide as small published models, with fewer layers and a small vocabulary: for the long proof,
# never in the tree.
LARGE = {
    "large-qwen3": qwen3(1024, 3072, 3, 16, 8, 128, rope_theta=1e6, tie_word_embeddings=True),
    "large-gemma3": gemma3(1152, 6912, 6, 4, 1, 256, rope_theta=1e6, rope_local_base_freq=10000.0,
                           sliding_window=128, sliding_window_pattern=6,
                           query_pre_attn_scalar=256),
    "large-gemma2": gemma2(1152, 4608, 2, 8, 4, 256, rope_theta=10000.0, sliding_window=128,
                           query_pre_attn_scalar=256, attn_logit_softcapping=50.0,
                           final_logit_softcapping=30.0),
    "large-phi3": phi3(1536, 4096, 2, 16, 4, None, rope_theta=10000.0, sliding_window=200,
                       rope_scaling=None, original_max_position_embeddings=CONTEXT,
                       tie_word_embeddings=False),
    "large-phi2": phi(1280, 5120, 2, 16, 16, None, rope_theta=10000.0, partial_rotary_factor=0.4,
                      qk_layernorm=False),
    "large-falcon": falcon(1280, 2, 20, multi_query=True, parallel_attn=True, bias=False,
                           alibi=False, new_decoder_architecture=False),
    "large-gpt2": gpt2(768, 3, 12),
    "large-bloom": bloom(1024, 2, 16),
    "large-cohere2": cohere2(1024, 3072, 4, 16, 4, None, rope_theta=50000.0, logit_scale=0.25,
                             sliding_window=128, sliding_window_pattern=4),
    "large-nemotron": nemotron(1024, 4096, 2, 8, 2, 128, rope_theta=10000.0,
                               partial_rotary_factor=0.5, tie_word_embeddings=False),
}
for _row in LARGE.values():
    _row["_gain"] = {r"(embed_tokens|wte|word_embeddings)\.weight$": 0.1}
