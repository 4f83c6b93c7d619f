/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_TOKENIZER_STEPS_H
#define STAGECOACH_HF_TOKENIZER_STEPS_H
/*
 * tokenizer_steps - the steps of a tokenizer.json as the strings of the pipeline's key
 * (model/pipeline.h). What no step of the pipeline does is refused by name.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/tokenizer_json.h"
#include "model/pipeline.h"

#define STEPS_MAX_TEMPLATE 16

struct hf_steps {
	const struct tokenizer_json *json;
	struct error *err;
	struct string_list strings;	/* the key's value; [0] is the version */
	enum pipeline_kind model;
	struct gguf_string unknown;	/* the unknown token's text; length 0: none */
	bool is_byte_level;		/* some pre-tokenizer is ByteLevel */
	size_t split_begin, split_end;	/* the strings of the pre-tokenizers */
	bool ignores_merges;
	bool falls_back;		/* the model falls back to byte tokens */
	bool prepends_space;		/* a space is put in front of a text (SentencePiece) */
	uint32_t before[STEPS_MAX_TEMPLATE], behind[STEPS_MAX_TEMPLATE];
	size_t n_before, n_behind;
	const char *charsmap;		/* base64, of normalizer Precompiled; NULL: none */
};

/* All steps but the decoders and added tokens. The caller calls hf_steps_deinit in any case.
 * SC_E_UNSUPPORTED, SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status hf_steps_read(struct hf_steps *steps, const struct tokenizer_json *json,
					struct error *err);
void hf_steps_deinit(struct hf_steps *steps);

/* Then the ids of the template that are below n_vocab, the decoders and, one by one, the added
 * tokens. */
must_check enum sc_status hf_steps_end(struct hf_steps *steps, size_t n_vocab);
must_check enum sc_status hf_steps_add_token(struct hf_steps *steps, uint32_t id, unsigned flags,
					     const char *content, size_t length);

#endif
