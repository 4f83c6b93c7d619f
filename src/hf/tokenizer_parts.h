/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_TOKENIZER_PARTS_H
#define STAGECOACH_HF_TOKENIZER_PARTS_H
/*
 * tokenizer_parts - what goes with a vocabulary: the special tokens, the chat template, the name of
 * the pre-tokenizer.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/parts.h"
#include "hf/generation.h"
#include "hf/tokenizer_steps.h"

#include <stdbool.h>

/* The id of a text, or TOKEN_NONE. */
typedef uint32_t hf_find_id(const void *context, const char *text);

/* Ids, or TOKEN_NONE. */
struct hf_special {
	uint32_t bos, eos, unknown, padding, separator, mask;
	bool has_add_bos, adds_bos;	/* tokenizer_config.json says whether BOS is added */
	bool has_add_eos, adds_eos;
	struct end_list ends;		/* EOS, and what else ends a text */
};

/* From tokenizer_config.json; what it lacks from config.json. The ends are those of all: the
 * tokenizer's EOS, and eos_token_id of config.json and generation_config.json, which may be lists.
 * Ids from n_vocab on are left out. SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status hf_special_read(struct hf_special *special, const char *folder,
					  const json_t *config, size_t n_vocab, hf_find_id *find,
					  const void *context, struct error *err);
/* As the transformers package: add_bos_token and add_eos_token of tokenizer_config.json make a
 * template of their own. */
void hf_special_change_template(const struct hf_special *special, struct hf_steps *steps);
/* The keys of special ids, add_bos_token as adds_bos says, and add_eos_token if there is an EOS.
 * SC_E_NOMEM. */
must_check enum sc_status hf_special_put_ids(const struct hf_special *special,
					     struct gguf_head *head);
/* As hf_special_put_ids, for the template of steps. unknown: of the model, if tokenizer_config.json names none. SC_E_NOMEM. */
must_check enum sc_status hf_special_put(const struct hf_special *special, uint32_t unknown,
					 const struct hf_steps *steps, struct gguf_head *head);

/* tokenizer.chat_template, from chat_template.jinja or tokenizer_config.json; nothing if there is
 * none. SC_E_FORMAT, SC_E_IO, SC_E_NOMEM. */
must_check enum sc_status hf_chat_template_put(const char *folder, struct gguf_head *head,
					       struct error *err);

/* The name that tokenizer.ggml.pre has in other files for a tokenizer with these pre-tokenizers.
 * NULL: they are not known. */
const char *hf_pre_name(const struct hf_steps *steps);

/* Appends the bytes of base64 text. SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status hf_base64(const char *text, struct buf *out);

#endif
