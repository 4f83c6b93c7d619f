/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_TINY_MODEL_H
#define STAGECOACH_TESTS_MODEL_TINY_MODEL_H
/*
 * tiny_model - whole, valid models with pseudo-random weights, written as GGUF in memory, for tests
 * of whatever computes with a model. The same options give the same bytes everywhere. Weights are
 * scaled so that activations stay near 1 and every part of the model changes the logits.
 * The vocabulary is byte-level BPE ("gpt2"): ids 0 to 255 are the bytes, then a few merges, BOS
 * and EOS, and fill.
 */
#include "model/model.h"

#include "tests/model/gguf_writer.h"

#define TINY_BOS 260
#define TINY_EOS 261

struct tiny_model {
	const char *arch;		/* "llama" or "qwen2" */
	enum tensor_type type;		/* of the matrices; rows must fit its blocks */
	/* Appends n floats as blocks of the type. NULL: quantize_row, which knows the plain types,
	 * Q8_0 and Q4_0. */
	void (*encode)(enum tensor_type type, const float *x, size_t n, struct buf *out);
	uint32_t n_layers, n_context;
	uint32_t n_vocab;		/* at least 264 */
	uint32_t dim, ffn_dim;
	uint32_t n_heads, n_kv_heads;
	uint32_t head_dim;
	bool is_spm;			/* a SentencePiece vocabulary instead, see tiny_vocab.h */
	bool is_tied;
	bool has_rope_factors;
	float rope_factor;		/* linear scaling, or 1 */
	uint64_t seed;
};

/* Start from one of these and change what the test is about. F32, 4 layers, 64 wide. */
extern const struct tiny_model tiny_llama;
extern const struct tiny_model tiny_qwen2;

/* Into a writer, for tests that add keys or tensors before they finish it. */
void tiny_model_compose(const struct tiny_model *tiny, struct gguf_writer *w);
/* Append the file to `file`. */
void tiny_model_write(const struct tiny_model *tiny, struct buf *file);
/* Into a file at path. */
void tiny_model_save(const struct tiny_model *tiny, const char *path);
/* Write into `file` and open that: file must outlive the model. Aborts when it does not open. */
struct model *tiny_model_open(const struct tiny_model *tiny, struct buf *file);

#endif
