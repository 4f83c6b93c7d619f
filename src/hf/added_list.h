/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_ADDED_LIST_H
#define STAGECOACH_HF_ADDED_LIST_H
/*
 * added_list - the added tokens of a tokenizer.json with the ids that the tokenizers package gives
 * them: that of the model's token of the same text, else the next free one. The id in the file is
 * not used, there as here.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/tokenizer_json.h"

struct added_token {
	struct gguf_string content;	/* borrows from the file's tree */
	uint32_t id;
	unsigned flags;			/* of ADDED_TOKEN, model/pipeline.h */
};

struct added_list {
	struct added_token *tokens;
	size_t n;
	size_t n_ids;			/* one more than the highest id, the model's included */
};

/* The caller calls added_list_deinit in any case. SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status added_list_read(struct added_list *list,
					  const struct tokenizer_json *json, struct error *err);
void added_list_deinit(struct added_list *list);

/* Returns the token of this text, or NULL. */
const struct added_token *added_list_find(const struct added_list *list, const char *text,
					  size_t length);

#endif
